//! Quoted replies: what other people wrote earlier, below, above or between the sender's own lines
//!
//! History below an attribution or an Outlook header block without `>` is cut to the end of the text, because nothing
//! marks where it stops. It stays, without its headers, where the note above announces answers inside it. Marked
//! quotations (`>`) are cut block by block, so that answers between them stay. Two kinds stay: a quotation without
//! attribution at the very top, and a quotation in the middle of a text that continues around it.

use std::ops::Range;

use super::attribution::{self, Attribution, Strength};
use super::lexicon::{self, lower, prose::GREETINGS};
use super::lines::{self, LineCut, is_blank, is_quoted, trim, words};
use super::signoffs::sign_off;
use super::{answers, armor, disclaimers, footers, history, marks, signatures};

/// Cuts quoted history
pub(super) fn cut<'a>(lines: &[&'a str]) -> LineCut<'a> {
    let marks = attribution::all(lines);
    let reading = Annotated::of(lines, &marks);
    let ranges = reading.ranges();
    LineCut::ranges(lines, &ranges)
}

/// Cuts the lines above which ticket systems want the reply
pub(super) fn cut_markers<'a>(lines: &[&'a str]) -> LineCut<'a> {
    let markers = (0..lines.len()).filter(|&i| history::is_reply_marker(lines[i])).map(|i| i..i + 1);
    LineCut::ranges(lines, &markers.collect::<Vec<_>>())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineKind {
    Blank,
    Quoted,
    Attribution,
    Own,
}

/// A text with the kind of each line
struct Annotated<'a> {
    lines: &'a [&'a str],
    marks: Vec<Attribution>,
    kinds: Vec<LineKind>,
    /// Where history without `>` starts
    end: usize,
    /// The sender's first lines, at most three: enough to tell an answer from a salutation
    first_own: Vec<usize>,
    /// The sender's last line that is not part of a signature
    last_own: Option<usize>,
    /// Whether the text above the first history without `>` announces answers inside it
    announced: Option<bool>,
}

