//! Messages as Outlook keeps them (`.msg`, MS-OXMSG): a compound file in which each property is a stream named by its
//! number and type.

use std::collections::BTreeSet;
use std::io::{Cursor, Read};
use std::path::PathBuf;

use cfb::CompoundFile;
use mail_parser::{DateTime, MessageParser};

use super::{Mail, Opening, body, headers, parse_within, place, placeholder, smime};
use crate::charset;
use crate::intake::clean::Switches;
use crate::intake::one_line;
use crate::intake::source::MAX_DOCUMENT;
use crate::intake::visible::{self, Rendering, Visible, declared_by};
use crate::record::{Envelope, Reason};

/// How a compound file starts. Those of Word and Excel do too.
pub(in crate::intake) const MAGIC: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";

const PROPERTIES: &str = "__properties_version1.0";
const CLASS: u16 = 0x001a;
const SUBJECT: u16 = 0x0037;
const SUBMITTED: u16 = 0x0039;
const HEADERS: u16 = 0x007d;
const CONVERSATION: u16 = 0x0071;
const SENDER: u16 = 0x0c1a;
const SENDER_ADDRESS: u16 = 0x0c1f;
const DELIVERED: u16 = 0x0e06;
const BODY: u16 = 0x1000;
const RTF: u16 = 0x1009;
const HTML: u16 = 0x1013;
const MESSAGE_ID: u16 = 0x1035;
const IN_REPLY_TO: u16 = 0x1042;
const DISPLAY_NAME: u16 = 0x3001;
const ATTACHMENT: u16 = 0x3701;
const SHORT_NAME: u16 = 0x3704;
const LONG_NAME: u16 = 0x3707;
const BODY_CODE_PAGE: u16 = 0x3fde;
const CODE_PAGE: u16 = 0x3ffd;
const SMTP_ADDRESS: u16 = 0x5d01;

/// Types of properties.
const BYTES: u16 = 0x0102;
const UNICODE: u16 = 0x001f;
const EIGHT_BIT: u16 = 0x001e;

/// Attachments that are looked at, of the message and of those in it.
const MOST_ATTACHMENTS: usize = 250;
/// The longest name or address that is read, in bytes.
const LONGEST_LINE: usize = 64 * 1024;

/// What encloses the text of a message that has no other form.
const IN_RTF: &str = "only in Outlook's rich text";

/// Reads a message. `cut`: the end of the file is missing.
///
/// # Errors
/// If it is another compound file, or damaged.
pub(in crate::intake) fn read(
    bytes: Vec<u8>,
    cut: bool,
    switches: &Switches,
    wanted: &BTreeSet<String>,
) -> Result<Mail, Reason> {
    let damaged = |why| Reason::Unreadable(format!("{why}: save the message as .eml"));
    if cut {
        return Err(damaged(format!("Outlook message over {} MiB", MAX_DOCUMENT >> 20)));
    }
    let mut file = match CompoundFile::open(Cursor::new(bytes)) {
        Ok(file) => File { file, bytes: 2 * MAX_DOCUMENT, attachments: MOST_ATTACHMENTS },
        Err(_) => return Err(damaged("damaged Outlook message or old Office file".into())),
    };
    if !file.file.is_stream(PROPERTIES) {
        return Err(Reason::Binary);
    }
    let mut opening = Opening { wanted, depth: 0, bytes: MAX_DOCUMENT };
    Ok(message(&mut Storage::new(&mut file, "/".into(), 32), switches, &mut opening))
}

/// A compound file, whose streams may share their bytes, and what may still be read of it.
struct File {
    file: CompoundFile<Cursor<Vec<u8>>>,
    bytes: usize,
    attachments: usize,
}

/// A part of the file with properties: a message or an attachment.
struct Storage<'f> {
    file: &'f mut File,
    path: PathBuf,
    /// Properties of fixed size, in rows of 16 bytes.
    fixed: Vec<u8>,
}

impl<'f> Storage<'f> {
    /// Rows start behind a head of `head` bytes.
    fn new(file: &'f mut File, path: PathBuf, head: usize) -> Self {
        let mut storage = Self { file, path, fixed: Vec::new() };
        let fixed = storage.stream(PROPERTIES, LONGEST_LINE).unwrap_or_default();
        storage.fixed = fixed.get(head..).unwrap_or_default().to_vec();
        storage
    }

