//! Decodes bytes to text, whatever charset they declare or do not declare.
//!
//! What the bytes are decides before what they are called: UTF-8 is hardly ever anything else, and escapes are what
//! 7-bit charsets are made of. A declared charset is believed while the bytes fit it, and a stray byte damages one
//! character, not the text.

mod stream;
mod whole;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use encoding_rs::{EUC_KR, Encoding, GB18030, GBK, ISO_2022_JP, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_874, WINDOWS_1252};
pub use stream::Transcoded;
pub use whole::{Doubt, decode_file, decode_one_of_many, named};

/// Damaged characters that are put up with before a charset is taken for the wrong one: one, and one in so many.
const STRAY: usize = 20;

/// How many bytes tell UTF-16 without a mark.
pub(crate) const UTF16_HEAD: usize = 1024;

/// How many bytes statistics of letters look at. They are slower than what reads the text.
const LOOKED_AT: usize = 64 * 1024;

/// What editors put before UTF-8. Readers take it for a part of what follows.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The bytes behind a byte order mark of UTF-8, if there is one.
pub(crate) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes)
}

/// Decodes text without a declared charset: by a byte order mark, else by what the bytes are, else by a guess.
pub fn decode(bytes: &[u8]) -> String {
    decode_declared(None, bytes)
}

/// Decodes text of which a header says the charset, if it does. No name is believed that the bytes do not fit.
pub fn decode_declared(declared: Option<&str>, bytes: &[u8]) -> String {
    read(declared, bytes).text
}

/// A text, and why it is in doubt whether it is read in its charset.
#[derive(Debug, PartialEq, Eq)]
pub struct DecodedText {
    /// The text.
    pub text: String,
    /// Where its charset was guessed, and several fit.
    pub doubt: Option<Doubt>,
}

/// As [`decode_declared`], with what is in doubt. A few accents in a text of Latin letters are not worth a doubt.
pub fn read(declared: Option<&str>, bytes: &[u8]) -> DecodedText {
    const FEW: usize = 20;
    let told = || whole::guess(whole::window(bytes));
    let (text, told) = match read_as(declared, bytes) {
        None => {
            let told = told();
            let encoding = told.clone().unwrap_or_else(|_| whole::detected(whole::window(bytes)));
            (encoding.decode_without_bom_handling(bytes).0.into_owned(), told)
        }
        // Characters of two bytes may be of GBK too, where nothing says that they are UTF-8.
        Some(text) if declared.is_none() && !bytes.is_ascii() && text.as_bytes() == bytes => (text, told()),
        Some(text) => (text, Ok(UTF_8)),
    };
    let doubt = told.err().filter(|_| {
        let HighBytes { all, beside } = HighBytes::of(bytes);
        beside > 0 || all * FEW > bytes.len()
    });
    DecodedText { text, doubt }
}

/// The numbers of bytes that are not ASCII, and of those behind another one.
struct HighBytes {
    all: usize,
    beside: usize,
}

impl HighBytes {
    fn of(bytes: &[u8]) -> Self {
        let beside = bytes.windows(2).filter(|two| !two[0].is_ascii() && !two[1].is_ascii()).count();
        Self { all: bytes.iter().filter(|byte| !byte.is_ascii()).count(), beside }
    }
}

/// The text in a charset that is declared or shows itself.
fn read_as(declared: Option<&str>, bytes: &[u8]) -> Option<String> {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return Some(encoding.decode_without_bom_handling(&bytes[mark..]).0.into_owned());
    }
    let name = declared.map(|name| name.trim().to_ascii_lowercase());
    let name = name.as_deref().filter(|name| !name.ends_with("ascii"));
    if name.is_none()
        && let Some(encoding) = utf16_of(bytes)
    {
        return Some(encoding.decode_without_bom_handling(bytes).0.into_owned());
    }
    if let Some(text) = seven_bit(name, bytes) {
        return Some(text);
    }
    let encoding = name.and_then(encoding);
    if let Some(text) = encoding.filter(|encoding| is_utf16(encoding)).and_then(|encoding| utf16(encoding, bytes)) {
        return Some(text);
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && (text.is_ascii() || encoding.is_none_or(|encoding| is_utf8(text, encoding)))
    {
        return Some(text.to_owned());
    }
    // A charset of single bytes fits whatever there is.
    let doubt = if encoding == Some(WINDOWS_874) { 4 } else { 1 };
    if encoding.is_none_or(|encoding| encoding == UTF_8 || encoding.is_single_byte())
        && let Some(text) = mostly_utf8(bytes, doubt)
    {
        return Some(text);
    }
    let encoding = encoding.map(|encoding| whole::misnamed(encoding, bytes).unwrap_or(encoding));
    let exact = encoding.and_then(|encoding| encoding.decode_without_bom_handling_and_without_replacement(bytes));
    if let Some(text) = exact {
        return Some(text.into_owned());
    }
    encoding.filter(|encoding| *encoding != UTF_8).and_then(|encoding| mostly(encoding, bytes))
}

