//! Mailboxes as they really are: formats of mbox, names of maildirs, and changes while they are read.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use mailsort::intake::{Options, Raw, Source};
use serde_json::Value;

use crate::mailsort::{mailsort, root, shared};

const LABELS: [&str; 4] = ["--label", "a", "--label", "b"];

fn classify(input: &Path) -> Vec<Value> {
    mailsort(["classify"]).args(LABELS).args([input]).records()
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn mail(id: &str) -> String {
    format!("Message-ID: <{id}>\nSubject: {id}\n\nthe text of the mail\n")
}

/// How often each id occurs.
fn ids(records: &[Value]) -> BTreeMap<String, usize> {
    let mut ids = BTreeMap::new();
    for record in records {
        assert!(record["error"].is_null(), "{record}");
        *ids.entry(record["id"].as_str().unwrap().trim_matches(['<', '>']).to_string()).or_default() += 1;
    }
    ids
}

/// Moves message `n` between `new` and `cur` and between flags, as mail programs do.
fn rename_on(folder: &Path, n: usize, turn: usize) {
    let name = |turn: usize| match turn {
        0 => format!("new/17180{n:05}.M{n}.host"),
        turn if turn % 2 == 1 => format!("cur/17180{n:05}.M{n}.host,U={n}:2,"),
        _ => format!("cur/17180{n:05}.M{n}.host,U={n},S=55:2,S"),
    };
    fs::rename(folder.join(name(turn)), folder.join(name(turn + 1))).unwrap();
}

/// Renames, deletes and delivers until it is told to stop; tells how often it renamed and delivered.
fn change(folder: &Path, kept: usize, deleted: usize, stop: &AtomicBool) -> (usize, usize) {
    let (mut renames, mut deliveries) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        // Neither in the order of names nor in its reverse.
        rename_on(folder, renames * 1087 % kept, renames / kept);
        renames += 1;
        if renames % 7 == 0 && renames / 7 <= deleted {
            let n = deleted - renames / 7;
            fs::remove_file(folder.join(format!("cur/17180{n:05}.X{n}.host:2,"))).unwrap();
        }
        if renames % 50 == 0 && deliveries < 2000 {
            let unfinished = folder.join("tmp/unfinished");
            write(&unfinished, &mail(&format!("late{deliveries}")));
            fs::rename(unfinished, folder.join(format!("new/17190{deliveries:05}.L.host"))).unwrap();
            deliveries += 1;
        }
    }
    (renames, deliveries)
}