    /// At most so many bytes of a stream.
    fn stream(&mut self, name: &str, most: usize) -> Option<Vec<u8>> {
        let path = self.path.join(name);
        if !self.file.file.is_stream(&path) {
            return None;
        }
        let mut bytes = Vec::new();
        let most = most.min(self.file.bytes) as u64;
        self.file.file.open_stream(&path).ok()?.take(most).read_to_end(&mut bytes).ok()?;
        self.file.bytes -= bytes.len();
        Some(bytes)
    }

    fn bytes(&mut self, property: u16, kind: u16, most: usize) -> Option<Vec<u8>> {
        self.stream(&format!("__substg1.0_{property:04X}{kind:04X}"), most)
    }

    fn text(&mut self, property: u16) -> Option<String> {
        self.text_within(property, MAX_DOCUMENT)
    }

    fn text_within(&mut self, property: u16, most: usize) -> Option<String> {
        let text = match self.bytes(property, UNICODE, most) {
            Some(bytes) => encoding_rs::UTF_16LE.decode_without_bom_handling(&bytes).0.into_owned(),
            None => {
                let charset = self.code_page(CODE_PAGE).or_else(|| self.code_page(BODY_CODE_PAGE));
                charset::decode_declared(charset.as_deref(), &self.bytes(property, EIGHT_BIT, most)?)
            }
        };
        Some(text.trim_end_matches('\0').to_string()).filter(|text| !text.trim().is_empty())
    }

    fn line(&mut self, property: u16) -> Option<String> {
        self.text_within(property, LONGEST_LINE).map(|text| one_line(&text)).filter(|line| !line.is_empty())
    }

    /// A property of fixed size.
    fn number(&self, property: u16) -> Option<u64> {
        let row = self.fixed.chunks_exact(16).find(|row| row[2..4] == property.to_le_bytes())?;
        row[8..].try_into().ok().map(u64::from_le_bytes)
    }

    /// The name of the charset of 8-bit text.
    fn code_page(&self, property: u16) -> Option<String> {
        charset::code_page(self.number(property)? as u32)
    }

    /// False if it is known to answer none: its place in the conversation has 22 bytes for the first message, and more
    /// for each answer.
    fn may_answer(&mut self) -> bool {
        const FIRST: usize = 22;
        self.line(IN_REPLY_TO).is_some()
            || self.bytes(CONVERSATION, BYTES, FIRST + 1).is_none_or(|place| place.len() > FIRST)
    }

    fn attachments(&mut self) -> Vec<PathBuf> {
        let entries = self.file.file.read_storage(&self.path).into_iter().flatten();
        let attached = entries.filter(|entry| entry.name().starts_with("__attach_version1.0_#"));
        let paths: Vec<PathBuf> =
            attached.take(self.file.attachments).map(|entry| entry.path().to_path_buf()).collect();
        self.file.attachments -= paths.len();
        paths
    }
}

fn message(storage: &mut Storage<'_>, switches: &Switches, opening: &mut Opening<'_>) -> Mail {
    let envelope = envelope(storage, opening.wanted);
    let place = place(envelope.subject.as_deref(), storage.may_answer());
    let switches = Switches { quotes: switches.quotes && place.has_history(), ..*switches };
    let mut mail = Mail { envelope, place, ..text(storage, &switches).into() };
    if mail.body.trim().is_empty() && storage.bytes(RTF, BYTES, 1).is_some() {
        mail.sealed = Some(IN_RTF);
    }
    let is_smime = storage.text(CLASS).is_some_and(|class| class.to_ascii_lowercase().contains(".smime"));
    for (at, path) in storage.attachments().into_iter().enumerate() {
        let mut attachment = Storage::new(storage.file, path, 8);
        let inner = attachment.path.join(format!("__substg1.0_{ATTACHMENT:04X}000D"));
        if attachment.file.file.is_storage(&inner) {
            if opening.depth < body::MAX_DEPTH {
                opening.depth += 1;
                let mut inner = message(&mut Storage::new(attachment.file, inner, 24), &switches, opening);
                opening.depth -= 1;
                inner.body = [inner.envelope.subject.take().unwrap_or_default(), inner.body].join("\n\n");
                mail.add(inner);
            }
            continue;
        }
        if is_smime && at == 0 && signed(&mut attachment, &switches, opening, &mut mail) {
            continue;
        }
        let name = [LONG_NAME, SHORT_NAME, DISPLAY_NAME].into_iter().find_map(|name| attachment.line(name));
        mail.attachments.extend(name);
    }
    mail
}

