//! The hub says what every file must hash to: large files by SHA-256, small ones as git counts them.

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// What a file must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// The SHA-256 of its bytes.
    Sha256(String),
    /// The SHA-1 of `blob LENGTH`, a NUL byte and its bytes.
    Git(String),
    /// The hub did not say.
    Unknown,
}

impl Expected {
    /// Reads an ETag: the hub's are these hashes.
    pub(super) fn of(etag: &str) -> Self {
        let hex = etag.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        match etag.len() {
            64 if hex => Self::Sha256(etag.into()),
            40 if hex => Self::Git(etag.into()),
            _ => Self::Unknown,
        }
    }

    /// The name of the file in the cache: the ETag itself, as the hub's own programs have it, where it is a hash.
    pub(super) fn blob(&self, etag: &str) -> String {
        match self {
            Self::Sha256(hash) | Self::Git(hash) => hash.clone(),
            // Whatever else it says, it names no other place.
            Self::Unknown => format!("etag-{}", hex(&Sha256::digest(etag.as_bytes()))),
        }
    }
}

/// Counts bytes as they come.
pub(super) enum Sum {
    Sha256(Sha256),
    Git(Sha1),
    Unknown,
}

impl Sum {
    /// Begins, for a file of `length` bytes.
    pub(super) fn new(expected: &Expected, length: u64) -> Self {
        match expected {
            Expected::Sha256(_) => Self::Sha256(Sha256::new()),
            Expected::Git(_) => Self::Git(Sha1::new_with_prefix(format!("blob {length}\0"))),
            Expected::Unknown => Self::Unknown,
        }
    }

    /// Takes in some more.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(sum) => sum.update(bytes),
            Self::Git(sum) => sum.update(bytes),
            Self::Unknown => {}
        }
    }

    /// What was expected and what came, where they differ.
    pub(super) fn differs(self, expected: &Expected) -> Option<(String, String)> {
        let got = match self {
            Self::Sha256(sum) => hex(&sum.finalize()),
            Self::Git(sum) => hex(&sum.finalize()),
            Self::Unknown => return None,
        };
        match expected {
            Expected::Sha256(wanted) | Expected::Git(wanted) if *wanted != got => Some((wanted.clone(), got)),
            _ => None,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_git_and_sha256sum() {
        let check = |etag: &str, length| {
            let expected = Expected::of(etag);
            let mut sum = Sum::new(&expected, length);
            sum.update(b"hel");
            sum.update(b"lo\n");
            (expected.blob(etag) == etag, sum.differs(&expected))
        };
        // printf 'hello\n' | git hash-object --stdin; printf 'hello\n' | sha256sum
        assert_eq!(check("ce013625030ba8dba906f756967f9e9ca394464a", 6), (true, None));
        let sha256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        assert_eq!(check(sha256, 6), (true, None));
        assert!(check(&sha256.replace('5', "6"), 6).1.is_some());
        assert_eq!(check("../../x", 6), (false, None));
    }
}
