//! Cuts a document's text into passages.
//!
//! A passage is a range of bytes of the text. It consists of whole paragraphs where they are short enough, else of whole
//! sentences, and only where a sentence is too long of whole words.

use std::ops::Range;

use serde::Deserialize;
use unicode_segmentation::UnicodeSegmentation;

/// Changes when passages change: documents are cut again then.
pub const VERSION: i64 = 2;

/// The longest passage, in units of [`weight`]: about 350 tokens of a model.
const LONGEST: usize = 1200;

/// The longest title that is taken from the beginning of a text, in the same units.
const LONGEST_TITLE: usize = 90;

/// What kind of text a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PassageKind {
    /// A message.
    Mail,
    /// A text that may have Markdown headings.
    Document,
    /// A question and its answer: one passage.
    Faq,
    /// A contract, whose clauses its reader gives.
    Contract,
}

impl PassageKind {
    /// All kinds, by the number that stands for each in the file.
    pub const ALL: [Self; 4] = [Self::Mail, Self::Document, Self::Faq, Self::Contract];

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Document => "document",
            Self::Faq => "faq",
            Self::Contract => "contract",
        }
    }
}

/// A part of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// Its bytes in the document's text, without blanks around it.
    pub range: Range<usize>,
    /// The headings above it, outermost first: `Terms / Payment`.
    pub breadcrumb: String,
}

/// Cuts a text. `clauses` are those of a contract; what lies between them is cut as a document is.
pub fn cut(text: &str, kind: PassageKind, clauses: &[Passage]) -> Vec<Passage> {
    let mut passages = match kind {
        PassageKind::Faq => vec![Passage { range: 0..text.len(), breadcrumb: String::new() }],
        PassageKind::Mail => sections(text, 0..text.len(), false, ""),
        PassageKind::Document => sections(text, 0..text.len(), true, ""),
        PassageKind::Contract => cut_clauses(text, clauses),
    };
    for passage in &mut passages {
        passage.range = trimmed(text, passage.range.clone());
    }
    passages.retain(|passage| !passage.range.is_empty());
    if kind == PassageKind::Document {
        // What a text without headings is about is said at its beginning.
        let title = title(text);
        let untitled = passages.iter_mut().skip(1).filter(|passage| passage.breadcrumb.is_empty());
        untitled.for_each(|passage| passage.breadcrumb = title.into());
    }
    passages
}

/// The beginning of a text's first line.
fn title(text: &str) -> &str {
    let line = text.trim_start().lines().next().unwrap_or_default();
    let ends = line.char_indices().map(|(at, c)| line.get(..at + c.len_utf8()).unwrap_or_default());
    ends.take_while(|beginning| weight(beginning) <= LONGEST_TITLE).last().unwrap_or_default().trim_end()
}

fn cut_clauses(text: &str, clauses: &[Passage]) -> Vec<Passage> {
    let mut passages = Vec::new();
    let mut end = 0;
    for clause in clauses {
        let range = clause.range.clone();
        // A reader's mistake must not lose text.
        if range.start < end || range.is_empty() || text.get(range.clone()).is_none() {
            continue;
        }
        passages.extend(sections(text, end..range.start, true, ""));
        end = range.end;
        passages.extend(sections(text, range, false, &clause.breadcrumb));
    }
    passages.extend(sections(text, end..text.len(), true, ""));
    passages
}

/// Cuts a range at headings, if there are to be any, and packs the paragraphs between them.
fn sections(text: &str, range: Range<usize>, with_headings: bool, above: &str) -> Vec<Passage> {
    let mut passages = Vec::new();
    let mut headings: Vec<(usize, &str)> = Vec::new();
    let mut packed: Option<Passage> = None;
    let mut is_code = false;
    for paragraph in paragraphs(text, range) {
        let slice = text.get(paragraph.clone()).unwrap_or_default();
        is_code ^= slice.matches("```").count() % 2 == 1;
        let heading = heading(slice).filter(|_| with_headings && !is_code);
        if let Some((level, title)) = heading {
            passages.extend(packed.take());
            headings.retain(|&(higher, _)| higher < level);
            headings.push((level, title));
        }
        let path = headings.iter().map(|&(_, title)| title).collect::<Vec<_>>().join(" / ");
        let breadcrumb = if with_headings { path } else { above.to_string() };
        for piece in pieces(text, paragraph) {
            let fits = packed.as_ref().map(|packed| packed.range.start..piece.end);
            match (&mut packed, fits) {
                (Some(packed), Some(joined)) if weight(text.get(joined.clone()).unwrap_or_default()) <= LONGEST => {
                    packed.range = joined;
                }
                _ => passages.extend(packed.replace(Passage { range: piece, breadcrumb: breadcrumb.clone() })),
            }
        }
    }
    passages.extend(packed);
    passages
}

/// The paragraphs of a range: separated by empty lines, a heading by itself.
fn paragraphs(text: &str, range: Range<usize>) -> Vec<Range<usize>> {
    let mut paragraphs: Vec<Range<usize>> = Vec::new();
    let mut at = range.start;
    let mut is_open = false;
    for line in text.get(range).unwrap_or_default().split_inclusive('\n') {
        let end = at + line.len();
        let is_heading = heading(line).is_some();
        match paragraphs.last_mut() {
            _ if line.trim().is_empty() => is_open = false,
            Some(last) if is_open && !is_heading => last.end = end,
            _ => {
                paragraphs.push(at..end);
                is_open = !is_heading;
            }
        }
        at = end;
    }
    paragraphs
}

