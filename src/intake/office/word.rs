//! WordprocessingML (ECMA-376 part 1, chapter 17) to text, event by event and without recursion.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::numbering::{self, ListPlace, Numbering};
use super::xml::{is_on, local, name, value};
use super::{LeftOfOffice, MAX_TEXT};

/// Elements that are skipped with their content: deleted and moved text, field codes, drawings for old programs
/// (copies of those for new ones), and properties of a paragraph's mark.
const SKIPPED: &[&str] = &[
    "del",
    "moveFrom",
    "delText",
    "delInstrText",
    "instrText",
    "Fallback",
    "rPrChange",
    "pPrChange",
    "tblPr",
    "sectPr",
];

/// The separator between the text so far and the next text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    #[default]
    None,
    Line,
    Cell,
    Row,
}

/// Text that is assembled from several parts.
#[derive(Debug, Default)]
pub(super) struct Story {
    text: String,
    gap: Gap,
    full: bool,
    /// What the parts hold besides.
    pub(super) left_out: LeftOfOffice,
}

impl Story {
    /// True if no more text is kept.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// The text.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// Appends the text of another story.
    pub(super) fn append(&mut self, other: &Self) {
        self.separate(Gap::Row);
        self.push(&other.text);
        self.separate(Gap::Row);
        self.full |= other.full;
        self.left_out.add(&other.left_out);
    }

    fn separate(&mut self, gap: Gap) {
        // The end of a cell is also the end of its last paragraph.
        self.gap = self.gap.max(gap);
    }

    fn push(&mut self, text: &str) {
        if text.is_empty() || self.full {
            return;
        }
        let gap = match std::mem::take(&mut self.gap) {
            Gap::None => "",
            Gap::Cell => "\t",
            Gap::Line | Gap::Row => "\n",
        };
        if !self.text.is_empty() {
            self.text.push_str(gap);
        }
        let room = MAX_TEXT.saturating_sub(self.text.len());
        self.full = text.len() > room;
        self.text.push_str(&text[..text.floor_char_boundary(room)]);
    }

    /// Removes a part whose text the story already has: sections repeat their headers.
    fn forget_repeated(&mut self, start: usize) {
        let (before, added) = self.text.split_at(start);
        let added = added.trim();
        if !added.is_empty() && before.contains(added) {
            self.text.truncate(start);
        }
    }
}

/// The state of the surrounding elements.
#[derive(Default)]
struct Context {
    /// The number of open elements.
    depth: usize,
    /// The depth of the outermost skipped element.
    skipped: Option<usize>,
    /// Inside the properties of a paragraph, whose run properties are those of its mark.
    paragraph_properties: bool,
    /// Inside an element with text.
    in_text: bool,
    /// Inside a run that is hidden.
    hidden: bool,
    /// The next content of a control is its placeholder text.
    placeholder: bool,
    /// The paragraph has no text so far, and is an item of a list or of the list of its style.
    unnumbered: bool,
    list: ListPlace,
    style: Option<String>,
    /// The mark of the paragraph is deleted: the next one goes on with its text.
    is_joined: bool,
    goes_on: bool,
}

/// Adds the text of a part to `story`, up to its end or a damaged place; false if it has no element at all.
pub(super) fn read(xml: &str, numbering: &mut Numbering, story: &mut Story) -> bool {
    let start = story.text.len();
    let mut reader = Reader::from_str(xml);
    reader.config_mut().check_end_names = false;
    reader.config_mut().allow_unmatched_ends = true;
    reader.config_mut().allow_dangling_amp = true;
    let mut place = Context::default();
    let mut found = false;
    while !story.full {
        match reader.read_event() {
            Ok(Event::Eof) | Err(_) => break,
            Ok(Event::Start(element)) => {
                found = true;
                place.depth += 1;
                place.open(&element, numbering, story);
            }
            Ok(Event::Empty(element)) => {
                place.depth += 1;
                place.open(&element, numbering, story);
                place.close(local(&element), numbering, story);
                place.depth = place.depth.saturating_sub(1);
            }
            Ok(Event::End(element)) => {
                place.close(name(element.as_ref()), numbering, story);
                place.depth = place.depth.saturating_sub(1);
            }
            Ok(Event::Text(text)) if place.shows() => place.push(&text, numbering, story),
            Ok(Event::CData(text)) if place.shows() => place.push(&text, numbering, story),
            Ok(Event::GeneralRef(reference)) if place.shows() => place.push(&resolved(&reference), numbering, story),
            Ok(_) => {}
        }
    }
    story.separate(Gap::Row);
    story.forget_repeated(start);
    found
}

impl Context {
    fn shows(&self) -> bool {
        self.in_text && !self.hidden && self.skipped.is_none()
    }

