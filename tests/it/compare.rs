//! `mailsort compare` through the real program.

use std::fs;
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::mailsort::{command, mailsort, root, shared};
use crate::requirements::lacks;

const OLD: &str = "examples/contracts/supply-2025.md";
const NEW: &str = "examples/contracts/supply-2026.md";

/// A comparison as JSON, and its status.
fn compared(old: &Path, new: &Path, flags: &[&str]) -> (Option<i32>, Value) {
    let output = mailsort(["compare", "--quiet", "--format", "json"]).args([old, new]).args(flags).output();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    (output.status.code(), report)
}

fn status(flags: &[&str]) -> Option<i32> {
    mailsort(["compare", "--quiet", OLD, NEW]).args(flags).output().status.code()
}

/// Numbers of the clauses of each pair, and its relation.
fn pairs(report: &Value) -> Vec<(String, String, String)> {
    let numbers = |side: &Value| {
        let numbers: Vec<&str> =
            side.as_array().unwrap().iter().map(|clause| clause["number"].as_str().unwrap()).collect();
        numbers.join("+")
    };
    let pairs = report["pairs"].as_array().unwrap().iter();
    pairs.map(|pair| (numbers(&pair["a"]), numbers(&pair["b"]), pair["relation"].as_str().unwrap().into())).collect()
}

/// Kind, texts and verdict of each typed difference.
fn changes(report: &Value) -> Vec<(String, String, String, String)> {
    let text = |side: &Value| side["text"].as_str().unwrap_or("–").to_string();
    let pairs = report["pairs"].as_array().unwrap().iter();
    let changes = pairs.flat_map(|pair| pair["changes"].as_array().unwrap());
    let word = |value: &Value| value.as_str().unwrap().to_string();
    changes.map(|one| (word(&one["kind"]), text(&one["a"]), text(&one["b"]), word(&one["verdict"]))).collect()
}

#[test]
fn clauses_find_their_partners() {
    let (status, report) = compared(&root().join(OLD), &root().join(NEW), &[]);
    assert_eq!(status, Some(1));
    let pairs = pairs(&report);
    let has = |a: &str, b: &str, relation: &str| {
        assert!(
            pairs.iter().any(|pair| (&*pair.0, &*pair.1, &*pair.2) == (a, b, relation)),
            "{a} {b} {relation}: {pairs:?}"
        );
    };
    has("1.1", "1.1", "same");
    has("", "1.2", "only-in-new");
    has("2.3", "3.3+3.4", "split");
    has("3.2", "", "only-in-old");
    has("4.2", "5.2", "renumbered");
    has("5.1", "2.1", "moved");
    let found = changes(&report);
    for (kind, old, new, verdict) in [
        ("duration", "15 days", "30 days", "different"),
        ("duration", "30 days", "one month", "similar"),
        ("percent", "10%", "ten percent", "equal"),
        ("money", "EUR 1,000,000", "EUR 500,000", "different"),
    ] {
        let is_it = |one: &&(String, String, String, String)| {
            one.0 == kind && one.1.contains(old) && one.2.contains(new) && one.3 == verdict
        };
        assert!(found.iter().any(|one| is_it(&one)), "{kind} {old} {new} {verdict}: {found:?}");
    }
    assert!(!found.iter().any(|one| one.0 == "reference"), "Section 4.1 and 5.1 are one clause: {found:?}");
    for pair in report["pairs"].as_array().unwrap() {
        for (side, whole) in [("a", &report["old"]), ("b", &report["new"])] {
            for clause in pair[side].as_array().unwrap() {
                let at = |name: &str| clause[name].as_u64().unwrap() as usize;
                assert_eq!(&whole["text"].as_str().unwrap()[at("start")..at("end")], clause["text"].as_str().unwrap());
            }
        }
    }
}

