//! Tables as inputs and outputs: one record a row, with the row's own cells beside it, whatever the form and charset.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::eval::folder_of;
use crate::mailsort::{Run, mailsort};

const LABELS: [&str; 4] =
    ["--label", "invoice: a bill, please pay the amount due", "--label", "meeting: let us meet and talk, agenda"];

const TICKETS: &str = "nr,Subject,Message,team\n1,Invoice,\"Please pay\nthe invoice\",north\n2,Meeting,\"let us meet and talk, agenda\",-5\n";

fn classify(folder: &Path, arguments: &[&str]) -> Run {
    mailsort(["classify"]).args(LABELS).args(arguments).in_folder(folder)
}

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    folder_of(files.iter().copied())
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Standard output of a run that must end with a status.
#[track_caller]
fn printed(run: Run, status: i32) -> String {
    let output = run.output();
    assert_eq!(output.status.code(), Some(status), "{}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// The rows of CSV, as cells by name.
fn rows(csv: &[u8], delimiter: u8) -> Vec<Vec<(String, String)>> {
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(csv);
    let names: Vec<String> = reader.headers().unwrap().iter().map(String::from).collect();
    let cells = |row: csv::StringRecord| names.iter().cloned().zip(row.iter().map(String::from)).collect();
    reader.records().map(|row| cells(row.unwrap())).collect()
}

fn cell<'r>(row: &'r [(String, String)], name: &str) -> &'r str {
    row.iter().find(|(own, _)| own == name).map(|(_, cell)| cell.as_str()).unwrap_or("no such column")
}

fn labels_of(records: &[Value]) -> Vec<&str> {
    records.iter().map(|record| record["label"].as_str().unwrap_or("none")).collect()
}

fn utf16(text: &str) -> Vec<u8> {
    format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[test]
fn csv_comes_out_as_csv_with_its_own_columns_in_front() {
    for (name, delimiter) in [("t.csv", ','), ("t.txt", ';'), ("t.psv", '|')] {
        let table = TICKETS.replace(',', &delimiter.to_string());
        let folder = folder(&[(name, table.as_bytes())]);
        let out = printed(classify(folder.path(), &[name, "-k", "1"]), 0);
        let found = rows(out.as_bytes(), delimiter as u8);
        let names: Vec<&str> = found[0].iter().map(|(name, _)| name.as_str()).collect();
        let expected =
            ["nr", "Subject", "Message", "team", "source", "index", "label", "score", "error", "label_1", "score_1"];
        assert_eq!(names, expected, "{name}");
        assert_eq!((cell(&found[0], "Message"), cell(&found[0], "label")), ("Please pay\nthe invoice", "invoice"));
        // A number is no formula.
        assert_eq!(
            (cell(&found[1], "team"), cell(&found[1], "label"), cell(&found[1], "index")),
            ("-5", "meeting", "1")
        );
    }
    let folder = folder(&[("t.tsv", TICKETS.replace(", ", " ").replace(',', "\t").as_bytes())]);
    let out = printed(classify(folder.path(), &["t.tsv"]), 0);
    assert!(out.starts_with("nr\tSubject\tMessage\tteam\tsource\t") && out.lines().count() == 3, "{out}");
}

#[test]
fn json_lines_keep_the_row_as_an_object() {
    let folder = folder(&[("t.csv", TICKETS.as_bytes())]);
    let records = classify(folder.path(), &["t.csv", "-f", "jsonl"]).records();
    assert_eq!(labels_of(&records), ["invoice", "meeting"]);
    assert_eq!((&records[0]["subject"], &records[0]["row"]["team"]), (&Value::from("Invoice"), &Value::from("north")));
    let shown = mailsort(["show", "t.csv"]).in_folder(folder.path()).records();
    assert_eq!((&shown[0]["body"], &shown[0]["row"]["nr"]), (&"Please pay\nthe invoice".into(), &"1".into()));
    // Columns are joined, and named without case.
    let flags = ["t.csv", "--text-field", "message", "--text-field", "TEAM", "--id-field", "nr", "--id-field", "team"];
    let shown = mailsort(["show"]).args(flags).in_folder(folder.path()).records();
    assert_eq!((&shown[0]["body"], &shown[0]["id"]), (&"Please pay\nthe invoice\n\nnorth".into(), &"1 north".into()));
}

#[test]
fn arrays_come_out_as_arrays() {
    let array = r#"[ {"title":"Invoice","body":"<div><p>Please pay</p><style>p{}</style></div>","nr":7,"tags":["a"]},
        {"body":"let us meet"}, {"nothing":1} ]"#;
    let folder = folder(&[("t.json", array.as_bytes()), ("none.json", b"[]")]);
    let out = printed(classify(folder.path(), &["t.json"]), 1);
    let records: Vec<Value> = serde_json::from_str(&out).unwrap();
    assert_eq!(labels_of(&records), ["invoice", "meeting", "none"]);
    assert_eq!((&records[0]["row"]["nr"], &records[0]["row"]["tags"][0]), (&Value::from(7), &Value::from("a")));
    assert!(records[2]["error"].as_str().unwrap().contains("--text-field"), "{out}");
    let shown = mailsort(["show", "t.json"]).in_folder(folder.path()).records();
    assert_eq!(shown[0]["body"].as_str().unwrap().trim(), "Please pay");
    assert_eq!(printed(classify(folder.path(), &["none.json"]), 0), "[]\n");
    let out = printed(classify(folder.path(), &["-"]).stdin(array), 1);
    assert_eq!(serde_json::from_str::<Vec<Value>>(&out).unwrap().len(), 3);
}

