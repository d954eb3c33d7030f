//! Caches: what is refused, what is stored and what is not, and files that several processes use or are killed over.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use mailsort::classifier::cache::{Cache, Key, ModelKey, Score, ScoreParts, TextHash, Vector, VectorParts};
use rusqlite::Connection;

use crate::mailsort::mailsort;

fn model() -> Arc<ModelKey> {
    Arc::new(ModelKey { id: "owner/name".into(), is_path: false, revision: "c0ffee".into(), dtype: "f32".into() })
}

fn key(model: &Arc<ModelKey>, label: &str, mail: &str) -> Key {
    let text = TextHash::of(mail);
    Key::score(&ScoreParts { model, prompt: "test/1", instruct: Some("Sort it"), label, text, max_tokens: 512 })
}

/// Keys and scores that any process can tell from their number.
fn batch(from: usize, count: usize) -> Vec<(Key, Score)> {
    let model = model();
    let entry = |at: usize| {
        let score = Score { logit: at as f32 * 0.37 - 100.0, tokens: at as u32, truncated: at.is_multiple_of(3) };
        (key(&model, "label", &format!("mail {at}")), score)
    };
    (from..from + count).map(entry).collect()
}

/// Checks that the file is sound, and that what it holds of the first `count` is what was put there.
fn check(path: &Path, count: usize) -> usize {
    let verdict: String =
        Connection::open(path).unwrap().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    let expected = batch(0, count);
    let keys: Vec<Key> = expected.iter().map(|(key, _)| key.clone()).collect();
    let found = Cache::open_existing(path).unwrap().scores(&keys).unwrap();
    for (found, (_, expected)) in found.iter().zip(&expected) {
        assert!(found.is_none_or(|found| found == *expected));
    }
    found.iter().flatten().count()
}

fn said(arguments: &[&str], path: &Path) -> String {
    let folder = path.parent().unwrap().to_string_lossy().into_owned();
    mailsort(arguments).args([path]).transcript().replace(&folder, "FOLDER")
}

/// The file that a child writes to, how it writes, and how many entries.
const CHILD: &str = "MAILSORT_TEST_CACHE";

/// Another process that runs [`child`].
fn start(path: &Path, batch: usize, count: usize) -> Child {
    let job = format!("{batch} {count} {}", path.display());
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "cache::child", "--ignored", "--nocapture"])
        .env(CHILD, job)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
#[ignore = "what other tests run as a process of its own"]
fn child() {
    let job = std::env::var(CHILD).expect("only another test can start this one");
    let mut words = job.splitn(3, ' ');
    let mut number = || words.next().unwrap().parse::<usize>().unwrap();
    let (size, count) = (number(), number());
    let cache = Cache::open(Path::new(words.next().unwrap())).unwrap();
    for from in (0..count).step_by(size) {
        let entries = batch(from, size.min(count - from));
        let keys: Vec<Key> = entries.iter().map(|(key, _)| key.clone()).collect();
        for (found, (_, score)) in cache.scores(&keys).unwrap().into_iter().zip(&entries) {
            assert!(found.is_none_or(|found| found == *score));
        }
        cache.put_scores(&entries).unwrap();
    }
}

#[test]
fn processes_write_the_same_keys_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let path = folder.path().join(format!("{round}.cache"));
        // All of them find no file, so they also race for making it.
        let children: Vec<Child> = [7, 16, 50, 16].map(|size| start(&path, size, 1500)).into();
        for mut child in children {
            assert!(child.wait().unwrap().success());
        }
        assert_eq!(check(&path, 1500), 1500);
        // The last one to leave has tidied up.
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), round + 1);
    }
}

#[test]
fn killed_while_it_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.cache");
    let mut before = 0;
    for round in 0..12 {
        kill_after(start(&path, 10, 1_000_000), &folder.path().join("a.cache-wal"), round * 7);
        // Nothing that was kept is lost, and batches are whole.
        let kept = check(&path, 30_000);
        assert!(kept >= before && kept.is_multiple_of(10), "{before} {kept}");
        before = kept;
    }
    assert!(before > 0, "all were killed before they wrote");
}

#[test]
fn killed_while_it_makes_the_file() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..16 {
        let path = folder.path().join(format!("{round}.cache"));
        kill_after(start(&path, 10, 1_000_000), &path, round / 4);
        Cache::open(&path).unwrap().put_scores(&batch(0, 20)).unwrap();
        assert_eq!(check(&path, 20), 20);
    }
}

/// Kills the process a while after the file has appeared.
fn kill_after(mut child: Child, file: &Path, milliseconds: u64) {
    while !file.exists() {
        assert!(child.try_wait().unwrap().is_none(), "it has ended before it was killed");
        thread::yield_now();
    }
    thread::sleep(Duration::from_millis(milliseconds));
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success(), "it was to be killed before it was done");
}