#[test]
fn a_term_in_two_wordings_is_read_as_a_lawyer_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let old = write(
        "old.txt",
        "因乙方原因导致工期延误超过30日，甲方有权单方解除本合同，并要求乙方支付合同总价10%的违约金。\n",
    );
    let new =
        write("new.txt", "若乙方未能按期完工，延误达一个月以上，甲方有权终止合作，并收取相当于合同金额一成的赔偿。\n");
    let (_, report) = compared(&old, &new, &[]);
    assert!(!pairs(&report)[0].0.is_empty() && !pairs(&report)[0].1.is_empty(), "{report}");
    let found = changes(&report);
    for (kind, old, new, verdict) in [
        ("duration", "30日", "一个月", "similar"),
        ("percent", "10%", "一成", "equal"),
        ("comparison", "超过", "以上", "different"),
        ("term", "违约金", "赔偿", "different"),
    ] {
        let is_it = |one: &(String, String, String, String)| {
            one.0 == kind && one.1.contains(old) && one.2.contains(new) && one.3 == verdict
        };
        assert!(found.iter().any(is_it), "{kind} {old} {new} {verdict}: {found:?}");
    }
}

#[test]
fn the_status_says_what_differs() {
    assert_eq!(status(&[]), Some(1));
    assert_eq!(status(&["--fail-on", "numbers"]), Some(1));
    assert_eq!(status(&["--fail-on", "missing,moved"]), Some(1));
    assert_eq!(status(&["--fail-on", "party"]), Some(0));
    let same = mailsort(["compare", "--quiet", OLD, OLD]).output();
    assert_eq!(same.status.code(), Some(0));
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("a.csv");
    fs::write(&table, "text,label\na,b\n").unwrap();
    for (arguments, why) in [
        (vec!["no/such.docx", NEW], "no/such.docx"),
        (vec![table.to_str().unwrap(), NEW], "is a table"),
        (vec![OLD, "samples/inbox.mbox"], "several documents"),
        (vec![OLD, NEW, "--output", "a.json", "--format", "html"], "different formats"),
        (vec![OLD, NEW, "--model", "tests/models/tiny-bert-reranker"], "is a reranker"),
    ] {
        let output = mailsort(["compare"]).args(&arguments).output();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains(why), "{arguments:?} {said}");
    }
    let copy = folder.path().join("old.md");
    fs::copy(root().join(OLD), &copy).unwrap();
    let path = copy.to_str().unwrap();
    let output = mailsort(["compare", path, NEW, "--output", path]).output();
    assert!(
        output.status.code() == Some(2) && String::from_utf8_lossy(&output.stderr).contains("one of the contracts")
    );
    assert_eq!(fs::read(&copy).unwrap(), fs::read(root().join(OLD)).unwrap());
}

#[test]
fn foreign_text_is_text_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let old = write("old.txt", "1. <script>alert(1)</script> & | *x* pay \u{1b}[31m in 30 days\n2. Same\n3. End\n");
    let new = write("new.txt", "1. <script>alert(2)</script> & | *x* pay in 60 days\n2. Same\n3. End\n");
    for (format, forbidden) in [("html", "<script"), ("markdown", "<script"), ("text", "\u{1b}")] {
        let output = mailsort(["compare", "--quiet", "--format", format]).args([&old, &new]).output();
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(shown.contains("60 days") && !shown.contains(forbidden), "{format}: {shown}");
    }
}