#[test]
fn workbooks_are_written_and_read() {
    let table = TICKETS.replace("north", "=1+1").replace("Invoice", "Rechnung für März");
    let folder = folder(&[("t.csv", table.as_bytes())]);
    printed(classify(folder.path(), &["t.csv", "-o", "t.xlsx"]), 0);
    for name in ["t.xlsx", "unnamed"] {
        fs::copy(folder.path().join("t.xlsx"), folder.path().join("unnamed")).unwrap();
        let records = classify(folder.path(), &[name, "-f", "jsonl"]).records();
        assert_eq!(labels_of(&records), ["invoice", "meeting"]);
        let row = &records[0]["row"];
        assert_eq!((&row["team"], &row["index"], &row["label"]), (&"=1+1".into(), &0.into(), &"invoice".into()));
        assert_eq!(row["Message"], "Please pay\nthe invoice");
    }
    // A workbook that is read comes out as CSV, and its own `label` keeps its name.
    let out = printed(classify(folder.path(), &["t.xlsx"]), 0);
    let found = rows(out.as_bytes(), b',');
    assert_eq!((cell(&found[1], "label"), cell(&found[1], "mailsort_label")), ("meeting", "meeting"));
    let error = classify(folder.path(), &["t.xlsx", "--sheet", "Sheet2", "-f", "jsonl"]).records();
    assert!(error[0]["error"].as_str().unwrap().contains("its sheets are \"Sheet1\""), "{error:?}");
}

#[test]
fn sheets_dates_and_numbers_of_a_workbook() {
    use rust_xlsxwriter::{ExcelDateTime, Format, Workbook};
    let folder = tempfile::tempdir().unwrap();
    let mut workbook = Workbook::new();
    let date = Format::new().set_num_format("yyyy-mm-dd");
    for (name, text) in [("North", "please pay"), ("Hidden", "secret"), ("Notes", "")] {
        let sheet = workbook.add_worksheet();
        sheet.set_name(name).unwrap().set_hidden(name == "Hidden");
        let names = if text.is_empty() { ["a", "b", "c"] } else { ["text", "when", "amount"] };
        for (column, name) in names.into_iter().enumerate() {
            sheet.write_string(1, 1 + column as u16, name).unwrap();
        }
        sheet.write_string(3, 1, text).unwrap();
        let day = ExcelDateTime::from_ymd(2024, 6, 11).unwrap();
        sheet.write_datetime_with_format(3, 2, &day, &date).unwrap();
        sheet.write_number(3, 3, 1234.5).unwrap();
        sheet.write_string(4, 1, "let us meet").unwrap();
        sheet.write_string(4, 7, "beside the table").unwrap();
    }
    workbook.save(folder.path().join("t.xlsx")).unwrap();
    let records = classify(folder.path(), &["t.xlsx", "-f", "jsonl"]).records();
    assert_eq!(labels_of(&records), ["invoice", "none", "none"]);
    let row = &records[0]["row"];
    assert_eq!((&row["when"], &row["amount"]), (&"2024-06-11".into(), &1234.5.into()));
    let errors: Vec<&str> = records[1..].iter().map(|record| record["error"].as_str().unwrap()).collect();
    assert!(errors[0].contains("row 5 of the sheet \"North\"") && errors[1].contains("\"Notes\""), "{errors:?}");
    let named = classify(folder.path(), &["t.xlsx", "-f", "jsonl", "--sheet", "Hidden"]).records();
    assert_eq!(named[0]["row"]["text"], "secret");
}

