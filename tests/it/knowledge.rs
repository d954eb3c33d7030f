//! `mailsort index` and `mailsort search` through the real program.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::mailsort::{Run, mailsort, shared, until};

/// A folder with documents, and an index beside it.
struct Base {
    folder: TempDir,
}

const FAQ: &str = "id,question,answer\n\
    f1,How do I return a parcel?,Within 30 days with the label that lies in the parcel.\n\
    f2,Wie kann ich mein Passwort ändern?,In den Einstellungen unter Sicherheit.\n\
    f3,发票什么时候开具？,收到货款后五个工作日内开具电子发票。\n";

const TERMS: &str = "# Terms\n\n1. Delivery\n\nThe seller delivers within 20 days after the order.\n\n2. Delay\n\nIf a delivery is more \
    than 15 days late, the buyer may cancel the order and claim damages.\n\n3. Confidentiality\n\nNeither party discloses prices.\n";

fn mail(id: &str, subject: &str, more: &str, text: &str) -> String {
    format!(
        "From ann@example.com Mon Jun 17 10:00:00 2024\nMessage-ID: <{id}@x>\nFrom: Ann <ann@example.com>\nDate: Mon, 17 Jun 2024 10:00:00 \
         +0200\nSubject: {subject}\n{more}\n{text}\n\n"
    )
}

impl Base {
    fn new() -> Self {
        let base = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(base.docs()).unwrap();
        base.put("faq.csv", FAQ);
        base.put("terms.md", TERMS);
        base.put(
            "mail.mbox",
            &(mail("1", "The zeppelin hangar", "", "The zeppelin hangar needs a new roof before winter.")
                + &mail(
                    "2",
                    "Re: The zeppelin hangar",
                    "References: <1@x>\nIn-Reply-To: <1@x>\n",
                    "The roofer comes on Thursday.",
                )),
        );
        base
    }

    fn docs(&self) -> PathBuf {
        self.folder.path().join("docs")
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.docs().join(name), text).unwrap();
    }

    fn index(&self, flags: &[&str]) -> Run {
        mailsort(["index", "--into", "kb.db"]).args(flags).in_folder(self.folder.path())
    }

    fn indexed(&self, flags: &[&str]) -> String {
        let output = self.index(flags).output();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        said
    }

    fn search(&self, question: &str, flags: &[&str]) -> Value {
        let run =
            mailsort(["search", "kb.db", question, "--format", "jsonl"]).args(flags).in_folder(self.folder.path());
        let output = run.output();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
    }

    /// Ids, or names of files, of what is found.
    fn found(&self, question: &str, flags: &[&str]) -> Vec<String> {
        let answer = self.search(question, flags);
        let name = |result: &Value| {
            let name =
                || Path::new(result["source"].as_str().unwrap()).file_name().unwrap().to_string_lossy().into_owned();
            result["id"].as_str().map_or_else(name, String::from)
        };
        answer["results"].as_array().unwrap().iter().map(name).collect()
    }

    /// Whether any of the index's files holds these bytes.
    fn has_bytes(&self, bytes: &str) -> bool {
        let files = fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.is_file()).any(|path| {
            let held = fs::read(path).unwrap();
            held.windows(bytes.len()).any(|window| window == bytes.as_bytes())
        })
    }

    fn is_whole(&self) {
        let output = self.index(&["--verify"]).output();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "ok\n", "{output:?}");
    }
}

