//! PGP armor around a signed text

use std::ops::Range;

use super::lines::trim;

/// A PGP signature has at most this many lines
const MOST_LINES: usize = 60;

/// The lines of PGP signatures and of the headers above a signed text
pub(super) fn ranges(lines: &[&str]) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let end = match trim(lines[at]) {
            "-----BEGIN PGP SIGNED MESSAGE-----" => {
                let hash = lines.get(at + 1).is_some_and(|line| line.starts_with("Hash:"));
                Some(at + 1 + usize::from(hash))
            }
            "-----BEGIN PGP SIGNATURE-----" => {
                let last = lines.len().min(at + MOST_LINES);
                (at..last).find(|&i| trim(lines[i]) == "-----END PGP SIGNATURE-----").map(|end| end + 1)
            }
            _ => None,
        };
        if let Some(end) = end {
            found.push(at..end);
        }
        at = end.unwrap_or(at + 1);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::lines;
    use super::*;

    #[test]
    fn armour_is_found_only_when_it_ends() {
        let signed = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA1\n\nhi\n-----BEGIN PGP SIGNATURE-----\nabc\n-----END PGP SIGNATURE-----";
        assert_eq!(ranges(&lines::split(signed)), [0..2, 4..7]);
        assert!(ranges(&lines::split("-----BEGIN PGP SIGNATURE-----\nabc")).is_empty());
    }
}
