//! Legal notices: confidentiality, viruses, the environment, company particulars

use std::ops::Range;
use std::sync::LazyLock;

use super::lines::{self, Cut, is_quoted, trim};
use super::phrases::Phrases;

/// What only a legal department writes
#[rustfmt::skip]
static NOTICES: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::new(&[
        // English
        "intended solely|intended only|intended exclusively|intended for the sole|intended for the exclusive|intended for the use of|intended for the addressee|intended for the named", "not the intended|not an intended|not the named … recipient|addressee", "intended recipient",
        "this e-mail|this email|this message|this communication|this transmission|the information … confidential|privileged|proprietary",
        "confidentiality notice|confidentiality note|confidentiality warning|confidentiality statement",
        "privileged and confidential", "confidential and privileged",
        "received|sent … this|to you … in error|by mistake|by error", "email disclaimer|e-mail disclaimer|legal disclaimer|legal notice", "^disclaimer … employer|company|opinion|liab|views|http",
        "consider|think about|think of … the environment",
        "before printing this|before printing the e|before you print this|think before you print|think before printing",
        "been scanned|was scanned|^scanned|is scanned … virus|mailscanner|messagelabs|mimecast",
        "virus-free|virus free", "checked for|checked by … virus|avg", "no virus found",
        "views|opinions … expressed|are … author|sender|individual|own … company|employer|organization|organisation|represent|reflect|necessarily",
        "registered in england|registered in scotland|registered in ireland|registered in wales",
        "registered office", "company registration n|company no",
        // German
        "diese e-mail|diese email|diese nachricht|diese mail|dieser e-mail … vertraulich|rechtlich geschützt|ausschließlich",
        "nicht der richtige|nicht der vorgesehene|nicht der beabsichtigte … adressat|empfänger",
        "irrtümlich erhalten", "vertrauliche informationen|vertrauliche und",
        "denken sie an die umwelt|bitte an die umwelt", "umwelt zuliebe",
        "bevor sie diese … drucken|ausdrucken", "amtsgericht … hra|hrb", "handelsregister", "geschäftsführer:",
        "sitz der gesellschaft", "ust-id|ust.-id|ustid",
        // French
        "ce message|ce courriel|cet e-mail|cet email|ce mail|le présent … confidentiel|destiné|exclusif|à l'attention",
        "n'êtes pas … destinataire", "reçu … par erreur", "pensez à l'environnement", "avant d'imprimer ce",
        // Spanish
        "este mensaje|este correo|este e-mail|el presente … confidencial|destinatario|exclusiv",
        "si usted no es|si no es|no es usted … destinatario", "recibido|recibió … por error",
        "aviso legal|aviso de confidencialidad", "medio ambiente … imprim", "imprim … medio ambiente",
        "antes de imprimir este|antes de imprimir esse",
        // Portuguese
        "esta mensagem|este e-mail|este email|este correio … confidencia|destinat|exclusiv|sigilo",
        "recebeu|recebido … por engano|por erro", "aviso de confidencialidade", "meio ambiente … imprim",
        "imprim … meio ambiente",
        // Italian
        "questo messaggio|questa mail|questa e-mail|il presente|la presente|le informazioni … riservat|confidenzial|destinatari|esclusiv",
        "non è il|non siete i|non siete il|non foste i … destinatari", "ricevut|ricevete … per errore",
        "rispetta l'ambiente", "prima di stampare questa|prima di stampare il|prima di stampare la",
        "d.lgs|d. lgs", "questo messaggio e' stato analizzato",
        // Dutch, Swedish, Norwegian, Danish
        "dit e-mail|deze e-mail|dit bericht|deze mail … vertrouwelijk|bestemd|uitsluitend",
        "niet de geadresseerde|niet de bedoelde", "denk aan het milieu",
        "detta|dette|denne … e-post|e-mail|meddelande|melding|mail … konfidenti|fortrolig|avsedd|beregnet|tiltenkt",
        "tänk på miljön", "tenk på miljøet|tænk på miljøet",
        // Polish, Russian
        "ta wiadomość|niniejsza|wiadomość ta … poufn|adresat|wyłącznie",
        "nie jest adresatem|nie jesteś adresatem|nie są państwo adresatem",
        "данное|это|настоящее … сообщение|письмо … конфиденциальн|предназнач|адресат",
        "не являетесь … адресатом|получателем",
        // Chinese, Japanese, Korean
        "本邮件|此邮件|本郵件|此郵件|本电子邮件|此电子邮件|本信件 … 保密|机密|機密|专属|仅供|仅限|僅供|收件人", "如果您不是|如您不是|如您并非|若您不是|如您误收|如误收|如果您误收",
        "误收本|误收此", "保密声明|保密提示", "免责声明|免責聲明", "本メール|このメール|本電子メール … 機密|秘密|宛先|名宛|受信者", "誤って受信|誤送信",
        "이 메일|이 이메일|본 메일|이 전자우편 … 기밀|비밀|수신인",
    ])
});

/// Words that a notice goes on with in its further paragraphs
#[rustfmt::skip]
const LEGAL: &[&str] = &[
    "recipient", "liab", "confidential", "unauthori", "prohibited", "virus", "disclos", "copyright",
    "registered", "warrant", "employer", "sender immediately", "delete it", "delete this", "delete the",
    "vertraulich", "empfänger", "haftung",
    "destinat", "confidenti", "interdit", "prohibid", "proibid", "vietat", "riservat", "responsab",
    "geadresseerde", "adresat", "получател", "адресат", "收件人", "法律责任", "删除", "削除", "environment", "umwelt",
    "environnement", "ambient", "trattare i dati",
];

