//! The charset of a whole file: of a table, of rows or of labels. One text, one guess, and no guess where there is
//! doubt.
//!
//! A cell of two characters says nothing about its charset, and a label that is read wrongly is learned wrongly. So
//! the charset is told once, from all that is there, and only if no other reading is as good. A legacy charset of
//! Asia is certain where it alone makes common characters of the bytes.

use std::fmt;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{
    BIG5, EUC_JP, EUC_KR, Encoding, GB18030, ISO_2022_JP, ISO_8859_15, KOI8_R, SHIFT_JIS, UTF_8, WINDOWS_1250,
    WINDOWS_1252, WINDOWS_1254, WINDOWS_1257,
};

use super::{HighBytes, STRAY, is_japanese, is_utf16, mostly, mostly_utf8, utf16, utf16_of};

/// Fewer characters than this may be common ones of several charsets by accident.
const FEW: usize = 10;

/// Letters beyond ASCII from which statistics know a language of Europe, and one of another script.
const ACCENTS: usize = 4;
const LETTERS: usize = 30;

/// UTF-8 is damaged where it has so many more good characters than bad ones.
pub(super) const DAMAGED: usize = 8;

/// The charsets of Asia whose characters are pairs of bytes.
const PAIRS: [&Encoding; 5] = [GB18030, BIG5, EUC_KR, EUC_JP, SHIFT_JIS];

/// Why the charset of a file is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// Several charsets fit, or none; the likeliest first.
    Several(Vec<&'static str>),
    /// The bytes are not of the charset that the user has named.
    NotNamed(&'static str),
    /// Bytes further on are of another charset than those before.
    Changes(&'static str),
}

impl Doubt {
    /// What the bytes may be: `GBK or Big5?`
    pub fn charsets(&self) -> String {
        match self {
            Self::Several(names) => format!("{}?", names.join(" or ")),
            Self::NotNamed(name) | Self::Changes(name) => (*name).into(),
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Several(_) => write!(
                f,
                "it is not in UTF-8, and its charset is in doubt ({}): name it with --encoding, or save the file as UTF-8",
                self.charsets()
            ),
            Self::NotNamed(name) => write!(f, "it is not in {name}, which --encoding says"),
            Self::Changes(name) => write!(
                f,
                "it is in {name} at first, and in another charset from here on: name the right one with --encoding, or save \
                 the file as UTF-8"
            ),
        }
    }
}

impl std::error::Error for Doubt {}

/// The charset of a name such as `gbk`, `utf-16le` or `cp1252`.
pub fn named(name: &str) -> Option<&'static Encoding> {
    let name = name.trim().to_ascii_lowercase();
    let number = name.strip_prefix("cp").or(name.strip_prefix("ms")).unwrap_or(&name).parse();
    let code_page = number.ok().and_then(super::code_page);
    super::encoding(code_page.as_deref().unwrap_or(&name))
}

/// Decodes a file that is wholly here, without its byte order mark.
///
/// # Errors
/// When its charset is in doubt, or is not the one that is `given`.
pub fn decode_file(bytes: &[u8], given: Option<&'static Encoding>) -> Result<String, Doubt> {
    let (encoding, mark) = tell(bytes, given)?;
    let text = &bytes[mark..];
    Ok(if encoding == UTF_8 {
        mostly_utf8(text, 1).unwrap_or_else(|| String::from_utf8_lossy(text).into_owned())
    } else {
        encoding.decode_without_bom_handling(text).0.into_owned()
    })
}

/// As [`decode_file`], for one of many files that have the `given` charset unless they are in UTF-8, which shows.
///
/// # Errors
/// As [`decode_file`].
pub fn decode_one_of_many(bytes: &[u8], given: Option<&'static Encoding>) -> Result<String, Doubt> {
    let told = decode_file(bytes, None);
    let is_utf8 = !bytes.is_ascii() && std::str::from_utf8(bytes).is_ok();
    match given {
        Some(_) if told.is_err() || !is_utf8 => decode_file(bytes, given),
        _ => told,
    }
}

/// The charset of a file by its first bytes, and the length of its byte order mark.
pub(super) fn tell(bytes: &[u8], given: Option<&'static Encoding>) -> Result<(&'static Encoding, usize), Doubt> {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return match given {
            Some(given) if given != encoding => Err(Doubt::NotNamed(given.name())),
            _ => Ok((encoding, mark)),
        };
    }
    let Some(given) = given else { return guess(bytes).map(|encoding| (encoding, 0)) };
    let fits = if is_utf16(given) {
        // Bytes of any text are characters of UTF-16.
        utf16(given, &bytes[..bytes.len() / 2 * 2]).is_some()
    } else {
        !given.decode_without_bom_handling(bytes).1 || mostly(given, bytes).is_some()
    };
    if fits { Ok((given, 0)) } else { Err(Doubt::NotNamed(given.name())) }
}