#[test]
fn one_charset_for_a_table() {
    let text = "编号,主题,text\n1,发票,请在本月三十日之前付款，谢谢\n2,会议,会议日程安排\n";
    let (gbk, _, _) = encoding_rs::GBK.encode(text);
    let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    zipped.write_all(&gbk).unwrap();
    let files: [(&str, &[u8]); 4] = [
        ("utf-8.csv", text.as_bytes()),
        ("gbk.csv", &gbk),
        ("unicode.txt", &utf16(&text.replace(',', "\t"))),
        ("gbk.csv.gz", &zipped.finish().unwrap()),
    ];
    let folder = folder(&files);
    for (name, bytes) in files {
        let check = |run: Run| {
            let shown = run.records();
            assert_eq!(shown.len(), 2, "{name}");
            assert_eq!(
                (&shown[1]["row"]["主题"], &shown[1]["body"]),
                (&"会议".into(), &"会议日程安排".into()),
                "{name}"
            );
        };
        check(mailsort(["show", name]).in_folder(folder.path()));
        check(mailsort(["show", "-"]).stdin(bytes));
    }
    let (short, _, _) = encoding_rs::GBK.encode("text\n负面\n");
    fs::write(folder.path().join("short.csv"), &short).unwrap();
    let show = |flags: &[&str]| mailsort(["show", "short.csv"]).args(flags).in_folder(folder.path()).records();
    let doubt = show(&[]);
    assert!(doubt.len() == 1 && doubt[0]["error"].as_str().unwrap().contains("--encoding"), "{doubt:?}");
    assert_eq!(show(&["--encoding", "gbk"])[0]["body"], "负面");
    assert!(show(&["--encoding", "utf-16"])[0]["error"].as_str().unwrap().contains("UTF-16"));
}

#[test]
fn encoding_of_lines_texts_and_pages_and_not_of_mail() {
    let row = "{\"text\":\"负面\"}\n";
    let page = "<html><meta charset=utf-8><p>负面</p></html>";
    let gbk = |text: &str| encoding_rs::GBK.encode(text).0.into_owned();
    let wide = utf16("{\"text\":\"Please pay the invoice\"}\r\n{\"text\":\"let us meet\"}\r\n");
    let folder = folder(&[
        ("a.jsonl", &gbk(row)),
        ("b.txt", &gbk("负面")),
        ("c.html", &gbk(page)),
        ("d.eml", "Subject: x\nContent-Type: text/plain; charset=utf-8\n\né\n".as_bytes()),
        ("e.txt", "负面".as_bytes()),
        ("wide.jsonl", &wide),
    ]);
    let show = |name: &str| mailsort(["show", name, "--encoding", "cp936"]).in_folder(folder.path()).records();
    for name in ["a.jsonl", "b.txt", "c.html"] {
        assert_eq!(show(name)[0]["body"].as_str().unwrap().trim(), "负面", "{name}");
    }
    assert_eq!(show("d.eml")[0]["body"], "é");
    assert_eq!(show("e.txt")[0]["body"], "负面");
    let broken = mailsort(["show", "a.jsonl"]).in_folder(folder.path()).records();
    assert!(broken[0]["error"].as_str().unwrap().contains("--encoding"), "{broken:?}");
    for run in [classify(folder.path(), &["wide.jsonl"]), classify(folder.path(), &["-"]).stdin(wide.clone())] {
        assert_eq!(labels_of(&run.records()), ["invoice", "meeting"]);
    }
    let output = mailsort(["show", "a.jsonl", "--encoding", "nonsense"]).in_folder(folder.path()).output();
    assert!(output.status.code() == Some(2) && said(&output).contains("not the name of a charset"));
}

