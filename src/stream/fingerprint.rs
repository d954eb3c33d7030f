//! What tells runs of different kinds apart.

use anyhow::Result;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// A hash over named fields, the same in every build: two runs with one fingerprint write the same record of the same
/// document.
#[derive(Clone, Default)]
pub struct Fingerprint(Sha256);

impl Fingerprint {
    /// That of a verb of this version.
    pub fn of_verb(verb: &str) -> Result<Self> {
        Self::default().field("version", &env!("CARGO_PKG_VERSION"))?.field("verb", &verb)
    }

    /// With a field more, as JSON. Length comes before content, so that no two lists of fields give the same bytes.
    ///
    /// # Errors
    /// When the value has no form in JSON.
    pub fn field(mut self, name: &str, value: &impl Serialize) -> Result<Self> {
        let value = serde_json::to_vec(value)?;
        for part in [name.as_bytes(), &value] {
            self.0.update((part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
        Ok(self)
    }

    /// Its first four bytes, which name the partial output of a run.
    pub fn short(self) -> u32 {
        let digest = self.0.finalize();
        u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_run_into_each_other() {
        let short = |fields: &[(&str, &str)]| {
            let fields = fields.iter();
            fields.fold(Fingerprint::default(), |all, (name, value)| all.field(name, value).unwrap()).short()
        };
        assert_eq!(short(&[("a", "1"), ("b", "2")]), short(&[("a", "1"), ("b", "2")]));
        let different = [&[("a", "1b2")][..], &[("a", "1"), ("b", "2")], &[("b", "2"), ("a", "1")], &[("a", "2")], &[]];
        for (at, one) in different.iter().enumerate() {
            assert!(different[..at].iter().all(|other| short(other) != short(one)), "{one:?}");
        }
    }

    #[test]
    fn the_hash_is_that_of_every_build() {
        assert_eq!(Fingerprint::default().field("labels", &["a", "b"]).unwrap().short(), 0x9a27_b34e);
    }
}
