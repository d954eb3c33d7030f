//! A mailbox: every byte belongs to one message or to one separator, however it is read.

use std::io::BufReader;

use mailsort::intake::mbox::{Mbox, Message};

/// Caps at which messages are cut, the last of them never.
const CAPS: [usize; 4] = [0, 1, 700, usize::MAX];
/// Of a longer line only so much is sure to be seen when a message is full, so a cap may then move a border.
const LONGEST_LINE: usize = 1024;

/// A mailbox, read with several caps and through buffers of several sizes.
pub fn mbox(bytes: &[u8]) {
    let whole = split(bytes, usize::MAX, 8192);
    let contents = if is_mmdf(bytes) { None } else { Some(regions_hold(bytes, &whole)) };
    let lines_are_short = bytes.split(|&b| b == b'\n').all(|line| line.len() < LONGEST_LINE);
    for cap in CAPS {
        let messages = split(bytes, cap, 8192);
        assert_eq!(messages, split(bytes, cap, 1), "cap {cap}: the size of a buffer changes the messages");
        if lines_are_short {
            let offsets = |messages: &[Message]| messages.iter().map(|message| message.offset).collect::<Vec<_>>();
            assert_eq!(offsets(&messages), offsets(&whole), "cap {cap} moves borders");
            for (at, message) in messages.iter().enumerate() {
                let content = contents.as_ref().map_or(&whole[at].bytes, |contents| &contents[at]);
                is_beginning(message, &whole[at].bytes, content, cap);
            }
        }
    }
}

/// Checks that each message is what stands between its offset and the next one's, and gives that.
fn regions_hold(bytes: &[u8], whole: &[Message]) -> Vec<Vec<u8>> {
    let borders: Vec<usize> = whole.iter().map(|message| message.offset as usize).chain([bytes.len()]).collect();
    let before = bytes[..borders[0]].strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes[..borders[0]]);
    assert!(before.split(|&b| b == b'\n').all(|line| matches!(line, b"" | b"\r")), "text before the first message");
    let regions: Vec<&[u8]> = borders.windows(2).map(|border| &bytes[border[0]..border[1]]).collect();
    let mut contents = Vec::new();
    for (at, message) in whole.iter().enumerate() {
        let stands_there = |content: &Vec<u8>| message.bytes == without_blank_line(content);
        // An envelope takes one line, or two where a sender's name was broken, or there is none.
        let content = (0..=2).map(|lines| content(regions[at], lines)).find(stands_there);
        contents.push(content.unwrap_or_else(|| panic!("message {at} is not what stands there")));
        assert!(!message.truncated, "message {at} was not cut");
        assert!(at == 0 || regions[at].starts_with(b"From "), "message {at} begins at no separator");
    }
    contents
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// True for a mailbox whose messages stand between lines of control characters.
fn is_mmdf(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let first = bytes.split(|&b| b == b'\n').find(|line| !matches!(*line, b"" | b"\r"));
    first.is_some_and(|line| line.trim_ascii_end() == b"\x01\x01\x01\x01")
}

fn split(bytes: &[u8], cap: usize, buffer: usize) -> Vec<Message> {
    let mut reader = Mbox::new(BufReader::with_capacity(buffer, bytes), cap);
    let mut messages: Vec<Message> = Vec::new();
    while let Ok(Some(message)) = reader.next_message() {
        assert!(message.bytes.len() <= cap, "{} bytes under a cap of {cap}", message.bytes.len());
        assert!((message.offset as usize) < bytes.len(), "an offset behind the end");
        assert!(messages.last().is_none_or(|last| last.offset < message.offset), "offsets do not increase");
        messages.push(message);
    }
    messages
}

/// A cut message is a beginning of the whole one; the blank line behind it may still be there.
fn is_beginning(message: &Message, whole: &[u8], content: &[u8], cap: usize) {
    if message.truncated {
        assert!(content.starts_with(&message.bytes), "cap {cap}: {:?}", String::from_utf8_lossy(&message.bytes));
    } else {
        assert_eq!(message.bytes, whole, "cap {cap}");
    }
}

/// What stands between two separators without the lines of the envelope; quoted `From ` lines lose one mark.
fn content(region: &[u8], envelope: usize) -> Vec<u8> {
    let mut content = Vec::with_capacity(region.len());
    for line in region.split_inclusive(|&b| b == b'\n').skip(envelope) {
        let quotes = line.iter().take_while(|&&b| b == b'>').count();
        let is_quoted = quotes > 0 && line[quotes..].starts_with(b"From ");
        content.extend_from_slice(&line[usize::from(is_quoted)..]);
    }
    content
}

fn without_blank_line(content: &[u8]) -> &[u8] {
    let blank = [b"\n\r\n".as_slice(), b"\n\n"].into_iter().find(|blank| content.ends_with(blank));
    blank.map_or(content, |blank| &content[..content.len() + 1 - blank.len()])
}
