//! The index as a whole: what an update reads and forgets, what survives a killed process, what a search answers.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};
use sha2::{Digest, Sha256};

use super::passages::PassageKind;
use super::*;

/// Files in memory. A document is a paragraph between lines of `---`; one that says `broken` cannot be read.
#[derive(Default)]
struct Files {
    files: RefCell<BTreeMap<String, (String, i64)>>,
    reads: Cell<usize>,
    unread: RefCell<Vec<String>>,
}

impl Files {
    fn set(&self, path: &str, text: &str) {
        let mut files = self.files.borrow_mut();
        let time = files.get(path).map_or(1, |(_, time)| time + 1);
        files.insert(path.into(), (text.into(), time));
    }

    fn remove(&self, path: &str) {
        self.files.borrow_mut().remove(path);
    }
}

impl DocumentReader for Files {
    fn list(&self) -> Result<FileListing> {
        let stat = |(path, (text, time)): (&String, &(String, i64))| FileStat {
            path: path.clone(),
            size: text.len() as u64,
            mtime: *time,
            kind: "test".into(),
            grows: true,
            ..FileStat::default()
        };
        let files = self.files.borrow().iter().map(stat).collect();
        Ok(FileListing { files, unread: self.unread.borrow().clone() })
    }

    fn read<'a>(&'a self, file: &FileStat, first: u64) -> Result<Box<dyn Iterator<Item = FoundDocument> + 'a>> {
        self.reads.set(self.reads.get() + 1);
        let text = self.files.borrow()[&file.path].0.clone();
        if text.contains("locked") {
            bail!("permission denied");
        }
        let documents: Vec<String> = text.split("---\n").filter(|part| !part.is_empty()).map(Into::into).collect();
        Ok(Box::new((0..).zip(documents).skip(first as usize).map(|(index, text)| {
            if text.contains("broken") {
                return FoundDocument::Failure(index, "no text".into());
            }
            let (subject, text) = text.split_once('|').unwrap_or(("", &text));
            let subject = Some(subject.to_string()).filter(|subject| !subject.is_empty());
            FoundDocument::Document(Box::new(Read {
                index,
                subject,
                text: text.into(),
                kind: Some(PassageKind::Mail),
                ..Read::default()
            }))
        })))
    }

    fn hashes(&self, file: &FileStat, bytes: u64) -> Result<[[u8; 32]; 2]> {
        let files = self.files.borrow();
        let text = files[&file.path].0.as_bytes();
        Ok([&text[..bytes as usize], text].map(|part| Sha256::digest(part).into()))
    }
}

struct Room {
    _folder: tempfile::TempDir,
    path: PathBuf,
    files: Files,
}

impl Room {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let room = Self { path: folder.path().join("index"), _folder: folder, files: Files::default() };
        files.iter().for_each(|(path, text)| room.files.set(path, text));
        room
    }

    fn update(&self) -> Updated {
        let done = Index::open_to_write(&self.path).unwrap().update(&self.files, true, &|| false).unwrap();
        assert_eq!(Index::open(&self.path).unwrap().verify().unwrap(), [""; 0]);
        done
    }

    /// The files in which a word is found, best first.
    fn find(&self, text: &str) -> Vec<String> {
        let query = Query { text: text.into(), top: 10, ..Query::default() };
        let answer = search(&Index::open(&self.path).unwrap(), &query, None, None).unwrap();
        answer.hits.into_iter().flat_map(|hit| hit.places).map(|place| place.path).collect()
    }

    /// True where a word stands in a text, or somewhere in the bytes of the index or its log, whatever its case.
    fn has_bytes(&self, word: &str) -> bool {
        let mut texts = String::new();
        texts::each(&Index::open(&self.path).unwrap().database, &mut |text| {
            texts += &(text.line().to_lowercase() + "\n");
            Ok(())
        })
        .unwrap();
        texts.contains(word) || self.has_raw(word.as_bytes())
    }

    /// True where bytes stand somewhere in the index or its log, whatever their case.
    fn has_raw(&self, wanted: &[u8]) -> bool {
        let wanted = wanted.to_ascii_lowercase();
        ["", "-wal"].iter().any(|ending| {
            let bytes = fs::read(schema::beside(&self.path, ending)).unwrap_or_default().to_ascii_lowercase();
            bytes.windows(wanted.len()).any(|window| window == wanted)
        })
    }

    /// The ends of the compressed blocks of texts.
    fn blocks(&self) -> Vec<Vec<u8>> {
        let index = Index::open(&self.path).unwrap();
        let mut statement = index.database.prepare("SELECT block FROM texts").unwrap();
        let blocks = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap().map(Result::unwrap);
        blocks.map(|block| block[block.len().saturating_sub(24)..].to_vec()).collect()
    }
}

