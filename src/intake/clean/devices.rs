//! Lines that phones and mail programs add: "Sent from my iPhone"

use super::lexicon;
use super::lexicon::devices::{ARTICLES, EXCUSES, FRAMES, GET, MY, PRODUCTS, SENT_FROM, THINGS};
use super::lines::trim;

/// A device line is no longer than this, in bytes
const LONGEST: usize = 200;

/// True for a line that a device or a mail program added
pub(super) fn is_device_line(line: &str) -> bool {
    let line = trim(line);
    // These are comments in code and headings.
    if line.len() > LONGEST || line.starts_with("//") || line.starts_with('#') {
        return false;
    }
    let lower = lexicon::lower(line).replace(['[', ']'], " ");
    let text = lower.trim_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '>' | ')'));
    let bare = text.trim_end_matches(|c: char| !c.is_alphanumeric());
    let frames = lexicon::bucket(FRAMES, bare).chain(lexicon::bucket(FRAMES, "…"));
    if frames.filter_map(|frame| frame.split_once('…')).any(|(start, end)| {
        let (start, end) = (start.trim_end(), end.trim_start());
        bare.starts_with(start)
            && bare.ends_with(end)
            && bare.len() > start.len() + end.len()
            && bare.chars().count() <= 80
    }) {
        return true;
    }
    let behind = |starts: &[&'static str]| -> Option<String> {
        let starts = lexicon::bucket(starts, text).filter(|start| text.starts_with(*start));
        let start = starts.max_by_key(|start| start.len())?;
        let rest = &text[start.len()..];
        (rest.starts_with([' ', '\u{a0}']) || !start.ends_with(char::is_alphanumeric))
            .then(|| rest.trim_start().to_string())
    };
    if let Some(rest) = behind(SENT_FROM) {
        return names_device(&rest);
    }
    behind(GET).is_some_and(|rest| {
        let rest = without_link(&rest);
        rest.split_whitespace().count() <= 5 && PRODUCTS.iter().any(|product| rest.contains(product))
    })
}

/// True for a device with nothing, a link or an excuse after it
fn names_device(rest: &str) -> bool {
    let (owned, rest) = match rest.split_once(' ') {
        Some((first, after)) if MY.contains(&first) => (true, after.trim_start()),
        Some((first, after)) if ARTICLES.contains(&first) => (false, after.trim_start()),
        _ => (false, rest),
    };
    let end = rest.char_indices().find(|&(at, c)| {
        matches!(c, '(' | '<' | '!' | '?' | ',')
            || c == '.' && !rest[at + 1..].starts_with(|c: char| c.is_alphanumeric())
            || rest[at..].starts_with("http")
    });
    let (device, tail) = rest.split_at(end.map_or(rest.len(), |(at, _)| at));
    let tail = tail.trim_start_matches([',', '.', '!', ' ', '\u{a0}']);
    let excused = tail.is_empty()
        || !tail.contains(char::is_alphanumeric)
        || EXCUSES.iter().any(|excuse| tail.starts_with(excuse));
    let known = device.split([' ', '-', '/', '>', ')', '\u{a0}']).any(|word| lexicon::has(THINGS, word))
        || THINGS.iter().any(|thing| thing.contains('-') && device.contains(thing));
    let short = device.split_whitespace().count() <= 7;
    excused && short && !device.is_empty() && (owned || known)
}

