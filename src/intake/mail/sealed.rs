//! Parts that are not readable text: encrypted, signatures, or wrapped by Outlook.

use mail_parser::{Message, MessagePart, MimeHeaders, PartType};

use super::body::MAX_DEPTH;
use super::{decoded, names, smime};
use crate::intake::one_line;

/// What encloses the text of a message that has no text itself.
pub(super) const PGP: &str = "encrypted with PGP";
pub(super) const SMIME: &str = "encrypted or signed with S/MIME";
pub(super) const ENCRYPTED_SMIME: &str = "encrypted with S/MIME";
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
fn seal(message: &Message<'_>, part: &MessagePart<'_>) -> Option<(&'static str, bool)> {
    let declared = declared(message, part);
    if declared != Some((SMIME, true)) {
        return declared;
    }
    // Its bytes tell what is inside; of a damaged one, what it is called.
    let is_called = part.content_type().and_then(|declared| declared.attribute("smime-type")).unwrap_or_default();
    match smime::kind(&decoded::content(message, part)) {
        Some(smime::CmsKind::Open) => Some((SMIME, false)),
        Some(smime::CmsKind::Encrypted) => Some((ENCRYPTED_SMIME, true)),
        None if is_called.to_ascii_lowercase().contains("enveloped-data") => Some((ENCRYPTED_SMIME, true)),
        None => declared,
    }
}

/// The same by its type or name.
fn declared(message: &Message<'_>, part: &MessagePart<'_>) -> Option<(&'static str, bool)> {
    let by_type = TYPES.iter().find(|(kind, subtype, ..)| part.is_content_type(kind, subtype));
    by_type.map(|&(_, _, what, inside)| (what, inside)).or_else(|| {
        let name = names::attachment_name(message, part)?.to_ascii_lowercase();
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
pub(super) fn is_sealed(message: &Message<'_>, part: &MessagePart<'_>) -> bool {
    seal(message, part).is_some()
}

/// True for an S/MIME part whose content is in clear.
pub(super) fn is_open(message: &Message<'_>, part: &MessagePart<'_>) -> bool {
    matches!(part.body, PartType::Binary(_) | PartType::InlineBinary(_) | PartType::Text(_))
        && declared(message, part) == Some((SMIME, true))
        && smime::kind(&decoded::content(message, part)) == Some(smime::CmsKind::Open)
}

/// What encloses the text of `message`, if anything.
pub(super) fn text_is(message: &Message<'_>) -> Option<&'static str> {
    seal_inside(message, 0)
}

fn seal_inside(message: &Message<'_>, depth: usize) -> Option<&'static str> {
    message.parts.iter().find_map(|part| match (&part.body, seal(message, part)) {
        (_, Some((what, true))) => Some(what),
        (PartType::Message(inner), _) if depth < MAX_DEPTH => seal_inside(inner, depth + 1),
        _ => None,
    })
}

/// The type of a sealed part without a name, to be shown as its name.
pub(super) fn type_name(message: &Message<'_>, part: &MessagePart<'_>) -> Option<String> {
    seal(message, part)?;
    let declared = part.content_type()?;
    Some(one_line(&format!("{}/{}", declared.ctype(), declared.subtype()?).to_ascii_lowercase()))
}