/// The only charset that the bytes may be of.
pub(super) fn guess(bytes: &[u8]) -> Result<&'static Encoding, Doubt> {
    if let Some(encoding) = utf16_of(bytes) {
        return Ok(encoding);
    }
    if bytes.is_ascii() {
        return Ok(if is_japanese(bytes) { ISO_2022_JP } else { UTF_8 });
    }
    if is_utf8(bytes) {
        let is_accident = is_odd(bytes) && pairs(GB18030, bytes).is_some();
        return if is_accident { Err(Doubt::Several(vec![GB18030.name(), UTF_8.name()])) } else { Ok(UTF_8) };
    }
    if mostly_utf8(bytes, DAMAGED).is_some() {
        return Ok(UTF_8);
    }
    let likeliest = detected(bytes);
    let fits = |encoding| {
        let Pairs { common, kana } = pairs(encoding, bytes)?;
        // Kanji alone read as Chinese too.
        (encoding != EUC_JP || kana > 0 || likeliest == EUC_JP).then_some((encoding, common))
    };
    let mut fitting: Vec<(&'static Encoding, usize)> = PAIRS.into_iter().filter_map(fits).collect();
    if !fitting.is_empty() && is_koi8(bytes) {
        fitting.push((KOI8_R, 0));
    }
    match &fitting[..] {
        [] => single(bytes, likeliest),
        [(only, _)] => Ok(only),
        several => {
            let found = several.iter().find(|(encoding, count)| *encoding == likeliest && *count >= FEW);
            found.map(|(encoding, _)| *encoding).ok_or_else(|| {
                let mut names: Vec<&'static str> = several.iter().map(|(encoding, _)| encoding.name()).collect();
                names.sort_by_key(|name| *name != likeliest.name());
                Doubt::Several(names)
            })
        }
    }
}

/// UTF-8 whose characters have two bytes each, as common Chinese ones in GBK, where some of them are hardly ever
/// written.
fn is_odd(bytes: &[u8]) -> bool {
    let text = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let is_usual = |c: char| {
        matches!(c,
            '\0'..='\u{17f}' | '\u{300}'..='\u{336}' | '\u{386}'..='\u{3ce}' | '\u{400}'..='\u{45f}' | '\u{490}' | '\u{491}'
            | '\u{531}'..='\u{589}' | '\u{5d0}'..='\u{5ea}' | '\u{600}'..='\u{6ff}')
    };
    text.chars().all(|c| c.len_utf8() < 3) && !text.chars().all(is_usual)
}

/// Valid UTF-8, but for a character that is cut at the end of a window.
fn is_utf8(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).map_or_else(|error| error.error_len().is_none(), |_| true)
}

/// How many pairs of bytes are common characters of a charset, and how many are kana.
struct Pairs {
    common: usize,
    kana: usize,
}

/// Counts pairs of bytes; `None` where bytes are anything else than common characters but for a few.
fn pairs(encoding: &'static Encoding, bytes: &[u8]) -> Option<Pairs> {
    let (mut common, mut rare, mut kana) = (0_usize, 0_usize, 0_usize);
    let mut end = 0;
    while let Some(next) = bytes[end..].iter().position(|byte| !byte.is_ascii()) {
        let at = end + next;
        // A pair may be cut at the end of a window.
        let &[first, second, ..] = &bytes[at..] else { break };
        let is_behind_letter = next > 0 && bytes[at - 1].is_ascii_alphanumeric();
        let is_before_letter = bytes.get(at + 2).is_some_and(u8::is_ascii_alphanumeric);
        // Accents in words of Latin letters make such pairs, with each other or with the letter behind them.
        let is_latin =
            if second.is_ascii() { is_behind_letter || is_before_letter } else { is_behind_letter && is_before_letter };
        let (is_common, is_kana) = class(encoding, first, second);
        *(if is_common && !is_latin { &mut common } else { &mut rare }) += 1;
        kana += usize::from(is_kana);
        // What is no pair of the charset at all is passed by one byte, as a decoder does.
        end = at + if second < 0x40 { 1 } else { 2 };
    }
    (common > 1 && rare <= common / STRAY).then_some(Pairs { common, kana })
}