/// Texts of a DOCX with all changes accepted, and with all rejected, by what its XML says.
fn both_texts(docx: &[u8]) -> (String, String) {
    let mut archive = zip::ZipArchive::new(Cursor::new(docx)).unwrap();
    let mut xml = String::new();
    archive.by_name("word/document.xml").unwrap().read_to_string(&mut xml).unwrap();
    let (mut new, mut old) = (String::new(), String::new());
    for paragraph in xml.split("<w:p>").skip(1) {
        let (mark, runs) = paragraph.split_once("</w:pPr>").unwrap_or(("", paragraph));
        for run in runs.split("<w:r>").skip(1) {
            let before =
                runs[..run.as_ptr() as usize - runs.as_ptr() as usize].rsplit("<w:").nth(1).unwrap_or_default();
            let fate = ["del ", "ins ", "moveFrom ", "moveTo "].into_iter().find(|fate| before.starts_with(fate));
            let text = run.split("</w:r>").next().unwrap();
            let text: String = text.split('>').filter_map(|part| part.split('<').next()).collect();
            let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
            if !matches!(fate, Some("del " | "moveFrom ")) {
                new += &text;
            }
            if !matches!(fate, Some("ins " | "moveTo ")) {
                old += &text;
            }
        }
        if !mark.contains("<w:del ") && !mark.contains("<w:moveFrom ") {
            new.push('\n');
        }
        if !mark.contains("<w:ins ") && !mark.contains("<w:moveTo ") {
            old.push('\n');
        }
    }
    (new, old)
}

fn docx(folder: &TempDir, old: &Path, new: &Path) -> PathBuf {
    let path = folder.path().join("redline.docx");
    let output = mailsort(["compare", "--quiet", "--output", path.to_str().unwrap()]).args([old, new]).output();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    path
}

#[test]
fn accepting_gives_the_new_text_and_rejecting_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (root().join(OLD), root().join(NEW));
    let (accepted, rejected) = both_texts(&fs::read(docx(&folder, &old, &new)).unwrap());
    let text = |path: &Path| fs::read_to_string(path).unwrap();
    assert_eq!(accepted, text(&new));
    assert_eq!(rejected, text(&old));
    let xml = {
        let mut archive = zip::ZipArchive::new(fs::File::open(folder.path().join("redline.docx")).unwrap()).unwrap();
        let mut xml = String::new();
        archive.by_name("word/document.xml").unwrap().read_to_string(&mut xml).unwrap();
        xml
    };
    assert!(xml.contains("<w:del ") && xml.contains("<w:ins "), "{xml}");
}

/// Accepts or rejects all changes in LibreOffice, and says what text is left.
const OFFICE: &str = "tests/compare/tracked.py";

#[test]
fn libreoffice_accepts_and_rejects_the_changes() {
    if command("soffice").arg("--version").output().is_err() {
        return lacks("libreoffice", "there is no soffice");
    }
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (root().join(OLD), root().join(NEW));
    let path = docx(&folder, &old, &new);
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    for (verb, expected) in [("accept", &new), ("reject", &old)] {
        let mut office = command("/usr/bin/python3");
        office.arg(root().join(OFFICE)).arg(verb).arg(&path).env("HOME", folder.path());
        let output = office.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(words(&said), words(&fs::read_to_string(expected).unwrap()), "{verb}");
    }
}

/// A DOCX of these paragraphs, with a list of two levels.
fn written(path: &Path, paragraphs: &str) {
    let numbering = "<w:numbering><w:abstractNum w:abstractNumId=\"0\">\
        <w:lvl w:ilvl=\"0\"><w:numFmt w:val=\"decimal\"/><w:lvlText w:val=\"%1.\"/></w:lvl>\
        <w:lvl w:ilvl=\"1\"><w:numFmt w:val=\"decimal\"/><w:lvlText w:val=\"%1.%2\"/></w:lvl></w:abstractNum>\
        <w:num w:numId=\"1\"><w:abstractNumId w:val=\"0\"/></w:num></w:numbering>";
    let mut archive = zip::ZipWriter::new(fs::File::create(path).unwrap());
    for (name, xml) in [
        ("word/document.xml", format!("<w:document><w:body>{paragraphs}</w:body></w:document>")),
        ("word/numbering.xml", numbering.into()),
    ] {
        archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(xml.as_bytes()).unwrap();
    }
    archive.finish().unwrap();
}

