//! Removes data from a text: PGP and PEM armor, uuencoded and yEnc files, runs of base64. Data is not language, so it
//! is never classified, whatever cleaning is switched on.

use std::ops::Range;

/// The step name under which removed data is reported.
pub(super) const STEP: &str = "data";

/// This many base64 lines of equal length in a row are data.
const FEWEST_BASE64: usize = 8;
/// The length of base64 lines, from PEM's 64 to MIME's 76 characters.
const BASE64_LINE: Range<usize> = 60..77;

/// A text without its data, and the removed blocks.
pub(super) struct Parted {
    /// The remaining text.
    pub text: String,
    /// The removed blocks, in order.
    pub blocks: Vec<DataBlock>,
}

/// One block of data.
pub(super) struct DataBlock {
    /// The name of the file in it, if the block gives one.
    pub name: Option<String>,
    /// The text of the block.
    pub text: String,
    /// True if the text of the message is encrypted in it.
    pub encrypted: bool,
}

/// Removes the blocks of data from `text`; a text without data is returned unchanged.
pub(super) fn part(text: String) -> Parted {
    if !may_hold_data(&text) {
        return Parted { text, blocks: Vec::new() };
    }
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut kept = String::with_capacity(text.len());
    let mut blocks = Vec::new();
    let mut at = 0;
    // The number of start marks without an end mark; each costs a pass over the text, so it is limited.
    let mut unended = 0;
    while at < lines.len() {
        match length(&lines[at..], &mut unended) {
            Some(found) => {
                let block = lines[at..at + found.lines].concat();
                blocks.push(DataBlock { name: found.name, text: block, encrypted: found.encrypted });
                at += found.lines;
            }
            None => {
                kept.push_str(lines[at]);
                at += 1;
            }
        }
    }
    Parted { text: kept, blocks }
}

/// A quick test that rules out most texts: every kind of block has a mark or long lines.
fn may_hold_data(text: &str) -> bool {
    let has = |needle: &str| memchr::memmem::find(text.as_bytes(), needle.as_bytes()).is_some();
    has("-----BEGIN ") || has("begin ") || has("=ybegin ") || text.lines().any(is_base64_line)
}

struct Extent {
    lines: usize,
    name: Option<String>,
    encrypted: bool,
}

impl Extent {
    fn unnamed(lines: usize) -> Self {
        Self { lines, name: None, encrypted: false }
    }
}

/// The block that starts at the first of `lines`.
fn length(lines: &[&str], unended: &mut usize) -> Option<Extent> {
    let first = lines[0].trim_end();
    if first.starts_with("-----BEGIN ") {
        return armour(lines, first, unended);
    }
    if let Some(rest) = first.strip_prefix("begin ") {
        return uuencoded(lines, rest);
    }
    if first.starts_with("=ybegin ") {
        let end = end_of(lines, "=yend", unended)?;
        let name = first.split_once(" name=").map(|(_, name)| name.to_string());
        return Some(Extent { lines: end, name, encrypted: false });
    }
    let run = lines.iter().take_while(|line| is_base64_line(line) && line.trim_end().len() == first.len()).count();
    if run < FEWEST_BASE64 {
        return None;
    }
    // The last line of a run is shorter.
    let last = lines.get(run).is_some_and(|line| is_base64(line.trim_end()) && line.trim_end().len() % 4 == 0);
    Some(Extent::unnamed(run + usize::from(last)))
}

/// The number of lines up to and including the one that starts with `mark`.
fn end_of(lines: &[&str], mark: &str, unended: &mut usize) -> Option<usize> {
    const MOST_UNENDED: usize = 16;
    if *unended >= MOST_UNENDED {
        return None;
    }
    let end = lines.iter().position(|line| line.starts_with(mark)).map(|at| at + 1);
    *unended += usize::from(end.is_none());
    end
}

/// `-----BEGIN PGP MESSAGE-----`, keys and certificates. A signed message stays, and the signature step removes its
/// PGP signature.
fn armour(lines: &[&str], first: &str, unended: &mut usize) -> Option<Extent> {
    let label = first.strip_prefix("-----BEGIN ")?.strip_suffix("-----")?;
    if label.is_empty() || matches!(label, "PGP SIGNED MESSAGE" | "PGP SIGNATURE") {
        return None;
    }
    let is_known = label.starts_with("PGP ")
        || ["CERTIFICATE", "KEY", "PKCS7", "CMS", "CRL", "REQUEST"].iter().any(|end| label.ends_with(end));
    if !is_known {
        return None;
    }
    let end = end_of(lines, &format!("-----END {label}-----"), unended).unwrap_or_else(|| {
        // Cut off in transit: the block consists of its header and the long lines.
        let head = lines[1..].iter().take_while(|line| is_armour_header(line.trim_end())).count();
        1 + head + lines[1 + head..].iter().take_while(|line| is_base64_line(line)).count()
    });
    Some(Extent { lines: end, name: None, encrypted: matches!(label, "PGP MESSAGE" | "PKCS7" | "CMS") })
}

