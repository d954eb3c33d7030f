//! Folders that change, and what is told of them.

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

fn arrived(path: &Path, is_all: bool) -> Arrived {
    Arrived { maildir: 0, paths: vec![path.to_path_buf()], is_all, unfinished: Vec::new() }
}

/// The names that arrive until there are `count` of them.
fn names(arrivals: &mut Arrivals, count: usize) -> Vec<String> {
    let mut names = Vec::new();
    let started = Instant::now();
    while names.len() < count && started.elapsed() < SOON {
        let news = arrivals.wait(Duration::from_millis(100));
        let paths = news.arrived.iter().flat_map(|arrived| &arrived.paths);
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
    let mut arrivals = Arrivals::new(std::slice::from_ref(&path), NEVER).unwrap();
    let first = arrivals.wait(SOON);
    assert_eq!(first.arrived, [arrived(&path.join("new/1.old"), true)]);
    deliver(&path, "2.new");
    let second = arrivals.wait(SOON);
    assert_eq!(second.arrived, [arrived(&path.join("new/2.new"), false)]);
    assert_eq!((first.notes, second.notes), (vec![], vec![]));
    assert_eq!(arrivals.wait(Duration::from_millis(300)), News::default(), "reading is no arrival");
}

#[test]
fn what_is_written_in_place_is_told_of_when_it_is_whole() {
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    maildir(folder.path());
    let mut arrivals = Arrivals::new(&[folder.path().to_path_buf()], NEVER).unwrap();
    arrivals.wait(SOON);
    let path = folder.path().join("new/1.slow");
    let mut file = fs::File::create(&path).unwrap();
    for _ in 0..8 {
        file.write_all(b"more").unwrap();
        assert_eq!(arrivals.wait(Duration::from_millis(50)), News::default());
    }
    // However long it takes: nobody has closed it.
    std::thread::sleep(Duration::from_millis(400));
    arrivals.pending.note(Ok(notify::Event::new(notify::EventKind::Other).set_flag(notify::event::Flag::Rescan)));
    let listed = until(&mut arrivals, |news| !news.arrived.is_empty());
    assert_eq!((&listed.arrived[0].paths, &listed.arrived[0].unfinished), (&vec![], &vec![path.clone()]));
    file.write_all(b"rest").unwrap();
    drop(file);
    let arrived = arrivals.wait(SOON).arrived;
    assert_eq!(arrived, [self::arrived(&path, false)]);
    // A link says nothing when it is done; that is waited for a little.
    fs::write(folder.path().join("tmp/2.link"), "x").unwrap();
    fs::hard_link(folder.path().join("tmp/2.link"), folder.path().join("new/2.link")).unwrap();
    assert_eq!(names(&mut arrivals, 1), ["2.link"]);
}

#[test]
fn folders_that_are_renamed_are_followed_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (path, away) = (folder.path().join("m"), folder.path().join("away"));
    maildir(&path);
    let mut arrivals = Arrivals::new(std::slice::from_ref(&path), NEVER).unwrap();
    arrivals.wait(SOON);
    for round in 0..3 {
        fs::rename(&path, &away).unwrap();
        let gone = until(&mut arrivals, |news| !news.notes.is_empty());
        assert_eq!(gone.notes, [Note::Gone(path.clone())]);
        deliver(&away, &format!("{round}.elsewhere"));
        assert_eq!(arrivals.wait(Duration::from_millis(300)), News::default(), "it has another name");
        maildir(&path);
        let back = until(&mut arrivals, |news| !news.notes.is_empty());
        assert_eq!(back.notes, [Note::Back(path.clone())]);
        deliver(&path, "1.a");
        assert_eq!(names(&mut arrivals, 1), ["1.a"]);
        fs::remove_dir_all(&path).unwrap();
        until(&mut arrivals, |news| !news.notes.is_empty());
        fs::rename(&away, &path).unwrap();
        assert_eq!(names(&mut arrivals, round + 1).len(), round + 1, "what came in meanwhile");
        deliver(&path, &format!("{round}.b"));
        assert!(names(&mut arrivals, 1).contains(&format!("{round}.b")));
        fs::remove_file(path.join(format!("new/{round}.b"))).unwrap();
    }
}

#[test]
fn a_folder_that_was_away_for_a_moment_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    let (path, away) = (folder.path().join("m"), folder.path().join("away"));
    maildir(&path);
    let mut arrivals = Arrivals::new(std::slice::from_ref(&path), NEVER).unwrap();
    arrivals.wait(SOON);
    for name in ["1.a", "2.b", "3.c"] {
        fs::rename(&path, &away).unwrap();
        deliver(&away, name);
        // Nobody has looked meanwhile.
        fs::rename(&away, &path).unwrap();
        assert!(until(&mut arrivals, |news| holds(news, name)).notes.is_empty());
        until(&mut arrivals, |news| *news == News::default());
    }
    deliver(&path, "4.d");
    assert!(holds(&until(&mut arrivals, |news| holds(news, "4.d")), "4.d"));
}

fn holds(news: &News, name: &str) -> bool {
    news.arrived.iter().flat_map(|arrived| &arrived.paths).any(|path| path.ends_with(name))
}

fn until(arrivals: &mut Arrivals, wanted: impl Fn(&News) -> bool) -> News {
    let started = Instant::now();
    loop {
        let news = arrivals.wait(Duration::from_millis(100));
        if wanted(&news) || started.elapsed() > SOON {
            return news;
        }
    }
}

#[test]
fn a_folder_of_messages_that_is_another_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m");
    maildir(&path);
    let mut arrivals = Arrivals::new(std::slice::from_ref(&path), NEVER).unwrap();
    arrivals.wait(SOON);
    fs::rename(path.join("new"), folder.path().join("old")).unwrap();
    fs::create_dir(path.join("new")).unwrap();
    fs::write(path.join("new/1.a"), "x").unwrap();
    assert_eq!(names(&mut arrivals, 1), ["1.a"]);
    deliver(&path, "2.b");
    assert!(names(&mut arrivals, 1).contains(&"2.b".to_string()));
}

#[test]
fn a_burst_beyond_all_queues_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    maildir(folder.path());
    let mut arrivals = Arrivals::new(&[folder.path().to_path_buf()], NEVER).unwrap();
    arrivals.wait(SOON);
    arrivals.pending.note(Ok(notify::Event::new(notify::EventKind::Other).set_flag(notify::event::Flag::Rescan)));
    assert!(until(&mut arrivals, |news| !news.arrived.is_empty()).arrived[0].is_all);
    let told = |at: usize| folder.path().join(format!("new/{at}"));
    for at in 0..70_000 {
        let created = notify::EventKind::Create(notify::event::CreateKind::File);
        arrivals.pending.note(Ok(notify::Event::new(created).add_path(told(at))));
    }
    assert!(until(&mut arrivals, |news| !news.arrived.is_empty()).arrived[0].is_all);
}
