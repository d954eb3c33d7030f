//! Unigram tokenizers (Kudo 2018): the most probable split of a word into pieces of a vocabulary that lies in the
//! program.
//!
//! The reference is Hugging Face `tokenizers`. Log-probabilities are integers here, so that sums are exact and ties are
//! the same everywhere.

use anyhow::{Result, ensure};
use rayon::prelude::*;

/// What an unknown character costs beyond the least probable piece, as in the reference.
const UNKNOWN_PENALTY: i64 = 10 * 1024;

/// A part of a word.
#[derive(Clone, Copy)]
pub(super) struct WordPart {
    /// Its number; `None` for a character that no piece has.
    pub(super) id: Option<u32>,
    /// Its bytes in the word.
    pub(super) len: usize,
}

/// A vocabulary, and how its pieces are found by their bytes.
pub(super) struct Unigram {
    /// UTF-8 of all pieces, one after the other.
    text: &'static [u8],
    /// End of each piece in `text`. Shape: [vocabulary].
    ends: &'static [u32],
    /// Log-probability times 1024. Shape: [vocabulary].
    scores: &'static [i16],
    /// Open addressing; a slot holds bits of the hash above the piece's number plus one, 0 when free. It fits the second
    /// cache.
    slots: Vec<u32>,
    longest: usize,
    unknown_score: i64,
}

/// FNV-1a, which grows byte by byte as a candidate piece does.
#[derive(Clone, Copy)]
struct Hash(u64);

impl Hash {
    const START: Self = Self(0xcbf2_9ce4_8422_2325);

    fn with(self, byte: u8) -> Self {
        Self((self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }

    fn of(bytes: &[u8]) -> Self {
        bytes.iter().fold(Self::START, |hash, &byte| hash.with(byte))
    }

    /// FNV's low bits are weak; a multiplication spreads them.
    fn mixed(self) -> u64 {
        self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// The best way to reach a position: its score, where its last piece starts, and which it is.
#[derive(Clone, Copy)]
struct SplitStep {
    score: i64,
    start: usize,
    id: Option<u32>,
}

impl Unigram {
    /// Indexes a vocabulary. An empty piece is never found.
    ///
    /// # Errors
    /// When the tensors do not belong together.
    pub(super) fn new(text: &'static [u8], ends: &'static [u32], scores: &'static [i16]) -> Result<Self> {
        ensure!(ends.len() > 2 && ends.len() == scores.len(), "no vocabulary");
        ensure!(ends.is_sorted(), "the ends of pieces do not ascend");
        ensure!(ends.last().copied() == u32::try_from(text.len()).ok(), "the pieces have a wrong length");
        let least = scores.iter().copied().min().unwrap_or(0);
        let unknown_score = i64::from(least) - UNKNOWN_PENALTY;
        let slots = vec![0; (ends.len() * 2).next_power_of_two()];
        let mut unigram = Self { text, ends, scores, slots, longest: 0, unknown_score };
        // All hashes first: places in the table are then known ahead, and are fetched side by side.
        let hashes: Vec<u64> = (0..ends.len()).into_par_iter().map(|id| Hash::of(unigram.piece(id)).mixed()).collect();
        unigram.longest = (0..ends.len()).map(|id| unigram.piece(id).len()).max().unwrap_or(0);
        let (mask, tag) = (unigram.slots.len() - 1, unigram.tag());
        for (hash, number) in hashes.into_iter().zip(1..) {
            let mut at = hash as usize & mask;
            while unigram.slots[at] != 0 {
                at = (at + 1) & mask;
            }
            unigram.slots[at] = ((hash >> 32) as u32 & tag) | number;
        }
        Ok(unigram)
    }

    /// The bits of a slot that are the hash's. There are more slots than numbers.
    fn tag(&self) -> u32 {
        !(self.slots.len() as u32 - 1)
    }

    /// The bytes of one piece.
    fn piece(&self, id: usize) -> &'static [u8] {
        let start = if id == 0 { 0 } else { self.ends[id - 1] };
        &self.text[start as usize..self.ends[id] as usize]
    }

    /// The piece of these bytes.
    pub(super) fn find(&self, bytes: &[u8]) -> Option<u32> {
        self.hashed(bytes, Hash::of(bytes))
    }

    fn hashed(&self, bytes: &[u8], hash: Hash) -> Option<u32> {
        let hash = hash.mixed();
        let (mask, tag) = (self.slots.len() - 1, self.tag());
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return None;
            }
            if slot & tag == (hash >> 32) as u32 & tag {
                let id = (slot & !tag) - 1;
                if self.piece(id as usize) == bytes {
                    return Some(id);
                }
            }
            at = (at + 1) & mask;
        }
    }

    /// Appends the most probable split of `word` (Viterbi).
    pub(super) fn split(&self, word: &str, pieces: &mut Vec<WordPart>) {
        let best = self.steps(word);
        let first = pieces.len();
        let mut end = word.len();
        while end > 0 {
            let SplitStep { start, id, .. } = best[end];
            pieces.push(WordPart { id, len: end - start });
            end = start;
        }
        pieces[first..].reverse();
    }

    /// The best way to every end of a character. Shape: [bytes + 1].
    fn steps(&self, word: &str) -> Vec<SplitStep> {
        let bytes = word.as_bytes();
        let unreached = SplitStep { score: i64::MIN, start: 0, id: None };
        let mut best = vec![unreached; bytes.len() + 1];
        best[0].score = 0;
        let mut start = 0;
        while start < bytes.len() {
            let reached = best[start].score;
            let character = word[start..].chars().next().map_or(1, char::len_utf8);
            let mut has_single = false;
            let mut hash = Hash::START;
            for end in start + 1..=bytes.len().min(start + self.longest) {
                hash = hash.with(bytes[end - 1]);
                if !word.is_char_boundary(end) {
                    continue;
                }
                let Some(id) = self.hashed(&bytes[start..end], hash) else {
                    continue;
                };
                has_single |= end - start == character;
                let score = reached + i64::from(self.scores[id as usize]);
                if score > best[end].score {
                    best[end] = SplitStep { score, start, id: Some(id) };
                }
            }
            let end = start + character;
            if !has_single && reached + self.unknown_score > best[end].score {
                best[end] = SplitStep { score: reached + self.unknown_score, start, id: None };
            }
            start = end;
        }
        best
    }
}
