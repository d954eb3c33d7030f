//! Decodes bytes to text if the charset is missing or wrong.

use std::sync::LazyLock;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::Encoding;
use regex::bytes::Regex;

use super::byte_pattern;

/// Decodes text without a declared charset: by a byte order mark, else as UTF-8 if valid, else by a guess.
pub fn decode(bytes: &[u8]) -> String {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return encoding.decode_without_bom_handling(&bytes[mark..]).0.into_owned();
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => guess(bytes),
    }
}

/// Decodes with the named charset; `None` if the name is unknown or the bytes are not valid in it.
///
/// gb2312 is read as its superset gb18030, because mail programs that declare gb2312 send gb18030.
pub fn decode_as(charset: &str, bytes: &[u8]) -> Option<String> {
    let encoding = Encoding::for_label(charset.trim().as_bytes())?;
    let encoding = if encoding == encoding_rs::GBK { encoding_rs::GB18030 } else { encoding };
    encoding.decode_without_bom_handling_and_without_replacement(bytes).map(|text| text.into_owned())
}

/// Decodes a page: by a byte order mark, else by a `<meta>` declaration near the start, else as [`decode`].
pub fn decode_html(bytes: &[u8]) -> String {
    static META: LazyLock<Regex> =
        LazyLock::new(|| byte_pattern(r#"(?i)<meta[^>]{0,200}charset\s*=\s*["']?\s*([a-z0-9_:.-]{2,40})"#));
    let declared = META.captures(&bytes[..bytes.len().min(2048)]).and_then(|found| found.get(1));
    let by_name = declared
        .filter(|_| Encoding::for_bom(bytes).is_none())
        .and_then(|name| std::str::from_utf8(name.as_bytes()).ok())
        // A declaration that is readable byte by byte is not in UTF-16.
        .filter(|name| !name.to_ascii_lowercase().starts_with("utf-16"))
        .and_then(|name| decode_as(name, bytes));
    by_name.unwrap_or_else(|| decode(bytes))
}

/// The most likely legacy encoding of bytes that are not UTF-8.
fn guess(bytes: &[u8]) -> String {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    // The first bytes are enough; the detector is slower than the rest of intake.
    detector.feed(&bytes[..bytes.len().min(64 * 1024)], true);
    let encoding = detector.guess(None, Utf8Detection::Allow);
    encoding.decode_without_bom_handling(bytes).0.into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undeclared() {
        let check = |bytes: &[u8], expected: &str| assert_eq!(decode(bytes), expected);
        check("grüß".as_bytes(), "grüß");
        check(b"\xff\xfeh\0i\0", "hi");
        check(b"\xef\xbb\xbfmark", "mark");
        let russian = "Добрый день, высылаю счёт на оплату за октябрь";
        check(&encoding_rs::KOI8_U.encode(russian).0, russian);
        let chinese = "尊敬的客户，您的订单已经发货，请注意查收。";
        check(&encoding_rs::GBK.encode(chinese).0, chinese);
        check(b"caf\xe9 cr\xe8me", "café crème");
    }

    #[test]
    fn pages() {
        let page = "<html><head><meta charset=\"koi8-r\"></head><p>Привет</p>";
        assert_eq!(decode_html(&encoding_rs::KOI8_R.encode(page).0), page);
        let page = "<meta charset=utf-16><p>meeting tomorrow</p>";
        assert_eq!(decode_html(page.as_bytes()), page);
        let wrong = "<meta charset=\"ascii-of-sorts\"><p>grün</p>";
        assert_eq!(decode_html(wrong.as_bytes()), wrong);
    }

    #[test]
    fn declared() {
        assert_eq!(decode_as("gb2312", &encoding_rs::GB18030.encode("镕基").0).as_deref(), Some("镕基"));
        assert_eq!(decode_as("utf-8", b"\xff"), None);
        assert_eq!(decode_as("no-such", b"x"), None);
    }
}