impl<'a> Annotated<'a> {
    fn of(lines: &'a [&'a str], found: &[Attribution]) -> Self {
        let other_mark = marks::other_mark(lines, found);
        let quoted = |i: usize| {
            is_quoted(lines[i])
                || lines::is_quoted_from(lines, i)
                || other_mark.as_ref().is_some_and(|mark| mark.is_on(lines[i]))
        };
        let mut kinds: Vec<LineKind> = (0..lines.len())
            .map(|i| match (is_blank(lines[i]), quoted(i)) {
                (true, _) => LineKind::Blank,
                (_, true) => LineKind::Quoted,
                _ => LineKind::Own,
            })
            .collect();
        for block in marks::prompts(lines, found) {
            kinds[block].fill(LineKind::Own);
        }
        let followed =
            |m: &Attribution| lines::next_nonblank(lines, m.lines.end).is_some_and(|i| kinds[i] == LineKind::Quoted);
        let marks: Vec<Attribution> =
            found.iter().filter(|m| m.strength == Strength::Strong || followed(m)).cloned().collect();
        for mark in &marks {
            kinds[mark.lines.clone()].fill(LineKind::Attribution);
        }
        let mut reading =
            Annotated { lines, marks, kinds, end: lines.len(), first_own: Vec::new(), last_own: None, announced: None };
        reading.mark_headers();
        reading.find_first_own();
        reading.find_end();
        reading.join_wraps();
        reading.find_first_own();
        reading.find_last_own();
        reading
    }

    fn find_first_own(&mut self) {
        let own = |&i: &usize| self.kinds[i] == LineKind::Own;
        self.first_own = (0..self.end).filter(own).take(3).collect();
    }

    /// Needed only for quotations; it takes most of the time of this step
    fn find_last_own(&mut self) {
        if !self.kinds[..self.end].contains(&LineKind::Quoted) {
            return;
        }
        // Text below a quotation is an answer only if it is not a footer, notice or signature.
        let mut left: Vec<usize> =
            (0..self.end).filter(|&i| matches!(self.kinds[i], LineKind::Own | LineKind::Blank)).collect();
        for ranges in [armor::ranges, footers::ranges, disclaimers::ranges] {
            let text: Vec<&str> = left.iter().map(|&i| self.lines[i]).collect();
            for range in ranges(&text).into_iter().rev() {
                left.drain(range);
            }
        }
        let text: Vec<&str> = left.iter().map(|&i| self.lines[i]).collect();
        let kept = signatures::without(&text);
        let last = kept.iter().rposition(|line| line.chars().any(char::is_alphanumeric));
        self.last_own = last.map(|i| left[i]);
    }

    /// A header block above marked quotations counts as their attribution
    fn mark_headers(&mut self) {
        let mut from = 0;
        while let Some(header) = history::first_header(self.lines, from) {
            from = header.end;
            if self.is_own(&header) {
                continue;
            }
            if history::is_reply_marker(self.lines[header.start]) {
                // It goes even where the text below is all there is.
                self.kinds[header.start] = LineKind::Attribution;
            }
            let next = lines::next_nonblank(self.lines, header.end);
            if next.is_some_and(|i| self.kinds[i] == LineKind::Quoted) || self.are_answers_below(header.start) {
                self.kinds[header].fill(LineKind::Attribution);
            } else {
                // Everything that follows is history.
                self.end = header.start;
                break;
            }
        }
    }

    /// True for header lines of a form or of a mail that was pasted, which the line above announces
    fn is_own(&mut self, header: &Range<usize>) -> bool {
        history::is_bare(self.lines, header)
            && self.is_introduced(header.start)
            && !self.are_answers_below(header.start)
    }

    /// True below a line of the sender that says what follows: "This is what they wrote to us:"
    fn is_introduced(&self, start: usize) -> bool {
        /// Shorter ones are names of fields, and what mail programs write
        const FEWEST_WORDS: usize = 3;
        lines::last_nonblank(&self.lines[..start]).is_some_and(|above| {
            let line = trim(self.lines[above]);
            self.kinds[above] == LineKind::Own
                && start - above <= 2
                && line.ends_with([':', '：'])
                && (words(line) >= FEWEST_WORDS
                    || line.chars().filter(|&c| lines::is_cjk(c)).count() > 2 * FEWEST_WORDS)
        })
    }

    /// Finds the line from which on everything is history
    fn find_end(&mut self) {
        let marked = |m: &Attribution| {
            lines::next_nonblank(self.lines, m.lines.end).is_none_or(|i| self.kinds[i] == LineKind::Quoted)
        };
        let header = Some(self.end).filter(|&end| end < self.lines.len());
        let mut starts: Vec<usize> =
            self.marks.iter().filter(|m| !marked(m)).map(|m| m.lines.start).chain(header).collect();
        starts.sort_unstable();
        // Without text of the sender above, the text below an attribution may be the answer.
        let end = starts.into_iter().find(|&start| self.has_answer(start));
        self.end = end.filter(|&end| !self.are_answers_below(end)).unwrap_or(self.lines.len());
    }

    /// True if the sender's text above this line announces answers below. Decided once, at the first history.
    fn are_answers_below(&mut self, start: usize) -> bool {
        let own = |&i: &usize| self.kinds[i] == LineKind::Own;
        *self.announced.get_or_insert_with(|| answers::are_announced((0..start).filter(own).map(|i| self.lines[i])))
    }

    /// True if there is more than a salutation above this line
    fn has_answer(&self, start: usize) -> bool {
        let own: Vec<usize> = self.first_own.iter().copied().filter(|&i| i < start).collect();
        own.len() > 1 || own.iter().any(|&i| !is_greeting(trim(self.lines[i])) || sign_off(self.lines[i]).is_some())
    }

    /// True if there is more than a salutation and thanks above this line
    fn has_text(&self, start: usize) -> bool {
        let own = self.first_own.iter().filter(|&&i| i < start);
        own.map(|&i| self.lines[i]).any(|line| !is_greeting(trim(line)) && sign_off(line).is_none())
    }

    /// Old mail programs wrap long quoted lines and leave the rest without a mark
    fn join_wraps(&mut self) {
        for i in 1..self.end.saturating_sub(1) {
            let wrapped = self.kinds[i] == LineKind::Own
                && self.kinds[i - 1] == LineKind::Quoted
                && self.kinds[i + 1] == LineKind::Quoted
                && (60..=90).contains(&self.lines[i - 1].chars().take(91).count())
                && self.lines[i].chars().take(40).count() < 40
                && self.lines[i].starts_with(|c: char| c.is_alphanumeric() && !c.is_uppercase());
            if wrapped {
                self.kinds[i] = LineKind::Quoted;
            }
        }
    }

    fn ranges(&self) -> Vec<Range<usize>> {
        let mut ranges = Vec::new();
        let keeps = self.keeps_quotes();
        let mut i = 0;
        while i < self.end {
            if !matches!(self.kinds[i], LineKind::Quoted | LineKind::Attribution) {
                i += 1;
                continue;
            }
            let block = self.block(i);
            if self.cuts(&block) && (!keeps || self.is_last(&block)) {
                let floor = ranges.last().map_or(0, |last: &Range<usize>| last.end);
                ranges.push(self.with_rule(&block).max(floor)..block.end);
            } else {
                ranges.extend(lines::runs(block.clone(), |j| self.kinds[j] == LineKind::Attribution));
            }
            i = block.end;
        }
        if self.end < self.lines.len() {
            ranges.push(self.end..self.lines.len());
        }
        ranges
    }

    /// The quoted lines and attributions from here on, with the blank lines between them
    fn block(&self, start: usize) -> Range<usize> {
        let mut end = start;
        for i in start..self.end {
            match self.kinds[i] {
                LineKind::Own => break,
                LineKind::Blank => {}
                _ => end = i + 1,
            }
        }
        start..end
    }

    /// Where a quotation starts: at the end of a text with the rule above it, which stands apart
    fn with_rule(&self, block: &Range<usize>) -> usize {
        let rule = lines::rule_above(self.lines, block.start);
        let apart = rule > 0 && is_blank(self.lines[rule - 1]);
        if apart && self.is_last(block) { rule } else { block.start }
    }

    fn is_attributed(&self, block: &Range<usize>) -> bool {
        self.kinds[block.clone()].contains(&LineKind::Attribution)
    }

    /// True if no answer follows, at most a signature
    fn is_last(&self, block: &Range<usize>) -> bool {
        self.last_own.is_none_or(|last| last < block.end)
    }

    fn cuts(&self, block: &Range<usize>) -> bool {
        let quotes = self.kinds[block.clone()].contains(&LineKind::Quoted);
        quotes && (self.is_attributed(block) || self.first_own.first().is_some_and(|&own| own < block.start))
    }

    /// True if the text continues around a quotation, so that the quotation is part of it. Decided by the first marked
    /// quotation: answers between quotations start with an attribution, answers above history end with one.
    fn keeps_quotes(&self) -> bool {
        let first = (0..self.end).find(|&i| matches!(self.kinds[i], LineKind::Quoted));
        let Some(quoted) = first else { return false };
        let start = (0..quoted)
            .rev()
            .take_while(|&i| self.kinds[i] != LineKind::Own)
            .find(|&i| self.kinds[i] == LineKind::Attribution);
        match start {
            None => self.first_own.first().is_none_or(|&own| own > quoted),
            Some(_) => self.has_text(quoted) && !self.is_last(&self.block(quoted)),
        }
    }
}