#[test]
fn a_maildir_that_changes_all_the_time() {
    const KEPT: usize = 2500;
    const DELETED: usize = 500;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::create_dir_all(folder.join("cur")).unwrap();
    for n in 0..KEPT {
        write(&folder.join(format!("new/17180{n:05}.M{n}.host")), &mail(&format!("kept{n}")));
    }
    for n in 0..DELETED {
        write(&folder.join(format!("cur/17180{n:05}.X{n}.host:2,")), &mail(&format!("deleted{n}")));
    }
    let stop = AtomicBool::new(false);
    let (records, (renames, deliveries)) = std::thread::scope(|scope| {
        let changes = scope.spawn(|| change(folder, KEPT, DELETED, &stop));
        let records = classify(folder);
        stop.store(true, Ordering::Relaxed);
        (records, changes.join().unwrap())
    });
    assert!(renames > KEPT && deliveries > 10, "{renames} and {deliveries} are too few to prove anything");
    let ids = ids(&records);
    let lost: Vec<_> = (0..KEPT).map(|n| format!("kept{n}")).filter(|id| !ids.contains_key(id)).collect();
    assert!(lost.is_empty(), "{} lost after {renames} renames, such as {}", lost.len(), lost[0]);
    let twice: Vec<_> = ids.iter().filter(|&(_, &count)| count > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

#[test]
fn maildirs_of_every_program() {
    let folder = tempfile::tempdir().unwrap();
    let names = [
        "cur/1718000001.M1P1.host,S=1234,W=1250:2,RSa",
        "cur/1718000002.1_2.host,U=123:2,S",
        "cur/1718000003.M3P3.host;2,S",
        "cur/1718000004.M4P4.host!2,",
        "cur/1718000005.M5P5.ho:2,st:2,S",
        "new/1718000006.M6P6.a\\057b",
        ".Archive.2024/cur/1718000007.M7P7.host:2,S",
        ".Sent/cur/1718000008.M8P8.host:2,S",
        "Sub/cur/1718000009.M9P9.host,U=1:2,S",
    ];
    for (n, name) in names.iter().enumerate() {
        write(&folder.path().join(name), &mail(&n.to_string()));
    }
    let beside =
        ["tmp/1", ".Sent/new/.keep", ".Archive.2024/tmp/2", "Sub/tmp/3", "dovecot-uidlist", "subscriptions", ".mbsync"];
    beside.iter().for_each(|name| write(&folder.path().join(name), "x"));
    write(&folder.path().join("cur/1718000010.M10P10.empty:2,"), "");
    let sources = |arguments: &[&str]| -> Vec<String> {
        let records = mailsort(["classify", "."]).args(LABELS).args(arguments).in_folder(folder.path()).records();
        records
            .iter()
            .map(|r| format!("{} {}", r["source"].as_str().unwrap(), r["error"].as_str().unwrap_or("-")))
            .collect()
    };
    let own: Vec<String> = names[..5].iter().map(|name| format!("./{name} -")).collect();
    let own = [own, vec!["./cur/1718000010.M10P10.empty:2, no text".into(), format!("./{} -", names[5])]].concat();
    assert_eq!(sources(&[]), own);
    let below: Vec<String> = names[6..].iter().map(|name| format!("./{name} -")).collect();
    assert_eq!(sources(&["--recursive"]), [own, below].concat());
}

#[test]
fn mail_of_macs_old_and_new() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mailbox = format!("From a@b Sat Jan  3 01:05:34 1996\n{}\n", mail("exported"));
    write(&at("Work.mbox/mbox"), &mailbox);
    fs::write(at("Work.mbox/table_of_contents"), b"\0\0\0\x01").unwrap();
    write(&at("Empty.mbox/mbox"), "");
    let list = "<?xml version=\"1.0\"?>\n<plist version=\"1.0\">\n</plist>\n";
    for (name, id) in [("7/Messages/1.emlx", "whole"), ("7/Messages/2.partial.emlx", "partial"), ("stray", "unnamed")] {
        write(&at(name), &format!("{}      \n{}{list}", mail(id).len(), mail(id)));
    }
    write(&at("7/Attachments/2/1/note.txt"), "part of a message");
    let twice = [mailbox.replace("exported", "one"), mailbox.replace("exported", "two")].concat();
    write(&at("old.mbox"), &twice.replace('\n', "\r"));
    write(&at("old.eml"), &mail("old").replace('\n', "\r"));
    let wide: Vec<u8> = mail("wide").encode_utf16().flat_map(u16::to_be_bytes).collect();
    fs::write(at("wide.eml"), &wide).unwrap();
    let found = ids(&classify(folder.path()));
    let expected = ["exported", "old", "one", "partial", "two", "unnamed", "whole", "wide"];
    assert_eq!(found, expected.map(|id| (id.to_string(), 1)).into());
    let shown = mailsort(["show"]).args([at("7/Messages/1.emlx"), at("old.eml"), at("wide.eml")]).records();
    assert!(shown.iter().all(|record| record["body"] == "the text of the mail"), "{shown:?}");
}

#[test]
fn folders_of_mh() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["1", "2", "10", "drafts/1"] {
        write(&folder.path().join("Mail").join(name), &mail(&name.replace('/', "-")));
    }
    write(&folder.path().join("Mail/.mh_sequences"), "cur: 10\n");
    assert_eq!(ids(&classify(folder.path())).into_keys().collect::<Vec<_>>(), ["1", "10", "2", "drafts-1"]);
}

/// Checks that every message of the file begins where its record says, and tells how many there are.
fn check_offsets(path: PathBuf) -> usize {
    let bytes = fs::read(&path).unwrap();
    let raws: Vec<Raw> = Source::new(std::iter::once(path), Options::default()).map(Result::unwrap).collect();
    for (at, raw) in raws.iter().enumerate() {
        assert_eq!(raw.origin.index, at as u64);
        let here = &bytes[usize::try_from(raw.origin.offset).unwrap()..];
        let envelope = here.iter().position(|&b| b == b'\n').unwrap() + 1;
        assert!(here.starts_with(b"From "), "{:?}", raw.origin);
        // An envelope may be broken over two lines.
        let broken =
            if here[envelope] == b' ' { here[envelope..].iter().position(|&b| b == b'\n').unwrap() + 1 } else { 0 };
        let header = raw.bytes.windows(2).position(|pair| pair == b"\n\n" || pair == b"\n\r").unwrap();
        assert!(here[envelope + broken..].starts_with(&raw.bytes[..header]), "{:?}", raw.origin);
    }
    raws.len()
}

#[test]
fn offsets_point_at_messages() {
    assert_eq!(check_offsets(root().join("samples/inbox.mbox")), 14);
    assert_eq!(check_offsets(root().join("samples/chinese.mbox")), 5);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.mbox");
    let crlf = fs::read_to_string(root().join("samples/inbox.mbox")).unwrap().replace('\n', "\r\n");
    fs::write(&path, format!("\u{feff}\r\n{crlf}")).unwrap();
    assert_eq!(check_offsets(path), 14);
    for name in ["r-devel-2001-January", "r-devel-2010-October", "r-devel-2019-March"] {
        let Some(path) = shared(&format!("mail/lists/{name}.mbox")) else { return };
        assert!(check_offsets(path) > 100);
    }
}

/// A mailbox in which the length of the middle mail is right, although what it holds looks like two more mails.
fn mboxcl2() -> String {
    let body = "forwarded:\n\nFrom x@y Sat Jan  3 01:05:34 1996\nMessage-ID: <inner>\n\nFrom here on\nNote: prose\n";
    let mail = |id: &str, body: &str| {
        let length = body.len();
        format!("From a@b Sat Jan  3 01:05:34 1996\nMessage-ID: <{id}>\nContent-Length: {length}\n\n{body}\n")
    };
    [mail("1", "one\n"), mail("2", body), mail("3", "three\n")].concat()
}