/// True for the name of a charset that is decoded.
pub(crate) fn is_known(name: &str) -> bool {
    encoding(name).is_some() || is_seven_bit(name)
}

/// The charset of a name. gb2312 is read as its superset gb18030, because mail programs that declare gb2312 send
/// gb18030; the Japanese of Microsoft adds characters that every decoder knows.
fn encoding(name: &str) -> Option<&'static Encoding> {
    let name = name.trim();
    let encoding = match Encoding::for_label_no_replacement(name.as_bytes()) {
        None if name.to_ascii_lowercase().starts_with("iso-2022-jp") => ISO_2022_JP,
        found => found?,
    };
    Some(if encoding == GBK { GB18030 } else { encoding })
}

/// The charset of a code page of Windows.
pub(crate) fn code_page(number: u32) -> Option<String> {
    let name = match number {
        932 => "shift_jis",
        936 => "gbk",
        949 => "euc-kr",
        950 => "big5",
        20127 => "us-ascii",
        20866 => "koi8-r",
        21866 => "koi8-u",
        50220..=50222 => "iso-2022-jp",
        51932 => "euc-jp",
        51949 => "euc-kr",
        54936 => "gb18030",
        65000 => "utf-7",
        65001 => "utf-8",
        874 | 1250..=1258 => return Some(format!("windows-{number}")),
        28591..=28605 => return Some(format!("iso-8859-{}", number - 28590)),
        _ => return None,
    };
    Some(name.into())
}

/// True for the name of a charset whose ASCII is not what it seems.
pub(crate) fn is_seven_bit(name: &str) -> bool {
    seven_bit_decoder(&name.trim().to_ascii_lowercase()).is_some()
}

fn seven_bit_decoder(name: &str) -> Option<fn(&[u8]) -> String> {
    match name {
        "hz-gb-2312" | "hz" => Some(hz),
        "iso-2022-kr" | "csiso2022kr" => Some(korean),
        "utf-7" | "utf7" | "unicode-1-1-utf-7" | "unicode-2-0-utf-7" | "csunicode11utf7" => Some(utf7),
        _ => None,
    }
}

/// Text whose characters are made of ASCII: Japanese by its escapes, declared or not, others by their names.
fn seven_bit(name: Option<&str>, bytes: &[u8]) -> Option<String> {
    if !bytes.is_ascii() {
        return None;
    }
    match name.and_then(seven_bit_decoder) {
        Some(decode) => Some(decode(bytes)),
        _ if is_japanese(bytes) => Some(ISO_2022_JP.decode_without_bom_handling(bytes).0.into_owned()),
        _ => None,
    }
}

/// Whether escapes of ISO-2022-JP are in the text.
fn is_japanese(bytes: &[u8]) -> bool {
    const ESCAPES: [&[u8]; 6] = [b"$@", b"$B", b"$(D", b"$(O", b"(I", b"(J"];
    memchr::memchr_iter(0x1b, bytes).any(|at| ESCAPES.iter().any(|escape| bytes[at + 1..].starts_with(escape)))
}

/// GB 2312 between `~{` and `~}` (RFC 1843).
fn hz(bytes: &[u8]) -> String {
    let mut eight_bit = Vec::with_capacity(bytes.len());
    let (mut rest, mut is_chinese) = (bytes, false);
    while let [first, behind @ ..] = rest {
        rest = behind;
        match (first, behind) {
            (b'~', [b'{', behind @ ..]) => (is_chinese, rest) = (true, behind),
            (b'~', [b'}', behind @ ..]) => (is_chinese, rest) = (false, behind),
            (b'~', [b'~', behind @ ..]) if !is_chinese => {
                eight_bit.push(b'~');
                rest = behind;
            }
            (b'~', [b'\n', behind @ ..]) => rest = behind,
            // A line ends what was not ended.
            (b'\n', _) => {
                is_chinese = false;
                eight_bit.push(b'\n');
            }
            (byte, _) => eight_bit.push(if is_chinese && *byte > b' ' { byte | 0x80 } else { *byte }),
        }
    }
    GB18030.decode_without_bom_handling(&eight_bit).0.into_owned()
}

