//! The parts of a message's file name.

use std::ffi::OsStr;

/// Characters before the flags: `:`, or `;` and `!` where file names cannot hold a colon.
const MARKS: [u8; 3] = *b":;!";

/// The parts of `unique[,FIELD=value...][:2,FLAGS]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<'n> {
    /// The part that never changes.
    pub unique: &'n [u8],
    /// `,S=1234,U=12`, or nothing.
    fields: &'n [u8],
    /// Character before `2,`, if there are flags.
    mark: Option<u8>,
    flags: &'n [u8],
}

impl<'n> Name<'n> {
    /// Splits a name.
    pub fn new(name: &'n OsStr) -> Self {
        let name = name.as_encoded_bytes();
        let info = memchr::memmem::rfind(name, b"2,").filter(|&at| at > 0 && MARKS.contains(&name[at - 1]));
        let info = info.filter(|at| name[at + 2..].iter().all(|b| b.is_ascii_alphanumeric() || *b == b','));
        let (base, mark, flags) = match info {
            Some(at) => (&name[..at - 1], Some(name[at - 1]), &name[at + 2..]),
            None => (name, None, &name[name.len()..]),
        };
        let mut end = base.len();
        while let Some(at) = memchr::memrchr(b',', &base[..end]).filter(|&at| at > 0 && is_field(&base[at + 1..end])) {
            end = at;
        }
        Self { unique: &base[..end], fields: &base[end..], mark, flags }
    }

    /// The fields that stay valid in another folder: all but mbsync's `,U=`.
    pub fn fields_elsewhere(&self) -> Vec<u8> {
        let fields = self.fields.split(|&byte| byte == b',').filter(|field| !field.is_empty());
        let kept = fields.filter(|field| !field.starts_with(b"U="));
        kept.fold(Vec::new(), |fields, field| [&fields, b",".as_slice(), field].concat())
    }

    /// The flags and `more`, as `:2,FLAGS`, sorted and without duplicates. Without any flags the result is empty unless
    /// `always` is true.
    pub fn info(&self, more: &[u8], always: bool) -> Vec<u8> {
        let mark = match self.mark {
            Some(mark) => mark,
            None if always || !more.is_empty() => b':',
            None => return Vec::new(),
        };
        // Some programs append data of their own after a comma.
        let end = memchr::memchr(b',', self.flags).unwrap_or(self.flags.len());
        let mut flags = [&self.flags[..end], more].concat();
        flags.sort_unstable();
        flags.dedup();
        [&[mark], b"2,".as_slice(), &flags, &self.flags[end..]].concat()
    }
}

/// The unique part of a message's name: without flags and fields.
pub fn unique_name(name: &OsStr) -> &[u8] {
    Name::new(name).unique
}

/// True for `S=1234` and the like.
fn is_field(text: &[u8]) -> bool {
    matches!(text, [b'A'..=b'Z', b'=', number @ ..] if number.iter().all(u8::is_ascii_alphanumeric))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_mail_programs() {
        for (name, unique) in [
            ("1718.M1P1.host:2,S", "1718.M1P1.host"),
            ("1718.M1P1.host", "1718.M1P1.host"),
            ("1718.1_2.host,U=123:2,S", "1718.1_2.host"),
            ("1718.M1P1.host,S=1234,W=1250:2,RSa", "1718.M1P1.host"),
            ("1718.M1P1.host,S=1234,W=1250", "1718.M1P1.host"),
            ("1718.M1P1V8I2.host;2,S", "1718.M1P1V8I2.host"),
            ("1718.M1P1.host!2,FS", "1718.M1P1.host"),
            ("1718.M1P1.ho:2,st.org:2,S", "1718.M1P1.ho:2,st.org"),
            ("1718.M1P1.ho:2,st.org", "1718.M1P1.ho:2,st.org"),
            ("PATCH-1,2-x.txt:2,S", "PATCH-1,2-x.txt"),
            ("a,b", "a,b"),
            (":2,S", ""),
            (",S=1", ",S=1"),
        ] {
            assert_eq!(unique_name(OsStr::new(name)).escape_ascii().to_string(), unique, "{name}");
        }
    }

    #[test]
    fn names_elsewhere() {
        for (name, more, elsewhere) in [
            ("1.a.h", "", "1.a.h"),
            ("1.a.h:2,", "", "1.a.h:2,"),
            ("1.a.h,S=12,U=7,W=13:2,SSaF", "", "1.a.h,S=12,W=13:2,FSa"),
            ("1.a.h,U=7", "S", "1.a.h:2,S"),
            ("1.a.h;2,RF", "S", "1.a.h;2,FRS"),
            ("1.a.h:2,S,x", "R", "1.a.h:2,RS,x"),
        ] {
            let name = Name::new(OsStr::new(name));
            let elsewhere_now =
                [name.unique.to_vec(), name.fields_elsewhere(), name.info(more.as_bytes(), false)].concat();
            assert_eq!(elsewhere_now.escape_ascii().to_string(), elsewhere);
        }
        assert_eq!(Name::new(OsStr::new("1.a.h")).info(b"", true), b":2,");
    }
}