    fn push(&mut self, text: &str, numbering: &mut Numbering, story: &mut Story) {
        // A number that is not written yet stands before the first text; deleted items count nothing.
        if !text.is_empty()
            && std::mem::take(&mut self.unnumbered)
            && let Some(number) = numbering.next(&self.list, self.style.as_deref())
        {
            story.push(&number);
            story.push(" ");
        }
        story.push(text);
    }

    fn open(&mut self, element: &BytesStart<'_>, numbering: &mut Numbering, story: &mut Story) {
        if self.skipped.is_some() {
            return;
        }
        match local(element) {
            "del" | "moveFrom" if self.paragraph_properties => self.is_joined = true,
            skipped if SKIPPED.contains(&skipped) => {
                story.left_out.deletions += usize::from(["del", "moveFrom"].contains(&skipped));
                self.skipped = Some(self.depth);
            }
            // The lines above notes, which have no text.
            "footnote" | "endnote" if value(element, "type").is_some_and(|kind| kind != "normal") => {
                self.skipped = Some(self.depth);
            }
            "showingPlcHdr" => self.placeholder = is_on(element),
            "sdtContent" if std::mem::take(&mut self.placeholder) => self.skipped = Some(self.depth),
            "p" => {
                let goes_on = std::mem::take(&mut self.goes_on);
                if !goes_on {
                    story.separate(Gap::Line);
                }
                self.unnumbered = !goes_on;
                (self.list, self.style, self.is_joined) = (ListPlace::default(), None, false);
            }
            "pPr" => self.paragraph_properties = true,
            "pStyle" if self.paragraph_properties => self.style = value(element, "val"),
            "numId" if self.paragraph_properties => self.list.list = value(element, "val"),
            "ilvl" if self.paragraph_properties => self.list.level = numbering::level(value(element, "val")),
            "drawing" | "pict" | "object" => story.left_out.pictures += 1,
            "commentReference" => story.left_out.comments += 1,
            "r" => self.hidden = false,
            "vanish" | "webHidden" if !self.paragraph_properties => self.hidden |= is_on(element),
            "t" => self.in_text = true,
            "tab" | "ptab" if !self.paragraph_properties => self.gap_or_push("\t", numbering, story),
            "br" | "cr" => story.separate(Gap::Line),
            "noBreakHyphen" => self.gap_or_push("-", numbering, story),
            _ => {}
        }
    }

    /// Adds the text that an element stands for.
    fn gap_or_push(&mut self, text: &str, numbering: &mut Numbering, story: &mut Story) {
        if !self.hidden {
            self.push(text, numbering, story);
        }
    }

    fn close(&mut self, name: &str, numbering: &mut Numbering, story: &mut Story) {
        if let Some(depth) = self.skipped {
            if depth >= self.depth {
                self.skipped = None;
            }
            return;
        }
        match name {
            "p" => {
                self.goes_on = self.is_joined && !self.unnumbered;
                // An item without text has a number of its own, which nobody reads.
                if std::mem::take(&mut self.unnumbered) && !self.is_joined {
                    numbering.next(&self.list, self.style.as_deref());
                }
                if !self.goes_on {
                    story.separate(Gap::Line);
                }
            }
            "pPr" => self.paragraph_properties = false,
            "r" => self.hidden = false,
            "t" => self.in_text = false,
            "tc" => story.separate(Gap::Cell),
            "tr" | "tbl" => story.separate(Gap::Row),
            _ => {}
        }
    }
}

/// The characters of `&lt;` or `&#8211;`; nothing for an entity that the document defines.
fn resolved(reference: &BytesRef<'_>) -> String {
    match reference.resolve_char_ref() {
        Ok(Some(c)) => c.to_string(),
        _ => resolve_predefined_entity(reference).unwrap_or_default().to_string(),
    }
}