/// KS X 1001 between the controls that shift out and in (RFC 1557).
fn korean(bytes: &[u8]) -> String {
    const DESIGNATION: &[u8] = b"\x1b$)C";
    let mut eight_bit = Vec::with_capacity(bytes.len());
    let (mut rest, mut is_korean) = (bytes, false);
    while let [first, behind @ ..] = rest {
        if let Some(behind) = rest.strip_prefix(DESIGNATION) {
            rest = behind;
            continue;
        }
        rest = behind;
        match first {
            0x0e => is_korean = true,
            0x0f => is_korean = false,
            byte => eight_bit.push(if is_korean && *byte > b' ' { byte | 0x80 } else { *byte }),
        }
    }
    EUC_KR.decode_without_bom_handling(&eight_bit).0.into_owned()
}

/// UTF-16 in base64 between `+` and what is no base64; a `-` that ends it is not text (RFC 2152).
fn utf7(bytes: &[u8]) -> String {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let mut text = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = memchr::memchr(b'+', rest) {
        text.push_str(&String::from_utf8_lossy(&rest[..at]));
        let encoded = &rest[at + 1..];
        let (digits, behind) = encoded.split_at(encoded.iter().position(|b| !is_digit(b)).unwrap_or(encoded.len()));
        let units = STANDARD_NO_PAD.decode(digits).ok().filter(|units| !units.is_empty());
        rest = match units {
            Some(units) => {
                text.push_str(&UTF_16BE.decode_without_bom_handling(&units).0);
                behind.strip_prefix(b"-").unwrap_or(behind)
            }
            // A plus as it stands, as in `C++`.
            None => {
                text.push('+');
                encoded.strip_prefix(b"-").unwrap_or(encoded)
            }
        };
    }
    text.push_str(&String::from_utf8_lossy(rest));
    text
}

/// The encoding of UTF-16 by its byte order mark, or by its first characters: they are those of words, and some are
/// ASCII. `None` for other text and for bytes that are no text.
pub(crate) fn utf16_of(head: &[u8]) -> Option<&'static Encoding> {
    const BEGINNING: usize = 16;
    if let Some((encoding, _)) = Encoding::for_bom(head) {
        return Some(encoding).filter(|encoding| is_utf16(encoding));
    }
    let head = &head[..head.len().min(UTF16_HEAD) & !1];
    memchr::memchr(0, head)?;
    // The text behind the headers of a message may be UTF-16.
    let is_ascii = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    if head.len() > BEGINNING && head[..BEGINNING].iter().all(is_ascii) {
        return None;
    }
    // ASCII with a stray NUL is no UTF-16, although its letters make Chinese characters two by two.
    let foreign = head.iter().filter(|byte| !byte.is_ascii_graphic() && !byte.is_ascii_whitespace()).count();
    if foreign * 4 < head.len() {
        return None;
    }
    let ascii = |encoding: &'static Encoding| {
        let text = encoding.decode_without_bom_handling(head).0;
        let (mut all, mut ascii, mut odd) = (0, 0, 0);
        for c in text.chars() {
            all += 1;
            ascii += usize::from(c.is_ascii_graphic() || matches!(c, ' ' | '\t' | '\n' | '\r'));
            let is_known = c.is_alphanumeric() || c.is_whitespace() || c.is_ascii_graphic();
            odd += usize::from(
                !is_known
                    && !matches!(c, '\u{a0}'..='\u{bf}' | '\u{2010}'..='\u{206f}' | '\u{3000}'..='\u{303f}' | '\u{ff00}'..='\u{ffef}'),
            );
        }
        (ascii > 0 && odd * 32 <= all).then_some(ascii)
    };
    [UTF_16LE, UTF_16BE]
        .into_iter()
        .filter_map(|encoding| Some((ascii(encoding)?, encoding)))
        .max_by_key(|e| e.0)
        .map(|e| e.1)
}

fn is_utf16(encoding: &Encoding) -> bool {
    encoding == UTF_16LE || encoding == UTF_16BE
}