/// A vector by the letters of a text.
fn letters(texts: &[&str]) -> Result<Vec<Option<Vec<f32>>>> {
    let of = |text: &&str| {
        let mut vector = vec![0.0; 16];
        text.bytes().for_each(|byte| vector[usize::from(byte) % 16] += 1.0);
        (!text.contains("wordless")).then_some(vector)
    };
    Ok(texts.iter().map(of).collect())
}

fn model(id: &str, dims: usize) -> VectorModel {
    VectorModel { id: id.into(), revision: "1".into(), dims, template: String::new(), trust: 0.2 }
}

#[test]
fn an_update_reads_only_what_it_must() {
    let room = Room::new(&[("a", "apples and pears"), ("b", "bananas---\ncherries"), ("c", "broken"), ("d", "locked")]);
    let check = |expected: Updated| assert_eq!(room.update(), expected);
    check(Updated { read: 3, documents: 3, ..Updated::default() });
    check(Updated { unchanged: 3, ..Updated::default() });
    let reads = room.files.reads.get();
    // Moved, copied, touched.
    room.files.remove("a");
    room.files.set("moved/a", "apples and pears");
    room.files.set("copy", "bananas---\ncherries");
    room.files.set("c", "broken");
    check(Updated { recognised: 3, unchanged: 1, ..Updated::default() });
    assert_eq!(
        (room.files.reads.get(), room.find("pears")),
        (reads + 1, vec!["moved/a".to_string()]),
        "only d is tried"
    );
    assert_eq!(room.find("cherries"), ["b", "copy"]);
    // Grown: what was the last is read again, as it may have been on its way, and positions go on.
    room.files.set("b", "bananas---\ncherries and plums---\ndates");
    check(Updated { read: 1, documents: 1, unchanged: 3, ..Updated::default() });
    assert_eq!((room.find("plums"), room.find("cherries")), (vec!["b".to_string()], vec!["copy".into(), "b".into()]));
    let query = Query { text: "dates".into(), top: 3, ..Query::default() };
    let answer = search(&Index::open(&room.path).unwrap(), &query, None, None).unwrap();
    assert_eq!((answer.hits[0].places[0].index, answer.hits[0].keyword_rank, answer.by_vectors), (2, Some(1), false));
    let status = Index::open(&room.path).unwrap().status().unwrap();
    assert_eq!((status.files, status.documents, status.passages, status.pending), (5, 6, 5, 5));
    assert_eq!(
        status.failures,
        [("d".to_string(), "permission denied".to_string()), ("c [0]".into(), "no text".into())]
    );
}

#[test]
fn what_is_deleted_or_replaced_is_gone_to_the_last_byte() {
    let long = "zebra crossing ".repeat(3000);
    let room =
        Room::new(&[("a", "Subjectword|secretword alpha"), ("b", "shared text"), ("c", "shared text"), ("d", &long)]);
    room.update();
    let mut index = Index::open_to_write(&room.path).unwrap();
    assert!(index.embed(&model("m", 16), false, 2, &mut letters, &|| false).unwrap() > 3);
    drop(index);
    assert!(room.has_bytes("secretword") && room.has_bytes("subjectword") && room.has_bytes("zebra"));
    let blocks = room.blocks();
    assert!(!blocks.is_empty() && blocks.iter().all(|block| room.has_raw(block)));
    room.files.set("a", "publicword beta");
    room.files.remove("c");
    room.files.remove("d");
    room.update();
    assert_eq!(room.find("secretword alpha zebra"), [""; 0]);
    assert_eq!((room.find("publicword"), room.find("shared")), (vec!["a".to_string()], vec!["b".to_string()]));
    for word in ["secretword", "subjectword", "zebra", "zebr", "crossing"] {
        assert!(!room.has_bytes(word), "{word}");
    }
    assert!(room.has_bytes("publicword") && !blocks.iter().any(|block| room.has_raw(block)));
    let status = Index::open(&room.path).unwrap().status().unwrap();
    assert_eq!((status.documents, status.passages, status.pending), (2, 2, 1));
    // A file that can no longer be read says nothing any more.
    room.files.set("a", "locked");
    room.update();
    assert_eq!(Index::open(&room.path).unwrap().failures().unwrap().len(), 1);
    assert!(!room.has_bytes("publicword") && room.find("publicword").is_empty());
}