#[test]
fn a_charset_in_doubt_is_told_of_and_never_learned() {
    let gbk = |text: &str| encoding_rs::GBK.encode(text).0.into_owned();
    let mail = |text: &str| [b"Subject: x\n\n".to_vec(), gbk(text)].concat();
    let long = "这个产品质量太差了，我要求马上退货并退还全部货款。";
    let files: [(&str, &[u8]); 6] = [
        ("s/bad/a.txt", &gbk("负面")),
        ("s/bad/b.txt", &gbk(long)),
        ("s/bad/c.eml", &mail("负面")),
        ("s/bad/d.eml", &mail(long)),
        ("s/good/a.txt", "很好用".as_bytes()),
        ("s/good/b.txt", b"It works for 3 \x80, and I am glad that I have bought it"),
    ];
    let folder = folder(&files);
    let show = mailsort(["show", "s"]).in_folder(folder.path()).output();
    assert!(show.status.success());
    let warnings = said(&show);
    assert!(warnings.contains("s/bad/a.txt [0] may be read wrongly: its charset is in doubt ("), "{warnings}");
    assert!(warnings.contains("gb18030") && !warnings.contains("b.txt") && !warnings.contains("c.eml"), "{warnings}");
    let classified = classify(folder.path(), &["s/bad/c.eml"]).output();
    assert!(said(&classified).contains("s/bad/c.eml [0] may be read wrongly"), "{}", said(&classified));
    let none = classify(folder.path(), &["s/bad/b.txt", "s/bad/d.eml", "s/good"]).output();
    assert_eq!(said(&none), "");
    // A name that is not believed is no answer, markup is no text, and the model sees subjects.
    let page = gbk("<html><body><p style=\"font-family:Arial;font-size:14px;color:#333\">负面</p></body></html>");
    let declared = [b"Content-Type: text/plain; charset=us-ascii\n".to_vec(), mail("负面")].concat();
    let subject = [b"Subject: ".to_vec(), gbk("负面"), b"\n\nPlease look at this one, and tell me\n".to_vec()].concat();
    for (name, bytes) in [("page.html", page), ("declared.eml", declared), ("subject.eml", subject)] {
        fs::write(folder.path().join(name), bytes).unwrap();
        let warned = said(&mailsort(["show", name]).in_folder(folder.path()).output());
        assert!(warned.contains(name), "{name}: {warned}");
    }
    let train = |flags: &[&str]| {
        let output = mailsort(["train", "s", "-o", "c.json"]).args(flags).in_folder(folder.path()).output();
        said(&output)
    };
    let left = train(&[]);
    assert!(left.contains("samples (2) that cannot be read") && left.contains("s/bad/c.eml [0]"), "{left}");
    let named = train(&["--encoding", "gbk"]);
    assert!(named.contains("1 sample that cannot be read") && !named.contains("a.txt"), "{named}");
    assert_eq!(
        mailsort(["show", "s/good/a.txt", "--encoding", "gbk"]).in_folder(folder.path()).records()[0]["body"],
        "很好用"
    );
}

#[test]
fn a_damaged_row_is_an_error_and_the_next_is_read() {
    let table = "id,text\n1,\"please pay\n2,let us meet\n3,a,b\n4\n5,please pay\n";
    let folder = folder(&[("t.csv", table.as_bytes())]);
    let records = classify(folder.path(), &["t.csv", "-f", "jsonl"]).records();
    let errors: Vec<&str> = records.iter().map(|record| record["error"].as_str().unwrap_or("")).collect();
    assert_eq!(labels_of(&records), ["none", "meeting", "none", "none", "invoice"]);
    assert!(errors[0].contains("quotation mark of line 2"), "{errors:?}");
    assert!(
        errors[2].contains("line 4 has 3 cells") && errors[3].contains("nothing in its column `text`"),
        "{errors:?}"
    );
    assert_eq!(records[2]["row"]["id"], "3");
    // In CSV the cells are there as well.
    let found = rows(printed(classify(folder.path(), &["t.csv"]), 1).as_bytes(), b',');
    assert_eq!(found.iter().map(|row| cell(row, "id")).collect::<Vec<_>>(), ["1", "2", "3", "4", "5"]);
}