#[test]
fn numbers_of_a_docx_are_computed_and_its_revisions_said() {
    let folder = tempfile::tempdir().unwrap();
    let item = |level: usize, runs: &str| {
        format!("<w:p><w:pPr><w:numPr><w:ilvl w:val=\"{level}\"/><w:numId w:val=\"1\"/></w:numPr></w:pPr>{runs}</w:p>")
    };
    let run = |text: &str| format!("<w:r><w:t>{text}</w:t></w:r>");
    let (old, new) = (folder.path().join("old.docx"), folder.path().join("new.docx"));
    let delivery = item(0, &run("Delivery")) + &item(1, &run("The Seller shall deliver the goods within 30 days."));
    let payment =
        item(0, &run("Payment")) + &item(1, &run("The Buyer shall pay the price within 60 days after delivery."));
    let risk = item(0, &run("Risk")) + &item(1, &run("The risk of loss passes to the Buyer when the goods arrive."));
    let revised =
        item(1, &format!("{}<w:del>{}</w:del>", run("The Buyer may inspect the goods on arrival."), run(" Always.")));
    written(&old, &(delivery.clone() + &payment));
    written(&new, &(delivery + &revised + &risk + &payment));
    let (_, report) = compared(&old, &new, &[]);
    let found = pairs(&report);
    for (a, b) in [("1.1", "1.1"), ("2.1", "3.1"), ("", "1.2")] {
        assert!(found.iter().any(|pair| pair.0 == a && pair.1 == b), "{a} {b}: {found:?}");
    }
    assert_eq!(report["new"]["left_out"], serde_json::json!(["1 pieces deleted by tracked changes"]));
}

/// Articles of a statute with the same text stand under other numbers after an amendment.
#[test]
fn a_statute_is_found_again_after_its_amendment() {
    let Some(folder) = shared("contracts/statutes-zh") else { return };
    let (old, new) = (folder.join("lifafa-2015.md"), folder.join("lifafa-2023.md"));
    let (_, report) = compared(&old, &new, &[]);
    let bare = |clause: &Value| {
        let (number, text) = (clause["number"].as_str().unwrap(), clause["text"].as_str().unwrap());
        text.replacen(number, "", 1).split_whitespace().collect::<String>()
    };
    let sides = |pair: &Value, side: &str| pair[side].as_array().unwrap().iter().map(bare).collect::<Vec<_>>();
    let all = report["pairs"].as_array().unwrap();
    let news: Vec<String> = all.iter().flat_map(|pair| sides(pair, "b")).collect();
    let (mut clear, mut right) = (0, 0);
    for pair in all {
        for text in sides(pair, "a").into_iter().filter(|text| news.iter().filter(|other| *other == text).count() == 1)
        {
            clear += 1;
            right += usize::from(sides(pair, "b") == [text]);
        }
    }
    assert!(clear >= 55 && right == clear, "{right} of {clear}");
}

/// A folder with clauses of other contracts.
fn library() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        ("supply.md", OLD_SUPPLY),
        (
            "nda.md",
            "# NDA\n\n1. Secrets\n\nNeither party discloses the secrets of the other to anyone.\n\n2. Term\n\nThis agreement ends after five years.\n\n3. Return\n\nDocuments are returned within ten days after the end.\n",
        ),
    ];
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

const OLD_SUPPLY: &str = "# Supply\n\n1. Delivery\n\nThe Supplier delivers the Goods within 20 days after the order.\n\n2. Delay\n\nIf a \
    delivery is more than 15 days late, the Buyer may cancel the order.\n\n3. Price\n\nThe price of the Goods is EUR 500.\n";

const NEW_SUPPLY: &str = "# Draft\n\n1. Late goods\n\nIf a delivery is more than 30 days late, the Buyer may cancel the order.\n\n2. Secrets\n\n\
    Neither party discloses the secrets of the other to anyone.\n\n3. Elephants\n\nZebras graze quietly beside turquoise lagoons.\n";

