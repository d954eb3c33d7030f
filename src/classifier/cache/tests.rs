//! Tests of the room from inside, where time can be moved and files be broken.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::*;

const HOUR: i64 = 3600;

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.cache");
    (folder, path)
}

fn model(id: &str) -> Arc<ModelKey> {
    Arc::new(ModelKey { id: id.into(), is_path: false, revision: "main".into(), dtype: "f32".into() })
}

fn keys_of(model: &Arc<ModelKey>, count: usize) -> Vec<Key> {
    let key = |at: usize| {
        let text = TextHash::of(&format!("mail {at}"));
        Key::score(&ScoreParts { model, prompt: "p", instruct: None, label: "label", text, max_tokens: 9 })
    };
    (0..count).map(key).collect()
}

fn score(logit: f32) -> Score {
    Score { logit, tokens: 7, truncated: false }
}

fn scores(keys: &[Key]) -> Vec<(Key, Score)> {
    keys.iter().enumerate().map(|(at, key)| (key.clone(), score(at as f32))).collect()
}

fn vectors(keys: &[Key], dims: usize) -> Vec<(Key, Vector)> {
    let vector = |at: usize| Vector { values: vec![at as f32 + 0.5; dims], tokens: 3, truncated: true };
    keys.iter().enumerate().map(|(at, key)| (key.clone(), vector(at))).collect()
}

/// Runs SQL behind the cache's back.
fn sql(path: &Path, batch: &str) {
    Connection::open(path).unwrap().execute_batch(batch).unwrap();
}

fn said<T>(result: Result<T>) -> String {
    format!("{:#}", result.err().expect("it must fail"))
}

#[test]
fn every_bit_comes_back() {
    let (_folder, path) = place();
    let logits = [0.0, -0.0, 1.5, f32::MIN_POSITIVE / 8.0, -1e-45, f32::MAX, f32::MIN, 0.1, 1.0 / 3.0];
    let keys = keys_of(&model("m"), logits.len());
    let long = Vector { values: logits.to_vec(), tokens: u32::MAX, truncated: true };
    {
        let cache = Cache::open(&path).unwrap();
        assert_eq!(cache.scores(&keys).unwrap(), vec![None; keys.len()]);
        let found: Vec<_> = keys.iter().cloned().zip(logits.map(score)).collect();
        cache.put_scores(&found).unwrap();
        cache.put_vectors(&[(keys[3].clone(), long.clone())]).unwrap();
    }
    let cache = Cache::open(&path).unwrap();
    let read = cache.scores(&keys).unwrap();
    let bits: Vec<u32> = read.iter().map(|score| score.unwrap().logit.to_bits()).collect();
    assert_eq!(bits, logits.map(f32::to_bits));
    assert!(read.iter().all(|score| score.unwrap().tokens == 7 && !score.unwrap().truncated));
    let read = cache.vectors(&[keys[0].clone(), keys[3].clone()]).unwrap();
    assert_eq!(read[0], None);
    let read = read[1].as_ref().unwrap();
    assert!(read.values.iter().map(|v| v.to_bits()).eq(logits.map(f32::to_bits)));
    assert_eq!((read.tokens, read.truncated), (u32::MAX, true));
}

#[test]
fn answers_come_in_the_order_of_the_keys() {
    let (_folder, path) = place();
    let keys = keys_of(&model("m"), 50);
    let cache = Cache::open(&path).unwrap();
    cache.put_scores(&scores(&keys[..40])).unwrap();
    let asked: Vec<Key> = [45, 3, 3, 39, 40, 0].map(|at: usize| keys[at].clone()).into();
    let found = cache.scores(&asked).unwrap();
    assert_eq!(found, [None, Some(score(3.0)), Some(score(3.0)), Some(score(39.0)), None, Some(score(0.0))]);
}

#[test]
fn what_is_no_number_is_not_kept() {
    let (_folder, path) = place();
    let cache = Cache::open(&path).unwrap();
    let keys = keys_of(&model("m"), 4);
    let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1.0];
    cache.put_scores(&keys.iter().cloned().zip(odd.map(score)).collect::<Vec<_>>()).unwrap();
    assert_eq!(cache.scores(&keys).unwrap(), [None, None, None, Some(score(1.0))]);
    let vector = |values: &[f32]| Vector { values: values.into(), tokens: 1, truncated: false };
    cache.put_vectors(&[(keys[0].clone(), vector(&[1.0, f32::NAN])), (keys[1].clone(), vector(&[]))]).unwrap();
    assert_eq!(cache.vectors(&keys).unwrap(), vec![None; 4]);
}