#[test]
fn what_is_no_table_or_cannot_be_one_is_named() {
    let mail = "From: Ann <ann@example.com>\nTo: help@example.org\nSubject: Invoice 7\n\nPlease pay, now\n";
    let folder = folder(&[
        ("plain.csv", b"1,Please pay\n2,let us meet\n"),
        ("mail.csv", mail.as_bytes()),
        ("notes.txt", b"Please pay, and text me.\nYours, Ann\n"),
        ("old.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
        ("head.csv", b"id,text\n"),
        ("one.csv", b"text\nplease pay\nlet us meet, all of us\n"),
    ]);
    let first = |arguments: &[&str]| classify(folder.path(), arguments).args(["-f", "jsonl"]).records();
    let error = |arguments: &[&str]| first(arguments)[0]["error"].as_str().unwrap_or_default().to_string();
    let refused = error(&["plain.csv"]);
    assert!(refused.contains("\"Please pay\"") && refused.contains("--text-field"), "{refused}");
    assert!(error(&["one.csv", "--text-field", "x"]).contains("no column `x`"));
    assert!(error(&["old.xls"]).contains("save it as .xlsx or .csv"));
    assert!(error(&["notes.txt", "--text-field", "x"]).contains("--input-format csv"));
    assert_eq!(first(&["mail.csv"])[0]["subject"], "Invoice 7");
    assert_eq!(first(&["notes.txt"]).len(), 1);
    assert_eq!(first(&["one.csv"]).len(), 2);
    assert!(first(&["head.csv"]).is_empty());
    assert!(said(&classify(folder.path(), &["head.csv"]).output()).contains("has no rows"));
}

#[test]
fn columns_of_another_table_are_not_lost() {
    let folder = folder(&[
        ("a.csv", b"id,text\n1,please pay\n"),
        ("b.csv", b"id,text,team\n2,let us meet,north\n3,please pay,\n"),
        ("c.csv", b"text,id\nlet us meet,4\n"),
    ]);
    let out = printed(classify(folder.path(), &["a.csv", "b.csv", "c.csv"]), 1);
    let found = rows(out.as_bytes(), b',');
    assert!(cell(&found[1], "error").contains("\"team\"") && cell(&found[1], "label").is_empty(), "{out}");
    assert_eq!(
        (cell(&found[2], "label"), cell(&found[3], "id"), cell(&found[3], "label")),
        ("invoice", "4", "meeting")
    );
    assert_eq!(classify(folder.path(), &["a.csv", "b.csv", "-f", "jsonl"]).records()[1]["row"]["team"], "north");
}

#[test]
fn the_ending_of_the_output_is_a_format() {
    let folder = folder(&[("t.csv", TICKETS.as_bytes())]);
    let written = |name: &str| {
        printed(classify(folder.path(), &["t.csv", "-o", name]), 0);
        fs::read(folder.path().join(name)).unwrap()
    };
    assert!(written("x.jsonl").starts_with(b"{\"source\""));
    assert!(written("x.json").starts_with(b"[\n{"));
    assert!(written("x.tsv").starts_with(b"nr\tSubject"));
    assert!(written("x.xlsx").starts_with(b"PK"));
    let output = classify(folder.path(), &["t.csv", "-o", "x.ods"]).output();
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains(".ods") && said(&output).contains(".xlsx"), "{}", said(&output));
    let output = mailsort(["show", "t.csv", "-o", "x.csv"]).in_folder(folder.path()).output();
    assert!(output.status.code() == Some(2) && said(&output).contains("jsonl"), "{}", said(&output));
    let output = classify(folder.path(), &["t.csv", "-o", "y.csv", "--resume"]).output();
    assert!(output.status.code() == Some(2) && said(&output).contains("--format jsonl"), "{}", said(&output));
}

#[test]
fn rows_are_gone_on_with_in_json_lines() {
    let folder = folder(&[("t.csv", TICKETS.as_bytes())]);
    printed(classify(folder.path(), &["t.csv", "-o", "whole.jsonl"]), 0);
    let whole = fs::read(folder.path().join("whole.jsonl")).unwrap();
    let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    fs::write(folder.path().join("part.jsonl"), &whole[..first + 9]).unwrap();
    printed(classify(folder.path(), &["t.csv", "-o", "part.jsonl", "--resume"]), 0);
    assert!(fs::read(folder.path().join("part.jsonl")).unwrap() == whole);
}