/// Adds what a signed message holds, whose only attachment is the message as it was sent; false if it is none.
fn signed(attachment: &mut Storage<'_>, switches: &Switches, opening: &mut Opening<'_>, mail: &mut Mail) -> bool {
    let Some(bytes) = attachment.bytes(ATTACHMENT, BYTES, MAX_DOCUMENT).filter(|_| opening.depth < body::MAX_DEPTH)
    else {
        return false;
    };
    let content = match smime::kind(&bytes) {
        Some(smime::CmsKind::Open) => smime::content(&bytes, opening.bytes),
        Some(smime::CmsKind::Encrypted) => {
            mail.sealed = Some(super::sealed::ENCRYPTED_SMIME);
            return false;
        }
        None => Some(bytes).filter(|bytes| crate::intake::sniff::is_field(bytes) && bytes.len() <= opening.bytes),
    };
    let Some(content) = content else {
        return false;
    };
    opening.bytes -= content.len();
    opening.depth += 1;
    let inner = parse_within(&content, switches, opening);
    opening.depth -= 1;
    inner.map(|inner| mail.add(inner)).is_ok()
}

/// The headers that came with the message, and properties where there are none.
fn envelope(storage: &mut Storage<'_>, wanted: &BTreeSet<String>) -> Envelope {
    let transported = storage.text(HEADERS).map(|headers| format!("{}\r\n\r\n", headers.trim_end()));
    let parsed = transported.as_deref().and_then(|headers| MessageParser::default().parse_headers(headers.as_bytes()));
    let sent = parsed.as_ref().map(|parsed| headers::envelope(parsed).0).unwrap_or_default();
    let address = storage.line(SMTP_ADDRESS).or_else(|| storage.line(SENDER_ADDRESS).filter(|from| from.contains('@')));
    let from = match (storage.line(SENDER), address) {
        (Some(name), Some(address)) if name != address => Some(format!("{name} <{address}>")),
        (name, address) => address.or(name),
    };
    let time = || storage.number(SUBMITTED).or_else(|| storage.number(DELIVERED)).and_then(date);
    Envelope {
        date: sent.date.or_else(time),
        subject: storage.line(SUBJECT).or(sent.subject),
        from: sent.from.or(from),
        id: sent.id.or_else(|| storage.line(MESSAGE_ID)),
        list_id: sent.list_id,
        row: Vec::new(),
        headers: parsed.as_ref().map(|parsed| headers::kept(parsed, wanted)).unwrap_or_default(),
    }
}

/// A time in tenths of a microsecond since 1601.
fn date(time: u64) -> Option<String> {
    const TO_1970: u64 = 11_644_473_600;
    let seconds = i64::try_from((time / 10_000_000).checked_sub(TO_1970)?).ok()?;
    Some(DateTime::from_timestamp(seconds)).filter(DateTime::is_valid).map(|date| date.to_rfc3339())
}