/// Text in UTF-16. `None` where it is not: words of ASCII are what is often called so, and have no NUL.
fn utf16(encoding: &'static Encoding, bytes: &[u8]) -> Option<String> {
    let is_it = bytes.contains(&0) || !bytes.iter().any(u8::is_ascii_whitespace);
    let text = is_it.then(|| encoding.decode_without_bom_handling_and_without_replacement(bytes)).flatten();
    text.map(|text| text.into_owned())
}

/// Whether text that is valid UTF-8 is no accident of the charset that it declares. Two bytes may be one character of
/// UTF-8 and one of GBK, or two letters of Thai; elsewhere they are a capital and a sign, which no word has.
fn is_utf8(text: &str, declared: &'static Encoding) -> bool {
    let mut characters = text.chars().map(char::len_utf8).filter(|bytes| *bytes > 1);
    if declared == WINDOWS_874 {
        characters.nth(2).is_some()
    } else if declared == UTF_8 || declared.is_single_byte() {
        true
    } else {
        characters.filter(|bytes| *bytes > 2).nth(1).is_some()
    }
}

/// UTF-8 with some bytes that are not: one by itself beside ASCII is of Windows-1252, others are replaced. `None` where
/// the characters of UTF-8 are not more than `doubt` times as many.
fn mostly_utf8(bytes: &[u8], doubt: usize) -> Option<String> {
    let (mut good, mut stray) = (0, 0);
    for chunk in bytes.utf8_chunks() {
        good += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        stray += usize::from(!chunk.invalid().is_empty());
    }
    if stray == 0 || good <= doubt * stray {
        return None;
    }
    let mut text = String::with_capacity(bytes.len());
    let mut end = 0;
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        end += chunk.valid().len() + chunk.invalid().len();
        let is_alone = || {
            text.chars().next_back().is_none_or(|c| c.is_ascii()) && bytes.get(end).is_none_or(|byte| byte.is_ascii())
        };
        match chunk.invalid() {
            [] => {}
            [0xa0..=0xff] if is_alone() => text.push_str(&WINDOWS_1252.decode(chunk.invalid()).0),
            _ => text.push(char::REPLACEMENT_CHARACTER),
        }
    }
    Some(text)
}

