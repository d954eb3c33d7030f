//! Label files, good and bad.

use super::*;

fn text(input: &str) -> Result<LabelSet> {
    LabelSet::from_text("t".into(), input)
}

fn fails(result: Result<LabelSet>, needle: &str) {
    let message = format!("{:#}", result.unwrap_err());
    assert!(message.contains(needle), "{message:?} lacks {needle:?}");
}

#[test]
fn text_form() {
    let set = text("# inbox\n\ninvoice: a bill, to pay\n会议通知：会议邀请\nplain  \nurl: see http://x\n").unwrap();
    let names: Vec<_> = set.labels.iter().map(|l| (&*l.name, l.description.as_deref())).collect();
    let expected = [
        ("invoice", Some("a bill, to pay")),
        ("会议通知", Some("会议邀请")),
        ("plain", None),
        ("url", Some("see http://x")),
    ];
    assert_eq!(names, expected);
}

#[test]
fn bad_text_names_the_line() {
    fails(text("a\n: no name\n"), "line 2: the label has no name");
    fails(text("a: x\n\nb\na: y\n"), "line 4: the label \"a\" stands on line 1");
    fails(text("# only a comment\n"), "no label");
    fails(text("be\u{7}ll: x"), "control character");
    fails(text("a: x\nb\u{fffd}\n"), "line 2: the label \"b\u{fffd}\" holds a character that could not be read");
    fails(text("a\nb # the rest\n"), "line 2: a comment stands on a line of its own; write `b: the rest`");
    fails(text("[[label]]\nname = \"a\"\n"), "line 1: this looks like TOML");
}

#[test]
fn toml_form() {
    let input = "instruct = \"Route it\"\nthreshold = 0.4\n[[label]]\nname = \"billing\"\ndescription = \"money\"\n\
                 threshold = 0.7\nexamples = [\"refund\"]\n[[label]]\nname = \"other\"\n";
    let set = LabelSet::from_toml("t".into(), input).unwrap();
    assert_eq!(set.instruct.as_deref(), Some("Route it"));
    assert_eq!(set.labels[0].examples, ["refund"]);
    assert_eq!(set.threshold(0, Some(0.5)), Some(0.7));
    assert_eq!(set.threshold(1, Some(0.5)), Some(0.5));
    assert_eq!(set.threshold(1, None), Some(0.4));
}

#[test]
fn bad_toml_names_the_line() {
    let toml = |input: &str| LabelSet::from_toml("t".into(), input);
    fails(toml("[[label]]\nname = \"a\"\n[[label]]\nname = \"a\"\n"), "line 3");
    fails(toml("[[label]]\nname = \"a\"\n[[label]]\nname = \" a\"\n"), "line 3");
    fails(toml("[[label]]\nnmae = \"a\"\n"), "nmae");
    fails(toml("threshold = 7.0\n[[label]]\nname = \"a\"\n"), "not a score");
    fails(toml("instruct = \"x\"\n"), "no label");
}

#[test]
fn arguments() {
    let set = LabelSet::from_arguments(&["a: b".into(), "c".into()]).unwrap();
    assert_eq!(set.labels.len(), 2);
    fails(LabelSet::from_arguments(&["a".into(), "a".into()]), "given twice");
    fails(LabelSet::from_text("x".into(), "caf\u{e9}\ncafe\u{301}\n"), "stands on line 1 already");
}

#[test]
fn other_files_are_named() {
    let named = |text: &str| no_labels(text).unwrap_or("labels");
    let mail = "Return-Path: <a@b>\nReceived: from x\nSubject: Hello\n\nText: here\n";
    assert_eq!(named(mail), "is a mail");
    assert_eq!(named(&format!("From a@b Mon Jan  1 10:07:00 2024\n{mail}")), "is a mailbox");
    assert_eq!(named("{\"text\":\"a\"}\n{\"text\":\"b\"}\n"), "is JSON");
    assert_eq!(named("[\n1\n]"), "is JSON");
    assert_eq!(named("\n<!DOCTYPE html>\n<html>"), "is markup");
    let labels =
        ["From my boss\nreceived: goods that came\n", "\"urgent\"\n", "{internal}: ours\n", "# x\nmessage-id: y\n"];
    for text in labels.into_iter().chain(["[[label]]\nname = \"a\"", "[urgent]: x\n", "1\n2\n"]) {
        assert_eq!(named(text), "labels", "{text}");
    }
}

