//! Turns text into the tokens of the keyword index.
//!
//! Scripts without blanks between words (Han, Kana, Hangul, Thai, Lao, Khmer, Burmese) become pairs of characters; other
//! scripts become words. What is written in one piece, such as `PO-4471`, `15日` or a mail address, is kept whole and in
//! its parts. Besides these tokens a text has *grams*: single characters of the first scripts, and four characters in a
//! row of the others. Grams are not indexed. They rank the passages that tokens have found.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Changes when the tokens of a text change: the index is rebuilt then.
pub const VERSION: i64 = 1;

/// Characters of a gram.
const GRAM: usize = 4;

/// Longer pieces are data and not language. Their beginning is enough to find them.
const LONGEST: usize = 64;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenForm {
    /// A word, or a part of a longer piece.
    Word,
    /// Two characters of a script without blanks.
    Pair,
    /// One character of such a script that stands alone. It is looked up as the beginning of pairs, too.
    Single,
    /// A piece with marks inside: an address, a date, an order number.
    Whole,
    /// The last character of a run of pairs, so that every character begins a token.
    Last,
    /// Not indexed; see above.
    Gram,
}

/// A token and where it stands in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchToken<'a> {
    /// Its normalised spelling, without blanks.
    pub text: &'a str,
    /// What it is.
    pub form: TokenForm,
    /// Its bytes in the text.
    pub range: Range<usize>,
}

/// How characters are joined into tokens.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LetterClass {
    Blankless,
    Letter,
    Joiner,
    Other,
}

impl LetterClass {
    fn of(c: char) -> Self {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' => Self::Letter,
            '.' | '-' | '_' | '@' | '/' | '\'' | '’' | '+' | ':' | '&' | '\u{2011}' => Self::Joiner,
            '\0'..='\u{7f}' => Self::Other,
            _ if is_blankless(c) => Self::Blankless,
            _ if c.is_alphanumeric() || is_combining_mark(c) => Self::Letter,
            _ => Self::Other,
        }
    }
}

/// True for the scripts whose words are not separated by blanks, and for Hangul, whose words carry endings.
fn is_blankless(c: char) -> bool {
    matches!(
        c,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1100}'..='\u{11ff}' | '\u{1780}'..='\u{17ff}'
            | '々'..='〇' | '\u{3041}'..='\u{309f}' | '\u{30a1}'..='\u{30fa}' | '\u{30fc}'..='\u{30ff}'
            | '\u{3105}'..='\u{312f}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}'
            | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9f}' | '\u{20000}'..='\u{323af}'
    )
}

/// Calls `emit` for every token of a text.
pub fn tokenize(text: &str, emit: &mut dyn FnMut(SearchToken<'_>)) {
    let mut tokenizer = Tokenizer { text, emit, spelling: String::new() };
    let mut at = 0;
    while let Some(c) = tokenizer.next_char(at) {
        at = match LetterClass::of(c) {
            LetterClass::Blankless => tokenizer.run(at),
            LetterClass::Letter => tokenizer.piece(at),
            LetterClass::Joiner | LetterClass::Other => at + c.len_utf8(),
        };
    }
}

struct Tokenizer<'t, 'e> {
    text: &'t str,
    emit: &'e mut dyn FnMut(SearchToken<'_>),
    /// Reused for the normalised spelling of each token.
    spelling: String,
}

impl Tokenizer<'_, '_> {
    fn next_char(&self, at: usize) -> Option<char> {
        self.text.get(at..)?.chars().next()
    }

    /// Emits the pairs and characters of a run of a script without blanks, and returns its end.
    fn run(&mut self, start: usize) -> usize {
        let (mut at, mut before) = (start, None);
        while let Some(c) = self.next_char(at).filter(|&c| is_blankless(c)) {
            let end = at + c.len_utf8();
            self.emit_range(TokenForm::Gram, at..end);
            if let Some(before) = before.replace(at) {
                self.emit_range(TokenForm::Pair, before..end);
            }
            at = end;
        }
        if let Some(last) = before {
            self.emit_range(if last == start { TokenForm::Single } else { TokenForm::Last }, last..at);
        }
        at
    }