/// The title in the core properties (ECMA-376 part 2, chapter 11).
pub(super) fn title(xml: &str) -> Option<String> {
    let mut reader = Reader::from_str(xml);
    let mut title = None;
    loop {
        match reader.read_event() {
            Ok(Event::Start(element)) if local(&element) == "title" => title = Some(String::new()),
            Ok(Event::Text(text)) => title.iter_mut().for_each(|title| title.push_str(&text)),
            Ok(Event::GeneralRef(entity)) => title.iter_mut().for_each(|title| title.push_str(&resolved(&entity))),
            Ok(Event::End(_)) if title.is_some() => return title,
            Ok(Event::Eof) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(xml: &str, expected: &str) {
        let mut story = Story::default();
        assert!(read(xml, &mut Numbering::default(), &mut story), "{xml}");
        assert_eq!(story.into_text(), expected, "{xml}");
    }

    fn run(text: &str) -> String {
        format!("<w:r><w:t>{text}</w:t></w:r>")
    }

    #[test]
    fn what_is_not_shown_is_not_read() {
        check(&format!("<w:p>{}<w:del>{}</w:del></w:p>", run("a"), run("b")), "a");
        check("<w:p><w:r><w:rPr><w:vanish/></w:rPr><w:t>a</w:t></w:r><w:r><w:t>b</w:t></w:r></w:p>", "b");
        check("<w:p><w:r><w:rPr><w:vanish w:val=\"0\"/></w:rPr><w:t>a</w:t></w:r></w:p>", "a");
        check("<w:p><w:pPr><w:rPr><w:vanish/><w:del/></w:rPr></w:pPr><w:r><w:t>a</w:t></w:r></w:p>", "a");
        check("<w:p><w:r><w:instrText>PAGE</w:instrText></w:r><w:r><w:t>7</w:t></w:r></w:p>", "7");
        let control =
            |kind| format!("<w:sdt><w:sdtPr>{kind}</w:sdtPr><w:sdtContent>{}</w:sdtContent></w:sdt>", run("a"));
        check(&format!("<w:p>{}{}</w:p>", control("<w:showingPlcHdr/>"), run("b")), "b");
        check(&format!("<w:p>{}</w:p>", control("")), "a");
    }

    #[test]
    fn cells_rows_and_breaks() {
        let cell = |text: &str| format!("<w:tc><w:p>{}</w:p></w:tc>", run(text));
        let table = format!("<w:tbl><w:tr>{}{}</w:tr><w:tr>{}</w:tr></w:tbl>", cell("a"), cell("b"), cell("c"));
        check(&format!("{table}<w:p>{}</w:p>", run("d")), "a\tb\nc\nd");
        check(
            "<w:p><w:r><w:t>a</w:t><w:br/><w:t>b</w:t><w:tab/><w:t>c</w:t><w:noBreakHyphen/></w:r></w:p>",
            "a\nb\tc-",
        );
        check("<w:p><w:pPr><w:tabs><w:tab w:pos=\"9\"/></w:tabs></w:pPr><w:r><w:t>a</w:t></w:r></w:p>", "a");
    }

    #[test]
    fn characters() {
        check("<w:p><w:r><w:t>a &amp; b &#8211; &#x4e2d; &own;</w:t></w:r></w:p>", "a & b – 中 ");
        check("<p><r><t>without a prefix, <![CDATA[<raw>]]></t></r></p>", "without a prefix, <raw>");
    }

    #[test]
    fn a_damaged_place_ends_the_text() {
        check("<w:p><w:r><w:t>before</w:t></w:r></w:p><w:p <<< <w:t>after</w:t>", "before");
        assert!(!read("no markup", &mut Numbering::default(), &mut Story::default()));
    }

    /// A paragraph of a list, with properties of its mark.
    fn item(mark: &str, runs: &str) -> String {
        format!(
            "<w:p><w:pPr><w:numPr><w:ilvl w:val=\"0\"/><w:numId w:val=\"1\"/></w:numPr><w:rPr>{mark}</w:rPr></w:pPr>{runs}</w:p>"
        )
    }

    #[test]
    fn numbers_are_those_of_what_is_left() {
        let list = "<w:abstractNum w:abstractNumId=\"0\"><w:lvl w:ilvl=\"0\"><w:numFmt w:val=\"decimal\"/><w:lvlText w:val=\"%1.\"/>\
                    </w:lvl></w:abstractNum><w:num w:numId=\"1\"><w:abstractNumId w:val=\"0\"/></w:num>";
        let deleted = format!("<w:del>{}</w:del>", run("gone"));
        let items = [
            item("", &run("one")),
            item("<w:del/>", &deleted),
            item("", &run("two")),
            item("<w:del/>", &(run("three") + &deleted)),
            item("", &run(" goes on")),
            item("", ""),
            item("", &run("five")),
        ];
        let mut story = Story::default();
        assert!(read(&items.concat(), &mut Numbering::read(list, ""), &mut story));
        assert_eq!(story.left_out.deletions, 2);
        assert_eq!(story.into_text(), "1. one\n2. two\n3. three goes on\n5. five");
        check(&item("", &run("not described")), "- not described");
    }

    #[test]
    fn a_header_is_read_once() {
        let mut story = Story::default();
        let header = format!("<w:hdr><w:p>{}</w:p></w:hdr>", run("Letterhead"));
        let mut read = || read(&header, &mut Numbering::default(), &mut story);
        assert!(read() && read());
        assert_eq!(story.into_text(), "Letterhead");
    }

    #[test]
    fn titles() {
        let core = |title: &str| format!("<cp:coreProperties><dc:title>{title}</dc:title></cp:coreProperties>");
        assert_eq!(title(&core("R &amp; D")).as_deref(), Some("R & D"));
        assert_eq!(title("<cp:coreProperties/>"), None);
    }
}