/// The plain text, or the page where that says more.
fn text(storage: &mut Storage<'_>, switches: &Switches) -> Visible {
    let plain = storage.text(BODY).map(visible::text).unwrap_or_default();
    let mut doubt = None;
    let page = match storage.bytes(HTML, BYTES, MAX_DOCUMENT) {
        Some(bytes) => {
            let code_page = storage.code_page(BODY_CODE_PAGE);
            let declared = code_page.as_deref().or_else(|| declared_by(&bytes));
            let read = charset::read(declared, &bytes);
            doubt = read.doubt;
            Some(read.text)
        }
        None => storage.text(HTML),
    };
    let Some(page) = page.filter(|page| placeholder::may_be(&plain.text, page)) else {
        return plain;
    };
    let page = Visible { doubt, ..Rendering::new(switches).page(&page) };
    if placeholder::is(&plain.text, &page.text) { page } else { plain }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    type Compound = CompoundFile<Cursor<Vec<u8>>>;

    fn put(file: &mut Compound, path: &str, bytes: &[u8]) {
        file.create_stream(path).unwrap().write_all(bytes).unwrap();
    }

    fn put_text(file: &mut Compound, storage: &str, property: u16, text: &str) {
        let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        put(file, &format!("{storage}__substg1.0_{property:04X}{UNICODE:04X}"), &bytes);
    }

    /// A message file: its properties, and the code page of those that are not Unicode.
    fn file(code_page: u32) -> Compound {
        let mut file = CompoundFile::create(Cursor::new(Vec::new())).unwrap();
        let row = [&[3, 0][..], &CODE_PAGE.to_le_bytes(), &[0; 4], &u64::from(code_page).to_le_bytes()].concat();
        put(&mut file, "/__properties_version1.0", &[&[0; 32][..], &row].concat());
        file
    }

    fn mail(mut file: Compound) -> Mail {
        file.flush().unwrap();
        read(file.into_inner().into_inner(), false, &Switches::default(), &BTreeSet::new()).unwrap()
    }

    #[test]
    fn a_message_with_attachments() {
        let mut msg = file(1252);
        put_text(&mut msg, "/", SUBJECT, "六月份的发票");
        put_text(&mut msg, "/", SENDER, "Jörg");
        put_text(&mut msg, "/", SMTP_ADDRESS, "joerg@example.org");
        put_text(&mut msg, "/", HEADERS, "Message-ID: <m1@example.org>\r\nDate: Mon, 1 Jan 2024 10:00:00 +0100\r\n");
        put_text(&mut msg, "/", BODY, "Please pay.\r\n");
        msg.create_storage("/__attach_version1.0_#00000000").unwrap();
        put_text(&mut msg, "/__attach_version1.0_#00000000/", LONG_NAME, "发票 June.pdf");
        msg.create_storage_all("/__attach_version1.0_#00000001/__substg1.0_3701000D").unwrap();
        put_text(&mut msg, "/__attach_version1.0_#00000001/__substg1.0_3701000D/", SUBJECT, "Inner");
        put_text(&mut msg, "/__attach_version1.0_#00000001/__substg1.0_3701000D/", BODY, "inner text");
        let mail = mail(msg);
        assert_eq!(mail.envelope.subject.as_deref(), Some("六月份的发票"));
        assert_eq!(mail.envelope.from.as_deref(), Some("Jörg <joerg@example.org>"));
        assert_eq!(mail.envelope.id.as_deref(), Some("<m1@example.org>"));
        assert_eq!(mail.envelope.date.as_deref(), Some("2024-01-01T10:00:00+01:00"));
        assert_eq!(mail.body, "Please pay.\r\n\n\nInner\n\ninner text");
        assert_eq!(mail.attachments, ["发票 June.pdf"]);
    }

    #[test]
    fn text_in_other_forms() {
        let mut eight_bit = file(936);
        put(&mut eight_bit, "/__substg1.0_1000001E", &encoding_rs::GBK.encode("您好，附件是六月份的发票").0);
        assert_eq!(mail(eight_bit).body, "您好，附件是六月份的发票");
        let mut page = file(1252);
        put(&mut page, "/__substg1.0_10130102", "<meta charset=utf-8><p>Bitte zahlen, Grüße</p>".as_bytes());
        assert_eq!(mail(page).body.trim(), "Bitte zahlen, Grüße");
        let mut rich = file(1252);
        put(&mut rich, "/__substg1.0_10090102", b"LZFu");
        assert_eq!(mail(rich).sealed, Some(IN_RTF));
        let mut signed = file(1252);
        put_text(&mut signed, "/", CLASS, "IPM.Note.SMIME.MultipartSigned");
        signed.create_storage("/__attach_version1.0_#00000000").unwrap();
        let sent = b"Content-Type: text/plain; charset=utf-8\r\n\r\nPlease pay.\r\n";
        put(&mut signed, "/__attach_version1.0_#00000000/__substg1.0_37010102", sent);
        assert_eq!(mail(signed).body.trim(), "Please pay.");
        assert_eq!(date(133_485_408_000_000_000).as_deref(), Some("2024-01-01T00:00:00Z"));
    }

    #[test]
    fn what_is_no_message() {
        let mut other = CompoundFile::create(Cursor::new(Vec::new())).unwrap();
        put(&mut other, "/WordDocument", b"x");
        other.flush().unwrap();
        let bytes = other.into_inner().into_inner();
        assert_eq!(read(bytes.clone(), false, &Switches::default(), &BTreeSet::new()), Err(Reason::Binary));
        let said = |bytes: &[u8], cut| {
            read(bytes.to_vec(), cut, &Switches::default(), &BTreeSet::new()).unwrap_err().to_string()
        };
        assert!(said(&bytes, true).ends_with("save the message as .eml"));
        assert!(said(&bytes[..600], false).ends_with("save the message as .eml"));
        // Damage anywhere ends in a message or an error.
        for at in (0..bytes.len()).step_by(7) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xff;
            let _ = read(damaged, false, &Switches::default(), &BTreeSet::new());
        }
    }
}
