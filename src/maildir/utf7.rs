//! Modified UTF-7 (RFC 3501, section 5.1.3), in which IMAP servers write folder names.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// Decodes a folder name. A name that is not modified UTF-7 is returned unchanged: mail programs without a server write
/// UTF-8, in which `R&D` is a valid name.
pub fn decode(name: &str) -> String {
    decode_strictly(name).unwrap_or_else(|| name.to_string())
}

/// Encodes a folder name as servers do.
pub fn encode(name: &str) -> String {
    let is_plain = |c: char| matches!(c, ' '..='~');
    let mut encoded = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| is_plain(c) != is_plain(first)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        rest = after;
        if is_plain(first) {
            encoded.push_str(&run.replace('&', "&-"));
        } else {
            let bytes: Vec<u8> = run.encode_utf16().flat_map(u16::to_be_bytes).collect();
            encoded.push('&');
            encoded.push_str(&STANDARD_NO_PAD.encode(bytes).replace('/', ","));
            encoded.push('-');
        }
    }
    encoded
}

fn decode_strictly(name: &str) -> Option<String> {
    if !name.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return None;
    }
    let mut decoded = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((plain, shifted)) = rest.split_once('&') {
        decoded.push_str(plain);
        let (encoded, after) = shifted.split_once('-')?;
        match encoded {
            "" => decoded.push('&'),
            _ => decoded.push_str(&utf16(encoded)?),
        }
        rest = after;
    }
    decoded.push_str(rest);
    Some(decoded)
}

/// Decodes base64 with `,` for `/` and without padding, of UTF-16.
fn utf16(encoded: &str) -> Option<String> {
    let mut units = Vec::new();
    let (mut bits, mut held) = (0u32, 0u32);
    for byte in encoded.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b',' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        held += 6;
        if held >= 16 {
            held -= 16;
            units.push((bits >> held) as u16);
            bits &= (1 << held) - 1;
        }
    }
    // The remaining bits must be padding: fewer than a digit has, all zero.
    let text = String::from_utf16(&units).ok().filter(|_| held < 6 && bits == 0 && !units.is_empty())?;
    (!text.chars().any(char::is_control)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn names_of_folders() {
        for (name, expected) in [
            ("~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),
            ("Entw&APw-rfe", "Entwürfe"),
            ("Q&-A", "Q&A"),
            ("&2D3eCQ-", "😉"),
            ("R&D", "R&D"),
            ("R&D-2", "R&D-2"),
            ("A&B-C", "A&B-C"),
            ("Entwürfe", "Entwürfe"),
            ("&2D0-", "&2D0-"),
            ("", ""),
        ] {
            assert_eq!(decode(name), expected, "{name}");
        }
    }

    #[test]
    fn names_are_written_as_servers_do() {
        for (name, expected) in [
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("Entwürfe", "Entw&APw-rfe"),
            ("Q&A", "Q&-A"),
            ("😉", "&2D3eCQ-"),
            ("-R & D~", "-R &- D~"),
            ("\u{7f}", "&AH8-"),
            ("", ""),
        ] {
            assert_eq!(encode(name), expected);
            if !name.contains('\u{7f}') {
                assert_eq!(decode(expected), name);
            }
        }
    }
}