#[test]
fn a_contract_is_held_against_a_library() {
    let library = library();
    let draft = library.path().join("draft.md");
    fs::write(&draft, NEW_SUPPLY).unwrap();
    let run = |flags: &[&str]| {
        let output = mailsort(["compare", "--quiet"])
            .args([&draft])
            .args(["--against"])
            .args([library.path()])
            .args(flags)
            .output();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), said)
    };
    let (status, shown, said) = run(&["--format", "json"]);
    let report: Value = serde_json::from_str(&shown).unwrap_or_else(|error| panic!("{error}: {said}"));
    assert_eq!(status, Some(1), "clause 1 differs, and clause 3 is not in the library");
    let clauses = report["clauses"].as_array().unwrap();
    let closest = |at: usize| &clauses[at]["closest"][0];
    assert_eq!((closest(0)["title"].as_str(), closest(0)["relation"].as_str()), (Some("2 Delay"), Some("changed")));
    let change = &closest(0)["changes"][0];
    assert_eq!((change["a"]["text"].as_str(), change["b"]["text"].as_str()), (Some("15 days"), Some("30 days")));
    assert!(closest(1)["source"].as_str().unwrap().ends_with("nda.md"), "{report}");
    assert!(["same", "renumbered"].contains(&closest(1)["relation"].as_str().unwrap()), "{report}");
    // The draft lies in the library, and is not its own closest.
    assert_eq!(clauses[2]["closest"].as_array().map(Vec::len), Some(0), "{report}");
    let (status, shown, _) = run(&["--fail-on", "party"]);
    assert_eq!(status, Some(0));
    assert!(shown.contains("1 clause has none like it") && shown.contains("15 days → 30 days  different"), "{shown}");
    // The same from an index that was made before.
    let index = library.path().join("kb.db");
    assert!(
        mailsort(["index", "--quiet"])
            .args([library.path().join("supply.md")])
            .args(["--into"])
            .args([&index])
            .output()
            .status
            .success()
    );
    let output =
        mailsort(["compare", "--quiet", "--format", "json"]).args([&draft]).args(["--against"]).args([&index]).output();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["clauses"][0]["closest"][0]["title"], "2 Delay");
    assert_eq!(report["clauses"][1]["closest"].as_array().map(Vec::len), Some(0), "no secrets there: {report}");
}

#[test]
fn a_library_is_refused_by_name() {
    let library = library();
    let draft = library.path().join("supply.md");
    let said = |run: crate::mailsort::Run| {
        let output = run.output();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let against = |path: &Path| mailsort(["compare", "--quiet"]).args([&draft]).args(["--against"]).args([path]);
    assert!(said(against(&library.path().join("none"))).contains("no such file or folder"));
    assert!(said(against(library.path()).args(["--format", "html"])).contains("text or json"));
    assert!(said(against(library.path()).args([&draft])).contains("takes one contract"));
    assert!(said(mailsort(["compare"]).args([&draft])).contains("--against"));
}

#[test]
fn each_clause_of_a_passage_is_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    // Two clauses are too few for a contract, so that they are one passage.
    let short = "1. Secrets\n\nNeither party discloses the secrets of the other to anyone.\n\n2. Term\n\nThis agreement ends after \
                 five years, as in clause 1.\n";
    fs::write(folder.path().join("short.md"), short).unwrap();
    // The same value under other words, and other values under the same words.
    fs::write(folder.path().join("fees.md"), "9. Charges\n\nThe Customer pays each invoice within 60 days.\n").unwrap();
    fs::write(folder.path().join("pay.md"), "3. Payment\n\nThe Customer pays each invoice within 30 days.\n").unwrap();
    let draft = tempfile::tempdir().unwrap();
    let draft = draft.path().join("draft.md");
    let new = "1. Secrets\n\nNeither party discloses the secrets of the other to anyone.\n\n2. Term\n\nThis agreement ends after five \
               years, as in clause 1.\n\n3. Payment\n\nThe Customer pays each invoice within 60 days.\n";
    fs::write(&draft, new).unwrap();
    let output = mailsort(["compare", "--quiet", "--format", "json"])
        .args([&draft])
        .args(["--against"])
        .args([folder.path()])
        .output();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let clauses = report["clauses"].as_array().unwrap();
    let closest: Vec<&Value> = clauses.iter().map(|clause| &clause["closest"][0]).collect();
    for (at, title) in [(0, "1 Secrets"), (1, "2 Term")] {
        assert_eq!((&closest[at]["title"], &closest[at]["relation"]), (&title.into(), &"same".into()), "{report}");
    }
    let source = closest[2]["source"].as_str().unwrap();
    assert!(source.ends_with("fees.md"), "the value counts more than the heading: {report}");
}