/// Whether all words are Russian in KOI8: small letters behind a capital or a small one. Pairs of small letters are
/// common Chinese characters.
fn is_koi8(bytes: &[u8]) -> bool {
    let mut before = b' ';
    bytes.iter().all(|&byte| {
        let fits = byte.is_ascii() || matches!(byte, 0xc0..=0xdf | 0xa3) || before.is_ascii();
        before = byte;
        fits
    })
}

/// Whether a pair is a common character of the charset, as its standard sorts them, and whether it is one that shows
/// the language: kana, without which Japanese is not written for long.
fn class(encoding: &'static Encoding, first: u8, second: u8) -> (bool, bool) {
    let is_upper = second >= 0xa1 && second != 0xff;
    let is_signs = matches!(first, 0xa1..=0xa3) && is_upper;
    if encoding == GB18030 {
        (is_signs || matches!(first, 0xb0..=0xd7) && is_upper, false)
    } else if encoding == BIG5 {
        let fits = is_upper || matches!(second, 0x40..=0x7e);
        (fits && matches!(first, 0xa1..=0xc6), false)
    } else if encoding == EUC_KR {
        (is_signs || matches!(first, 0xb0..=0xc8) && is_upper, false)
    } else if encoding == EUC_JP {
        let is_kana = matches!(first, 0xa4 | 0xa5) && is_upper;
        (is_signs || is_kana || matches!(first, 0xb0..=0xcf) && is_upper, is_kana)
    } else {
        let fits = matches!(second, 0x40..=0x7e | 0x80..=0xfc);
        let is_kana = first == 0x82 && second >= 0x9f || first == 0x83 && second <= 0x96;
        (fits && matches!(first, 0x81..=0x83 | 0x88..=0x98), is_kana)
    }
}

