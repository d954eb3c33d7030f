//! What mail programs read in messages of every shape, before and after a field was put in.

use std::io::Write;
use std::process::{Command, Stdio};

use super::{Field, marked};
use crate::requirements::lacks;

/// Reads pairs of a message and the same with a field, each with its length before it, and prints the pairs that differ
/// in more than the field.
const PYTHON: &str = r#"
import re, struct, sys
from email import message_from_bytes, policy

def read(mail, policy):
    message = message_from_bytes(mail, policy=policy)
    fields = [(name, str(value)) for name, value in message.items()]
    ours = [value for name, value in fields if name.lower().startswith("x-mailsort")]
    # A line that goes from a body takes one of its line ends or of those before it.
    body = re.sub(r"(?im)(^|(?<=\r))x-mailsort[^\r\n]*(\r\n|\r|\n|\Z)([ \t][^\r\n]*(\r\n|\r|\n|\Z))*", "", message.get_payload())
    body = re.sub(r"[\r\n]+", "\n", "\n" + body)
    return ours, [field for field in fields if not field[0].lower().startswith("x-mailsort")], message.get_unixfrom(), body

mails = sys.stdin.buffer.read()
value, count, at = sys.argv[1], 0, 0
def take():
    global at
    length, = struct.unpack_from("<I", mails, at)
    at += 4 + length
    return mails[at - length : at]
while at < len(mails):
    before, after, count = take(), take(), count + 1
    for known in policy.compat32, policy.default:
        one, two = read(before, known), read(after, known)
        is_same = one[1:] == two[1:]
        # Continuation lines of nothing, with a lone carriage return: there is no position behind them.
        if re.match(rb"(From [^\n]*\n)?([ \t][^\n]*\n)*[ \t][^\n]*\r[^\n]", before):
            is_same = two[3].endswith(one[3])
        if two[0] != [value] or not is_same:
            print(before, after, one, two, sep="\n", end="\n\n")
            break
print(count, "read")
"#;

fn field() -> Field {
    Field::verdict("bills", true, 0.5, "builtin", None)
}

/// What a program writes that gets these bytes; `None` if the test lacks it.
fn output(requirement: &str, command: &[&str], bytes: &[u8]) -> Option<String> {
    let (program, arguments) = command.split_first().unwrap();
    let started = Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = started else {
        lacks(requirement, format!("{program} cannot be run"));
        return None;
    };
    let mut stdin = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    // A program need not read all of it.
    let writing = std::thread::spawn(move || drop(stdin.write_all(&bytes)));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Numbers that look random and are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn of<'p>(&mut self, pieces: &[&'p str]) -> &'p str {
        pieces[self.below(pieces.len())]
    }
}

const PIECES: [&str; 24] = [
    "Subject: x",
    "To: a b",
    "Content-Type: text/plain; charset=utf-8",
    "X-Long: a\r\n b\n\tc",
    "Cc: a\r b\rDate: c",
    "X-Odd: a\r\rb",
    " folded",
    "\tfolded",
    " ",
    " X-Mailsort: folded",
    "prose, and more",
    "Spaced : x",
    ": nameless",
    "\u{c}form feed",
    "\u{b}: vertical",
    "\rreturn",
    "\u{0}",
    "Nul: a\u{0}b",
    "\u{dc}ber: x",
    "From: b",
    "",
    "",
    "Xy",
    "\u{1c}: x",
];
const FORGED: [&str; 4] = [
    "X-Mailsort: forged",
    "x-MAILSORT-Unsure: forged\n folded",
    "Received: a\rX-Mailsort: b\r c\rDate: d",
    "X-Mailsort: a\rBcc: b",
];

fn mail(random: &mut Random) -> Vec<u8> {
    let endings = match random.below(4) {
        0 => &["\r\n"][..],
        1 => &["\n", "\r\n", "\n", "\r"],
        _ => &["\n"],
    };
    let mut mail = String::new();
    let is_forged = random.below(2) == 0;
    if !is_forged && random.below(3) == 0 {
        mail += "From a@b Sat Jan  3 01:05:34 1996\n";
    }
    for _ in 0..random.below(7) {
        mail += if is_forged && random.below(3) == 0 { random.of(&FORGED) } else { random.of(&PIECES) };
        mail += random.of(endings);
    }
    mail += random.of(&["", "\nbody\n", "\r\n\r\nbody\r\n", "end", "\nX-Mailsort: text\n"]);
    mail.into_bytes()
}

#[test]
fn python_reads_one_field_more_and_nothing_else() {
    let mut random = Random(15);
    let mut pairs = Vec::new();
    for _ in 0..6000 {
        let mail = mail(&mut random);
        for bytes in [&mail, &marked(&mail, &[field()]).concat()] {
            pairs.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
            pairs.extend_from_slice(bytes);
        }
    }
    let value = "bills; score=0.5000; model=builtin";
    let Some(said) = output("python3", &["python3", "-c", PYTHON, value], &pairs) else { return };
    assert_eq!(said, "6000 read\n", "{}", said.split("\n\n").count());
}

/// A message, and whether formail reads a header in it, which ends the block at a continuation of nothing.
const MAILS: [(&str, bool); 12] = [
    ("Subject: x\n\nbody\n", true),
    ("Subject: x\n y\nX-Mailsort: forged\n z\n\nbody\n", true),
    (" X-Mailsort: folded\nSubject: x\n\nbody\n", false),
    ("\u{c}prose\nX-Mailsort: forged\n\nbody\n", true),
    ("\rprose\nX-Mailsort: forged\n\nbody\n", true),
    ("Subject: x\n\u{c}prose\nX-Mailsort: forged\n\nbody\n", true),
    ("Subject: x\n\rprose\n\nbody\n", true),
    ("Subject: x\n\u{b}: prose\n\nbody\n", true),
    ("prose\nX-Mailsort: forged\n\nbody\n", true),
    ("\nX-Mailsort: text\n\nbody\n", true),
    ("Subject: x\n\r\nX-Mailsort: forged\n\nbody\n", true),
    ("Subject: x\r\n\r\nbody\r\n", true),
];

#[test]
fn formail_reads_one_field() {
    for (mail, is_read) in MAILS {
        let mail = marked(mail.as_bytes(), &[field()]).concat();
        let Some(said) = output("procmail", &["formail", "-c", "-f", "-x", "X-Mailsort:"], &mail) else { return };
        let expected = if is_read { "bills; score=0.5000; model=builtin" } else { "" };
        assert_eq!(said.trim(), expected, "{}", mail.escape_ascii());
    }
}

#[test]
fn reformail_reads_one_field() {
    for (mail, _) in MAILS {
        let mail = marked(mail.as_bytes(), &[field()]).concat();
        let Some(said) = output("maildrop", &["reformail", "-x", "X-Mailsort:"], &mail) else { return };
        assert_eq!(said.trim(), "bills; score=0.5000; model=builtin", "{}", mail.escape_ascii());
    }
}

#[test]
fn nothing_forged_is_left_for_programs_that_read_on() {
    for forged in ["\n\nX-Mailsort: forged\n\n", "a\nX-Mailsort : forged\n\n", "A: b\n\r\nX-Mailsort: forged\n\n"] {
        let mail = marked(forged.as_bytes(), &[]).concat();
        for (requirement, command) in [
            ("procmail", &["formail", "-c", "-f", "-x", "X-Mailsort:"][..]),
            ("maildrop", &["reformail", "-x", "X-Mailsort:"]),
        ] {
            let Some(said) = output(requirement, command, &mail) else { return };
            assert_eq!(said.trim(), "", "{forged:?}");
        }
    }
}
