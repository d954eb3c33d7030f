//! Data inside a text: armoured PGP and PEM blocks, uuencoded and yEnc files, runs of base64. None of it is language,
//! so none of it is scored, whatever the cleaning switches say.

use std::ops::Range;

/// The name under which data is shown as taken out.
pub(super) const STEP: &str = "data";

/// So many base64 lines of one length follow each other in no text that a person wrote.
const FEWEST_BASE64: usize = 8;
/// Lines of base64 are this long, from PEM's 64 to MIME's 76.
const BASE64_LINE: Range<usize> = 60..77;

/// A text without its data, and what was taken out.
pub(super) struct Parted {
    /// The text that is left.
    pub text: String,
    /// The blocks, in order.
    pub blocks: Vec<Block>,
}

/// One block of data.
pub(super) struct Block {
    /// The name of the file inside, where the block names one.
    pub name: Option<String>,
    /// The block as it stood.
    pub text: String,
    /// True when the text of the mail is encrypted in it.
    pub encrypted: bool,
}

/// Takes the blocks of data out of `text`, which comes back as it is when there are none.
pub(super) fn part(text: String) -> Parted {
    if !may_hold_data(&text) {
        return Parted { text, blocks: Vec::new() };
    }
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut kept = String::with_capacity(text.len());
    let mut blocks = Vec::new();
    let mut at = 0;
    // Beginnings whose end was looked for in vain; so many are no accident, and each costs a pass over the text.
    let mut unended = 0;
    while at < lines.len() {
        match length(&lines[at..], &mut unended) {
            Some(found) => {
                let block = lines[at..at + found.lines].concat();
                blocks.push(Block { name: found.name, text: block, encrypted: found.encrypted });
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

/// A quick look that spares most texts the work: every kind of block has long lines of its own or a mark.
fn may_hold_data(text: &str) -> bool {
    let has = |needle: &str| memchr::memmem::find(text.as_bytes(), needle.as_bytes()).is_some();
    has("-----BEGIN ") || has("begin ") || has("=ybegin ") || text.lines().any(is_base64_line)
}

struct Found {
    lines: usize,
    name: Option<String>,
    encrypted: bool,
}

impl Found {
    fn unnamed(lines: usize) -> Self {
        Self { lines, name: None, encrypted: false }
    }
}

/// The block that begins at the first of `lines`.
fn length(lines: &[&str], unended: &mut usize) -> Option<Found> {
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
        return Some(Found { lines: end, name, encrypted: false });
    }
    let run = lines.iter().take_while(|line| is_base64_line(line) && line.trim_end().len() == first.len()).count();
    if run < FEWEST_BASE64 {
        return None;
    }
    // The last line of a run is shorter.
    let last = lines.get(run).is_some_and(|line| is_base64(line.trim_end()) && line.trim_end().len() % 4 == 0);
    Some(Found::unnamed(run + usize::from(last)))
}

/// The number of lines up to and with the one that begins with `mark`.
fn end_of(lines: &[&str], mark: &str, unended: &mut usize) -> Option<usize> {
    const MOST_UNENDED: usize = 16;
    if *unended >= MOST_UNENDED {
        return None;
    }
    let end = lines.iter().position(|line| line.starts_with(mark)).map(|at| at + 1);
    *unended += usize::from(end.is_none());
    end
}

/// `-----BEGIN PGP MESSAGE-----`, keys and certificates. A signed text is text, and cleaning knows its signature.
fn armour(lines: &[&str], first: &str, unended: &mut usize) -> Option<Found> {
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
        // Cut off in transit: the block is its header and the long lines.
        let head = lines[1..].iter().take_while(|line| is_armour_header(line.trim_end())).count();
        1 + head + lines[1 + head..].iter().take_while(|line| is_base64_line(line)).count()
    });
    Some(Found { lines: end, name: None, encrypted: matches!(label, "PGP MESSAGE" | "PKCS7" | "CMS") })
}

fn is_armour_header(line: &str) -> bool {
    line.is_empty() || ["Version: ", "Comment: ", "Charset: ", "Hash: "].iter().any(|name| line.starts_with(name))
}

/// `begin 644 name`, lines that say their own length, `end`.
fn uuencoded(lines: &[&str], rest: &str) -> Option<Found> {
    let (mode, name) = rest.split_once(' ')?;
    if !(3..=4).contains(&mode.len()) || !mode.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let data = lines[1..].iter().take_while(|line| is_uu_line(line.trim_end())).count();
    if data == 0 {
        return None;
    }
    let ended = lines.get(1 + data).is_some_and(|line| line.trim_end() == "end");
    Some(Found { lines: 1 + data + usize::from(ended), name: Some(name.trim().to_string()), encrypted: false })
}

/// The first character of a line says how many bytes follow, four characters for three; trailing blanks may be lost.
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