/// A charset of single bytes: certain where all that are likely in Europe read the same, or where there is enough for
/// statistics of letters.
fn single(bytes: &[u8], likeliest: &'static Encoding) -> Result<&'static Encoding, Doubt> {
    let high = bytes.iter().filter(|byte| !byte.is_ascii()).count();
    let accents = bytes.windows(2).filter(|pair| pair[0].is_ascii_alphabetic() && pair[1] >= 0xc0).count()
        + bytes.windows(2).filter(|pair| pair[0] >= 0xc0 && pair[1].is_ascii_alphabetic()).count();
    let read = |encoding: &'static Encoding| encoding.decode_without_bom_handling(bytes).0;
    let text = read(likeliest);
    let europe = [WINDOWS_1252, WINDOWS_1250, WINDOWS_1254, WINDOWS_1257];
    let is_other = |encoding: &&'static Encoding| *encoding != likeliest && read(encoding) != text;
    let others: Vec<&'static str> = europe.into_iter().filter(is_other).map(Encoding::name).collect();
    let is_certain = if europe.contains(&likeliest) {
        // Accents stand beside letters of ASCII; letters of another script have only each other.
        let enough = if likeliest == WINDOWS_1252 { ACCENTS } else { LETTERS };
        let letters = bytes.iter().filter(|byte| **byte >= 0xc0).count();
        accents >= letters && (letters >= enough || others.is_empty())
    } else {
        likeliest.is_single_byte() && high >= LETTERS
    };
    if is_certain {
        return Ok(likeliest);
    }
    Err(Doubt::Several([likeliest.name()].into_iter().chain(others).take(3).collect()))
}

/// The charset of Asia in which a text is, where the one that is declared makes no common characters of it. Latin
/// letters with accents are everything that bytes can be, and so are rare characters.
pub(super) fn misnamed(declared: &'static Encoding, bytes: &[u8]) -> Option<&'static Encoding> {
    const FEWEST: usize = 4;
    let is_latin = [WINDOWS_1252, ISO_8859_15].contains(&declared);
    if bytes.is_ascii() || !(is_latin || PAIRS.contains(&declared)) {
        return None;
    }
    let bytes = window(bytes);
    // Accents are few and stand alone.
    let HighBytes { all, beside } = HighBytes::of(bytes);
    if 3 * beside < all || !is_latin && pairs(declared, bytes).is_some() {
        return None;
    }
    let told = guess(bytes).ok().filter(|told| *told != declared && PAIRS.contains(told))?;
    pairs(told, bytes).is_some_and(|pairs| pairs.common >= FEWEST).then_some(told)
}

/// The part of a text that tells its charset.
pub(super) fn window(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|byte| !byte.is_ascii()).unwrap_or(0);
    let start = start.saturating_sub(1024);
    &bytes[start..bytes.len().min(start + super::LOOKED_AT)]
}

/// What statistics of letters say.
pub(super) fn detected(bytes: &[u8]) -> &'static Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(window(bytes), true);
    let found = detector.guess(None, Utf8Detection::Deny);
    if found == encoding_rs::GBK { GB18030 } else { found }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::charset::Transcoded;

    const CHINESE: &str = "负面\n会议：日程安排\n发票\n投诉与建议\n";

    #[track_caller]
    fn check(encoding: &'static Encoding, text: &str) {
        let (bytes, _, is_damaged) = encoding.encode(text);
        assert!(!is_damaged, "{text}");
        assert_eq!(decode_file(&bytes, None).as_deref(), Ok(text), "{}", encoding.name());
        let mut read = String::new();
        Transcoded::new(&bytes[..], None).read_to_string(&mut read).unwrap();
        assert_eq!(read, text, "{}", encoding.name());
    }

    fn utf16(text: &str, is_big: bool) -> Vec<u8> {
        text.encode_utf16().flat_map(|unit| if is_big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
    }

    #[test]
    fn files_are_read_in_the_one_charset_that_fits() {
        check(UTF_8, CHINESE);
        check(GB18030, CHINESE);
        check(BIG5, "負面\n會議\n發票\n客戶投訴與建議\n");
        check(SHIFT_JIS, "請求書\n会議\nお問い合わせ\n");
        check(EUC_JP, "請求書のお支払い\n会議のお知らせ\nお問い合わせ\n");
        check(EUC_KR, "청구서 결제 안내\n회의 일정 변경\n고객 불만 사항\n");
        check(WINDOWS_1252, "Rechnung: für die Prüfung\nGrüße\n");
        check(WINDOWS_1252, "réunion\nfacture à payer\nproblème de réseau\nfrançais\nà côté\nêtre\nréglé\n");
        check(encoding_rs::WINDOWS_1251, "счёт на оплату\nжалоба клиента\nвстреча\n");
    }

    #[test]
    fn utf_16_is_read_with_and_without_a_mark() {
        for is_big in [false, true] {
            for text in ["invoice,发票\nmeeting,会议\n", CHINESE, "текст,метка\nсчёт,да\n"] {
                let plain = utf16(text, is_big);
                let marked = utf16(&format!("\u{feff}{text}"), is_big);
                for bytes in [plain, marked] {
                    assert_eq!(decode_file(&bytes, None).as_deref(), Ok(text));
                    let mut read = String::new();
                    Transcoded::new(&bytes[..], None).read_to_string(&mut read).unwrap();
                    assert_eq!(read, text);
                }
            }
        }
    }

    #[test]
    fn where_several_charsets_fit_none_is_guessed() {
        // Valid UTF-8 by accident, of letters that nobody writes.
        for text in ["通知\n系统\n", "学校\n医院\n", "text,label\nhello meeting at noon,通知\nserver is down,系统\n"]
        {
            let (bytes, _, _) = GB18030.encode(text);
            assert!(std::str::from_utf8(&bytes).is_ok() && decode_file(&bytes, None).is_err(), "{text}");
            assert_eq!(decode_file(&bytes, named("gbk")).as_deref(), Ok(text));
        }
        for text in ["réunion\n", "à é ü\n", "και\n", "но\n", "שלום\n", "عقد\n", "ŁÓDŹ\n", "re\u{301}union\n"]
        {
            assert_eq!(decode_file(text.as_bytes(), None).as_deref(), Ok(text));
        }
        let (bytes, _, _) = GB18030.encode("负面\n");
        let doubt = decode_file(&bytes, None).unwrap_err();
        assert!(doubt.to_string().contains("gb18030"), "{doubt}");
        assert_eq!(decode_file(&bytes, named("gbk")).as_deref(), Ok("负面\n"));
        let error = Transcoded::new(&bytes[..], None).read_to_end(&mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("--encoding"), "{error}");
        assert!(matches!(decode_file(b"probl\xe8me\n", None), Err(Doubt::Several(_))));
        assert_eq!(decode_file("für Süd\n".as_bytes(), named("utf-16")), Err(Doubt::NotNamed("UTF-16LE")));
        assert_eq!(decode_file(&GB18030.encode(CHINESE).0, named("utf-8")), Err(Doubt::NotNamed("UTF-8")));
    }

    #[test]
    fn names_of_code_pages() {
        for (name, encoding) in [
            ("GBK", GB18030),
            ("cp936", GB18030),
            ("cp1252", WINDOWS_1252),
            ("latin1", WINDOWS_1252),
            ("cp949", EUC_KR),
        ] {
            assert_eq!(named(name), Some(encoding), "{name}");
        }
        assert_eq!(named("nonsense"), None);
    }
}