#[test]
fn a_library_without_documents_and_an_ending_without_a_format_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let said = |run: crate::mailsort::Run| {
        let output = run.output();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let old = root().join(OLD);
    assert!(said(mailsort(["compare"]).args([&old]).args(["--against"]).args([folder.path()])).contains("no document"));
    let output = folder.path().join("out.pdf");
    assert!(said(mailsort(["compare", OLD, NEW, "--output"]).args([&output])).contains(".docx"));
    assert!(!output.exists());
}

#[test]
fn blanks_around_a_change_stay_in_markdown() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let old = write(
        "old.md",
        "1. Work\n\nThe Consultant shall perform the work in time.\n\n2. Delay\n\n逾期超过30日的，甲方可以解除合同。\n",
    );
    let new = write(
        "new.md",
        "1. Work\n\nThe Consultant may perform the work in time.\n\n2. Delay\n\n逾期30日以上的，甲方可以解除合同。\n",
    );
    let output = mailsort(["compare", "--format", "markdown"]).args([&old, &new]).output();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("The Consultant <del>shall</del><ins>may</ins> perform"), "{shown}");
    assert!(shown.contains("| comparison | 超过 | 以上 | different |"), "{shown}");
}

#[test]
fn citations_follow_a_swap_within_a_chapter() {
    let folder = tempfile::tempdir().unwrap();
    let text = |third: &str, fourth: &str, cited: &str| {
        format!(
            "第一章 总则\n\n第一条 甲方聘用乙方担任会计。\n\n第二条 合同期限为三年。\n\n第二章 报酬\n\n第三条 {third}\n\n第四条 {fourth}\n\n第五条 \
             乙方违反第{cited}条约定的，应当支付违约金2万元。\n"
        )
    };
    let (pay, extra) = ("甲方每月10日前支付工资人民币12000元。", "乙方加班的，甲方应当按照150%支付加班费。");
    let (old, new) = (folder.path().join("old.txt"), folder.path().join("new.txt"));
    fs::write(&old, text(pay, extra, "四")).unwrap();
    fs::write(&new, text(extra, pay, "三")).unwrap();
    let (_, report) = compared(&old, &new, &[]);
    assert!(changes(&report).is_empty(), "{report}");
    // The same number is another clause now.
    fs::write(&new, text(extra, pay, "四")).unwrap();
    let (_, report) = compared(&old, &new, &[]);
    assert_eq!(changes(&report).len(), 1, "{report}");
}

/// Bytes that are no text are named as what they are, and marks of Chinese lists end no run.
#[test]
fn what_is_no_text_is_named_and_any_text_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let compared = |old: &[u8], new: &[u8]| {
        fs::write(folder.path().join("old.md"), old).unwrap();
        fs::write(folder.path().join("new.md"), new).unwrap();
        let output = mailsort(["compare", "old.md", "new.md"]).in_folder(folder.path()).output();
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let bytes: Vec<u8> = (0..4000_u32).map(|at| (at * at % 251) as u8).collect();
    let (status, said) = compared(&bytes, &bytes);
    assert!(status == Some(2) && said.contains("neither text nor a document"), "{said}");
    let (status, said) = compared("- 5、费用三十日\n".as_bytes(), "- 5、费用四十日\n".as_bytes());
    assert!(status == Some(1) && said.contains("duration"), "{said}");
}