#[test]
fn used_while_it_is_pruned_and_cleared() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.cache");
    Cache::open(&path).unwrap();
    let mut children = [start(&path, 20, 2000), start(&path, 30, 2000)];
    let mut rounds = 0;
    while children.iter_mut().any(|child| child.try_wait().unwrap().is_none()) {
        for arguments in [["cache", "prune", "--max-size", "40K"].as_slice(), &["cache", "clear"], &["cache", "stats"]]
        {
            let transcript = said(arguments, &path);
            assert!(transcript.starts_with("status: 0\n"), "{arguments:?}: {transcript}");
        }
        rounds += 1;
    }
    assert!(children.iter_mut().all(|child| child.wait().unwrap().success()) && rounds > 0);
    check(&path, 2000);
}

#[test]
fn threads_share_a_cache() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.cache");
    let cache = Cache::open(&path).unwrap();
    thread::scope(|scope| {
        for part in 0..4 {
            let cache = &cache;
            scope.spawn(move || (0..20).for_each(|at| cache.put_scores(&batch(part * 200 + at * 10, 10)).unwrap()));
        }
    });
    drop(cache);
    assert_eq!(check(&path, 800), 800);
}

#[test]
fn only_its_owner_reads_it_and_no_text_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.cache");
    let cache = Cache::open(&path).unwrap();
    let (label, mail) = ("Kündigung: somebody leaves", "Subject: a secret meeting\n\nBring the blue folder at noon.");
    let (model, text) = (model(), TextHash::of(mail));
    let score = Score { logit: 1.25, tokens: 9, truncated: false };
    cache.put_scores(&[(key(&model, label, mail), score)]).unwrap();
    let parts =
        VectorParts { model: &model, prompt: "template", instruct: Some("instruction"), text, max_tokens: 9, dims: 4 };
    let vector = Vector { values: vec![0.5; 4], tokens: 9, truncated: false };
    cache.put_vectors(&[(Key::vector(&parts), vector)]).unwrap();
    let mut seen = Vec::new();
    let mut look = || {
        for entry in fs::read_dir(folder.path()).unwrap().map(Result::unwrap) {
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
            seen.push(entry.file_name().into_string().unwrap());
            let bytes = fs::read(entry.path()).unwrap();
            let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
            for word in
                ["Kündigung", "leaves", "secret", "meeting", "folder", "noon", "Sort it", "template", "instruction"]
            {
                assert!(!holds(word), "{word} is in {:?}", entry.file_name());
            }
            if entry.file_name() == "a.cache-wal" {
                assert!(holds("owner/name"), "the entries are where they were looked for");
            }
        }
    };
    look();
    drop(cache);
    look();
    seen.sort();
    assert_eq!(seen, ["a.cache", "a.cache", "a.cache-shm", "a.cache-wal"]);
}

#[test]
fn what_is_no_cache_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("inbox.mbox"), "From a@b.c Sat Jan  3 01:05:34 1996\nSubject: x\n\nhello\n".repeat(20)).unwrap();
    fs::create_dir(path("folder")).unwrap();
    symlink("nowhere", path("link")).unwrap();
    symlink("/dev/null", path("device")).unwrap();
    Connection::open(path("other.db")).unwrap().execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)").unwrap();
    Connection::open(path("marked.db")).unwrap().execute_batch("PRAGMA application_id = 7").unwrap();
    drop(Cache::open(&path("newer.cache")).unwrap());
    Connection::open(path("newer.cache")).unwrap().pragma_update(None, "user_version", 2).unwrap();
    drop(Cache::open(&path("half.cache")).unwrap());
    Connection::open(path("half.cache")).unwrap().execute_batch("DROP TABLE meta").unwrap();
    let mut all = String::new();
    let names = ["inbox.mbox", "folder", "link", "device", "other.db", "marked.db", "newer.cache", "half.cache"];
    for name in names {
        let before = fs::read(path(name)).ok();
        // What is refused to a command is refused to a run, in the same words.
        let error = format!("mailsort: {:#}\n", Cache::open(&path(name)).err().unwrap());
        let error = error.replace(&*folder.path().to_string_lossy(), "FOLDER");
        let transcript = said(&["cache", "stats"], &path(name));
        assert!(name == "link" || transcript.ends_with(&error), "{transcript}{error}");
        all += if name == "link" { &error } else { transcript.split_once("stderr\n").unwrap().1 };
        assert!(transcript.starts_with("status: 2\n"), "{transcript}");
        assert_eq!(fs::read(path(name)).ok(), before, "{name} has changed");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), names.len(), "no file appears beside them");
    insta::assert_snapshot!(all);
}

