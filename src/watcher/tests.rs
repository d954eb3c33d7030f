//! Folders that change, and the updates about them.

use std::fs;
use std::time::SystemTime;

use super::*;

const SOON: Duration = Duration::from_secs(10);
/// So long that no test meets a listing that is due by time alone.
const NEVER: Duration = Duration::from_secs(3600);

fn maildir(path: &Path) {
    for own in ["cur", "new", "tmp"] {
        fs::create_dir_all(path.join(own)).unwrap();
    }
}

fn deliver(maildir: &Path, name: &str) {
    fs::write(maildir.join("tmp").join(name), "x").unwrap();
    fs::rename(maildir.join("tmp").join(name), maildir.join("new").join(name)).unwrap();
}

fn arrived(path: &Path, is_all: bool) -> Arrival {
    Arrival { maildir: 0, paths: vec![path.to_path_buf()], is_all, unfinished: Vec::new() }
}

/// The names that arrive until there are `count` of them.
fn names(watcher: &mut MaildirWatcher, count: usize) -> Vec<String> {
    let mut names = Vec::new();
    let started = Instant::now();
    while names.len() < count && started.elapsed() < SOON {
        let update = watcher.wait(Duration::from_millis(100));
        let paths = update.arrivals.iter().flat_map(|arrived| &arrived.paths);
        names.extend(paths.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()));
        names.sort();
        names.dedup();
    }
    names
}

#[test]
fn what_is_there_comes_first_and_then_what_arrives() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m");
    maildir(&path);
    // As old as a mail that was not written a moment ago.
    fs::write(path.join("new/1.old"), "x").unwrap();
    let then = SystemTime::now() - Duration::from_secs(3600);
    fs::File::options().write(true).open(path.join("new/1.old")).unwrap().set_modified(then).unwrap();
    let mut watcher = MaildirWatcher::new(std::slice::from_ref(&path), NEVER).unwrap();
    let first = watcher.wait(SOON);
    assert_eq!(first.arrivals, [arrived(&path.join("new/1.old"), true)]);
    deliver(&path, "2.new");
    let second = watcher.wait(SOON);
    assert_eq!(second.arrivals, [arrived(&path.join("new/2.new"), false)]);
    assert_eq!((first.notices, second.notices), (vec![], vec![]));
    assert_eq!(watcher.wait(Duration::from_millis(300)), Update::default(), "reading is no arrival");
}

#[test]
fn what_is_written_in_place_is_told_of_when_it_is_whole() {
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    maildir(folder.path());
    let mut watcher = MaildirWatcher::new(&[folder.path().to_path_buf()], NEVER).unwrap();
    watcher.wait(SOON);
    let path = folder.path().join("new/1.slow");
    let mut file = fs::File::create(&path).unwrap();
    for _ in 0..8 {
        file.write_all(b"more").unwrap();
        assert_eq!(watcher.wait(Duration::from_millis(50)), Update::default());
    }
    // However long it takes: nobody has closed it.
    std::thread::sleep(Duration::from_millis(400));
    watcher.events.push(Ok(notify::Event::new(notify::EventKind::Other).set_flag(notify::event::Flag::Rescan)));
    let listed = until(&mut watcher, |update| !update.arrivals.is_empty());
    assert_eq!((&listed.arrivals[0].paths, &listed.arrivals[0].unfinished), (&vec![], &vec![path.clone()]));
    file.write_all(b"rest").unwrap();
    drop(file);
    let arrived = watcher.wait(SOON).arrivals;
    assert_eq!(arrived, [self::arrived(&path, false)]);
    // A link says nothing when it is done; that is waited for a little.
    fs::write(folder.path().join("tmp/2.link"), "x").unwrap();
    fs::hard_link(folder.path().join("tmp/2.link"), folder.path().join("new/2.link")).unwrap();
    assert_eq!(names(&mut watcher, 1), ["2.link"]);
}

