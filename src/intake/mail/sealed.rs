//! Parts that are not readable text: encrypted, signatures, or wrapped by Outlook.

use mail_parser::{Message, MessagePart, MimeHeaders, PartType};

use super::body::MAX_DEPTH;
use crate::intake::one_line;

/// What encloses the text of a message that has no text itself.
pub(super) const PGP: &str = "encrypted with PGP";
const SMIME: &str = "encrypted or signed with S/MIME";
const TNEF: &str = "inside winmail.dat";

/// Content types, what they are, and whether the text of the message may be inside.
const TYPES: &[(&str, &str, &str, bool)] = &[
    ("application", "pgp-encrypted", PGP, true),
    ("application", "pgp-signature", PGP, false),
    ("application", "pgp-keys", PGP, false),
    ("application", "pkcs7-mime", SMIME, true),
    ("application", "x-pkcs7-mime", SMIME, true),
    ("application", "pkcs7-signature", SMIME, false),
    ("application", "x-pkcs7-signature", SMIME, false),
    ("application", "ms-tnef", TNEF, true),
    ("application", "vnd.ms-tnef", TNEF, true),
];

/// File extensions, for mail programs that declare only a name.
const NAMES: &[(&str, &str, bool)] = &[
    (".p7m", SMIME, true),
    (".p7s", SMIME, false),
    (".p7c", SMIME, false),
    (".pgp", PGP, true),
    (".gpg", PGP, true),
    (".asc", PGP, false),
    (".sig", PGP, false),
    ("winmail.dat", TNEF, true),
    ("win.dat", TNEF, true),
];

/// What a part is if it is not readable text, and whether the text of the message may be inside.
fn seal(part: &MessagePart<'_>) -> Option<(&'static str, bool)> {
    let by_type = TYPES.iter().find(|(kind, subtype, ..)| part.is_content_type(kind, subtype));
    by_type.map(|&(_, _, what, inside)| (what, inside)).or_else(|| {
        let name = part.attachment_name()?.to_ascii_lowercase();
        // Many plain texts are named `notes.asc`.
        if let PartType::Text(text) = &part.body
            && !text.contains("-----BEGIN ")
            && !name.ends_with(".p7m")
        {
            return None;
        }
        NAMES.iter().find(|(ending, ..)| name.ends_with(ending)).map(|&(_, what, inside)| (what, inside))
    })
}

/// True for a part that must not be classified as text, whatever type it declares.
pub(super) fn is_sealed(part: &MessagePart<'_>) -> bool {
    seal(part).is_some()
}

/// What encloses the text of `message`, if anything.
pub(super) fn text_is(message: &Message<'_>) -> Option<&'static str> {
    seal_inside(message, 0)
}

fn seal_inside(message: &Message<'_>, depth: usize) -> Option<&'static str> {
    message.parts.iter().find_map(|part| match (&part.body, seal(part)) {
        (_, Some((what, true))) => Some(what),
        (PartType::Message(inner), _) if depth < MAX_DEPTH => seal_inside(inner, depth + 1),
        _ => None,
    })
}

/// The type of a sealed part without a name, to be shown as its name.
pub(super) fn type_name(part: &MessagePart<'_>) -> Option<String> {
    seal(part)?;
    let declared = part.content_type()?;
    Some(one_line(&format!("{}/{}", declared.ctype(), declared.subtype()?).to_ascii_lowercase()))
}
