//! Sign-offs: "Best regards" and its kin

use std::collections::HashSet;
use std::sync::LazyLock;

use super::lines::{is_cjk, trim};
use super::names;

/// Words of which one must stand in a sign-off
const CORE: &str = "regards regard sincerely cheers thanks thankyou thx tia thnx thank truly faithfully respectfully cordially wishes rgds brgds br kr bests \
    best love yours warmly gratefully ciao tschüss tschüß gruß grüße grüßen gruss grüsse grüssen gruesse gruessen mfg vg lg bg mvg hochachtungsvoll danke \
    cordialement salutations amicalement sincèrement bien amitiés respectueusement merci bises cdt cdlt saludos saludo atentamente atte \
    cordialmente gracias abrazo abrazos saludes atenciosamente cumprimentos abraço abraços att obrigado obrigada saudações saluti distinti \
    cordialità grazie groet groeten groetjes groete mvg hoogachtend bedankt hilsen hilsner vennlig mvh hälsningar hälsning vänligen tack takk \
    terveisin terveiset ystävällisin kiitos pozdrawiam poważaniem pozdrowienia dziękuję pozdravem pozdravy děkuji üdvözlettel tisztelettel \
    köszönettel уважением привет спасибо наилучшими пожеланиями повагою saygılarımla saygılar teşekkürler sevgiler obrigada";

/// Words that go with them
const FILLERS: &str = "kind kindest warm warmest with many and & / + the my very again in advance for all to you your und mit freundlichen freundliche freundlichem \
    freundlicher herzlichen herzliche herzlichem besten bestem beste schöne schönen schönem viele vielen liebe lieben lieber liebem vorab im voraus \
    aus sonnige ihr ihre dein deine à vous sincères meilleures mes mon nos avec plus les mieux et beaucoup d'avance un una cordial cordiales \
    cordiale cordiali muchas mil por de antemano com melhores os meus muito cpts grato grata os con i miei più cordiali anticipo met vriendelijke \
    vriendelijk hartelijke alvast med venlig venlige venlige vänliga vennlige bästa beste kære ystävällisin z wyrazami szacunku serdecznie \
    s přátelským с наилучшими лучшими заранее з i so much highest bien sehr sincere yours";

/// Whole sign-offs in languages without spaces
#[rustfmt::skip]
const CJK: &[&str] = &[
    "此致", "敬礼", "此致敬礼", "祝好", "顺祝商祺", "顺颂商祺", "商祺", "顺祝", "谢谢", "多谢", "致敬", "祝工作顺利", "祝您工作愉快", "此致敬禮", "敬禮",
    "敬祝", "順頌商祺", "敬上", "敬启", "祝安好", "祝顺利", "致以问候", "よろしくお願いします", "よろしくお願いいたします", "よろしくお願い致します",
    "以上、よろしくお願いします", "以上、よろしくお願いいたします", "宜しくお願いします", "宜しくお願いいたします", "宜しくお願い致します", "敬具", "以上", "감사합니다",
    "감사드립니다", "안녕히계세요",
];

static CORE_WORDS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| CORE.split_whitespace().collect());
static FILLER_WORDS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| FILLERS.split_whitespace().collect());

/// A line that closes a letter
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignOff {
    /// The closing words alone
    Alone,
    /// With the name on the same line: "Thanks, Bob"
    Named,
}

/// Does the line close a letter, with nothing else on it?
pub(super) fn sign_off(line: &str) -> Option<SignOff> {
    let line = trim(line).trim_start_matches(['-', '*', '_', '~', ' ', '–', '—']);
    if line.is_empty() || line.len() > 120 {
        return None;
    }
    if line.chars().any(is_cjk) {
        let tight: String = line.chars().filter(|c| is_cjk(*c) || *c == '、').collect();
        return CJK.contains(&tight.trim_matches('、')).then_some(SignOff::Alone);
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut core = false;
    let mut taken = 0;
    for word in &words {
        let bare = bare_word(word);
        let is_core = CORE_WORDS.contains(bare.as_str());
        if !is_core && !bare.is_empty() && !FILLER_WORDS.contains(bare.as_str()) {
            break;
        }
        core |= is_core;
        taken += 1;
        // "Thanks, Bob": what follows the comma is the name, even if it is also a filler.
        if core && word.ends_with([',', '!', '.', ';']) {
            break;
        }
    }
    // "The best" and "For love" are no closings: an article needs more company.
    if !core || taken > 7 || matches!(bare_word(words[0]).as_str(), "the" | "for" | "to" | "you" | "so" | "much") {
        return None;
    }
    let rest = words[taken..].join(" ");
    if rest.is_empty() || !rest.chars().any(char::is_alphanumeric) {
        return Some(SignOff::Alone);
    }
    if let Some(SignOff::Alone) = sign_off(&rest).filter(|_| taken < words.len()) {
        return Some(SignOff::Alone);
    }
    let named = names::is_name(&rest) && rest.split_whitespace().count() <= 4;
    let separated = words[taken - 1].ends_with([',', '!', '.', '-']) || names::is_known_name(&rest) || taken >= 2;
    (named && separated).then_some(SignOff::Named)
}

fn bare_word(word: &str) -> String {
    word.trim_matches(|c: char| !(c.is_alphanumeric() || matches!(c, '&' | '/' | '+'))).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[rustfmt::skip]
    fn closings_in_many_languages() {
        for line in [
            "Best regards,", "Kind Regards", "Thanks!", "Thanks & Regards,", "Many thanks and best wishes",
            "Cheers", "Mit freundlichen Grüßen",
            "Viele Grüße / Best regards", "Cordialement,", "Bien à vous", "Un saludo,", "Atenciosamente,",
            "Cordiali saluti", "Met vriendelijke groet,",
            "С уважением,", "Med vänliga hälsningar", "Pozdrawiam", "此致", "敬礼!", "よろしくお願いいたします。",
            "Yours sincerely,", "--Thanks",
        ] {
            assert_eq!(sign_off(line), Some(SignOff::Alone), "{line}");
        }
        for line in ["Thanks, Bob", "Cheers Mike", "Best, Anna Smith", "Gruß Hans", "Thanks again, Bob"] {
            assert_eq!(sign_off(line), Some(SignOff::Named), "{line}");
        }
        for line in [
            "Thanks for your help with the printer", "With regards to the payment", "Best practices",
            "The best", "谢谢你的帮助", "", "Love is all you need",
        ] {
            assert_eq!(sign_off(line), None, "{line}");
        }
    }
}
