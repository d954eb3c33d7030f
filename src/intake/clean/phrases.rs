//! Phrases with gaps, which the lexicon uses for notices and footers
//!
//! `"this|the … e-mail|message … confidential"` matches a text that has one alternative of each piece, in this order,
//! within one sentence. Text and phrases are in lower case. A piece starts at the start of a word and may end inside
//! one. `^` anchors an alternative to the start of the text. These are not regular expressions, because hundreds of
//! those take longer to compile than a mailbox takes to read.

use super::lexicon::bucket;

/// A gap is no longer than this, in bytes
const LONGEST_GAP: usize = 320;

/// Bytes of a key that are indexed
const KEY: usize = 3;

/// A table of phrases with an index: a text is scanned once, and a phrase is tried only if its longest piece occurs
pub(super) struct Phrases {
    table: Vec<&'static str>,
    /// The first bytes of a key, the key, and the index of its phrase in the table; sorted
    keys: Vec<(u32, &'static str, usize)>,
    /// A Bloom filter of the first bytes
    bits: Vec<u64>,
    /// A key by itself is a match, wherever it occurs
    anywhere: bool,
}

impl Phrases {
    /// Builds the index of a table
    pub(super) fn new(table: impl IntoIterator<Item = &'static str>) -> Self {
        let table: Vec<&'static str> = table.into_iter().collect();
        let mut keys: Vec<(u32, &'static str, usize)> = Vec::new();
        for (i, phrase) in table.iter().enumerate() {
            let rarest = pieces(phrase).into_iter().max_by_key(|piece| piece.split('|').map(str::len).min());
            let words = rarest.into_iter().flat_map(|piece| piece.split('|')).map(|word| word.trim_start_matches('^'));
            keys.extend(words.map(|key| {
                let head = head(key.as_bytes());
                debug_assert!(head.is_some(), "too short to be found: {key}");
                (head.unwrap_or(0), key, i)
            }));
        }
        keys.sort_unstable();
        let mut bits = vec![0; 1 << 10];
        for (head, _, _) in &keys {
            let (word, bit) = place(*head);
            bits[word] |= bit;
        }
        Phrases { table, keys, bits, anywhere: false }
    }

    /// A table of parts of words, which match anywhere in a word
    pub(super) fn anywhere(table: impl IntoIterator<Item = &'static str>) -> Self {
        Phrases { anywhere: true, ..Phrases::new(table) }
    }

    /// True if the lower-case text has one of the phrases
    pub(super) fn are_in(&self, text: &str) -> bool {
        let bytes = text.as_bytes();
        let mut tried = vec![false; self.table.len()];
        for at in 0..bytes.len().saturating_sub(KEY - 1) {
            let Some(head) = head(&bytes[at..]) else {
                break;
            };
            let (word, bit) = place(head);
            if self.bits[word] & bit == 0 {
                continue;
            }
            let from = self.keys.partition_point(|(known, _, _)| *known < head);
            for (_, key, i) in self.keys[from..].iter().take_while(|(known, _, _)| *known == head) {
                if !tried[*i] && bytes[at..].starts_with(key.as_bytes()) {
                    tried[*i] = true;
                    if self.anywhere || holds(text, self.table[*i]) {
                        return true;
                    }
                }
            }
        }
        false
    }
}

fn head(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk::<KEY>().map(|&[a, b, c]| u32::from_le_bytes([a, b, c, 0]))
}

fn place(head: u32) -> (usize, u64) {
    let hash = head.wrapping_mul(0x9e37_79b1) >> 16;
    (usize::try_from(hash >> 6).unwrap_or(0), 1 << (hash & 63))
}

fn pieces(phrase: &str) -> Vec<&str> {
    phrase.split('…').map(str::trim).collect()
}

fn holds(text: &str, phrase: &str) -> bool {
    let pieces = pieces(phrase);
    let start = text.find(char::is_alphanumeric).unwrap_or(0);
    let Some((first, rest)) = pieces.split_first() else {
        return false;
    };
    first.split('|').any(|word| {
        let anchored = word.starts_with('^');
        let word = word.trim_start_matches('^');
        text.match_indices(word)
            .filter(|&(at, _)| if anchored { at <= start } else { begins_word(text, at, word) })
            .any(|(at, _)| follow(&text[at + word.len()..], rest))
    })
}

/// True if the remaining pieces follow, each matched at its first occurrence
fn follow(text: &str, pieces: &[&str]) -> bool {
    let mut text = sentence(text);
    for piece in pieces {
        let next = piece
            .split('|')
            .filter_map(|word| {
                text.match_indices(word).find(|&(at, _)| begins_word(text, at, word)).map(|(at, _)| at + word.len())
            })
            .min();
        match next {
            Some(end) => text = &text[end..],
            None => return false,
        }
    }
    true
}

/// The text up to the end of the sentence; a full stop inside an address or number does not end one
fn sentence(text: &str) -> &str {
    let mut end = text.len().min(LONGEST_GAP);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = &text[..end];
    let stop = text
        .match_indices(['.', '!', '?', '。'])
        .find(|&(at, stop)| stop == "。" || text[at + 1..].starts_with(char::is_whitespace));
    stop.map_or(text, |(at, _)| &text[..at])
}

fn begins_word(text: &str, at: usize, word: &str) -> bool {
    let free =
        !word.starts_with(|c: char| c.is_alphanumeric()) || word.chars().next().is_some_and(super::lines::is_cjk);
    free || !text[..at].ends_with(char::is_alphanumeric)
}

/// True if the lower-case text has one of these, which are sorted, as a whole word
pub(super) fn has_word(text: &str, words: &[&'static str]) -> bool {
    let mut inside = false;
    text.char_indices().any(|(at, c)| {
        let cjk = super::lines::is_cjk(c);
        let starts = cjk || !inside && c.is_alphanumeric();
        inside = c.is_alphanumeric();
        let rest = &text[at..];
        let ends = |word: &str| cjk || !rest[word.len()..].starts_with(char::is_alphanumeric);
        starts && bucket(words, rest).any(|word| rest.starts_with(word) && ends(word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic = "too short"]
    fn a_key_that_cannot_be_found_is_refused() {
        Phrases::new(["a … b"]);
    }

    #[test]
    fn phrases_match_in_order_within_a_sentence() {
        let phrases = Phrases::new(["this|the … e-mail|message … confidential", "^to unsubscribe", "退订"]);
        for (text, expected) in [
            ("this e-mail and its files are confidential.", true),
            ("the message. it is confidential", false),
            ("confidential is this message", false),
            ("  * to unsubscribe, click", true),
            ("i want to unsubscribe", false),
            ("点击退订", true),
            ("ethe email", false),
            ("", false),
        ] {
            assert_eq!(phrases.are_in(text), expected, "{text}");
        }
        assert!(
            has_word("a man, a plan", &["plan"]) && !has_word("planet", &["plan"]) && has_word("有限公司", &["公司"])
        );
    }
}
