//! Cleaning: keeps what the sender wrote and removes quoted replies, signatures, notices and footers
//!
//! Each step is a pure function over the lines of a text and can be turned off. The steps hold logic only; the words of
//! each language are in `lexicon/*.toml`. Forwards run before quotes, because forwarded content without its header
//! block looks like quoted history. Footers and disclaimers run before signatures, because the signature step looks at
//! the end of the text. Losing what a person wrote is worse than keeping a signature, so every rule keeps text when in
//! doubt.

mod answers;
mod armor;
mod attribution;
mod devices;
mod disclaimers;
mod footers;
mod forwards;
mod headers;
mod history;
pub(super) mod lexicon;
mod lines;
mod links;
mod marks;
mod names;
mod phrases;
mod quotes;
mod signatures;
mod signoffs;
mod tail;
mod wording;

use lines::LineCut;

/// True for the marker of a forwarded message, such as "Begin forwarded message:"
pub fn is_forward_marker(line: &str) -> bool {
    forwards::is_marker(line)
}

/// True if the text is only a note above a forward, such as "FYI"
pub fn is_cover_note(text: &str) -> bool {
    forwards::is_cover_note(&lines::split(text))
}

/// True if a note above history says that the answers stand inside it
pub fn announces_answers(note: &str) -> bool {
    answers::are_announced(note.lines())
}

/// True for a line with which history may begin: a header line, a separator or an attribution
pub fn may_be_history(line: &str) -> bool {
    headers::role(line).is_some()
        || headers::may_be_sender(line)
        || history::is_original_separator(line)
        || lines::is_rule(line)
        || lines::is_quoted(line)
        || attribution::all(&[line]).iter().any(|mark| mark.lines.start == 0)
}

/// Longer texts, in bytes, pass through unchanged. No person writes a message of this length, and the model reads only
/// its beginning.
const LARGEST: usize = 16 << 20;

/// Texts with more lines pass through unchanged, which bounds memory to a few MB
const MOST_LINES: usize = 400_000;

/// The cleaning steps in the order they run
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// The header block of a forwarded message
    Forwards,
    /// Quoted replies with their attribution lines
    Quotes,
    /// Footers of mailing lists and newsletters
    Footers,
    /// Legal and confidentiality notices
    Disclaimers,
    /// Signature blocks and the lines that mail clients add
    Signatures,
    /// Tracking links and very long links, which are shortened to their host
    Links,
}

impl Step {
    /// Every step, in the order they run
    pub const ALL: [Step; 6] =
        [Step::Forwards, Step::Quotes, Step::Footers, Step::Disclaimers, Step::Signatures, Step::Links];

    /// The name that flags and reports use
    pub fn name(self) -> &'static str {
        match self {
            Step::Forwards => "forwards",
            Step::Quotes => "quotes",
            Step::Footers => "footers",
            Step::Disclaimers => "disclaimers",
            Step::Signatures => "signatures",
            Step::Links => "links",
        }
    }
}

/// Which steps run; all by default
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(default)]
pub struct Switches {
    /// Cut quoted replies
    pub quotes: bool,
    /// Cut the header blocks of forwarded messages
    pub forwards: bool,
    /// Cut signatures
    pub signatures: bool,
    /// Cut legal notices
    pub disclaimers: bool,
    /// Cut list and newsletter footers
    pub footers: bool,
    /// Shorten links
    pub links: bool,
    /// Render HTML to text, which happens before the other steps
    pub html: bool,
}

impl Switches {
    /// Every step on, or every step off
    pub fn all(on: bool) -> Self {
        Switches { quotes: on, forwards: on, signatures: on, disclaimers: on, footers: on, links: on, html: on }
    }
}

impl Default for Switches {
    fn default() -> Self {
        Switches::all(true)
    }
}

impl Switches {
    fn runs(&self, step: Step) -> bool {
        match step {
            Step::Forwards => self.forwards,
            Step::Quotes => self.quotes,
            Step::Footers => self.footers,
            Step::Disclaimers => self.disclaimers,
            Step::Signatures => self.signatures,
            Step::Links => self.links,
        }
    }
}

/// The place of a message in a conversation
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum ThreadPlace {
    /// A reply, or it is not known
    #[default]
    Reply,
    /// A forward is about the forwarded text, however the mail program marks it: no quotation is cut
    Forward,
    /// It answers none: what looks like history is of a form, a ticket or a mail that was pasted. It stays, but for the
    /// line above which a ticket system wants the reply
    First,
}

impl ThreadPlace {
    /// True where an earlier message of the conversation may stand below
    pub fn has_history(self) -> bool {
        self == ThreadPlace::Reply
    }
}

/// A piece of text that a step removed
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The step that removed it
    pub step: Step,
    /// The text as it was; for `Step::Links` the whole link
    pub text: String,
}

/// A cleaned text and what was removed
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleaned {
    /// The text that is left, without blank lines at the start and the end
    pub text: String,
    /// What was removed, in the order of the steps and, within a step, of the text
    pub removed: Vec<Removal>,
}