#[test]
fn folders_that_are_renamed_are_followed_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (path, away) = (folder.path().join("m"), folder.path().join("away"));
    maildir(&path);
    let mut watcher = MaildirWatcher::new(std::slice::from_ref(&path), NEVER).unwrap();
    watcher.wait(SOON);
    for round in 0..3 {
        fs::rename(&path, &away).unwrap();
        let gone = until(&mut watcher, |update| !update.notices.is_empty());
        assert_eq!(gone.notices, [Notice::Removed(path.clone())]);
        deliver(&away, &format!("{round}.elsewhere"));
        assert_eq!(watcher.wait(Duration::from_millis(300)), Update::default(), "it has another name");
        maildir(&path);
        let back = until(&mut watcher, |update| !update.notices.is_empty());
        assert_eq!(back.notices, [Notice::Restored(path.clone())]);
        deliver(&path, "1.a");
        assert_eq!(names(&mut watcher, 1), ["1.a"]);
        fs::remove_dir_all(&path).unwrap();
        until(&mut watcher, |update| !update.notices.is_empty());
        fs::rename(&away, &path).unwrap();
        assert_eq!(names(&mut watcher, round + 1).len(), round + 1, "what came in meanwhile");
        deliver(&path, &format!("{round}.b"));
        assert!(names(&mut watcher, 1).contains(&format!("{round}.b")));
        fs::remove_file(path.join(format!("new/{round}.b"))).unwrap();
    }
}

#[test]
fn a_folder_that_was_away_for_a_moment_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    let (path, away) = (folder.path().join("m"), folder.path().join("away"));
    maildir(&path);
    let mut watcher = MaildirWatcher::new(std::slice::from_ref(&path), NEVER).unwrap();
    watcher.wait(SOON);
    for name in ["1.a", "2.b", "3.c"] {
        fs::rename(&path, &away).unwrap();
        deliver(&away, name);
        // Nobody has looked meanwhile.
        fs::rename(&away, &path).unwrap();
        assert!(until(&mut watcher, |update| holds(update, name)).notices.is_empty());
        until(&mut watcher, |update| *update == Update::default());
    }
    deliver(&path, "4.d");
    assert!(holds(&until(&mut watcher, |update| holds(update, "4.d")), "4.d"));
}

fn holds(update: &Update, name: &str) -> bool {
    update.arrivals.iter().flat_map(|arrived| &arrived.paths).any(|path| path.ends_with(name))
}

fn until(watcher: &mut MaildirWatcher, wanted: impl Fn(&Update) -> bool) -> Update {
    let started = Instant::now();
    loop {
        let update = watcher.wait(Duration::from_millis(100));
        if wanted(&update) || started.elapsed() > SOON {
            return update;
        }
    }
}

#[test]
fn a_folder_of_messages_that_is_another_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m");
    maildir(&path);
    let mut watcher = MaildirWatcher::new(std::slice::from_ref(&path), NEVER).unwrap();
    watcher.wait(SOON);
    fs::rename(path.join("new"), folder.path().join("old")).unwrap();
    fs::create_dir(path.join("new")).unwrap();
    fs::write(path.join("new/1.a"), "x").unwrap();
    assert_eq!(names(&mut watcher, 1), ["1.a"]);
    deliver(&path, "2.b");
    assert!(names(&mut watcher, 1).contains(&"2.b".to_string()));
}

#[test]
fn a_burst_beyond_all_queues_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    maildir(folder.path());
    let mut watcher = MaildirWatcher::new(&[folder.path().to_path_buf()], NEVER).unwrap();
    watcher.wait(SOON);
    watcher.events.push(Ok(notify::Event::new(notify::EventKind::Other).set_flag(notify::event::Flag::Rescan)));
    assert!(until(&mut watcher, |update| !update.arrivals.is_empty()).arrivals[0].is_all);
    let told = |at: usize| folder.path().join(format!("new/{at}"));
    for at in 0..70_000 {
        let created = notify::EventKind::Create(notify::event::CreateKind::File);
        watcher.events.push(Ok(notify::Event::new(created).add_path(told(at))));
    }
    assert!(until(&mut watcher, |update| !update.arrivals.is_empty()).arrivals[0].is_all);
}