    /// Emits a piece that begins with a letter: words, and the whole if marks join them. Returns its end.
    fn piece(&mut self, start: usize) -> usize {
        let mut end = self.word(start);
        let mut words = 1;
        while let Some(joiner) = self.next_char(end).filter(|&c| LetterClass::of(c) == LetterClass::Joiner) {
            let next = end + joiner.len_utf8();
            if self.next_char(next).map(LetterClass::of) != Some(LetterClass::Letter) {
                break;
            }
            end = self.word(next);
            words += 1;
        }
        if words > 1 {
            self.emit_range(TokenForm::Whole, start..end);
        }
        // A number with its unit, or a letter with its word: `15日`, `A股`.
        if let Some(unit) = self.next_char(end).filter(|&c| is_blankless(c)) {
            let piece = self.text.get(start..end).unwrap_or_default();
            if piece.len() <= 2 || piece.bytes().all(|byte| byte.is_ascii_digit()) {
                self.emit_range(TokenForm::Whole, start..end + unit.len_utf8());
            }
        }
        end
    }

    /// Emits one word with its grams, and returns its end.
    fn word(&mut self, start: usize) -> usize {
        let rest = self.text.get(start..).unwrap_or_default();
        let end =
            rest.find(|c| LetterClass::of(c) != LetterClass::Letter).map_or(self.text.len(), |length| start + length);
        self.emit_range(TokenForm::Word, start..end);
        self.grams(start..end);
        end
    }

    /// Emits the grams of the word whose spelling was just made.
    fn grams(&mut self, range: Range<usize>) {
        let word = std::mem::take(&mut self.spelling);
        if word.bytes().any(|byte| !byte.is_ascii_digit()) {
            let starts = word.char_indices().map(|(at, _)| at);
            let ends = word.char_indices().map(|(at, _)| at).skip(GRAM).chain([word.len()]);
            let is_long = word.chars().nth(GRAM - 1).is_some();
            for (from, to) in starts.zip(ends).take_while(|_| is_long) {
                let text = word.get(from..to).unwrap_or_default();
                (self.emit)(SearchToken { text, form: TokenForm::Gram, range: range.clone() });
            }
            if let Some(stem) = without_article(&word) {
                (self.emit)(SearchToken { text: stem, form: TokenForm::Word, range });
            }
        }
        self.spelling = word;
    }

    fn emit_range(&mut self, form: TokenForm, range: Range<usize>) {
        let piece = self.text.get(range.clone()).unwrap_or_default();
        self.spelling.clear();
        spell(piece, &mut self.spelling);
        if !self.spelling.is_empty() {
            (self.emit)(SearchToken { text: &self.spelling, form, range });
        }
    }
}

/// Appends the spelling by which tokens are compared: NFKC, lower case, Latin and Greek letters without accents, Arabic
/// and Hebrew without vowel marks.
fn spell(piece: &str, spelling: &mut String) {
    if piece.is_ascii() {
        let short = piece.get(..LONGEST).unwrap_or(piece);
        spelling.push_str(short);
        spelling.make_ascii_lowercase();
        return;
    }
    if piece.chars().all(|c| matches!(c, '\u{4e00}'..='\u{9fff}')) {
        spelling.push_str(piece);
        return;
    }
    let mut has_simple_base = false;
    let lower = piece.chars().take(LONGEST).flat_map(char::to_lowercase).nfkd().filter(|&c| {
        let is_accent = matches!(c, '\u{300}'..='\u{36f}');
        let is_vowel =
            matches!(c, '\u{591}'..='\u{5c7}' | '\u{610}'..='\u{61a}' | '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}');
        if !is_accent {
            has_simple_base = c < '\u{400}';
        }
        !(is_vowel || is_accent && has_simple_base)
    });
    for c in lower.nfc() {
        match c {
            'ß' => spelling.push_str("ss"),
            '’' | '\u{2011}' => spelling.push(if c == '’' { '\'' } else { '-' }),
            _ if c.is_whitespace() => {}
            // Compatibility forms such as ½ spell out signs.
            _ => spelling.extend(c.to_lowercase()),
        }
    }
}