fn is_armour_header(line: &str) -> bool {
    line.is_empty() || ["Version: ", "Comment: ", "Charset: ", "Hash: "].iter().any(|name| line.starts_with(name))
}

/// `begin 644 name`, lines that state their own length, `end`.
fn uuencoded(lines: &[&str], rest: &str) -> Option<Extent> {
    let (mode, name) = rest.split_once(' ')?;
    if !(3..=4).contains(&mode.len()) || !mode.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let data = lines[1..].iter().take_while(|line| is_uu_line(line.trim_end())).count();
    if data == 0 {
        return None;
    }
    let ended = lines.get(1 + data).is_some_and(|line| line.trim_end() == "end");
    Some(Extent { lines: 1 + data + usize::from(ended), name: Some(name.trim().to_string()), encrypted: false })
}

/// The first character states how many bytes follow, as four characters per three bytes; trailing blanks may be lost.
fn is_uu_line(line: &str) -> bool {
    let bytes = line.as_bytes();
    match bytes.first() {
        Some(&first @ b' '..=b'`') => {
            let count = usize::from((first - b' ') & 63);
            let full = 1 + count.div_ceil(3) * 4;
            bytes.iter().all(|b| (b' '..=b'`').contains(b)) && bytes.len() <= full + 1 && bytes.len() + 4 > full.min(61)
        }
        _ => false,
    }
}

fn is_base64_line(line: &str) -> bool {
    let line = line.trim_end();
    BASE64_LINE.contains(&line.len()) && is_base64(line)
}

fn is_base64(line: &str) -> bool {
    let body = line.trim_end_matches('=');
    !body.is_empty() && body.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, kept: &str, names: &[Option<&str>]) {
        let parted = part(text.to_string());
        assert_eq!(parted.text, kept, "{text:?}");
        let found: Vec<_> = parted.blocks.iter().map(|block| block.name.as_deref()).collect();
        assert_eq!(found, names, "{text:?}");
    }

    #[test]
    fn data_goes_and_text_stays() {
        check(
            "Hi\n-----BEGIN PGP MESSAGE-----\nVersion: 1\n\nhQEM\n=abc\n-----END PGP MESSAGE-----\nBye\n",
            "Hi\nBye\n",
            &[None],
        );
        let uu = "#0V%T\n";
        check(&format!("see\nbegin 644 cat.txt\n{uu}`\nend\nthere\n"), "see\nthere\n", &[Some("cat.txt")]);
        check("=ybegin line=128 size=5 name=a b.bin\n\u{e9}xx\n=yend size=5\nx", "x", &[Some("a b.bin")]);
        let run = format!("{}\n", "QUJD".repeat(18)).repeat(9);
        check(&format!("look:\n{run}QUJD\nend\n"), "look:\nend\n", &[None]);
    }

    #[test]
    fn encrypted_text_is_known() {
        let encrypted = |label: &str| {
            part(format!("-----BEGIN {label}-----\n\nhQEM\n-----END {label}-----\n")).blocks.iter().any(|b| b.encrypted)
        };
        assert!(encrypted("PGP MESSAGE"));
        assert!(!encrypted("PGP PUBLIC KEY BLOCK"));
        let digits = "hQEM".repeat(16);
        let cut_off = part(format!("-----BEGIN PGP MESSAGE-----\n\n{digits}\n{digits}\nThanks\n\nAnn\n"));
        assert_eq!((cut_off.text.as_str(), cut_off.blocks.len()), ("Thanks\n\nAnn\n", 1));
    }

    #[test]
    fn prose_is_no_data() {
        for text in [
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA1\n\nhi\n",
            "begin 2024 with us\n",
            "begin 644 reasons\nof them all\n",
            "-----BEGIN QUOTE-----\nwords\n",
            &format!("{}\n", "x".repeat(70)).repeat(3),
            "=ybegin is how it starts\n",
            "",
        ] {
            check(text, text, &[]);
        }
    }

    #[test]
    fn beginnings_without_end_take_linear_time() {
        for line in ["-----BEGIN PGP MESSAGE-----\n", "=ybegin x\n", "begin 644 x\n#0V%T\n", "-----BEGIN X KEY-----\n"]
        {
            let start = std::time::Instant::now();
            part(line.repeat(100_000));
            assert!(start.elapsed().as_secs() < 2, "{line:?} took {:?}", start.elapsed());
        }
    }
}