#[test]
fn questions_find_their_passages() {
    let base = Base::new();
    base.indexed(&["docs"]);
    base.is_whole();
    for (question, first) in [
        ("return a parcel", "f1"),
        ("Passwort ändern", "f2"),
        ("发票 电子", "f3"),
        ("may the buyer cancel a late order?", "terms.md"),
        ("zeppelin", "<1@x>"),
    ] {
        let found = base.found(question, &[]);
        assert_eq!(found.first().map(String::as_str), Some(first), "{question} {found:?}");
    }
    let answer = base.search("may the buyer cancel a late order?", &["--explain"]);
    let first = &answer["results"][0];
    assert!(
        first["head"].as_str().unwrap().contains("2 Delay") || first["head"].as_str().unwrap().contains("Delay"),
        "{first}"
    );
    assert!(first["cosine"].is_f64() && first["keyword_rank"] == 1 && first["reranker"].is_null(), "{first}");
    let (start, end) = (first["start"].as_u64().unwrap() as usize, first["end"].as_u64().unwrap() as usize);
    assert_eq!(&TERMS[start..end], first["text"].as_str().unwrap());
    let marked: Vec<&str> = first["highlights"]
        .as_array()
        .unwrap()
        .iter()
        .map(|range| {
            &first["text"].as_str().unwrap()[range[0].as_u64().unwrap() as usize..range[1].as_u64().unwrap() as usize]
        })
        .collect();
    assert!(marked.contains(&"buyer") && marked.contains(&"cancel"), "{marked:?}");
    // A conversation is one result, and both of its messages are found.
    let thread = base.search("zeppelin hangar roofer", &["--from", "ann"]);
    assert_eq!(
        (thread["results"].as_array().unwrap().len(), &thread["results"][0]["more_in_thread"]),
        (1, &json!(1)),
        "{thread}"
    );
    assert!(base.found("zeppelin", &["--since", "2025-01-01"]).is_empty());
    assert!(base.found("zeppelin", &["--kind", "faq", "--keyword"]).is_empty());
    assert_eq!(base.found("delivery", &["--path", "docs/terms.md", "--keyword"])[0], "terms.md");
    for format in ["text", "csv", "html"] {
        let run = mailsort(["search", "kb.db", "zeppelin", "--format", format]).in_folder(base.folder.path());
        let shown = String::from_utf8(run.output().stdout).unwrap();
        assert!(shown.contains("hangar"), "{format} {shown}");
    }
}

#[test]
fn what_changes_is_read_and_what_is_gone_leaves_no_byte() {
    let base = Base::new();
    base.put("secret.txt", "The quokka is hidden in the cellar.\n");
    base.indexed(&["docs"]);
    assert!(base.found("quokka", &["--keyword"]).contains(&"secret.txt".into()) && base.has_bytes("quokka"));
    assert!(base.indexed(&[]).is_empty(), "nothing has changed");
    // Renamed: read by nobody, found under its new name.
    fs::rename(base.docs().join("secret.txt"), base.docs().join("moved.txt")).unwrap();
    let said = base.indexed(&[]);
    assert!(said.contains("0 files read") && said.contains("0 vectors added"), "{said}");
    assert_eq!(base.found("quokka", &["--keyword"]), ["moved.txt"]);
    // A copy is one result.
    fs::copy(base.docs().join("moved.txt"), base.docs().join("copy.txt")).unwrap();
    base.indexed(&[]);
    let answer = base.search("quokka", &["--keyword"]);
    assert_eq!(
        (answer["results"].as_array().unwrap().len(), answer["results"][0]["also"].as_array().unwrap().len()),
        (1, 1),
        "{answer}"
    );
    fs::remove_file(base.docs().join("copy.txt")).unwrap();
    // Replaced.
    base.put("moved.txt", "Nothing is hidden here, says the wombat.\n");
    base.indexed(&[]);
    assert!(base.found("quokka", &["--keyword"]).is_empty() && base.found("wombat", &["--keyword"]) == ["moved.txt"]);
    assert!(!base.has_bytes("quokka"));
    fs::remove_file(base.docs().join("moved.txt")).unwrap();
    base.indexed(&[]);
    assert!(base.found("wombat", &["--keyword"]).is_empty() && !base.has_bytes("wombat"));
    // An mbox goes on.
    let mut mbox = fs::OpenOptions::new().append(true).open(base.docs().join("mail.mbox")).unwrap();
    mbox.write_all(mail("3", "Numbats", "", "The numbats eat termites.").as_bytes()).unwrap();
    drop(mbox);
    let said = base.indexed(&[]);
    assert!(said.contains("1 documents"), "{said}");
    assert_eq!(base.found("numbats", &["--keyword"]), ["<3@x>"]);
    base.is_whole();
}