#[test]
fn written_sets_are_read_again() {
    let input = "instruct = \"Route it\"\nthreshold = 0.4\n[[label]]\nname = \"a \\\"b\\\"\"\ndescription = \"two\\nlines\"\n\
                 threshold = 0.7\nexamples = [\"refund\"]\n[[label]]\nname = \"other\"\n";
    let set = LabelSet::from_toml("t".into(), input).unwrap();
    let written = set.to_toml(&HashMap::from([("other", 0.8123)])).unwrap();
    assert!(written.contains("threshold = 0.4\n") && written.contains("threshold = 0.8123\n"), "{written}");
    let mut expected = set;
    expected.labels[0].threshold = None;
    expected.labels[1].threshold = Some(0.8123);
    assert_eq!(LabelSet::from_toml("t".into(), &written).unwrap(), expected);
}

/// The names and descriptions of a text, one a line, or what is wrong with it.
fn shown(result: Result<LabelSet>) -> String {
    match result {
        Ok(set) => {
            let label = |label: &Label| match (&label.description, label.threshold) {
                (None, None) => label.name.to_string(),
                (Some(description), None) => format!("{}: {description}", label.name),
                (description, Some(threshold)) => {
                    format!("{}: {} {threshold}", label.name, description.as_deref().unwrap_or_default())
                }
            };
            set.labels.iter().map(label).collect::<Vec<_>>().join("\n")
        }
        Err(error) => format!("{error:#}"),
    }
}

#[track_caller]
fn check(input: &str, expected: &str) {
    let bytes = input.as_bytes();
    let found = shown(LabelSet::parse("t".into(), bytes, "txt", None));
    assert!(
        found == expected || (found.contains(expected) && !expected.contains('\n')),
        "{input:?}: {found:?} is not {expected:?}"
    );
}

const TWO: &str = "invoice: a bill\nmeeting: a date";

#[test]
fn lists_of_documents_are_read() {
    for list in [
        "# Labels\n\n- invoice: a bill\n- meeting: a date\n",
        "* invoice: a bill\n* meeting: a date\n",
        "+ invoice: a bill\n+\tmeeting: a date\n",
        "- [ ] invoice: a bill\n- [x] meeting: a date\n",
        "• invoice: a bill\n• meeting: a date\n",
        "1. invoice: a bill\n2. meeting: a date\n",
        "1) invoice: a bill\n2) meeting: a date\n",
        "１、invoice：a bill\n２、meeting：a date\n",
        "（1）invoice：a bill\n（2）meeting：a date\n",
        "1. invoice: a bill\n1. meeting: a date\n",
        "＃ 备注：办公邮件\ninvoice：a bill\nmeeting： a date\n",
        "invoice\ta bill\nmeeting\t\ta date\n",
        "\"invoice\": a bill\n'meeting': a date\n",
        "“invoice”：a bill\n„meeting“: a date\n",
        "---\ninvoice: a bill\n\n***\nmeeting: a date\n",
        "invoice: a bill\n\u{200b}\nmeeting: a date\u{200b}\n\u{feff}\n",
        "invoice: a bill\rmeeting: a date\r",
        "\u{feff}invoice: a bill\r\nmeeting: a date\r\n",
        "name,description\ninvoice,a bill\nmeeting,a date\n",
        "Name;Description\r\ninvoice;a bill\r\n\r\nmeeting;\"a\ndate\"\r\n",
        "label\tdescription\ninvoice\ta bill\nmeeting\ta date\n",
        "description|name\na bill|invoice\na date|meeting\n",
    ] {
        check(list, TWO);
    }
    check("\"invoice\",\n\"meeting\",\n", "invoice\nmeeting");
    check("1.发票\n2.会议\n", "发票\n会议");
    check("name,description,threshold\n\"a, b\",,0.5\nc,d,\n", "a, b:  0.5\nc: d");
}

#[test]
fn an_open_quotation_mark_takes_no_labels_with_it() {
    let table = "name,description\ninvoice,\"a bill to pay\nmeeting,a date to meet\norder,something bought\n";
    fails(LabelSet::from_csv("t".into(), table), "line 2: a quotation mark is left open");
}