/// Paragraphs looked at from the end, and how many others may stand between or below notices
const MOST_PARAGRAPHS: usize = 24;
const MOST_OTHERS: usize = 4;

/// A longer paragraph, in bytes, is no notice
const MOST_BYTES: usize = 6000;

/// Cut notices near the end
pub(super) fn cut<'a>(lines: &[&'a str]) -> Cut<'a> {
    Cut::ranges(lines, &ranges(lines))
}

/// The lines that `cut` takes out
pub(super) fn ranges(lines: &[&str]) -> Vec<Range<usize>> {
    let from = lines.len().saturating_sub(400);
    let paragraphs: Vec<Range<usize>> =
        lines::paragraphs(&lines[from..]).into_iter().map(|p| p.start + from..p.end + from).collect();
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut others = 0;
    let mut legal_below: Vec<Range<usize>> = Vec::new();
    for paragraph in paragraphs.iter().rev().take(MOST_PARAGRAPHS) {
        let part = &lines[paragraph.clone()];
        let fits = part.iter().map(|line| line.len()).sum::<usize>() <= MOST_BYTES;
        let text = if fits { part.join(" ").to_lowercase() } else { String::new() };
        let quoted = part.iter().any(|line| is_quoted(line));
        if let Some(at) = notice_in(lines, paragraph, &text).filter(|_| !quoted) {
            // Paragraphs of legal prose right below belong to the notice.
            ranges.append(&mut legal_below);
            ranges.push(at..paragraph.end);
            others = 0;
            continue;
        }
        if is_legal(&text) && !quoted && ranges_touch(&ranges, &legal_below, lines, paragraph) {
            legal_below.push(paragraph.clone());
            continue;
        }
        legal_below.clear();
        others += 1;
        if others > MOST_OTHERS {
            break;
        }
    }
    ranges.sort_by_key(|range| range.start);
    let mut end = 0;
    for range in &mut ranges {
        // A rule may close the notice above.
        range.start = lines::rule_above(lines, range.start).max(end);
        end = range.end;
    }
    ranges
}

/// Is the paragraph at the end of the text, or right above legal prose that is?
fn ranges_touch(ranges: &[Range<usize>], below: &[Range<usize>], lines: &[&str], paragraph: &Range<usize>) -> bool {
    let next = lines::next_nonblank(lines, paragraph.end);
    next.is_none_or(|next| ranges.iter().chain(below).any(|range| range.start == next) || lines::is_rule(lines[next]))
}

/// Where a notice begins in this paragraph: usually with it, else at the line that opens it
fn notice_in(lines: &[&str], paragraph: &Range<usize>, text: &str) -> Option<usize> {
    if !NOTICES.are_in(text) {
        return None;
    }
    let is_first = |&i: &usize| opens(lines[i]) || NOTICES.are_in(&lines[i].to_lowercase());
    let first = paragraph.clone().find(is_first).unwrap_or(paragraph.start);
    // A sentence above it in the same paragraph that is neither legal nor a heading was written.
    let above = &lines[paragraph.start..first];
    let written = above.iter().any(|line| !is_legal(&line.to_lowercase()) && line.split_whitespace().count() > 3);
    if first > paragraph.start && written { Some(first) } else { Some(paragraph.start) }
}

fn is_legal(text: &str) -> bool {
    LEGAL.iter().any(|word| text.contains(word))
}

fn opens(line: &str) -> bool {
    let line = trim(line);
    [
        "This e-mail",
        "This email",
        "This message",
        "The information",
        "CONFIDENTIAL",
        "Confidential",
        "NOTICE",
        "DISCLAIMER",
        "Diese E-Mail",
        "Ce message",
        "Este mensaje",
    ]
    .iter()
    .any(|start| line.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(lines::join(&cut(&lines::split(text)).kept), expected, "{text}");
    }

    #[test]
    fn notices_in_many_languages() {
        for notice in [
            "This e-mail and any attachments are confidential. If you are not the intended recipient, delete it.",
            "CONFIDENTIALITY NOTICE: for the addressee only.\n\nUnauthorised disclosure is prohibited.",
            "Please consider the environment before printing this email.",
            "Diese E-Mail enthält vertrauliche Informationen. Wenn Sie nicht der richtige Adressat sind, löschen Sie sie.",
            "Ce message est confidentiel et destiné à son seul destinataire.",
            "Este mensaje es confidencial y para uso exclusivo de su destinatario.",
            "Esta mensagem é confidencial e destina-se ao seu destinatário.",
            "Le informazioni contenute in questo messaggio sono riservate.",
            "Dit bericht is uitsluitend bestemd voor de geadresseerde.",
            "Данное сообщение является конфиденциальным.",
            "本邮件及其附件含有保密信息，仅限于发送给收件人。",
            "本メールには機密情報が含まれています。",
        ] {
            check(&format!("The offer is attached.\n\n{notice}"), "The offer is attached.");
        }
    }

    #[test]
    fn what_people_write_about_such_things_stays() {
        for text in [
            "Disclaimer: I am an author of the library.\n\nIt is good.",
            "Should mail be scanned for viruses before delivery?",
            "Save the file before printing.",
            "Please keep the salary list confidential.",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn a_rule_between_two_notices_goes_once() {
        let text = "We agree.\n\nThis e-mail is confidential and intended solely for the addressee.\n#########\n\n#########\n\
                    Please consider the environment before printing this e-mail.";
        assert_eq!(cut(&lines::split(text)).kept, ["We agree.", ""]);
    }
}