/// Level and title of a Markdown heading.
fn heading(line: &str) -> Option<(usize, &str)> {
    let line = line.trim();
    let title = line.trim_start_matches('#');
    let level = line.len() - title.len();
    let is_heading = (1..=6).contains(&level) && title.starts_with([' ', '\t']) && !title.contains('\n');
    is_heading.then(|| (level, title.trim().trim_end_matches('#').trim_end())).filter(|(_, title)| !title.is_empty())
}

/// A paragraph in pieces that are short enough: the paragraph, or its sentences, or runs of their words.
fn pieces(text: &str, paragraph: Range<usize>) -> Vec<Range<usize>> {
    let slice = text.get(paragraph.clone()).unwrap_or_default();
    if weight(slice) <= LONGEST {
        return vec![paragraph];
    }
    let mut pieces = Vec::new();
    for (at, sentence) in slice.split_sentence_bound_indices() {
        let start = paragraph.start + at;
        if weight(sentence) <= LONGEST {
            pieces.push(start..start + sentence.len());
            continue;
        }
        let (mut from, mut held) = (start, 0);
        for (at, word) in sentence.split_word_bound_indices() {
            let (at, more) = (start + at, weight(word));
            if held + more > LONGEST && held > 0 {
                pieces.push(from..at);
                (from, held) = (at, 0);
            }
            held += more;
        }
        pieces.push(from..start + sentence.len());
    }
    pieces
}

/// How much of a model's room a text takes: a character of Han or Kana counts as three others.
fn weight(text: &str) -> usize {
    if text.is_ascii() {
        return text.len();
    }
    text.chars().map(|c| if c >= '\u{2e80}' { 3 } else { 1 }).sum()
}

/// A range without the white space at its ends.
fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let slice = text.get(range.clone()).unwrap_or_default();
    let start = range.start + (slice.len() - slice.trim_start().len());
    start..start + slice.trim().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut_text<'a>(text: &'a str, kind: PassageKind, clauses: &[Passage]) -> Vec<(String, &'a str)> {
        cut(text, kind, clauses).into_iter().map(|passage| (passage.breadcrumb, &text[passage.range])).collect()
    }

    #[test]
    fn headings_are_the_path() {
        let text = "intro\n\n# Terms\n\nfirst\n\n## Payment\nwithin 15 days\n\nlate\n\n# End #\nbye\n";
        let expected = [
            (String::new(), "intro"),
            ("Terms".into(), "# Terms\n\nfirst"),
            ("Terms / Payment".into(), "## Payment\nwithin 15 days\n\nlate"),
            ("End".into(), "# End #\nbye"),
        ];
        assert_eq!(cut_text(text, PassageKind::Document, &[]), expected);
        assert_eq!(cut_text(text, PassageKind::Mail, &[]).len(), 1);
        assert_eq!(cut_text(" q?\nyes ", PassageKind::Faq, &[]), [(String::new(), "q?\nyes")]);
        assert!(cut("", PassageKind::Mail, &[]).is_empty());
    }

    #[test]
    fn a_text_without_headings_has_a_title() {
        for (first, title) in [
            ("Rules of the house", "Rules of the house"),
            (
                "中华人民共和国民法典第五十四条 自然人从事工商业经营",
                "中华人民共和国民法典第五十四条 自然人从事工商业经营",
            ),
            (&"字".repeat(50), &"字".repeat(30)),
        ] {
            let text = format!("{first}\n\nOne. {}\n\n{}", "Two. ".repeat(200), "Three. ".repeat(160));
            let passages = cut(&text, PassageKind::Document, &[]);
            assert_eq!((passages.len(), passages[0].breadcrumb.as_str()), (2, ""), "{first}");
            assert_eq!(passages[1].breadcrumb, title, "{first}");
            assert!(cut(&text, PassageKind::Mail, &[])[1].breadcrumb.is_empty());
        }
    }

    #[test]
    fn clauses_keep_their_path_and_nothing_is_lost() {
        let text = "Preamble.\nArticle 1 You pay.\nBetween.\nArticle 2 We work.\n";
        let clause = |words: &str| {
            let start = text.find(words).unwrap();
            Passage { range: start..start + words.len(), breadcrumb: words[..9].into() }
        };
        let clauses = [
            clause("Article 1 You pay."),
            clause("Article 2 We work."),
            Passage { range: 3..900, breadcrumb: "x".into() },
        ];
        let expected = [
            (String::new(), "Preamble."),
            ("Article 1".into(), "Article 1 You pay."),
            (String::new(), "Between."),
            ("Article 2".into(), "Article 2 We work."),
        ];
        assert_eq!(cut_text(text, PassageKind::Contract, &clauses), expected);
    }

    #[test]
    fn long_texts_are_cut_where_a_reader_would() {
        for (sentence, times) in [
            ("A sentence of words. ", 200),
            ("这是一句话，说的是合同。", 200),
            ("word ", 900),
            ("字", 3000),
            ("x", 5000),
        ] {
            let text = sentence.repeat(times);
            let passages = cut(&text, PassageKind::Mail, &[]);
            let mut end = 0;
            for passage in &passages {
                assert!(text[end..passage.range.start].trim().is_empty(), "{sentence}");
                let slice = &text[passage.range.clone()];
                assert!(weight(slice) <= LONGEST || sentence == "x", "{sentence}");
                if sentence.contains(['.', '。']) {
                    assert!(slice.ends_with(['.', '。']), "{slice}");
                }
                end = passage.range.end;
            }
            assert!(text[end..].trim().is_empty() && (passages.len() > 1 || sentence == "x"), "{sentence}");
        }
    }
}