#[test]
fn marks_of_lists_are_no_part_of_names() {
    for mark in ["▪", "□", "➢", "✓", "§", "※", "・", "－", "\u{f0b7}", "☐", "→", "»", "- ☑"] {
        check(&format!("{mark} invoice: a bill\n{mark} meeting"), "invoice: a bill\nmeeting");
    }
    for [first, second] in [
        ["①", "②"],
        ["❶ ", "❷ "],
        ["一、", "二、"],
        ["（一）", "（二）"],
        ["a) ", "b) "],
        ["A. ", "B. "],
        ["[1] ", "[2] "],
        ["1.) ", "2.) "],
        ["【1】", "【2】"],
    ] {
        check(&format!("{first}invoice\n{second}发票"), "invoice\n发票");
    }
    let ten: Vec<String> = "一二三四五六七八九".chars().map(String::from).chain(["十".into(), "十一".into()]).collect();
    let items: String = ten.iter().map(|number| format!("{number}、x{number}\n")).collect();
    check(&items, &ten.iter().map(|number| format!("x{number}")).collect::<Vec<_>>().join("\n"));
    fails(text("1. invoice\n3. meeting\n4. order"), "line 1: the numbers");
    fails(text("Our labels\n1. invoice\n2. meeting"), "line 1: the numbers");
    check("🔥 urgent\nother", "🔥 urgent\nother");
    check("Vitamin C.\nE. coli", "Vitamin C.\nE. coli");
}

#[test]
fn bold_names_of_markdown() {
    let set = text("- **invoice**: amount due\n- **meeting:** a date\n- **order**\n").unwrap();
    let labels: Vec<_> = set.labels.iter().map(|label| (&*label.name, label.description.as_deref())).collect();
    assert_eq!(labels, [("invoice", Some("amount due")), ("meeting", Some("a date")), ("order", None)]);
}

#[test]
fn what_belongs_to_a_name_stays() {
    for names in [
        "1. Mahnung\n2. Mahnung\n3. Mahnung",
        "Rechnung\n1. Mahnung",
        "1.5 GB\n2.5 GB",
        "-50 %\n+1",
        "R&D / sales\nhuman resources, payroll",
        "a,b\nc",
        "'s-Hertogenbosch\nAmsterdam",
        "\"Best of\" mail\nother",
        "C# and .NET\nF#",
        "می\u{200c}خواهم\nb",
        "👩\u{200d}💻\nb",
    ] {
        check(names, names);
    }
    check("R&D / sales: research, a, b", "R&D / sales: research, a, b");
    check("\"a, b\"", "a, b");
    check("\"Re: x\": replies\nb", "Re: x: replies\nb");
    check("only", "only");
}