#[test]
fn vectors_of_two_models_are_never_mixed() {
    let base = Base::new();
    base.indexed(&["docs"]);
    let other = ["--model", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/tiny-bert")];
    let output = base.index(&other).output();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("--reembed"), "{said}");
    let run = mailsort(["search", "kb.db", "zeppelin"]).args(other).in_folder(base.folder.path()).output();
    assert!(
        run.status.code() == Some(2) && String::from_utf8_lossy(&run.stderr).contains("cannot be compared"),
        "{run:?}"
    );
    base.indexed(&[&other[..], &["--reembed"]].concat());
    // The model of the index is taken where none is named.
    assert_eq!(base.found("zeppelin", &[])[0], "<1@x>");
    assert!(!base.indexed(&[]).contains("files read"));
    let status = String::from_utf8(base.index(&["--status"]).output().stdout).unwrap();
    assert!(status.contains("tiny-bert") && status.contains("0 without a vector"), "{status}");
    base.is_whole();
}

#[test]
fn a_reranker_may_say_that_nothing_answers_and_may_fail() {
    let base = Base::new();
    base.indexed(&["docs"]);
    let relevant = crate::endpoint::any_reranker();
    let answer = base.search("zeppelin hangar", &["--rerank", &relevant.url()]);
    assert!(answer["reranked"] == true && answer["answered"] == true, "{answer}");
    assert!(answer["results"][0]["reranker"].as_f64().unwrap() > 0.5, "{answer}");
    let answer = base.search("parrots", &["--rerank", &relevant.url()]);
    assert!(answer["reranked"] == true && answer["answered"] == false, "{answer}");
    let text =
        mailsort(["search", "kb.db", "parrots", "--rerank", &relevant.url()]).in_folder(base.folder.path()).output();
    assert!(String::from_utf8_lossy(&text.stdout).starts_with("nothing answers this"), "{text:?}");
    let answer = base.search("zeppelin hangar", &["--rerank", "http://127.0.0.1:9"]);
    assert!(answer["reranked"] == false && answer["results"][0]["id"] == "<1@x>", "{answer}");
}

#[test]
fn many_questions_and_their_figures() {
    let base = Base::new();
    base.indexed(&["docs"]);
    let file = base.folder.path().join("questions.jsonl");
    fs::write(
        &file,
        "{\"question\":\"return a parcel\",\"answers\":[\"f1\"]}\n{\"question\":\"电子发票\",\"answers\":[\"f3\"]}\n",
    )
    .unwrap();
    let run = |flags: &[&str]| {
        let output = mailsort(["search", "kb.db"]).args(flags).in_folder(base.folder.path()).output();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let lines = run(&["--queries", "questions.jsonl"]);
    let ids: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["results"][0]["id"].clone()).collect();
    assert_eq!(ids, ["f1", "f3"]);
    let figures = run(&["--bench", "questions.jsonl"]);
    assert!(figures.contains("right at 1     1.0000") && figures.contains("ms a question"), "{figures}");
}

#[test]
fn labels_of_records_are_filters() {
    let base = Base::new();
    let records = mailsort([
        "classify",
        "docs/mail.mbox",
        "--label",
        "roof: hangar",
        "--label",
        "food: termites",
        "--output",
        "r.jsonl",
    ]);
    assert!(records.in_folder(base.folder.path()).output().status.success());
    base.indexed(&["docs", "--records", "r.jsonl"]);
    assert!(!base.found("zeppelin", &["--label", "roof"]).is_empty());
    assert!(base.found("zeppelin", &["--label", "food", "--keyword"]).is_empty());
    // A record without a label takes it away.
    let record = |index| json!({"source": "docs/mail.mbox", "index": index, "label": null}).to_string() + "\n";
    fs::write(base.folder.path().join("r.jsonl"), record(0) + &record(1)).unwrap();
    base.indexed(&["--records", "r.jsonl"]);
    assert!(base.found("zeppelin", &["--label", "roof", "--keyword"]).is_empty());
    assert!(base.found("zeppelin", &["--keyword"]).len() == 1);
}

