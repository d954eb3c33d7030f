//! Every form of labelled samples, through the front door.

use std::fs;

use super::*;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

/// What comes of an input: `label+label weight body` for samples, the reason for what is left. Sources are named
/// relative to `folder`.
fn found(folder: &Path, name: &str, options: LabelledOptions) -> Vec<String> {
    let samples = open(&folder.join(name), false, &Arc::new(options)).unwrap();
    let here = |origin: &Origin| {
        let source = origin.source.strip_prefix(folder.to_str().unwrap()).unwrap_or(&origin.source);
        format!("{}[{}]", source.trim_start_matches('/'), origin.index)
    };
    let shown = |found| match found {
        Candidate::Left(left) => format!("{} {}", here(&left.origin), left.why),
        Candidate::Sample(labelled) => match labelled.read(&Reading::default()) {
            Err(left) => format!("{} {}", here(&left.origin), left.why),
            Ok(Sample { document, labels, weight, .. }) => match document {
                Ok(document) => {
                    format!("{} {} {weight} {}", here(&document.origin), labels.join("+"), document.text().trim())
                }
                Err(skip) => format!("{} {} {}", here(&skip.origin), labels.join("+"), skip.reason),
            },
        },
    };
    samples.map(shown).collect()
}

fn plain(files: &[(&str, &str)], name: &str) -> Vec<String> {
    found(folder(files).path(), name, LabelledOptions::default())
}

const MAIL: &str = "Message-ID: <1@x>\nSubject: Hello\n\nCan we meet?\n";

#[test]
fn rows_of_json() {
    let rows = "{\"text\":\"one\",\"label\":\"a\",\"split\":\"test\"}\n\n{\"text\":\"two\",\"labels\":[\"b\",\" a \",\"b\"],\"weight\":2}\n\
                {\"text\":\"three\"}\n{\"label\":\"a\"}\nnonsense\n{\"text\":\"\",\"label\":7}\n{\"path\":\"m/1.eml\",\"label\":\"mail\"}\n\
                {\"path\":\"m/gone.eml\",\"label\":\"mail\"}\n{\"text\":\"x\",\"label\":{}}\n{\"text\":\"x\",\"label\":\"a\\nb\"}\n";
    assert_eq!(
        plain(&[("s.jsonl", rows), ("m/1.eml", MAIL)], "s.jsonl"),
        [
            "s.jsonl[0] a 1 one",
            "s.jsonl[1] b+a 2 two",
            "s.jsonl[2] without a label",
            "s.jsonl[3] bad row: neither `text` nor `path` in it",
            "s.jsonl[4] bad row: no JSON at column 2",
            "s.jsonl[5] 7 no text",
            "m/1.eml[0] mail 1 Hello\nCan we meet?",
            "m/gone.eml[0] mail unreadable: No such file or directory",
            "s.jsonl[8] bad row: `label` is neither text nor a list of texts",
            "s.jsonl[9] without a label: its label holds a control character",
        ]
    );
}

#[test]
fn tables_of_every_separator() {
    for (name, separator) in [("s.csv", ","), ("s.tsv", "\t"), ("table", ";")] {
        let table = "\u{feff}id,Text,extra,Label,subject\r\n7,\"one,;\t\"\"two\"\"\nlines\",x,a,Hi\r\n8,,x,b,\r\n9,three,x,,\r\n"
            .replace(",;\t", ";;;")
            .replace(',', separator);
        let table = table.replace(";;;", ",;\t");
        assert_eq!(
            plain(&[(name, &table)], name),
            [
                format!("{name}[0] a 1 Hi\none,;\t\"two\"\nlines"),
                format!("{name}[1] b no text"),
                format!("{name}[2] without a label"),
            ]
        );
    }
    let body = RowFields { text: vec!["body".into()], ..RowFields::default() };
    let options = LabelledOptions { fields: body, label_field: "queue".into(), ..Default::default() };
    let folder =
        folder(&[("t.csv", "queue,body\na,caf\u{e9}\n"), ("t.jsonl", "{\"body\":\"x\",\"queue\":[\"a\",\"b\"]}")]);
    assert_eq!(found(folder.path(), "t.csv", options.clone()), ["t.csv[0] a 1 café"]);
    assert_eq!(found(folder.path(), "t.jsonl", options), ["t.jsonl[0] a+b 1 x"]);
}

