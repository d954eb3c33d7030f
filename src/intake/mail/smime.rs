//! S/MIME that anybody can read: the text of a signed or compressed message stands in clear in its CMS structure (RFC
//! 5652, RFC 3274). Outlook writes such messages as one attachment, `smime.p7m`.

use std::io::Read;

use bcder::decode::{Constructed, DecodeError, SliceSource, Source};
use bcder::{Mode, OctetString, Oid, Tag};
use flate2::read::ZlibDecoder;

/// Object identifiers, as they are encoded.
const SIGNED: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";
const ENVELOPED: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03";
const COMPRESSED: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x09";
const AUTH_ENVELOPED: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17";

/// What a CMS structure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CmsKind {
    /// Its content can be read, if it has one: certificates alone have none.
    Open,
    /// Only its recipients can read it.
    Encrypted,
}

/// What the bytes are, by the identifier at their start. `None` if they are no CMS that is known.
pub(super) fn kind(bytes: &[u8]) -> Option<CmsKind> {
    // A sequence with its length, of which the first byte may say how many others follow, and an identifier.
    let (&length, rest) = bytes.strip_prefix(b"\x30")?.split_first()?;
    let more = if length > 0x80 { usize::from(length & 0x7f) } else { 0 };
    let (&length, rest) = rest.get(more..)?.strip_prefix(b"\x06")?.split_first()?;
    let identifier = rest.get(..usize::from(length))?;
    match identifier {
        SIGNED | COMPRESSED => Some(CmsKind::Open),
        ENVELOPED | AUTH_ENVELOPED => Some(CmsKind::Encrypted),
        _ => None,
    }
}

/// The MIME entity inside, of at most `most` bytes. `None` if there is none, or if it is cut or larger.
pub(super) fn content(bytes: &[u8], most: usize) -> Option<Vec<u8>> {
    let mut found = None;
    // Signatures and certificates behind the content may be cut off.
    let _ = Constructed::decode(SliceSource::new(bytes), Mode::Ber, |cons| content_info(cons, &mut found));
    let (is_compressed, content) = found?;
    if !is_compressed {
        return (content.len() <= most).then(|| content.into_bytes().to_vec());
    }
    let mut inflated = Vec::new();
    let packed = content.into_bytes();
    let read = ZlibDecoder::new(&packed[..]).take(most as u64 + 1).read_to_end(&mut inflated);
    (read.is_ok() && inflated.len() <= most).then_some(inflated)
}

/// `SEQUENCE { type, [0] SEQUENCE { version, algorithms, SEQUENCE { type, [0] OCTET STRING }, … } }`, for both kinds.
fn content_info<S: Source>(
    cons: &mut Constructed<'_, S>,
    found: &mut Option<(bool, OctetString)>,
) -> Result<(), DecodeError<S::Error>> {
    cons.take_sequence(|cons| {
        let is_compressed = Oid::take_from(cons)?.as_ref() == COMPRESSED;
        cons.take_constructed_if(Tag::CTX_0, |cons| {
            cons.take_sequence(|cons| {
                cons.skip_one()?;
                cons.skip_one()?;
                cons.take_sequence(|cons| {
                    Oid::skip_in(cons)?;
                    let content = cons.take_opt_constructed_if(Tag::CTX_0, |cons| OctetString::take_from(cons))?;
                    *found = content.map(|content| (is_compressed, content));
                    cons.skip_all()
                })?;
                cons.skip_all()
            })
        })?;
        cons.skip_all()
    })
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use super::*;

    /// A value with its tag and length, definite as in DER.
    fn value(tag: u8, content: &[&[u8]]) -> Vec<u8> {
        let content = content.concat();
        let length = content.len() as u32;
        let head =
            if length < 128 { vec![tag, length as u8] } else { [&[tag, 0x84][..], &length.to_be_bytes()].concat() };
        [head, content].concat()
    }

    /// The same with an indefinite length, as mail programs write what they stream.
    fn open_ended(tag: u8, content: &[&[u8]]) -> Vec<u8> {
        [&[tag, 0x80], &content.concat()[..], &[0, 0]].concat()
    }

    /// A structure of a kind with a content, signed by nobody.
    pub(in crate::intake::mail) fn cms(name: &[u8], content: &[u8], is_streamed: bool) -> Vec<u8> {
        let wrap = if is_streamed { open_ended } else { value };
        let identifier = |id: &[u8]| value(0x06, &[id]);
        let octets = if is_streamed {
            let pieces: Vec<u8> = content.chunks(10).flat_map(|piece| value(0x04, &[piece])).collect();
            open_ended(0x24, &[&pieces])
        } else {
            value(0x04, &[content])
        };
        let data = identifier(b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01");
        let inner = wrap(0x30, &[&data, &wrap(0xa0, &[&octets])]);
        let body = wrap(0x30, &[&value(0x02, &[&[1]]), &value(0x31, &[]), &inner, &value(0x31, &[])]);
        wrap(0x30, &[&identifier(known(name)), &wrap(0xa0, &[&body])])
    }

    fn known(name: &[u8]) -> &[u8] {
        match name {
            b"signed" => SIGNED,
            b"enveloped" => ENVELOPED,
            b"compressed" => COMPRESSED,
            other => other,
        }
    }

    const TEXT: &[u8] = b"Content-Type: text/plain\r\n\r\nPlease pay.\r\n";

    #[test]
    fn what_is_in_clear_is_read() {
        for is_streamed in [false, true] {
            let signed = cms(b"signed", TEXT, is_streamed);
            assert_eq!((kind(&signed), content(&signed, 1000).as_deref()), (Some(CmsKind::Open), Some(TEXT)));
            assert_eq!(content(&signed, 5), None);
            // Without its last bytes, which are signatures.
            assert_eq!(content(&signed[..signed.len() - 2], 1000).as_deref(), Some(TEXT));
            let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
            zlib.write_all(&TEXT.repeat(1000)).unwrap();
            let compressed = cms(b"compressed", &zlib.finish().unwrap(), is_streamed);
            assert_eq!(kind(&compressed), Some(CmsKind::Open));
            assert_eq!(content(&compressed, 1 << 20), Some(TEXT.repeat(1000)));
            assert_eq!(content(&compressed, 10_000), None);
            assert_eq!(kind(&cms(b"enveloped", TEXT, is_streamed)), Some(CmsKind::Encrypted));
        }
        // The length may look like the tag of an identifier.
        let shifted = [b"\x30\x82\x06\x24\x06\x09", SIGNED].concat();
        assert_eq!(kind(&shifted), Some(CmsKind::Open));
        for other in [&b""[..], b"MIIB", b"0\x80\x06", b"0\x06\xff", b"0\x03\x06\x01\x01"] {
            assert_eq!((kind(other), content(other, 100)), (None, None), "{other:?}");
        }
    }

    #[test]
    fn nesting_without_end_ends() {
        let started = std::time::Instant::now();
        for deep in [&b"\x30\x80"[..], b"\x24\x80", b"\xa0\x80", b"\x30\x84\x00\x10\x00\x00"] {
            assert_eq!(content(&deep.repeat(500_000), 1000), None);
            let content_type = value(0x06, &[SIGNED]);
            let head = [b"\x30\x80", &content_type[..], b"\xa0\x80\x30\x80\x02\x01\x01\x31\x00\x30\x80"].concat();
            let inner = [&value(0x06, &[SIGNED])[..], b"\xa0\x80"].concat();
            assert_eq!(content(&[&head[..], &inner, &deep.repeat(500_000)].concat(), 1000), None);
        }
        assert!(started.elapsed().as_secs() < 4, "{:?}", started.elapsed());
    }
}