#[test]
fn inputs_are_remembered_and_forgotten() {
    let base = Base::new();
    let more = base.folder.path().join("more");
    fs::create_dir(&more).unwrap();
    fs::write(more.join("a.txt"), "An axolotl lives in the lake.\n").unwrap();
    base.indexed(&["docs"]);
    base.indexed(&["more"]);
    assert_eq!(base.found("axolotl", &["--keyword"]), ["a.txt"]);
    assert_eq!(base.found("zeppelin", &[])[0], "<1@x>");
    fs::rename(&more, base.folder.path().join("away")).unwrap();
    let output = base.index(&[]).output();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("--forget"), "{said}");
    assert_eq!(base.found("axolotl", &["--keyword"]), ["a.txt"], "a disk that is away deletes nothing");
    base.indexed(&["--forget", "more"]);
    assert!(base.found("axolotl", &["--keyword"]).is_empty() && !base.has_bytes("axolotl"));
    let nothing = mailsort(["index", "--into", "new.db"]).in_folder(base.folder.path()).output();
    assert!(
        nothing.status.code() == Some(2) && String::from_utf8_lossy(&nothing.stderr).contains("name files"),
        "{nothing:?}"
    );
    for (index, why) in [("docs/terms.md", "terms.md"), ("none.db", "none.db")] {
        let output = mailsort(["search", index, "x"]).in_folder(base.folder.path()).output();
        assert!(output.status.code() == Some(2) && String::from_utf8_lossy(&output.stderr).contains(why), "{output:?}");
    }
    assert_eq!(fs::read_to_string(base.docs().join("terms.md")).unwrap(), TERMS);
}

/// Killed at any moment, the index is whole, and the next run goes on.
#[cfg(unix)]
#[test]
fn a_run_that_is_killed_leaves_a_whole_index() {
    let base = Base::new();
    for at in 0..40 {
        let text: String = (0..60)
            .map(|line| format!("Note {at} line {line}: the platypus number {} swims.\n\n", at * 60 + line))
            .collect();
        base.put(&format!("note{at}.txt"), &text);
    }
    for wait in [5, 20, 60, 120, 200] {
        let mut child = base.index(&["docs"]).start();
        std::thread::sleep(std::time::Duration::from_millis(wait));
        drop(child.kill());
        drop(child.wait());
        if base.folder.path().join("kb.db").exists() && base.index(&["--status"]).output().status.success() {
            base.is_whole();
        }
    }
    base.indexed(&["docs"]);
    base.is_whole();
    assert_eq!(base.found("platypus number 2399", &["--keyword"])[0], "note39.txt");
}

#[cfg(unix)]
#[test]
fn a_watch_sees_what_comes() {
    let base = Base::new();
    let mut child = {
        let mut command = crate::mailsort::command(env!("CARGO_BIN_EXE_mailsort"));
        command.args(["index", "docs", "--into", "kb.db", "--watch", "--every", "0.2"]).current_dir(base.folder.path());
        command.stderr(Stdio::piped()).spawn().unwrap()
    };
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(said.next().unwrap().unwrap().contains("files read"));
    base.put("late.txt", "A cassowary has come.\n");
    until(|| base.found("cassowary", &["--keyword"]) == ["late.txt"], || "it is not seen".into());
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    base.is_whole();
}