/// Text in the charset with few bytes that are not of it, which are replaced.
fn mostly(encoding: &'static Encoding, bytes: &[u8]) -> Option<String> {
    let text = encoding.decode_without_bom_handling(bytes).0;
    let (mut good, mut stray) = (0, 0);
    for c in text.chars().filter(|c| !c.is_ascii()) {
        *(if c == char::REPLACEMENT_CHARACTER { &mut stray } else { &mut good }) += 1;
    }
    (stray <= 1 + good / STRAY && good > stray).then(|| text.into_owned())
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
    fn utf16_without_a_mark() {
        let check = |text: &str, is_it: bool| {
            let units: Vec<u16> = text.encode_utf16().collect();
            let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
            let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
            assert_eq!((utf16_of(&little), utf16_of(&big)), (is_it.then_some(UTF_16LE), is_it.then_some(UTF_16BE)));
            if is_it {
                assert_eq!((decode(&little), decode(&big)), (text.to_string(), text.to_string()));
            }
        };
        check("Subject: x\r\n\r\nPlease pay, Jörg — 300 €.", true);
        check("主题: 六月份的发票\n\n请付款，谢谢。\n", true);
        check("Добрый день\n", true);
        check("\u{1}\u{2}\u{0}\u{5}a", false);
        for bytes in
            [&b"plain"[..], b"a\0", b"{\"text\":\"\0\"}\n", b"\0\0\0\0", b"\xef\xbb\xbfa\0b\0", b"PNG\0\0\0\x0dIHDR"]
        {
            assert_eq!(utf16_of(bytes).filter(|_| bytes.len() > 2), None, "{bytes:?}");
        }
        assert_eq!(utf16_of(b"From: good@x.com\nT\0o: evil@x.com\n\nbody\n"), None);
    }

    #[test]
    fn what_the_bytes_are_decides_before_what_they_are_called() {
        let check = |name: &str, bytes: &[u8], expected: &str| {
            assert_eq!(decode_declared(Some(name), bytes), expected, "{name}: {expected}");
        };
        let chinese = "您好，附件是六月份的发票";
        for name in ["gb2312", "big5", "iso-8859-1", "us-ascii", "shift_jis", "no-such"] {
            check(name, chinese.as_bytes(), chinese);
        }
        for name in ["iso-8859-1", "windows-1252", "us-ascii", "iso-8859-15", "windows-1250"] {
            check(name, "Rechnung für".as_bytes(), "Rechnung für");
        }
        check("iso-8859-1", b"Pr\xfcfung f\xfcr S\xfcd", "Prüfung für Süd");
        check("gb2312", &GBK.encode(chinese).0, chinese);
        // Valid UTF-8 by accident, as two bytes often are.
        let (accident, _, _) = GBK.encode("椤");
        check("gbk", &accident, "椤");
        let thai = "รก";
        check("tis-620", &WINDOWS_874.encode(thai).0, thai);
        let russian = "Добрый день, счёт";
        check("koi8-r", &encoding_rs::KOI8_R.encode(russian).0, russian);
        check("windows-1251", russian.as_bytes(), russian);
    }

    #[test]
    fn a_stray_byte_damages_one_character() {
        let check = |name: Option<&str>, bytes: &[u8], expected: &str| {
            assert_eq!(decode_declared(name, bytes), expected, "{name:?}");
        };
        let (head, tail) = ("您好，附件是六月份的发票，请在本月三十", "之前付款到我们的银行账户");
        for name in [None, Some("utf-8"), Some("iso-8859-1")] {
            check(name, &[head.as_bytes(), b"\xe6\x97", tail.as_bytes()].concat(), &format!("{head}\u{fffd}{tail}"));
        }
        let footer = "wir müssen Jörg früh für Käthe\n-- \n";
        check(
            Some("utf-8"),
            &[footer.as_bytes(), b"Universit\xe4t S\xfcd"].concat(),
            &format!("{footer}Universität Süd"),
        );
        let gbk = [&GBK.encode(head).0[..], b"\xff", &GBK.encode(tail).0].concat();
        check(Some("gb2312"), &gbk, &format!("{head}\u{fffd}{tail}"));
        // A whole text in another charset is not UTF-8 with strays.
        check(Some("utf-8"), b"caf\xe9 cr\xe8me br\xfbl\xe9e", "café crème brûlée");
    }

    #[test]
    fn characters_made_of_ascii() {
        let check = |name: Option<&str>, bytes: &[u8], expected: &str| {
            assert_eq!(decode_declared(name, bytes), expected, "{name:?}");
        };
        let japanese = b"\x1b$B@A5a=q\x1b(B (1)";
        for name in [None, Some("us-ascii"), Some("iso-2022-jp"), Some("iso-2022-jp-ms"), Some("utf-8")] {
            check(name, japanese, "請求書 (1)");
        }
        check(Some("hz-gb-2312"), b"Price: ~{<:Ky2;S{~} ~~5", "Price: 己所不欲 ~5");
        check(Some("iso-2022-kr"), b"\x1b$)C\x0e>H3g\x0f: 5", "안녕: 5");
        for name in ["utf-7", "UNICODE-1-1-UTF-7"] {
            check(
                Some(name),
                b"Gr+APwA3w-e +2D3cSw- +ZeVnLIqe, 1+-1 C++ +1 555 +",
                "Grüße 👋 日本語, 1+1 C++ +1 555 +",
            );
        }
        check(None, b"~{ is a brace and \x1b[31m red", "~{ is a brace and \x1b[31m red");
    }

    #[test]
    fn declared() {
        assert_eq!(decode_declared(Some("gb2312"), &GB18030.encode("镕基").0), "镕基");
        assert_eq!(decode_declared(Some("utf-8"), b"\xff"), "ÿ");
        assert_eq!(decode_declared(Some("no-such"), b"x"), "x");
        // Its bytes may all be of ASCII, as those of these two characters; ASCII with words is no UTF-16.
        assert_eq!(decode_declared(Some("utf-16le"), b"\x60\x4f\x7d\x59"), "你好");
        assert_eq!(decode_declared(Some("utf-16"), b"h\0i\0 \0t\0h\0e\0r\0e\0"), "hi there");
        assert_eq!(decode_declared(Some("utf-16be"), b"\0G\0r\0\xfc\0\xdf\0e"), "Grüße");
        assert_eq!(decode_declared(Some("utf-16"), b"please pay it"), "please pay it");
    }
}