#[test]
fn csv_opens_right_in_a_spreadsheet() {
    let mail = |subject: &str| format!("From: a@example.com\nSubject: {subject}\n\nPlease pay the invoice\n");
    let folder = folder(&[("plain.eml", mail("Invoice").as_bytes()), ("chinese.eml", mail("发票").as_bytes())]);
    let begins = |input: &str, flags: &[&str]| {
        let name = if flags.contains(&"tsv") { "out.tsv" } else { "out.csv" };
        printed(classify(folder.path(), &[input, "-o", name]).args(flags), 0);
        fs::read(folder.path().join(name)).unwrap().starts_with("\u{feff}".as_bytes())
    };
    assert!(!begins("plain.eml", &[]) && begins("chinese.eml", &[]));
    assert!(begins("plain.eml", &["--bom", "on"]) && !begins("chinese.eml", &["--bom", "off"]));
    assert!(!begins("chinese.eml", &["-f", "tsv"]) && begins("chinese.eml", &["-f", "tsv", "--bom", "on"]));
    assert!(printed(classify(folder.path(), &["chinese.eml", "-f", "csv", "--bom", "on"]), 0).starts_with('\u{feff}'));
    // It is read again: to go on with, and as samples.
    for flags in [&[][..], &["--bom", "on"]] {
        let out = ["chinese.eml", "plain.eml", "-o", "out.csv"];
        printed(classify(folder.path(), &out).args(flags), 0);
        let whole = fs::read(folder.path().join("out.csv")).unwrap();
        printed(classify(folder.path(), &out).args(flags).args(["--resume"]), 0);
        assert!(fs::read(folder.path().join("out.csv")).unwrap() == whole);
        let output = mailsort(["eval", "out.csv"]).args(LABELS).in_folder(folder.path()).output();
        assert!(output.status.code() == Some(0), "{}", said(&output));
    }
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with('.')), "{left:?}");
}

#[test]
fn lists_of_inputs_from_windows() {
    let mail = |text: &str| format!("Subject: x\n\n{text}\n");
    let list = "1.eml\r\n2.eml\r\n";
    let folder = folder(&[
        ("1.eml", mail("Please pay the invoice").as_bytes()),
        ("2.eml", mail("let us meet and talk").as_bytes()),
        ("bom.txt", format!("\u{feff}{list}").as_bytes()),
        ("wide.txt", &utf16(list)),
        ("unmarked.txt", &utf16(list)[2..]),
    ]);
    for name in ["bom.txt", "wide.txt"] {
        assert_eq!(labels_of(&classify(folder.path(), &["--files-from", name]).records()), ["invoice", "meeting"]);
    }
    let output = classify(folder.path(), &["--files-from", "unmarked.txt"]).output();
    assert!(said(&output).contains("UTF-16"), "{}", said(&output));
}

#[test]
fn samples_say_what_was_meant_and_which_failed() {
    let folder = folder(&[
        ("typo.csv", b"text,label\nplease pay,invoice\nlet us meet,Meetings\n"),
        ("s.csv", b"text,label\nplease pay the bill,invoice\nlet us meet,meeting\nplease pay,meeting\n"),
    ]);
    let eval = |arguments: &[&str]| mailsort(["eval"]).args(LABELS).args(arguments).in_folder(folder.path());
    let output = eval(&["typo.csv"]).output();
    assert!(said(&output).contains("did you mean \"meeting\"?"), "{}", said(&output));
    let xml = printed(eval(&["s.csv", "--junit", "samples"]), 0);
    assert!(xml.contains("tests=\"4\" failures=\"1\""), "{xml}");
    assert!(xml.contains("classname=\"mailsort.sample\" name=\"s.csv [2]\">"), "{xml}");
    assert!(xml.contains("right is meeting, given was invoice"), "{xml}");
    assert!(!printed(eval(&["s.csv", "-f", "junit"]), 0).contains("mailsort.sample"));
}