#[test]
fn lengths_count_in_files_streams_and_archives() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("x");
    fs::write(&plain, mboxcl2()).unwrap();
    let zipped = folder.path().join("x.gz");
    let mut encoder = flate2::write::GzEncoder::new(fs::File::create(&zipped).unwrap(), flate2::Compression::fast());
    encoder.write_all(mboxcl2().as_bytes()).unwrap();
    encoder.finish().unwrap();
    let streamed = mailsort(["classify", "-"]).args(LABELS).stdin(mboxcl2()).records();
    for records in [classify(&plain), classify(&zipped), streamed] {
        assert_eq!(ids(&records).into_keys().collect::<Vec<_>>(), ["1", "2", "3"]);
    }
    // Forged: the others have none, so none is meant.
    let forged = mboxcl2().replacen("Content-Length: 4\n", "", 1).replace("Content-Length: ", "Content-Length: 9");
    let records = mailsort(["classify", "-"]).args(LABELS).stdin(forged).records();
    assert_eq!(ids(&records).into_keys().collect::<Vec<_>>(), ["1", "2", "3", "inner"]);
}

#[test]
fn the_internal_data_of_an_imap_server_is_a_record_like_any_other() {
    let data = "From MAILER-DAEMON Fri Jul  8 12:08:34 2011\nFrom: Mail System Internal Data <MAILER-DAEMON@host>\n\
        Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1310127500 0000000000\nStatus: RO\n\n\
        This text is part of the internal format of your mail folder, and is not\na real message.\n\n";
    let mails = format!("{data}From a@b Sat Jan  3 01:05:34 1996\n{}", mail("1"));
    let records = mailsort(["classify", "-"]).args(LABELS).stdin(mails).records();
    assert_eq!(records.len(), 2);
    assert_eq!((&records[1]["index"], &records[1]["id"]), (&1.into(), &"<1>".into()));
}

#[test]
fn a_store_of_thunderbird_is_its_messages() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| write(&folder.path().join("Mail/a.example").join(name), text);
    let with = |fields: &str, id: &str| format!("From - Tue Jun 11 10:20:30 2024\n{fields}{}\n", mail(id));
    let above = "X-Account-Key: account1\nX-UIDL: 7\n";
    put(
        "Inbox",
        &[
            with(&format!("{above}X-Mozilla-Status: 0001\nX-Mozilla-Status2: 00000000\n"), "kept"),
            with(&format!("{above}X-Mozilla-Status: 0009\nX-Mozilla-Status2: 00000000\n"), "deleted"),
            with("X-Mozilla-Status: 1008\n", "deleted-too"),
            with("Received: by a\nX-Mozilla-Status: 0009\n", "forged"),
        ]
        .concat(),
    );
    put("Inbox.sbd/2024", &with("X-Mozilla-Status: 0000\n", "below"));
    put("Drafts", "");
    for name in
        ["Inbox.msf", "Drafts.msf", "Inbox.sbd/2024.msf", "popstate.dat", "msgFilterRules.dat", "filterlog.html"]
    {
        put(name, "<html>// <!-- <mdb:mork:z v=\"1.4\"/> -->");
    }
    let records = classify(folder.path());
    assert_eq!(
        ids(&records).into_iter().collect::<Vec<_>>(),
        ["below", "forged", "kept"].map(|id| (id.to_string(), 1))
    );
    assert_eq!(records.iter().map(|record| record["index"].as_u64().unwrap()).collect::<Vec<_>>(), [0, 1, 0]);
    // An empty folder by itself is an empty mailbox, and an index is what its bytes are.
    assert!(classify(&folder.path().join("Mail/a.example/Drafts")).is_empty());
    assert_eq!(classify(&folder.path().join("Mail/a.example/Drafts.msf")).len(), 1);
}

#[test]
fn an_empty_folder_of_a_list_is_an_error_record() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("empty")).unwrap();
    write(&folder.path().join("1.eml"), &mail("1"));
    let run = mailsort(["classify", "--files-from", "-"]).args(LABELS).in_folder(folder.path()).stdin("empty\n1.eml\n");
    let output = run.output();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(first["source"], "empty");
    assert_eq!(first["error"], "unreadable: it holds no file that is not hidden");
    assert_eq!(text.lines().count(), 2);
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_no_text_stay_apart() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    for (n, name) in [b"caf\xe8.eml", b"caf\xe9.eml"].iter().enumerate() {
        write(&folder.path().join(std::ffi::OsStr::from_bytes(*name)), &mail(&n.to_string()));
    }
    let records = mailsort(["classify", "."]).args(LABELS).in_folder(folder.path()).records();
    let sources: Vec<_> = records.iter().map(|record| record["source"].as_str().unwrap()).collect();
    assert_eq!(sources, ["./caf\\xE8.eml", "./caf\\xE9.eml"]);
}