#[test]
fn many_passages_go_as_thoroughly_as_one() {
    let text = |word: &str| (0..400).map(|at| format!("{word} {word}{at} number {at}---\n")).collect::<String>();
    let room = Room::new(&[("a", &text("quagga")), ("b", &text("wombat"))]);
    room.update();
    assert!(room.has_bytes("quagga") && room.find("quagga77") == ["a"]);
    room.files.remove("a");
    room.update();
    assert!(!room.has_bytes("quagg") && room.find("quagga77").is_empty());
    assert!(room.blocks().len() == 25 && room.blocks().iter().all(|block| room.has_raw(block)));
    assert_eq!(
        (room.find("wombat399"), Index::open(&room.path).unwrap().status().unwrap().passages),
        (vec!["b".into()], 400)
    );
    // Afterwards single passages go as before.
    room.files.set("b", &text("wombat").replace("wombat7 ", "platypus "));
    room.update();
    assert!(!room.has_bytes("wombat7 ") && room.find("platypus") == ["b"]);
}

#[test]
fn a_moved_passage_keeps_its_vector_and_models_are_not_mixed() {
    let room = Room::new(&[("a", "one passage"), ("b", "wordless")]);
    room.update();
    let embed = |model: &VectorModel, reembed| {
        Index::open_to_write(&room.path).unwrap().embed(model, reembed, 10, &mut letters, &|| false)
    };
    assert_eq!(embed(&model("m", 16), false).unwrap(), 2);
    room.files.remove("a");
    room.files.set("z", "another---\none passage");
    room.update();
    assert_eq!(embed(&model("m", 16), false).unwrap(), 1, "only the new passage");
    let error = format!("{:#}", embed(&model("other", 16), false).unwrap_err());
    assert!(error.contains("--reembed") && error.contains("other"), "{error}");
    assert_eq!(room.find("passage"), ["z"]);
    let index = Index::open(&room.path).unwrap();
    let query = Query { text: "passage".into(), top: 3, ..Query::default() };
    let error = search(&index, &query, Some(&[1.0; 8]), None).unwrap_err();
    assert!(format!("{error:#}").contains("--reembed"), "{error:#}");
    assert!(search(&index, &query, Some(&[1.0; 16]), None).unwrap().by_vectors);
    assert_eq!(embed(&model("other", 16), true).unwrap(), 3);
    assert_eq!(index.model().unwrap().unwrap().id, "other");
    assert!(
        index.status().unwrap().pending == 0
            && Index::open(&room.path).unwrap().update(&room.files, true, &|| false).is_err()
    );
}

#[test]
fn hits_are_grouped_filtered_and_reranked() {
    let room = Room::new(&[
        ("mail/a", "Offer|the offer of apples---\nRe: Offer|an offer of pears---\nOther|the offer of apples"),
        ("notes/b", "an offer for \"quotes\" NEAR( * -x OR"),
    ]);
    room.update();
    let index = Index::open(&room.path).unwrap();
    let ask = |query: Query| search(&index, &Query { top: 10, ..query }, None, None).unwrap().hits;
    let query = |text: &str| Query { text: text.into(), ..Query::default() };
    let hits = ask(query("offer"));
    assert_eq!(hits.iter().map(|hit| hit.places.len() + hit.more_in_thread).sum::<usize>(), 4);
    assert_eq!(hits.len(), 2, "{hits:?}");
    assert_eq!(ask(Query { every_passage: true, ..query("offer") }).len(), 3);
    let filters = Filters { path: Some("notes/".into()), ..Filters::default() };
    let hits = ask(Query { filters, ..query("offer apples") });
    assert_eq!((hits.len(), hits[0].places[0].path.as_str()), (1, "notes/b"));
    for text in ["\"", "NEAR(", "-x OR *", "'; DROP TABLE units; --", "", "^tokens : \"a"] {
        ask(query(text));
    }
    let mut reversed = |texts: &[&str]| Ok((0..texts.len()).map(|at| at as f32 / 10.0).collect());
    let answer = search(&index, &Query { top: 2, ..query("offer") }, None, Some((5, &mut reversed))).unwrap();
    assert!(answer.reranked && !answer.answered && answer.hits[0].probability > answer.hits[1].probability);
    let mut fails = |_: &[&str]| bail!("out of memory");
    let answer = search(&index, &Query { top: 2, ..query("offer") }, None, Some((5, &mut fails))).unwrap();
    assert_eq!((answer.reranked, answer.hits.len(), answer.rerank_error.as_deref()), (false, 2, Some("out of memory")));
}