fn without_link(text: &str) -> String {
    let end = text.find("http").unwrap_or(text.len());
    text[..end].trim_end_matches(['<', '(', ' ']).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[rustfmt::skip]
    fn device_lines() {
        for line in [
            "Sent from my iPhone", "Envoyé depuis mon iPhone", "Von meinem Mobilgerät gesendet",
            "From My Iphone 6", "Sent via mobile", "Sent with Airmail",
            "Diese Nachricht wurde von meinem Android-Mobiltelefon mit K-9 Mail gesendet.", "Sent from Mailbox for iPad", "Sent from my TI-85",
            "Sent from Yahoo Mail on Android", "Sent from my cell, please excuse any typos.", "Sent from my HTC M8 Android phone.  Please excuse typoze",
            "Sent from my Windows 8 PC <http://windows.microsoft.com/consumer-preview>", "<<sent by galaxy>>",
            "(sent from a phone)", "從我的 iPhone 傳送",
            "Sent from [mail](https://go.microsoft.com/fwlink/?LinkId=550986) for windows 10", "Verzonden met BlackBerry Work",
            "Get Outlook for iOShttps://aka.ms/o0ukef", "Get [Outlook for Android](https://aka.ms/ghei36)", "Get Outlook for iOS<https://aka.ms/o0ukef>",
            "Sent from Outlook Mobile<https://foo.bar>", "Gesendet von Outlook für Android<https://aka.ms/AAb9ysg>", "Sendt fra min iPad",
            "Envoyé à partir de Outlook pour iOS<https://aka.ms/o0ukef>", "Sent from TypeApp<http://www.typeapp.com/r?b=2621>", "发自我的iPhone",
            "Enviado desde mi iPhone", "Inviato da iPhone", "Отправлено с iPhone", "iPhoneから送信",
            "나의 iPhone에서 보냄", "Sent from my BlackBerry",
            "Sent from my Verizon Wireless BlackBerry", "Sent from Mail for Windows",
            "Sent wirelessly from my BlackBerry.", "Skickat från min iPhone",
            "Στάλθηκε από το iPhone μου", "Trimis de pe iPhone-ul meu", "Odoslané z môjho iPhonu", "Poslano s mog iPhonea",
            "Dikirim dari iPhone saya", "Изпратено от моя iPhone", "Poslano iz mojega iPhona", "Saadetud minu iPhone'ist",
            "Išsiųsta iš mano iPhone", "Nosūtīts no mana iPhone", "Послато са мог iPhone-а", "أُرسلت من الـ iPhone",
            "ارسال شده از iPhone من", "ส่งจาก iPhone ของฉัน", "Elküldve az iPhone-omról", "Enviat des del meu iPhone",
            "Wysłane z iPhone'a", "Odesláno z iPhonu", "Lähetetty iPhonesta", "iPhone'umdan gönderildi", "Надіслано з мого iPhone",
            "נשלח מה-iPhone שלי", "Được gửi từ iPhone của tôi", "Sendt fra min iPhone", "Verstuurd vanaf mijn iPhone",
            "Hent Outlook til iOS", "Skaff Outlook for iOS", "Hanki Outlook for iOS", "Obtenir Outlook pour iOS",
            "Obtener Outlook para iOS", "Descargar Outlook para Android", "Scarica Outlook per iOS", "Obter o Outlook para iOS",
            "Baixar o Outlook para iOS", "Outlook voor Android downloaden", "Download Outlook voor iOS", "Skaffa Outlook för iOS",
            "Pobierz program Outlook dla systemu iOS", "Získat Outlook pro iOS", "Получить Outlook для iOS",
            "Отримати Outlook для iOS", "获取 Outlook for iOS", "下載 Outlook for Android", "Outlook for iOS を入手",
            "Outlook for Android 다운로드", "Outlook für iOS beziehen", "Holen Sie sich Outlook für Mac", "Az Outlook beszerzése iOS-hez",
            "Descărcați Outlook pentru iOS", "Λήψη του Outlook για iOS", "Изтеглете Outlook за iOS", "Získať Outlook pre iOS",
            "Preuzmite Outlook za iOS", "احصل على Outlook for iOS", "Tải Outlook cho iOS", "Dapatkan Outlook untuk iOS",
            "ดาวน์โหลด Outlook สำหรับ iOS", "Get Outlook for Mac", "Sent from Outlook for Mac",
        ] {
            assert!(is_device_line(line), "{line}");
        }
        for line in [
            "Sent from my desk, is much easier then my mobile phone.", "  // Sent from my custom mailer", "Get well soon",
            "All messages are sent from the main server.", "From my phone I can see that the server is down.", "Sent a magnificent torch of pixels",
            "The notification was sent from my iPhone app to all users.", "Download the report from our page", "From: Bob",
        ] {
            assert!(!is_device_line(line), "{line}");
        }
    }
}