#[test]
fn what_is_not_read_is_named() {
    for (input, expected) in [
        (
            "invoice,meeting,other\n",
            "line 1: it is one label, \"invoice,meeting,other\", and reads like several, separated by ','",
        ),
        ("# x\n发票、会议、其他\n", "line 2: it is one label"),
        ("发票，会议\n", "reads like several"),
        ("a/b/c", "reads like several"),
        ("a;b", "reads like several"),
        ("a | b", "reads like several"),
        ("a\tb\tc", "reads like several"),
        ("invoice: a bill, meeting: a date", "reads like several"),
        ("Labels:\n- a\n- b\n", "line 1: \"Labels:\" reads like the heading of a list; put a # before it"),
        ("My labels:\n1. a\n2. b\n", "line 1"),
        ("- a\nb\n", "line 2: \"b\" is no item of a list"),
        ("- name: invoice\n  description: a bill\n- name: meeting\n", "line 1: this looks like YAML"),
        ("name: invoice\ndescription: a bill\n", "line 1: this looks like YAML"),
        ("a: |\n  text\nb: x\n", "line 1: this looks like YAML"),
        ("\"a: x\"\n\"b: y\"\n", "line 1: the quotes stand around \"a: x\", which reads like name and description"),
        ("| name | description |\n|---|---|\n| a | x |\n", "line 1: the column"),
        ("name,description\na,b,c\n", "line 2: this row has 3 cells, and there are 2 columns"),
        ("name,description,note\na,b,c\n", "line 1: the column \"note\" is unknown"),
        ("name,description,threshold\na,b,high\n", "line 2: the threshold \"high\" is no number"),
        ("name,description\na,b\na,c\n", "line 3: the label \"a\" stands on line 2 already"),
        ("re\u{301}union: x\nréunion: y\n", "line 2: the label \"réunion\" stands on line 1 already"),
        ("a\u{200b}b: x\nab: y\n", "line 2: the label \"ab\" stands on line 1 already"),
        ("[\"a\", \"b\"]", "this is JSON"),
        ("invoice | a bill\nmeeting | a date\n", "line 1: \"invoice | a bill\" and others hold \"|\""),
        ("# x\n| a | x |\n| b | y |\n", "line 2: \"| a | x |\" and others"),
        ("a; x\nb; y\n", "hold \";\""),
        ("a - x\nb – y\nc\n", "hold \" - \""),
        ("- a\n  - x\n- b\n", "line 2: \"- x\" is indented"),
        ("a——x\nb——y\n", "hold \"——\""),
        ("a: x\n to pay\nb\n", "line 2: \"to pay\" is indented"),
        ("a, x\nb, y\n", "hold \",\""),
        ("a = x\nb = y\n", "hold \" = \""),
        ("发票，付款\n会议，日程\n", "hold \"，\""),
        ("[labels]\na = x\n", "line 1: \"[labels]\" looks like the head of a section"),
        ("<ul>\n<li>a</li>\n</ul>\n", "line 1: \"<ul>\" looks like HTML"),
        ("{\\rtf1\\ansi a\\par b}", "this is RTF"),
        ("a\n// b\nc\n", "line 2: \"// b\" looks like a comment"),
        ("a: x\n  and y\nb: z\n", "line 2: \"and y\" is indented"),
        ("a\n\tx\nb\n\ty\n", "line 2: \"x\" is indented"),
    ] {
        check(input, expected);
    }
    fails(
        LabelSet::parse("t".into(), b"invoice,a bill\nmeeting,a date\n", "csv", None),
        "line 1: the first line of a table",
    );
    fails(LabelSet::from_arguments(&["a,b,c".into()]), "--label \"a,b,c\": it is one label");
    assert_eq!(LabelSet::from_arguments(&["a,b".into(), "c".into()]).unwrap().labels.len(), 2);
    assert_eq!(shown(LabelSet::from_arguments(&["\"a,b\"".into()])), "a,b");
    assert_eq!(shown(LabelSet::parse("t".into(), b"invoice\nmeeting\n", "csv", None)), "invoice\nmeeting");
}

#[test]
fn charsets_of_files() {
    let text = "发票：付款\n会议：日程安排\n投诉：客户不满意\n系统告警：服务器异常\n";
    let expected = "发票: 付款\n会议: 日程安排\n投诉: 客户不满意\n系统告警: 服务器异常";
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let gbk = encoding_rs::GBK.encode(text).0;
    let parsed =
        |bytes: &[u8], name: Option<&str>| LabelSet::parse("t".into(), bytes, "txt", name.and_then(charset::named));
    for bytes in [&gbk[..], &utf16(text), &utf16(&format!("\u{feff}{text}")), text.as_bytes()] {
        assert_eq!(shown(parsed(bytes, None)), expected);
    }
    for (bytes, name) in [(&gbk[..], "gbk"), (text.as_bytes(), "gbk"), (&utf16(text), "utf-16le")] {
        assert_eq!(shown(parsed(bytes, Some(name))), expected, "{name}");
    }
    fails(parsed(&encoding_rs::GBK.encode("负面\n").0, None), "--encoding");
    let toml = utf16("\u{feff}[[label]]\r\nname = \"发票\"\r\n");
    assert_eq!(shown(LabelSet::parse("t".into(), &toml, "toml", None)), "发票");
}

#[test]
fn headers_of_labels() {
    let toml =
        |headers: &str| LabelSet::from_toml("t".into(), &format!("[[label]]\nname = \"a\"\nheaders = {headers}\n"));
    let set =
        toml("[{ \"List-Id\" = \"*\", Precedence = [\"bulk\", \"list\"] }, { \"In-Reply-To\" = { not = \"*\" } }]")
            .unwrap();
    let names: Vec<&str> = set.labels[0].headers.as_ref().unwrap().names().collect();
    assert_eq!(names, ["list-id", "precedence", "in-reply-to"]);
    let written = set.to_toml(&HashMap::new()).unwrap();
    assert_eq!(LabelSet::from_toml("t".into(), &written).unwrap(), set, "{written}");
    fails(
        toml("{ \"List-Id\" = \"/(/\" }"),
        "line 1: the headers of the label \"a\": the header \"List-Id\": the pattern \"/(/\"",
    );
}