/// Texts enough for several transactions.
fn many() -> Files {
    let files = Files::default();
    for file in 0..40 {
        let text: String =
            (0..60).map(|at| format!("document {file} {at} {} ---\n", "word pair ".repeat(40))).collect();
        files.set(&format!("{file}"), &text);
    }
    files
}

/// No test by itself: the process that the next one kills.
#[test]
fn a_process_to_kill() {
    let Some(path) = std::env::var_os("KNOWLEDGE_TO_KILL") else { return };
    let mut index = Index::open_to_write(&PathBuf::from(path)).unwrap();
    let files = many();
    for round in 0.. {
        index.update(&files, true, &|| false).unwrap();
        index.embed(&model("m", 16), false, 100, &mut letters, &|| false).unwrap();
        files.set("5", &format!("changed {round}"));
        files.remove(&format!("{}", 6 + round));
    }
}

#[test]
fn a_killed_process_leaves_an_index_that_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    for round in 0..30 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "knowledge::tests::a_process_to_kill", "--nocapture"])
            .env("KNOWLEDGE_TO_KILL", &path)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(20 + round * 37 % 400));
        child.kill().unwrap();
        child.wait().unwrap();
        // Killed before the first table was made, there is nothing to check.
        if let Ok(index) = Index::open(&path) {
            assert_eq!(index.verify().unwrap(), [""; 0], "round {round}");
        }
    }
    let mut index = Index::open_to_write(&path).unwrap();
    index.update(&many(), true, &|| false).unwrap();
    index.embed(&model("m", 16), false, 500, &mut letters, &|| false).unwrap();
    assert_eq!(index.verify().unwrap(), [""; 0]);
    let status = index.status().unwrap();
    assert_eq!((status.files, status.documents, status.pending), (40, 2400, 0));
}

#[test]
fn what_cannot_be_read_at_present_stays_and_is_tried_again() {
    let below = |folder: &str, name: &str| format!("{folder}{}{name}", std::path::MAIN_SEPARATOR);
    let (open, shut) = (below("open", "a"), below("shut", "b"));
    let room = Room::new(&[(&open, "apples"), (&shut, "bananas"), ("shutter", "cherries"), ("late", "locked")]);
    room.update();
    // A folder that may not be read hides its files, and no others.
    [&open, &shut, "shutter"].iter().for_each(|path| room.files.remove(path));
    room.files.unread.borrow_mut().push("shut".into());
    assert_eq!(room.update().deleted, 2);
    assert_eq!((room.find("bananas"), room.find("apples cherries")), (vec![shut.clone()], vec![]));
    // Whoever mends permissions does not touch the file.
    room.files.files.borrow_mut().get_mut("late").unwrap().0 = "dates!".into();
    room.files.unread.borrow_mut().clear();
    assert_eq!(room.update(), Updated { read: 1, documents: 1, deleted: 1, ..Updated::default() });
    assert_eq!(room.find("dates"), ["late"]);
}

#[test]
fn a_run_without_news_writes_nothing() {
    let room = Room::new(&[("a", "apples"), ("b", "locked")]);
    room.update();
    let reader = Index::open(&room.path).unwrap();
    let version = || -> i64 { reader.database.pragma_query_value(None, "data_version", |row| row.get(0)).unwrap() };
    let before = version();
    let mut index = Index::open_to_write(&room.path).unwrap();
    index.embed(&model("m", 16), false, 10, &mut letters, &|| false).unwrap();
    let changed = version();
    assert_ne!(before, changed);
    for _ in 0..3 {
        index.update(&room.files, true, &|| false).unwrap();
        index.embed(&model("m", 16), false, 10, &mut letters, &|| false).unwrap();
    }
    assert_eq!(changed, version());
    // One that is to stop leaves the rest to the next.
    room.files.set("a", "bananas");
    index.update(&room.files, true, &|| true).unwrap();
    assert_eq!(room.find("apples"), ["a"]);
}

#[test]
fn a_long_conversation_does_not_hide_the_others() {
    let long: String = (0..900).map(|at| format!("Plan|harbour harbour plan {at}---\n")).collect();
    let room = Room::new(&[("long", &long), ("others", "A|one harbour here---\nB|a harbour there---\nC|this harbour")]);
    room.update();
    assert_eq!(room.find("harbour").iter().filter(|path| *path == "others").count(), 3);
}