#[test]
fn what_holds_no_labels_is_said() {
    let folder = folder(&[
        ("b.csv", "Betreff;Ordner\nx;a\n"),
        ("c.mbox", "From a Sat Jan  3 01:05:34 1996\nSubject: x\n\ny\n"),
        ("d/loose.eml", MAIL),
        ("e.csv", ""),
    ]);
    let fails = |name: &str, expected: &str| {
        let error = open(&folder.path().join(name), false, &Arc::default()).err().unwrap();
        let error = format!("{error:#}");
        assert!(error.contains(name) && error.contains(expected), "{error}");
    };
    fails("b.csv", "its first row reads \"Betreff\", \"Ordner\"");
    fails("c.mbox", "says nothing of labels");
    fails("d", "no folder in");
    fails("e.csv", "is empty");
    fails("gone", "cannot read the samples");
}

#[test]
fn folders_are_labels() {
    let files = [
        ("s/billing/1.eml", MAIL),
        ("s/billing/deep/2.txt", "Pay the bill"),
        (
            "s/meetings/box",
            "From a Sat Jan  3 01:05:34 1996\nSubject: x\n\ny\n\nFrom a Sat Jan  3 01:05:34 1996\nX-Y: z\n\nz\n",
        ),
        ("s/old/mails/cur/1.a:2,S", MAIL),
        ("s/old/mails/new/.keep", ""),
        ("s/empty/.keep", ""),
        ("s/.git/config", "x"),
        ("s/notes.txt", "x"),
    ];
    assert_eq!(
        plain(&files, "s"),
        [
            "s/notes.txt[0] without a label: it lies beside the folders that are labels",
            "s/billing/1.eml[0] billing 1 Hello\nCan we meet?",
            "s/billing/deep/2.txt[0] billing 1 Pay the bill",
            "s/meetings/box[0] meetings 1 x\ny",
            "s/meetings/box[1] meetings 1 z",
            "s/old/mails/cur/1.a:2,S[0] old 1 Hello\nCan we meet?",
        ]
    );
    let exclude = vec![Pattern::new("b*").unwrap(), Pattern::new("OLD").unwrap()];
    let options = LabelledOptions { exclude, ..LabelledOptions::default() };
    assert_eq!(found(folder(&files).path(), "s", options).len(), 3);
}

/// The labels that a tree of maildirs has, given the names of its maildirs.
fn labels(maildirs: &[&str], options: LabelledOptions) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    for maildir in maildirs {
        for part in ["cur", "new", "tmp"] {
            fs::create_dir_all(folder.path().join("m").join(maildir).join(part)).unwrap();
        }
        fs::write(folder.path().join("m").join(maildir).join("cur/1.a:2,S"), MAIL).unwrap();
        fs::write(folder.path().join("m").join(maildir).join("dovecot-uidlist"), "x").unwrap();
    }
    let found = found(folder.path(), "m", options);
    found.iter().map(|line| line.split("] ").nth(1).unwrap().split(" 1 ").next().unwrap().to_string()).collect()
}

#[test]
fn folders_of_maildir_trees_are_labels() {
    let plain = LabelledOptions::default;
    let exclude = |patterns: &[&str]| patterns.iter().map(|pattern| Pattern::new(pattern).unwrap()).collect();
    let maildir_pp = [".", ".Work", ".Work.Entw&APw-rfe", ".Trash", ".Trash.2020", ".INBOX.Lists"];
    assert_eq!(labels(&maildir_pp, plain()), ["INBOX/Lists", "Trash", "Trash/2020", "Work", "Work/Entwürfe"]);
    let options = LabelledOptions { inbox: true, exclude: exclude(&["trash"]), ..plain() };
    assert_eq!(labels(&maildir_pp, options), ["INBOX", "INBOX/Lists", "Work", "Work/Entwürfe"]);
    let nested = ["Inbox", "Work", "Work/Offers", "Work/Old/2020", "R&D"];
    assert_eq!(labels(&nested, plain()), ["R&D", "Work", "Work/Offers", "Work/Old/2020"]);
    let options = LabelledOptions { exclude: exclude(&["Work/O*", "R&D"]), ..plain() };
    assert_eq!(labels(&nested, options), ["Work"]);
}