#[test]
fn what_we_never_write_counts_as_absent_and_is_replaced() {
    let (_folder, path) = place();
    let cache = Cache::open(&path).unwrap();
    let keys = keys_of(&model("m"), 1);
    let broken =
        ["value = x'0000c07f'", "value = x'00'", "value = 'text'", "value = x''", "tokens = -1", "truncated = 'x'"];
    for broken in broken {
        cache.put_scores(&scores(&keys)).unwrap();
        assert_eq!(cache.scores(&keys).unwrap(), [Some(score(0.0))], "{broken}");
        sql(&path, &format!("UPDATE scores SET {broken}"));
        assert_eq!(cache.scores(&keys).unwrap(), [None], "{broken}");
    }
}

#[test]
fn two_files_share_no_bytes_of_a_key() {
    let (folder, path) = place();
    let other = folder.path().join("b.cache");
    let keys = keys_of(&model("m"), 1);
    let stored = [&path, &other].map(|path| {
        let cache = Cache::open(path).unwrap();
        cache.put_scores(&scores(&keys)).unwrap();
        let inner = cache.inner();
        inner.database.query_row("SELECT key FROM scores", [], |row| row.get::<_, Vec<u8>>(0)).unwrap()
    });
    assert_ne!(stored[0], stored[1]);
    assert_eq!(stored[0].len(), 32);
}

#[test]
fn the_log_is_written_ahead_where_it_can_be() {
    let (folder, path) = place();
    let mode = |cache: &Cache| {
        let inner = cache.inner();
        inner.database.pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0)).unwrap()
    };
    let local = !file::is_remote(folder.path());
    assert_eq!(mode(&Cache::open(&path).unwrap()) == "wal", local);
    // A link in the place of the shared memory is not followed; it stands for a file system that has no such memory.
    let no_memory = |name: &str| std::os::unix::fs::symlink("nowhere", folder.path().join(name)).unwrap();
    let other = folder.path().join("b.cache");
    no_memory("b.cache-shm");
    let keys = keys_of(&model("m"), 2);
    let cache = Cache::open(&other).unwrap();
    assert_ne!(mode(&cache), "wal");
    cache.put_scores(&scores(&keys)).unwrap();
    assert_eq!(cache.scores(&keys).unwrap()[1], Some(score(1.0)));
    // And so does one under a cache that was made where there is some.
    let moved = folder.path().join("c.cache");
    let cache = Cache::open(&path).unwrap();
    cache.put_scores(&scores(&keys)).unwrap();
    drop(cache);
    fs::rename(&path, &moved).unwrap();
    no_memory("c.cache-shm");
    let cache = Cache::open(&moved).unwrap();
    assert_ne!(mode(&cache), "wal");
    assert_eq!(cache.scores(&keys).unwrap()[1], Some(score(1.0)));
    cache.put_scores(&scores(&keys)).unwrap();
}

#[test]
fn a_full_disk_is_said_and_reading_goes_on() {
    let (_folder, path) = place();
    let keys = keys_of(&model("m"), 3000);
    let cache = Cache::open(&path).unwrap();
    cache.put_scores(&scores(&keys[..10])).unwrap();
    cache.inner().database.pragma_update(None, "max_page_count", 12).unwrap();
    let expected = format!("no space is left to write the cache {}", path.display());
    assert_eq!(said(cache.put_scores(&scores(&keys))), expected);
    let found = cache.scores(&keys).unwrap();
    assert_eq!(found.iter().flatten().count(), 10, "all or none of a batch");
    cache.inner().database.pragma_update(None, "max_page_count", 1_000_000).unwrap();
    cache.put_scores(&scores(&keys)).unwrap();
    assert_eq!(cache.scores(&keys).unwrap().iter().flatten().count(), 3000);
}