fn is_greeting(line: &str) -> bool {
    let lower = lower(line);
    let first = lower.split(|c: char| !c.is_alphanumeric()).next().unwrap_or("");
    words(line) <= 5 && (line.ends_with([',', '，']) || lexicon::has(GREETINGS, first))
        || line.chars().count() <= 12 && GREETINGS.iter().any(|g| g.starts_with(lines::is_cjk) && lower.starts_with(g))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let cut = cut(&lines::split(text));
        assert_eq!(lines::join(&cut.kept), expected, "{text}");
    }

    #[test]
    fn header_lines_that_are_announced_are_text() {
        let form =
            "A new ticket:\n\nFrom: Bob <b@example.com>\nDate: 3 May 2016 10:10\nTo: Help\nSubject: x\n\nIt hums.";
        check(form, form);
        check(&form.replace("A new", "New"), "New ticket:");
        check(&form.replace("ticket:", "ticket."), "A new ticket.");
        check(
            &form.replace("A new ticket:", "My answers are in red below:"),
            "My answers are in red below:\n\n\nIt hums.",
        );
        check(&form.replace("From:", "-----Original Message-----\nFrom:"), "A new ticket:");
        let chinese = "这是客户写给我们的内容：\n\n发件人: 李四 <li@example.com>\n发送时间: 2016年5月2日\n收件人: 王五\n主题: x\n\n你好";
        check(chinese, chinese);
    }

    #[test]
    fn history_below_an_answer() {
        for history in [
            "On Tue, 3 May 2016 at 10:10, Bob <b@example.com> wrote:\n> hi\n> there",
            "On Tue, 3 May 2016 at 10:10, Bob <b@example.com> wrote:\n\nhi there\n\nBob",
            "Am 3. Mai 2016 um 10:10 schrieb Bob <b@example.com>:\n\nHallo",
            "在 2016年12月12日，下午8:45，Bob <b@example.com> 写道：\n\n你好",
            "-----Original Message-----\nFrom: Bob\nSent: Monday\nTo: Ann\nSubject: x\n\nhi",
            "-----Ursprüngliche Nachricht-----\nVon: Bob\n\nhi",
            "________________________________\nFrom: Bob <b@example.com>\nSent: Monday, May 2, 2016\nTo: Ann\nSubject: x\n\nhi",
            "De : Bob <b@example.com>\nEnvoyé : lundi 2 mai 2016 10:10\nÀ : Ann\nObjet : x\n\nbonjour",
            "发件人: Bob <b@example.com>\n发送时间: 2016年5月2日\n收件人: Ann\n主题: x\n\n你好",
            "От: Bob <b@example.com>\nОтправлено: 2 мая 2016\nКому: Ann\nТема: x\n\nпривет",
            "差出人: Bob <b@example.com>\n送信日時: 2016年5月2日\n宛先: Ann\n件名: x\n\nこんにちは",
            "Aldığı kişi: Bob <b@example.com>\nNeyse: 2 Mayıs 2016 10:10\nKime ki: Ann\nKonusu: x\n\nmerhaba",
            "พนักงาน: บ๊อบ <b@example.com>\nเวลานี้: 2 พฤษภาคม 2016 10:10\nปลายทาง: Ann\nหัวข้อ: x\n\nสวัสดี",
            "##- Please type your reply above this line -##\n\nYour request (4711) has been updated.",
            "##- Vastaa tämän viivan yläpuolelle, ole hyvä -##\n\nPyyntösi on päivitetty.",
            "--- Reply above this line ---\n\nDana, Jun 11, 09:12:\n\nHas invoice 77 been paid?",
            "Write ABOVE THIS LINE to post a reply\n\nDana commented on this.",
            "-- Bitte antworten Sie nur oberhalb: Antwort über dieser Zeile --\n\nDana schrieb etwas.",
            "---- Replied Message ----\n| From | Bob<b@example.com> |\n| Date | 06/11/2024 09:12 |\n| Cc | Ann<a@example.com>,\nAl<c@example.com> |\n| Subject | x |\n\nhi",
            "---- 回复的原邮件 ----\n| 发件人 | 李四<li@example.com> |\n| 日期 | 2024年06月11日 09:12 |\n| 主题 | x |\n你好",
            "------------------ Original ------------------\nFrom: \"Bob\"<b@example.com>;\nDate: Tue, Jun 11, 2024 09:12 AM\nTo: \"Ann\"<a@example.com>;\nSubject: x\n\nhi",
            "---- Replied Message ----\nFrom\nBob<b@example.com>\nDate\n06/11/2024 09:12\nTo\nAnn\nSubject\nx\nhi",
            "---- Algupärane kiri ----\nTeema: x\nKuupäev: 11.06.2024 09:12\nXyzt: Bob <b@example.com>\nSaaja: Ann\n\ntere",
            ">>> Bob Smith <bob@example.com> 5/3/2016 10:10 AM >>>\nWhen?\n\nBob",
            "-----Bob Smith/ACME wrote: -----\nTo: Ann\nFrom: Bob Smith/ACME\nDate: 01/05/2012 09:00AM\nSubject: x\n\nhi",
            "Bob Smith@ACME\n01/05/2000 09:00 AM\nTo: Ann Jones/HOU/ACME@ACME\ncc: \nSubject: Re: x\n\nhi",
            "Bob Smith <b@example.com>\n04/19/2011 07:10 PM\n\nTo\nAnn <a@example.com>\ncc\n\nSubject\nRe: x\n\nhi",
            "________________________________\nFrom: Bob\nSent: Monday\nhi",
            "From:  Bob Smith                           01/05/2000 09:00 AM\n\t\nTo:\tAnn Jones\ncc:\nSubject:\tx\n\nhi",
            "كتب Dana Fox <dana@example.com> في 11 يونيو 2024:\n\nمرحبا",
            "> quoted without a word\n> of who wrote it",
            "----------------------------------------\n> quoted without a word\n> of who wrote it",
            "> On 3 May 2016, at 10:10, Bob <b@example.com> wrote:\n> \n> hi",
        ] {
            check(&format!("My answer.\n\n{history}"), "My answer.");
        }
    }

    #[test]
    fn a_ticket_without_an_answer_loses_its_marker_only() {
        check("##- Please type your reply above this line -##\n\nYour request is closed.", "Your request is closed.");
        let prose =
            "We tell people to reply above this line of the form, but hardly anybody does so in practice, it seems.";
        check(prose, prose);
        let form = "A message from the site:\n\nName: Bob <b@example.com>\nPhone: 2016 555 1010\nTopic: x\nText: y";
        check(form, form);
    }

    #[test]
    fn answers_between_quotations_stay() {
        check("Bob writes:\n> one\nYes.\n> two\nNo.", "Yes.\nNo.");
        check("Hi Bob,\n\nOn 3 May 2016 10:10, Bob <b@example.com> wrote:\n> one\n\nYes.", "Hi Bob,\n\n\nYes.");
        check(
            "Hallo,\n\nvielen Dank.\n\nAm 3. März schrieb Anna ‹a@example.com›:\n> eins\n\nJa.",
            "Hallo,\n\nvielen Dank.\n\n\nJa.",
        );
        check("Danke,\n\nAm 3. März schrieb Anna ‹a@example.com›:\n\nWann kommst du?", "Danke,");
        check("In article <1@example.edu>, b@example.edu (Bob) writes:\n: one\n: two\nYes.\n: three\nNo.", "Yes.\nNo.");
        check("In article <1@example.edu> b@example.edu writes:\n|> one\n|> two\nYes.", "Yes.");
        check("Aaron Smith <a@example.edu> writes:\nAaron> one\nYes.\nAaron> two\nNo.", "Yes.\nNo.");
        check("-----Original Message-----\nFrom: Bob\nSubject: x\n\n> one\nYes.", "Yes.");
    }

    #[test]
    fn answers_inside_history_stay() {
        let history = "1. Is it paid?\nYes, on Monday.\n2. Who comes?\nAli.";
        for header in [
            "From: Bob <b@example.com>\nSent: Monday, May 2, 2016\nTo: Ann\nSubject: x",
            "-----Original Message-----\nFrom: Bob\nSubject: x",
            "On Tue, 3 May 2016 at 10:10, Bob <b@example.com> wrote:",
        ] {
            let below = format!("{header}\n\n{history}");
            check(
                &format!("My answers are in red below.\n\n{below}"),
                &format!("My answers are in red below.\n\n\n{history}"),
            );
            check(&format!("Thanks for your answer.\n\n{below}"), "Thanks for your answer.");
        }
    }

    #[test]
    fn what_is_part_of_the_text_stays() {
        for text in [
            "> A quotation that nobody is named for\n\nand a thought on it.",
            "> x <- c(1, 2)\n> mean(x)\n[1] 1.5",
            "It prints:\n\n>>> print(x)\n1\n\nwhich is wrong.",
            "On the other hand:\n\n- one\n- two",
            "In his 2019 book, Smith wrote:\n\nBooks are long.",
            "msg <- ## special case for decently written 'all.equal(*)':\nfoo",
            "Bugs:\n\nSubject: one\nFrom: a@example.com\nDate: 1 May\n\nSubject: two\nFrom: b@example.com\nDate: 2 May",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn a_quotation_in_the_middle_of_a_text_stays() {
        check(
            "I read this today.\nOn 3 May 2016 10:10, Bob <b@example.com> wrote:\n> one\n\nand I agree.",
            "I read this today.\n> one\n\nand I agree.",
        );
    }

    #[test]
    fn wrapped_quotations_are_one() {
        let long = "> ".to_string() + &"word ".repeat(14);
        check(&format!("Bob writes:\n{long}\nend of it\n> more\nYes."), "Yes.");
    }
}