/// An Arabic word without its article, which is written together with it.
fn without_article(word: &str) -> Option<&str> {
    if !word.starts_with(['ا', 'و', 'ب', 'ل', 'ك', 'ف']) {
        return None;
    }
    let articles = ["وال", "بال", "كال", "فال", "ال", "لل"];
    let stem = articles.iter().find_map(|article| word.strip_prefix(article))?;
    (stem.chars().count() >= 3).then_some(stem)
}

/// The beginning that other forms of a word share, if the word is long enough to have one.
pub(super) fn stem(word: &str) -> Option<&str> {
    let letters = word.chars().count();
    if letters < 5 || !word.chars().all(char::is_alphabetic) {
        return None;
    }
    let kept = (letters * 7).div_ceil(10).max(4);
    word.char_indices().nth(kept).and_then(|(end, _)| word.get(..end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str, form: TokenForm) -> String {
        let mut found = Vec::new();
        tokenize(text, &mut |token| {
            assert!(text.get(token.range.clone()).is_some(), "{token:?}");
            if token.form == form {
                found.push(token.text.to_string());
            }
        });
        found.join(" ")
    }

    #[test]
    fn forms() {
        for (text, form, expected) in [
            ("The Cat", TokenForm::Word, "the cat"),
            ("PO-4471 of a.b@example.org", TokenForm::Whole, "po-4471 a.b@example.org"),
            ("PO-4471", TokenForm::Word, "po 4471"),
            ("2024.05.01.", TokenForm::Whole, "2024.05.01"),
            ("共15日内", TokenForm::Whole, "15日"),
            ("共15日内", TokenForm::Pair, "日内"),
            ("共15日内", TokenForm::Single, "共"),
            ("A股上涨", TokenForm::Whole, "a股"),
            ("违约责任", TokenForm::Pair, "违约 约责 责任"),
            ("违约责任", TokenForm::Gram, "违 约 责 任"),
            ("违约责任", TokenForm::Last, "任"),
            ("ＰＯ－１ ﾃｽﾄ", TokenForm::Word, "po 1"),
            ("ﾃｽﾄ", TokenForm::Pair, "テス スト"),
            ("Über Straße", TokenForm::Word, "uber strasse"),
            ("Übermut", TokenForm::Gram, "uber berm ermu rmut"),
            ("Мой", TokenForm::Word, "мой"),
            ("وَالكتاب", TokenForm::Word, "والكتاب كتاب"),
            ("ประเทศ", TokenForm::Single, ""),
            ("한국어는", TokenForm::Pair, "한국 국어 어는"),
            ("don’t", TokenForm::Whole, "don't"),
            ("½", TokenForm::Word, "1⁄2"),
            ("a -- b . \u{0} \" * NEAR(", TokenForm::Word, "a b near"),
            ("123456", TokenForm::Gram, ""),
        ] {
            assert_eq!(tokens(text, form), expected, "{text:?} {form:?}");
        }
    }

    #[test]
    fn stems() {
        for (word, expected) in [
            ("verteidigung", Some("verteidig")),
            ("word", None),
            ("words", Some("word")),
            ("po447", None),
            ("защиты", Some("защит")),
        ] {
            assert_eq!(stem(word), expected, "{word}");
        }
    }

    #[test]
    fn no_text_makes_a_token_with_a_blank() {
        for text in ["\u{a0}a\u{a0}b", "\u{fdfa}", "ﷺ", "\u{3000}中\u{3000}", "x\u{2003}y", "㍿"] {
            tokenize(text, &mut |token| assert!(!token.text.contains(char::is_whitespace), "{token:?}"));
        }
    }
}