#[test]
fn a_damaged_one_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.cache");
    Cache::open(&path).unwrap().put_scores(&batch(0, 3000)).unwrap();
    let whole = fs::read(&path).unwrap();
    assert!(whole.len() > 20 * 4096);
    // The head stays, so that it opens.
    let mut torn = whole.clone();
    torn[6 * 4096..].fill(0xa5);
    for (what, bytes) in [("torn", torn.as_slice()), ("cut", &whole[..whole.len() / 2])] {
        fs::write(&path, bytes).unwrap();
        let keys: Vec<Key> = batch(0, 3000).into_iter().map(|(key, _)| key).collect();
        let error = Cache::open(&path).and_then(|cache| cache.scores(&keys)).expect_err(what);
        let expected = format!("the cache {} is damaged", path.display());
        let error = format!("{error:#}");
        assert!(error.starts_with(&expected) && error.contains("delete it"), "{what}: {error}");
        let transcript = said(&["cache", "stats"], &path);
        assert!(
            transcript.starts_with("status: 2\n--- stdout\n--- stderr\nmailsort: the cache FOLDER/a.cache is damaged")
        );
    }
    // Whatever byte is hit, there is an error or an answer, and no panic.
    let mut numbers = 1_u64;
    for _ in 0..60 {
        let mut bytes = whole.clone();
        for _ in 0..8 {
            numbers = numbers.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (numbers >> 33) as usize % bytes.len();
            bytes[at] ^= 1 << (numbers % 7);
        }
        fs::write(&path, bytes).unwrap();
        let _ = Cache::open(&path).map(|cache| {
            let keys: Vec<Key> = batch(0, 500).into_iter().map(|(key, _)| key).collect();
            let _ = (cache.scores(&keys), cache.vectors(&keys), cache.put_scores(&batch(0, 50)), cache.stats());
            let _ = (cache.prune(None, Some(50_000)), cache.clear(None));
        });
        for ending in ["-wal", "-shm", "-journal"] {
            let _ = fs::remove_file(format!("{}{ending}", path.display()));
        }
    }
}

#[test]
fn a_missing_one_is_an_error_and_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.cache");
    for arguments in [["cache", "stats"].as_slice(), &["cache", "clear"], &["cache", "prune", "--older-than", "1d"]] {
        let expected = "status: 2\n--- stdout\n--- stderr\nmailsort: there is no cache FOLDER/none.cache\n";
        assert_eq!(said(arguments, &path), expected);
    }
    assert!(!path.exists());
    let error = Cache::open(&path.join("below")).err().unwrap();
    assert!(format!("{error:#}").starts_with("cannot make the cache "), "{error:#}");
}

#[test]
fn names_that_sqlite_reads_in_its_own_way() {
    let folder = tempfile::tempdir().unwrap();
    for name in [":memory:", "file:a?mode=memory", "a b%20#?.cache", "ü'\""] {
        let path = folder.path().join(name);
        Cache::open(&path).unwrap().put_scores(&batch(0, 3)).unwrap();
        assert_eq!(check(&path, 3), 3, "{name}");
        let output = mailsort(["cache", "stats", "--format", "json", "--", name]).in_folder(folder.path()).output();
        let stats: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(stats["scores"], 3, "{name}");
    }
}

#[test]
fn the_commands_say_what_is_there_and_what_they_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.cache");
    let cache = Cache::open(&path).unwrap();
    cache.put_scores(&batch(0, 1200)).unwrap();
    let other = Arc::new(ModelKey { id: "other".into(), is_path: false, revision: "1f".into(), dtype: "q8_0".into() });
    let vector = Vector { values: vec![0.25; 16], tokens: 1, truncated: false };
    cache.put_vectors(&[(key(&other, "", ""), vector)]).unwrap();
    drop(cache);
    // Of entries that were used at the same time the salt says which goes first; the vector is to stay.
    let database = Connection::open(&path).unwrap();
    database.execute("UPDATE scores SET used = used - 60", []).unwrap();
    drop(database);
    let volatile = regex::Regex::new(r"\d{4}-\d\d-\d\d(T[\d:]+Z)?").unwrap();
    // How full the pages of the file are, and so how many entries fit, depends on its salt.
    let sizes = regex::Regex::new(r#"\d+(\.\d)? kB|"bytes":\d+|removed [1-9]\d* scores"#).unwrap();
    let dateless = |text: String| {
        let text = volatile.replace_all(&text, "DAY").into_owned();
        sizes.replace_all(&text, "SOME").into_owned()
    };
    let mut all = String::new();
    for arguments in [
        "stats",
        "stats --format json",
        "prune --older-than 1d",
        "prune --max-size 60K",
        "clear --model owner",
        "clear --model owner/name",
        "clear -q",
        "stats",
        "prune",
        "prune --older-than 1y",
        "prune --max-size 1.5G",
    ] {
        let words: Vec<&str> = ["cache"].into_iter().chain(arguments.split(' ')).collect();
        all += &format!("$ mailsort cache {arguments} FOLDER/a.cache\n{}\n", dateless(said(&words, &path)));
    }
    insta::assert_snapshot!(all);
}