/// The built-in model makes keywords no worse, on passages and questions that are not ours.
#[test]
fn fused_answers_are_no_worse_than_keywords() {
    let Some(folder) = shared("retrieval") else { return };
    let base = tempfile::tempdir().unwrap();
    let unpacked = |name: &str| {
        let output = crate::mailsort::command("xzcat").arg(folder.join(format!("{name}.jsonl.xz"))).output().unwrap();
        fs::write(base.path().join(format!("{name}.jsonl")), output.stdout).unwrap();
    };
    for (set, least) in [("xquad-zh", 0.93), ("xquad-en", 0.93), ("xquad-de", 0.89)] {
        let (passages, questions) = (format!("{set}.passages"), format!("{set}.questions"));
        unpacked(&passages);
        unpacked(&questions);
        let (index, passages, questions) = (format!("{set}.db"), passages + ".jsonl", questions + ".jsonl");
        let run = |arguments: &[&str]| {
            let output = mailsort(arguments).in_folder(base.path()).output();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        run(&["index", "--quiet", &passages, "--into", &index]);
        // A part of the questions tells as much in a quarter of the time; benches/retrieval.py asks all.
        let all = fs::read_to_string(base.path().join(&questions)).unwrap();
        fs::write(base.path().join(&questions), all.lines().take(300).collect::<Vec<_>>().join("\n")).unwrap();
        let first = |flags: &[&str]| {
            let figures = run(&[&["search", &index, "--bench", &questions], flags].concat());
            let line = figures.lines().find_map(|line| line.strip_prefix("right at 1")).unwrap();
            line.trim().parse::<f64>().unwrap()
        };
        let (keywords, fused) = (first(&["--keyword"]), first(&[]));
        // Three questions of these may go either way.
        assert!(fused >= keywords - 0.01 && fused >= least, "{set}: keywords {keywords}, fused {fused}");
    }
}

#[test]
fn an_index_remembers_how_its_files_are_read() {
    let base = Base::new();
    base.put("rows.csv", "id,note,text\nr1,The zebra sleeps.,nothing\n");
    base.indexed(&["docs/rows.csv", "--text-field", "note"]);
    assert_eq!(base.found("zebra", &["--keyword"]), ["r1"]);
    let said = base.indexed(&[]);
    assert!(!said.contains("files read"), "{said}");
    assert_eq!(base.found("zebra", &["--keyword"]), ["r1"]);
    base.indexed(&["--keep-quotes"]);
    assert_eq!(base.found("zebra", &["--keyword"]), ["r1"], "another flag forgets none");
    let said = base.indexed(&["--text-field", "text"]);
    assert!(said.contains("another way"), "{said}");
    assert!(base.found("zebra", &["--keyword"]).is_empty());
    base.indexed(&["--text-field", "note"]);
    base.indexed(&["--forget-flags"]);
    assert!(base.found("zebra", &["--keyword"]).is_empty() && base.found("nothing", &["--keyword"]) == ["r1"]);
}

#[test]
fn labels_come_to_documents_that_were_indexed_before() {
    let base = Base::new();
    base.indexed(&["docs"]);
    let mbox = base.docs().join("mail.mbox");
    let record = json!({"source": mbox, "index": 1, "label": "roofs"}).to_string() + "\n";
    fs::write(base.folder.path().join("records.jsonl"), record).unwrap();
    base.indexed(&["--records", "records.jsonl"]);
    assert_eq!(base.search("roof", &["--label", "roofs"])["results"][0]["label"], "roofs");
    assert_eq!(base.search("roof", &["--label", "roofs"])["results"].as_array().map(Vec::len), Some(1));
}

#[test]
fn what_is_no_input_is_refused_and_not_remembered() {
    let base = Base::new();
    let refused = |flags: &[&str], why: &str| {
        let output = base.index(flags).output();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains(why), "{flags:?}: {said}");
    };
    refused(&[], "name files or folders");
    assert!(!base.folder.path().join("kb.db").exists());
    refused(&["typo"], "cannot read the input typo");
    base.indexed(&["docs"]);
    refused(&["typo"], "cannot read the input typo");
    refused(&["--forget", "docs/faq.csv"], "no input of the index");
    base.indexed(&[]);
    fs::write(base.folder.path().join("letter.md"), "Dear Sir").unwrap();
    let output = mailsort(["index", "docs", "--into", "letter.md"]).in_folder(base.folder.path()).output();
    assert_eq!(output.status.code(), Some(2));
    assert!(!base.folder.path().join("letter.md-lock").exists());
}