#[test]
fn a_tree_by_request_is_walked_to_its_maildirs() {
    let files = [("m/account/Work/cur/1.a:2,", MAIL), ("m/account/Work/new/.keep", "")];
    let folder = folder(&files);
    let labels = |tree| {
        let samples = open(&folder.path().join("m"), tree, &Arc::default()).unwrap();
        let label = |found| match found {
            Candidate::Sample(sample) => sample.labels.join("+"),
            Candidate::Left(left) => left.why.to_string(),
        };
        samples.map(label).collect::<Vec<_>>()
    };
    assert_eq!((labels(true), labels(false)), (vec!["account/Work".to_string()], vec!["account".to_string()]));
}

const MBOX: &str = "From a Sat Jan  3 01:05:34 1996\nMessage-ID: <1@x>\nSubject: one\n\nx\n\n\
    From a Sat Jan  3 01:05:34 1996\nMessage-ID: <2@x>\nSubject: two\n\ny\n\n\
    From a Sat Jan  3 01:05:34 1996\nMessage-ID: <3@x>\nSubject: three\n\nz\n";

#[test]
fn records_are_found_again() {
    let record = |source: &str, index: u64, id: &str, label: &str, best: &str, score: f32| {
        format!(
            "{{\"source\":\"{source}\",\"index\":{index},\"id\":{id},\"subject\":null,\"label\":{label},\"score\":{score},\
             \"labels\":[{{\"label\":\"{best}\",\"score\":{score}}}],\"model\":\"builtin\"}}\n"
        )
    };
    let rows = [
        record("box", 2, "\"<3@x>\"", "\"a\"", "a", 0.5),
        record("m/cur/1.a:2,", 0, "\"<1@x>\"", "\"b\"", "b", 0.9),
        record("box", 0, "\"<1@x>\"", "\"corrected\"", "a", 0.25),
        record("box", 1, "\"<9@x>\"", "\"a\"", "a", 0.75),
        record("box", 0, "\"<1@x>\"", "\"a\"", "a", 0.75),
        record("box", 7, "null", "\"a\"", "a", 0.75),
        record("-", 0, "null", "\"a\"", "a", 0.75),
        record("gone.eml", 0, "null", "\"a\"", "a", 0.75),
        record("box", 1, "\"<2@x>\"", "null", "a", 0.75),
        record("box", 1, "\"<2@x>\"", "\"a\"", "a", 0.125),
    ];
    let files = [
        ("r.jsonl", rows.concat()),
        ("box", MBOX.into()),
        ("m/cur/1.a:2,RS", MAIL.into()),
        ("m/new/.keep", String::new()),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let folder = folder(&files);
    let options = LabelledOptions { min_score: Some(0.2), ..LabelledOptions::default() };
    let expected = [
        "r.jsonl[8] without a label",
        "r.jsonl[9] below --min-score",
        "box[0] corrected 1 one\nx",
        "box[0] bad row: a record before it is of the same document",
        "box[1] not found again: <2@x> stands there now, where <9@x> was",
        "box[2] a 0.5 three\nz",
        "box[7] not found again: it holds fewer documents now",
        "m/cur/1.a:2,[0] b 0.9 Hello\nCan we meet?",
        "-[0] not found again: it came from standard input",
        "gone.eml[0] not found again: the file is not there",
    ];
    assert_eq!(found(folder.path(), "r.jsonl", options), expected);
}

#[test]
fn records_of_several_sets_need_a_name() {
    let row = "{\"source\":\"box\",\"index\":0,\"id\":\"<1@x>\",\"sets\":{\"q\":{\"label\":\"a\",\"score\":0.5,\"labels\":[{\"label\":\"a\",\"score\":0.5}]},\
               \"p\":{\"label\":null,\"score\":0.1,\"labels\":[]}},\"model\":\"m\"}\n";
    let folder = folder(&[("r.jsonl", row), ("box", MBOX)]);
    let with = |set: Option<&str>| {
        let options = LabelledOptions { set: set.map(String::from), ..LabelledOptions::default() };
        found(folder.path(), "r.jsonl", options).remove(0)
    };
    assert_eq!(with(Some("q")), "box[0] a 0.5 one\nx");
    assert_eq!(with(Some("p")), "r.jsonl[0] without a label");
    assert_eq!(with(None), "r.jsonl[0] bad row: several label sets; name one with --set: p, q");
}

#[test]
fn an_open_quotation_mark_damages_one_row_and_no_more() {
    let seen = plain(&[("s.csv", "text,label\nx,a\n\"y,b\nz,c\n")], "s.csv");
    let open = "s.csv[1] bad row: a quotation mark of line 3 is not closed, or not as a cell ends";
    assert_eq!(seen, ["s.csv[0] a 1 x", open, "s.csv[2] c 1 z"]);
}

#[test]
fn records_without_an_id_are_known_by_their_subjects() {
    let record = |index: u64, subject: &str| {
        format!("{{\"source\":\"rows.jsonl\",\"index\":{index},\"id\":null,\"subject\":{subject},\"label\":\"a\"}}\n")
    };
    let records = [record(0, "\"one\""), record(1, "\"one\""), record(2, "null"), record(3, "null")].concat();
    let rows = "{\"text\":\"x\",\"subject\":\"one\"}\n{\"text\":\"y\",\"subject\":\"two\"}\n{\"text\":\"z\"}\n\
                {\"text\":\"w\",\"subject\":\"four\"}\n";
    let folder = folder(&[("r.jsonl", &records), ("rows.jsonl", rows)]);
    let expected = [
        "rows.jsonl[0] a 1 one\nx",
        "rows.jsonl[1] not found again: \"two\" stands there now, where \"one\" was",
        "rows.jsonl[2] a 1 z",
        "rows.jsonl[3] not found again: \"four\" stands there now, where no subject was",
    ];
    assert_eq!(found(folder.path(), "r.jsonl", LabelledOptions::default()), expected);
    let alone = |found| match found {
        Candidate::Sample(labelled) => labelled.read(&Reading::default()).is_ok_and(|sample| sample.by_place_alone),
        Candidate::Left(_) => false,
    };
    let samples = open(&folder.path().join("r.jsonl"), false, &Arc::default()).unwrap();
    assert_eq!(samples.map(alone).collect::<Vec<_>>(), [false, false, true, false]);
}

#[test]
fn tables_of_classify_are_records() {
    let table = "source,index,id,subject,label,score,error,label_1,score_1\n\
                 box,0,<1@x>,one,'-5 %,0.5,,'-5 %,0.5\nbox,1,<2@x>,two,corrected,0.25,,a,0.25\n";
    let mbox = MBOX.replace("two", "=two");
    let files = [("r.csv", table.replace("two", "'=two")), ("box", mbox)];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let options = LabelledOptions { min_score: Some(0.3), ..LabelledOptions::default() };
    assert_eq!(
        found(folder(&files).path(), "r.csv", options),
        ["box[0] -5 % 0.5 one\nx", "box[1] corrected 1 =two\ny"]
    );
}

#[test]
fn raw_scores_are_no_weights() {
    let row = "{\"source\":\"box\",\"index\":0,\"id\":\"<1@x>\",\"label\":\"a\",\"score\":-3.5}\n";
    let folder = folder(&[("r.jsonl", row), ("box", MBOX)]);
    assert_eq!(found(folder.path(), "r.jsonl", LabelledOptions::default()), ["box[0] a NaN one\nx"]);
    let options = LabelledOptions { min_score: Some(0.3), ..LabelledOptions::default() };
    assert!(found(folder.path(), "r.jsonl", options)[0].contains("bad row: its score -3.5 is no probability"));
}

#[test]
fn labels_may_be_one_or_several() {
    let rows = "{\"text\":\"x\",\"labels\":\"a\"}\n{\"text\":\"x\",\"labels\":[1,2]}\n{\"text\":\"x\",\"labels\":[],\"label\":\"b\"}\n\
                {\"text\":\"x\",\"labels\":{}}\n{\"text\":\"x\",\"labels\":null}\n";
    let expected = [
        "s.jsonl[0] a 1 x",
        "s.jsonl[1] 1+2 1 x",
        "s.jsonl[2] b 1 x",
        "s.jsonl[3] bad row: `labels` is neither text nor a list of texts",
        "s.jsonl[4] without a label",
    ];
    assert_eq!(plain(&[("s.jsonl", rows)], "s.jsonl"), expected);
    assert_eq!(plain(&[("s.csv", "text,labels\npay,invoice\n")], "s.csv"), ["s.csv[0] invoice 1 pay"]);
}

#[test]
fn rows_name_files_below_their_own_folder_only() {
    let paths =
        ["in/a.txt", "in/../in/a.txt", "gone/b.txt", "../secret.txt", "/etc/hostname", "link.txt", "inside.txt"];
    let rows: String = paths.map(|path| format!("{{\"path\":\"{path}\",\"label\":\"a\"}}\n")).concat();
    let records = ["box", "../out", "/etc/hostname"]
        .map(|source| format!("{{\"source\":\"{source}\",\"index\":0,\"id\":null,\"label\":\"a\"}}\n"));
    let files = [
        ("s/rows.jsonl", rows.as_str()),
        ("s/in/a.txt", "one"),
        ("secret.txt", "secret"),
        ("s/records.jsonl", &records.concat()),
        ("s/box", "From a Sat Jan  3 01:05:34 1996\nSubject: one\n\nx\n"),
        ("out", "secret"),
    ];
    let folder = folder(&files);
    #[cfg(unix)]
    for (target, link) in [("../secret.txt", "s/link.txt"), ("in/a.txt", "s/inside.txt")] {
        std::os::unix::fs::symlink(target, folder.path().join(link)).unwrap();
    }
    let outside = "bad row: its `path`";
    let expected = ["a 1 one", "a 1 one", "a unreadable", outside, outside, outside, "a 1 one"];
    let samples = folder.path().join("s");
    let check = |name: &str, anywhere: bool, expected: &[&str]| {
        let options = LabelledOptions { paths_anywhere: anywhere, ..LabelledOptions::default() };
        let seen = found(&samples, name, options);
        assert_eq!(seen.len(), expected.len(), "{seen:#?}");
        for (seen, expected) in seen.iter().zip(expected).filter(|_| cfg!(unix)) {
            assert!(seen.split_once("] ").unwrap().1.starts_with(expected), "{seen} is not {expected}");
            assert_eq!(seen.contains("--paths-anywhere"), seen.contains("below"), "{seen}");
        }
    };
    check("rows.jsonl", false, &expected);
    let elsewhere = "not found again: the file is below neither";
    check("records.jsonl", false, &["a 1 one", elsewhere, elsewhere]);
    check("records.jsonl", true, &["a 1 one", "a 1 secret", "a 1 "]);
    let anywhere = found(&samples, "rows.jsonl", LabelledOptions { paths_anywhere: true, ..Default::default() });
    assert!(anywhere[3].ends_with("a 1 secret") && anywhere[5].ends_with("a 1 secret"), "{anywhere:#?}");
}

#[cfg(unix)]
#[test]
fn rows_name_no_pipes_and_no_devices() {
    let row = |path: &str| format!("{{\"path\":\"{path}\",\"label\":\"a\"}}\n");
    let folder = folder(&[("s.jsonl", &[row("pipe"), row("/dev/zero")].concat())]);
    assert!(std::process::Command::new("mkfifo").arg(folder.path().join("pipe")).status().unwrap().success());
    let options = LabelledOptions { paths_anywhere: true, ..LabelledOptions::default() };
    let refused = "a unreadable: not a regular file";
    let expected = [format!("pipe[0] {refused}"), format!("dev/zero[0] {refused}")];
    assert_eq!(found(folder.path(), "s.jsonl", options), expected);
}

#[test]
fn arrays_and_other_columns_are_samples() {
    let array = "[{\"body\":\"one\",\"label\":\"a\"},{\"Text\":\"two\",\"labels\":[\"a\",\"b\"]},{\"label\":\"a\"}]";
    assert_eq!(
        plain(&[("s.json", array)], "s.json"),
        ["s.json[0] a 1 one", "s.json[1] a+b 1 two", "s.json[2] bad row: neither `text` nor `path` in it"]
    );
    let fields = RowFields { text: vec!["question".into(), "answer".into()], ..RowFields::default() };
    let options = LabelledOptions { fields, ..LabelledOptions::default() };
    let folder = folder(&[("t.csv", "Question,Answer,title,label\nwhen?,now,Time,a\n")]);
    assert_eq!(found(folder.path(), "t.csv", options), ["t.csv[0] a 1 Time\nwhen?\n\nnow"]);
}

#[test]
fn one_charset_for_a_file_of_samples() {
    let folder = tempfile::tempdir().unwrap();
    let text = "text,label\n请尽快付款，谢谢,负面\n会议日程,会议\n";
    let (gbk, _, _) = encoding_rs::GBK.encode(text);
    fs::write(folder.path().join("s.csv"), &gbk).unwrap();
    let wide: Vec<u8> = "\u{feff}"
        .chars()
        .chain(text.replace(',', "\t").chars())
        .collect::<String>()
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    fs::write(folder.path().join("unicode.txt"), wide).unwrap();
    for name in ["s.csv", "unicode.txt"] {
        let expected = [format!("{name}[0] 负面 1 请尽快付款，谢谢"), format!("{name}[1] 会议 1 会议日程")];
        assert_eq!(found(folder.path(), name, LabelledOptions::default()), expected);
    }
    let (short, _, _) = encoding_rs::GBK.encode("text,label\nx,负面\n");
    fs::write(folder.path().join("short.csv"), &short).unwrap();
    let doubt = open(&folder.path().join("short.csv"), false, &Arc::default()).err().unwrap();
    let doubt = format!("{doubt:#}");
    assert!(doubt.contains("short.csv") && doubt.contains("--encoding"), "{doubt}");
    let options = LabelledOptions { encoding: crate::charset::named("gbk"), ..LabelledOptions::default() };
    assert_eq!(found(folder.path(), "short.csv", options), ["short.csv[0] 负面 1 x"]);
}

#[test]
fn records_that_were_moved_with_their_mail_are_found() {
    let record = "{\"source\":\"/home/ann/old/mail/box\",\"index\":1,\"id\":\"<2@x>\",\"label\":\"a\"}\n";
    for moved in ["box", "mail/box", "old/mail/box"] {
        let folder = folder(&[("r.jsonl", record), (moved, MBOX)]);
        assert_eq!(found(folder.path(), "r.jsonl", LabelledOptions::default()), [format!("{moved}[1] a 1 two\ny")]);
    }
    let folder = folder(&[("r.jsonl", &record.replace("/home", "/../home")), ("boxes", MBOX)]);
    assert!(found(folder.path(), "r.jsonl", LabelledOptions::default())[0].contains("not found again"));
}

#[test]
fn documents_without_a_label_may_be_samples() {
    let rows = "{\"text\":\"x\",\"label\":\"a\"}\n{\"text\":\"y\"}\n{\"text\":\"z\",\"label\":\" \"}\n";
    let files = [
        ("s.jsonl", rows),
        ("t.csv", "text\none\ntwo\n"),
        ("box", MBOX),
        ("mail/b/1.eml", "Subject: three\n\nc\n"),
        ("note.txt", "some text\n"),
    ];
    let folder = folder(&files);
    let check = |name: &str, unlabelled: Unlabelled, expected: &[&str]| {
        let options = LabelledOptions { unlabelled, ..LabelledOptions::default() };
        assert_eq!(found(folder.path(), name, options), expected, "{name} {unlabelled:?}");
    };
    for unlabelled in [Unlabelled::Taken, Unlabelled::Expected] {
        check("s.jsonl", unlabelled, &["s.jsonl[0] a 1 x", "s.jsonl[1]  1 y", "s.jsonl[2]  1 z"]);
        check("t.csv", unlabelled, &["t.csv[0]  1 one", "t.csv[1]  1 two"]);
        check("box", unlabelled, &["box[0]  1 one\nx", "box[1]  1 two\ny", "box[2]  1 three\nz"]);
        check("note.txt", unlabelled, &["note.txt[0]  1 some text"]);
    }
    check("mail", Unlabelled::Taken, &["mail/b/1.eml[0] b 1 three\nc"]);
    check("mail", Unlabelled::Expected, &["mail/b/1.eml[0]  1 three\nc"]);
    check("mail/b", Unlabelled::Taken, &["mail/b/1.eml[0]  1 three\nc"]);
    check(
        "s.jsonl",
        Unlabelled::LeftOut,
        &["s.jsonl[0] a 1 x", "s.jsonl[1] without a label", "s.jsonl[2] without a label"],
    );
}