#[test]
fn a_cache_that_may_not_be_written_is_read() {
    let (_folder, path) = place();
    let keys = keys_of(&model("m"), 10);
    Cache::open(&path).unwrap().put_scores(&scores(&keys)).unwrap();
    let before = fs::read(&path).unwrap();
    let odd = path.with_file_name("50 %? #ü'\".cache");
    fs::rename(&path, &odd).unwrap();
    let database = file::connect_unchanging(&odd).unwrap();
    let salt = database.query_row("SELECT value FROM meta", [], |row| row.get(0)).unwrap();
    let cache = Cache { path: odd.clone(), inner: Mutex::new(Inner { database, salt, used: Vec::new() }) };
    assert_eq!(cache.scores(&keys).unwrap().iter().flatten().count(), 10);
    assert_eq!(cache.stats().unwrap().scores, 10);
    let expected = format!("the cache {} is read-only", odd.display());
    assert_eq!(said(cache.put_scores(&scores(&keys))), expected);
    assert_eq!(said(cache.clear(None)), expected);
    assert_eq!(said(cache.prune(None, Some(0))), expected);
    drop(cache);
    assert_eq!(fs::read(&odd).unwrap(), before);
}

#[test]
fn use_is_noted_once_a_day() {
    let (_folder, path) = place();
    let keys = keys_of(&model("m"), 3);
    let used = || -> Vec<i64> {
        let database = Connection::open(&path).unwrap();
        let mut select = database.prepare("SELECT ?1 - used FROM scores ORDER BY value").unwrap();
        select.query_map([now()], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    Cache::open(&path).unwrap().put_scores(&scores(&keys)).unwrap();
    let [first, second, third] = [23 * HOUR, 25 * HOUR, -25 * HOUR].map(|ago| now() - ago);
    sql(
        &path,
        &format!(
            "UPDATE scores SET used = CASE value WHEN x'00000000' THEN {first} WHEN x'0000803f' THEN {second} ELSE {third} END"
        ),
    );
    let cache = Cache::open(&path).unwrap();
    cache.scores(&keys).unwrap();
    assert_eq!(cache.inner().used.len(), 2, "what was used today is left alone");
    drop(cache);
    let ago = used();
    assert!((23 * HOUR..24 * HOUR).contains(&ago[0]), "{ago:?}");
    assert!(ago[1..].iter().all(|ago| (0..HOUR).contains(ago)), "{ago:?}");
}

#[test]
fn many_uses_are_noted_without_waiting_for_the_end() {
    let (_folder, path) = place();
    let keys = keys_of(&model("m"), WAITING + 1);
    let cache = Cache::open(&path).unwrap();
    cache.put_scores(&scores(&keys)).unwrap();
    sql(&path, "UPDATE scores SET used = 0");
    cache.scores(&keys).unwrap();
    assert!(cache.inner().used.is_empty());
    assert_ne!(cache.stats().unwrap().oldest_use.as_deref(), Some("1970-01-01T00:00:00Z"));
}

#[test]
fn stats_count_by_kind_and_model() {
    let (_folder, path) = place();
    let cache = Cache::open(&path).unwrap();
    let empty = cache.stats().unwrap();
    assert!(empty.bytes > 0 && empty.models.is_empty() && empty.oldest_use.is_none(), "{empty:?}");
    let (a, b) = (keys_of(&model("a"), 5), keys_of(&model("b"), 3));
    // Models mixed in one batch stay apart.
    let mixed: Vec<_> = [scores(&a[..3]), scores(&b[..2]), scores(&a[3..])].concat();
    cache.put_scores(&mixed).unwrap();
    cache.put_vectors(&vectors(&b, 8)).unwrap();
    sql(&path, "UPDATE scores SET used = 86400 WHERE model = (SELECT id FROM models WHERE name = 'b')");
    let stats = cache.stats().unwrap();
    assert_eq!((stats.scores, stats.vectors), (7, 3));
    let counts: Vec<_> = stats.models.iter().map(|m| (m.model.as_str(), m.scores, m.vectors)).collect();
    assert_eq!(counts, [("a", 5, 0), ("b", 2, 3)]);
    assert_eq!(stats.oldest_use.as_deref(), Some("1970-01-02T00:00:00Z"));
    assert_eq!(stats.models[1].oldest_use, stats.oldest_use);
    assert_ne!(stats.models[0].oldest_use, stats.oldest_use);
}

#[test]
fn clear_removes_one_model_or_all_and_shrinks_the_file() {
    let (_folder, path) = place();
    let cache = Cache::open(&path).unwrap();
    let (a, b) = (keys_of(&model("a"), 300), keys_of(&model("b"), 300));
    cache.put_vectors(&vectors(&a, 256)).unwrap();
    cache.put_scores(&scores(&b)).unwrap();
    let expected = format!("the cache {} holds nothing of the model c; it holds a, b", path.display());
    assert_eq!(said(cache.clear(Some("c"))), expected);
    let removed = cache.clear(Some("a")).unwrap();
    assert_eq!((removed.scores, removed.vectors), (0, 300));
    assert_eq!(removed.bytes, fs::metadata(&path).unwrap().len());
    assert!(removed.bytes < 100_000, "{removed:?}");
    assert_eq!(cache.stats().unwrap().models.len(), 1);
    let removed = cache.clear(None).unwrap();
    assert_eq!((removed.scores, removed.vectors), (300, 0));
    assert!(cache.stats().unwrap().models.is_empty());
    // It goes on being used, also by a process that had it open before.
    cache.put_scores(&scores(&a)).unwrap();
    assert_eq!(cache.stats().unwrap().models[0].model, "a");
}

#[test]
fn prune_removes_what_is_old() {
    let (_folder, path) = place();
    let cache = Cache::open(&path).unwrap();
    let keys = keys_of(&model("m"), 10);
    cache.put_scores(&scores(&keys)).unwrap();
    cache.put_vectors(&vectors(&keys[..4], 8)).unwrap();
    let past = now() - 50 * HOUR;
    sql(&path, &format!("UPDATE scores SET used = {past} WHERE value < x'00008040'; UPDATE vectors SET used = {past}"));
    let old: i64 = cache
        .inner()
        .database
        .query_row("SELECT count(*) FROM scores WHERE used < ?1 + 1", [past], |r| r.get(0))
        .unwrap();
    assert!(old > 0 && old < 10, "{old}");
    let hours = |count: u64| Some(Duration::from_secs(count * 3600));
    let removed = cache.prune(hours(51), None).unwrap();
    assert_eq!((removed.scores, removed.vectors), (0, 0));
    let removed = cache.prune(hours(49), None).unwrap();
    assert_eq!((removed.scores, removed.vectors), (old as u64, 4));
    assert_eq!(cache.stats().unwrap().scores, 10 - old as u64);
}

#[test]
fn prune_keeps_the_newest_within_a_size() {
    let (_folder, path) = place();
    let cache = Cache::open(&path).unwrap();
    let keys = keys_of(&model("m"), 4000);
    cache.put_scores(&scores(&keys)).unwrap();
    cache.put_vectors(&vectors(&keys[..500], 256)).unwrap();
    // Each was used at its own second, the last one last.
    sql(&path, "UPDATE vectors SET used = 1000000 + rowid");
    for (most, least_kept) in [(500_000, 350), (100_000, 40)] {
        let removed = cache.prune(None, Some(most)).unwrap();
        let length = fs::metadata(&path).unwrap().len();
        assert!(removed.bytes <= most && length == removed.bytes, "{removed:?} {length}");
        let kept = cache.scores(&keys).unwrap().iter().flatten().count();
        let kept_vectors: Vec<bool> = cache.vectors(&keys[..500]).unwrap().iter().map(Option::is_some).collect();
        // The vectors are older, so all of them go first, the oldest of them before the others.
        assert!(kept_vectors.is_sorted(), "oldest first");
        assert!(kept == 4000 || !kept_vectors.contains(&true), "{kept}");
        assert!(kept > least_kept, "it removes no more than it must: {kept}");
        assert!(removed.bytes > most / 2, "it removes no more than it must: {removed:?}");
    }
    // Already small enough: nothing goes.
    let removed = cache.prune(None, Some(100_000)).unwrap();
    assert_eq!((removed.scores, removed.vectors), (0, 0));
    let removed = cache.prune(None, Some(0)).unwrap();
    assert!(removed.scores > 0 && cache.stats().unwrap().scores == 0, "{removed:?}");
}

#[test]
fn ten_thousand_lookups_take_a_moment() {
    let (_folder, path) = place();
    let cache = Cache::open(&path).unwrap();
    let keys = keys_of(&model("m"), 10_000);
    cache.put_scores(&scores(&keys)).unwrap();
    // The best of several, because other processes run meanwhile.
    let best = (0..5).map(|_| {
        let started = Instant::now();
        assert!(keys.chunks(100).all(|keys| cache.scores(keys).unwrap().iter().all(Option::is_some)));
        started.elapsed()
    });
    let best = best.min().unwrap();
    assert!(best < Duration::from_millis(500), "{best:?}");
}