/// Removes what the sender did not write.
///
/// Never panics. Takes time linear in the length of the text. If no letter or digit would be left, the text comes back
/// unchanged and `removed` is empty, so that a message without text of its own can still be classified.
pub fn clean(text: &str, switches: &Switches, place: ThreadPlace) -> Cleaned {
    let untouched = || Cleaned { text: text.to_string(), removed: Vec::new() };
    if text.len() > LARGEST || text.bytes().filter(|&b| b == b'\n').count() > MOST_LINES {
        return untouched();
    }
    let mut lines = lines::split(text);
    let mut removed = Vec::new();
    let mut replied = false;
    for step in Step::ALL {
        if !switches.runs(step) || step == Step::Quotes && place == ThreadPlace::Forward {
            continue;
        }
        let cut = match step {
            Step::Forwards => {
                lines = forwarded(&lines, switches, &mut removed);
                continue;
            }
            Step::Quotes if place == ThreadPlace::First => quotes::cut_markers(&lines),
            Step::Quotes => quotes::cut(&lines),
            Step::Footers => footers::cut(&lines),
            Step::Disclaimers => disclaimers::cut(&lines),
            Step::Signatures => signatures::cut(&lines, replied),
            Step::Links => continue,
        };
        let LineCut { kept, taken } = cut;
        replied |= step == Step::Quotes && !taken.is_empty();
        removed.extend(taken.into_iter().map(|text| Removal { step, text }));
        lines = kept;
    }
    if !lines.iter().any(|line| line.chars().any(char::is_alphanumeric)) {
        return untouched();
    }
    let mut text = lines::join(&lines);
    if switches.links {
        let (shortened, links) = links::shorten(&text);
        text = shortened;
        removed.extend(links.into_iter().map(|text| Removal { step: Step::Links, text }));
    }
    Cleaned { text, removed }
}

/// Removes the header block of a forward. The note above it may end in the sender's signature, which is removed here,
/// because the signature step looks only at the end of the text.
fn forwarded<'a>(lines: &[&'a str], switches: &Switches, removed: &mut Vec<Removal>) -> Vec<&'a str> {
    let Some(forward) = forwards::split(lines) else {
        return lines.to_vec();
    };
    let mut note = forward.note;
    if switches.signatures {
        let cut = signatures::cut(&note, false);
        note = cut.kept;
        removed.extend(cut.taken.into_iter().map(|text| Removal { step: Step::Signatures, text }));
    }
    removed.push(Removal { step: Step::Forwards, text: forward.header });
    note.extend(forward.content);
    note
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn every_step_has_its_switch() {
        let text = "Yes.\n\nSent from my iPhone\n\nOn 3 May 2016 10:10, Bob <b@example.com> wrote:\n> When?";
        let cleaned = clean(text, &Switches::default(), ThreadPlace::Reply);
        assert_eq!(cleaned.text, "Yes.");
        let steps: Vec<&str> = cleaned.removed.iter().map(|removed| removed.step.name()).collect();
        assert_eq!(steps, ["quotes", "signatures"]);
        let off = Switches::all(false);
        assert_eq!(clean(text, &off, ThreadPlace::Reply), Cleaned { text: text.to_string(), removed: Vec::new() });
    }

    #[test]
    fn a_message_that_answers_none_has_no_history() {
        let first = |text: &str| clean(text, &Switches::default(), ThreadPlace::First).text;
        let ticket = "##- Please type your reply above this line -##\n\nYour request (4711) has been updated.\n\nDana, Jun 11, 09:12:\n\nPaid?";
        assert_eq!(first(ticket), ticket.split_once("\n\n").unwrap().1);
        let pasted =
            "Look.\n\n-----Original Message-----\nFrom: Bob <b@example.com>\nSent: May 2, 2016 10:10\nTo: Ann\n\nNo.";
        assert_eq!(first(pasted), pasted);
        assert_eq!(clean(pasted, &Switches::default(), ThreadPlace::Reply).text, "Look.");
    }

    #[test]
    fn when_nothing_is_left_the_text_comes_back() {
        for text in ["> only a quotation", "-- \nBob", "Sent from my iPhone", "", "\n\n", "🎉\n\n-- \nBob"] {
            assert_eq!(
                clean(text, &Switches::default(), ThreadPlace::Reply),
                Cleaned { text: text.to_string(), removed: Vec::new() },
                "{text}"
            );
        }
    }

    #[test]
    fn a_signature_over_a_forward_goes_and_the_forward_stays() {
        let text = "FYI\n\n-- \nBob\n\n---------- Forwarded message ---------\nFrom: Ann\nSubject: x\n\nThe news.";
        assert_eq!(clean(text, &Switches::default(), ThreadPlace::Reply).text, "FYI\n\n\nThe news.");
    }

    #[test]
    #[rustfmt::skip]
    fn hostile_texts_take_linear_time() {
        for line in [
            "> q", "wrote:", "On 2013-01-01 10:00 x@y wrote:", "From: x@y", "a:", "> a\n\n\nb", "-- ",
            "Thanks,\nBob\n", "Sent from my iPhone\n", "To unsubscribe click http://x.y/z\n",
            "this e-mail is confidential\n", "<\n>:", "-----Original Message-----", "Begin forwarded message:",
            "http://", "http:///", "http://-/", "\u{200b}", "713-555-1212", "此致",
            "| From | b@example.com |", ">>> a 1/2/2024 10:10 >>>", "From\nb@example.com", "---- a ----", "a <b@c> 2024 10:10\n> q",
            "                                                  To\n", "My answers are in red below.\n\nFrom: x@y\nDate: z\nTo: w\n",
        ] {
            let line = format!("{line}\n");
            let text = format!("I wrote this.\n\n{}And that.\n{}", line.repeat(200_000 / line.len()), line.trim().repeat(200_000 / line.len()));
            let start = Instant::now();
            clean(&text, &Switches::default(), ThreadPlace::Reply);
            assert!(start.elapsed() < Duration::from_secs(2), "{line:?} took {:?}", start.elapsed());
        }
    }

    #[test]
    fn huge_texts_pass_through() {
        for text in ["word ".repeat(4 << 20), "\n".repeat(MOST_LINES + 1)] {
            assert_eq!(clean(&text, &Switches::default(), ThreadPlace::Reply).text.len(), text.len());
        }
    }
}