#[test]
fn a_word_that_stands_nowhere_has_no_keyword_rank() {
    let base = Base::new();
    base.indexed(&["docs"]);
    // Its letters stand in "zeppelin".
    for result in base.search("zeppering", &[])["results"].as_array().unwrap() {
        assert!(result["keyword_rank"].is_null() && result["cosine"].is_f64(), "{result}");
    }
    let output = mailsort(["search", "kb.db", " "]).in_folder(base.folder.path()).output();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn columns_of_a_table_are_no_matter_of_the_texts_beside_it() {
    let base = Base::new();
    base.put("rows.csv", "id,note,text\nr1,The zebra sleeps.,nothing\n");
    fs::remove_file(base.docs().join("faq.csv")).unwrap();
    base.indexed(&["docs", "--text-field", "note"]);
    assert_eq!(base.found("zebra", &["--keyword"]), ["r1"]);
    assert_eq!(base.found("damages", &["--keyword"]), ["terms.md"]);
}

#[test]
fn questions_and_answers_are_found_in_every_table() {
    let base = Base::new();
    fs::remove_file(base.docs().join("faq.csv")).unwrap();
    let (gbk, _, _) = encoding_rs::GBK.encode("编号,问题,答案\n1,考拉在哪里睡觉？,在树上。\n");
    fs::write(base.docs().join("koala.csv"), gbk).unwrap();
    let utf16: Vec<u8> = "\u{feff}id,Frage,Antwort\r\n1,Wo schläft der Igel?,Unter Laub.\r\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    fs::write(base.docs().join("igel.csv"), utf16).unwrap();
    base.put(
        "otter.json",
        "[\n  {\n    \"question\": \"Where does the otter sleep?\",\n    \"answer\": \"In a holt.\"\n  }\n]\n",
    );
    base.put("badger.jsonl", "{\"q\": \"Where does the badger sleep?\", \"a\": \"In a sett.\"}\n");
    base.put("table.csv", "question,answer\nWhere does the walrus sleep?,On the ice.\n");
    let table = ["classify", "docs/table.csv", "--label", "a", "--text-field", "answer", "-o", "docs/walrus.xlsx"];
    assert!(mailsort(table).in_folder(base.folder.path()).output().status.success());
    fs::remove_file(base.docs().join("table.csv")).unwrap();
    base.indexed(&["docs", "--encoding", "gbk"]);
    for (question, text) in [
        ("考拉 睡觉", "考拉在哪里睡觉？\n在树上。"),
        ("Igel schläft", "Wo schläft der Igel?\nUnter Laub."),
        ("otter", "Where does the otter sleep?\nIn a holt."),
        ("badger", "Where does the badger sleep?\nIn a sett."),
        ("walrus", "Where does the walrus sleep?\nOn the ice."),
    ] {
        let answer = base.search(question, &["--keyword", "--kind", "faq"]);
        assert_eq!(answer["results"][0]["text"].as_str().map(str::trim), Some(text), "{answer}");
    }
}

/// A folder of a real life: pipes, the index itself, inputs in inputs, and a file that is named otherwise tomorrow.
#[cfg(unix)]
#[test]
fn what_lies_in_a_folder_stops_no_run() {
    let base = Base::new();
    base.put("notes.txt", "question,answer\nWhere does the axolotl live?,In the lake.\n");
    assert!(std::process::Command::new("mkfifo").arg(base.docs().join("pipe")).status().unwrap().success());
    std::os::unix::fs::symlink("nowhere", base.docs().join("dangling")).unwrap();
    let sub = base.docs().join("sub");
    fs::create_dir(&sub).unwrap();
    fs::write(sub.join("deep.txt"), "A numbat sleeps in a hollow log.\n").unwrap();
    let run = |flags: &[&str]| {
        let output = mailsort(["index", "--into", "docs/kb.db"]).args(flags).in_folder(base.folder.path()).output();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let found = |question: &str, flags: &[&str]| {
        let arguments = [&["search", "docs/kb.db", question, "--keyword", "--format", "jsonl"], flags].concat();
        let output = mailsort(arguments).in_folder(base.folder.path()).output();
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        answer["results"].as_array().unwrap().iter().map(|hit| hit["kind"].to_string()).collect::<Vec<_>>()
    };
    for flags in [&["docs", "docs/sub", "docs/../docs"][..], &[], &["docs/sub"]] {
        let (status, said) = run(flags);
        assert_eq!(status, Some(1), "{said}");
        assert!(said.contains("pipe is not indexed") && said.contains("dangling is not indexed"), "{said}");
        assert!(!said.contains("kb.db") && said.matches("is not indexed").count() == 2, "{said}");
    }
    assert_eq!(found("numbat", &["--path", "docs/../docs/sub"]).len(), 1);
    assert_eq!(found("axolotl", &[]), ["\"document\""]);
    // Names say how a file is read.
    fs::rename(base.docs().join("notes.txt"), base.docs().join("notes.csv")).unwrap();
    fs::remove_file(base.docs().join("pipe")).unwrap();
    fs::remove_file(base.docs().join("dangling")).unwrap();
    assert_eq!(run(&[]).0, Some(0));
    assert_eq!(found("axolotl", &[]), ["\"faq\""]);
}

#[test]
fn a_message_that_was_on_its_way_is_read_whole() {
    let base = Base::new();
    let late = mail("3", "Late", "", "The capybara swims.\n\nThe tapir follows.");
    let (before, after) = late.split_at(late.find("The tapir").unwrap());
    let mbox = base.docs().join("mail.mbox");
    let whole = fs::read_to_string(&mbox).unwrap();
    fs::write(&mbox, whole.clone() + before).unwrap();
    base.indexed(&["docs"]);
    assert!(base.found("capybara", &["--keyword"]) == ["<3@x>"] && base.found("tapir", &["--keyword"]).is_empty());
    fs::write(&mbox, whole + &late + &mail("4", "Last", "", "The vicuna grazes.")).unwrap();
    base.indexed(&[]);
    for (word, id) in [("capybara", "<3@x>"), ("tapir", "<3@x>"), ("vicuna", "<4@x>")] {
        assert_eq!(base.found(word, &["--keyword"]), [id], "{word} {after}");
    }
    base.is_whole();
}

#[test]
fn a_file_that_is_written_anew_comes_back() {
    let base = Base::new();
    base.indexed(&["docs/faq.csv", "docs/terms.md"]);
    fs::remove_file(base.docs().join("faq.csv")).unwrap();
    base.indexed(&[]);
    assert!(base.found("parcel", &["--keyword"]).is_empty() && !base.has_bytes("parcel"));
    base.put("faq.csv", FAQ);
    base.indexed(&[]);
    assert_eq!(base.found("parcel", &["--keyword"]), ["f1"]);
}

#[test]
fn what_is_read_in_doubt_is_said() {
    let base = Base::new();
    let (gbk, _, _) = encoding_rs::GBK.encode("负面");
    fs::write(base.docs().join("doubt.txt"), gbk).unwrap();
    let output = base.index(&["docs", "--no-vectors"]).output();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("doubt.txt [0] may be read wrongly"), "{said}");
}

#[test]
fn senders_are_found_in_any_case() {
    let base = Base::new();
    base.put("m.eml", "From: MÜLLER <m@example.com>\nSubject: Roof\nMessage-ID: <m@x>\n\nThe gutter leaks.\n");
    base.indexed(&["docs"]);
    assert_eq!(base.found("gutter", &["--from", "müller"]), ["<m@x>"]);
    assert!(base.found("gutter", &["--from", "meier"]).is_empty());
}

/// Under two names an index has one writer, and a run that cannot run leaves none behind.
#[cfg(unix)]
#[test]
fn an_index_has_one_writer_and_comes_whole() {
    let base = Base::new();
    base.indexed(&["docs"]);
    std::os::unix::fs::symlink("kb.db", base.folder.path().join("other.db")).unwrap();
    let lock = fs::File::options().write(true).open(base.folder.path().join("kb.db-lock")).unwrap();
    lock.lock().unwrap();
    let output = mailsort(["index", "--into", "other.db"]).in_folder(base.folder.path()).output();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("another process"), "{said}");
    for flags in [["--model", "nonsense"], ["--records", "nothere"]] {
        let output = mailsort(["index", "docs", "--into", "new.db"]).args(flags).in_folder(base.folder.path()).output();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(!base.folder.path().join("new.db").exists() && !base.folder.path().join("new.db-lock").exists());
    }
}

/// A clause in the words of another contract, among clauses that share more words with the question.
#[test]
fn a_clause_is_found_by_what_it_means() {
    let question = "乙方逾期交付货物超过15个工作日,甲方有权解除合同并索赔。";
    let (first, last) =
        ("如卖方延迟交货超15日，买方可终止协议并要求赔偿损失。", "任何一方违反保密义务，应承担由此造成的全部损失。");
    let others = ["甲方应在收到货物后30日内支付全部货款。", "因本合同引起的争议，提交甲方所在地人民法院诉讼解决。"];
    let base = Base::new();
    fs::create_dir(base.folder.path().join("clauses")).unwrap();
    for (at, clause) in [others[0], first, last, others[1]].iter().enumerate() {
        fs::write(base.folder.path().join(format!("clauses/{at}.txt")), clause).unwrap();
    }
    base.indexed(&["clauses", "--model", "deep"]);
    for flags in [&[][..], &["--semantic"]] {
        let answer = base.search(question, flags);
        let texts: Vec<&str> =
            answer["results"].as_array().unwrap().iter().map(|hit| hit["text"].as_str().unwrap()).collect();
        assert!(texts.len() == 4 && texts[0] == first && texts[3] == last, "{texts:?}");
    }
}
