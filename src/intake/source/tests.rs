//! Inputs of every kind, told from their names and bytes.

use super::*;

fn write(path: &Path, bytes: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_maildir_may_change_while_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["cur/1.a:2,", "cur/2.a:2,", "cur/3.a:2,", "new/4.a"] {
        write(&folder.path().join(name), &format!("Subject: {name}\n\nx\n"));
    }
    let mut source = Source::new(std::iter::once(folder.path().to_path_buf()), Options::default());
    let first = source.next().unwrap().unwrap();
    std::fs::rename(folder.path().join("cur/2.a:2,"), folder.path().join("cur/2.a:2,S")).unwrap();
    std::fs::remove_file(folder.path().join("cur/3.a:2,")).unwrap();
    std::fs::rename(folder.path().join("new/4.a"), folder.path().join("cur/4.a:2,")).unwrap();
    let rest: Vec<Raw> = source.map(Result::unwrap).collect();
    let subjects: Vec<_> = std::iter::once(&first)
        .chain(&rest)
        .map(|raw| String::from_utf8_lossy(&raw.bytes).lines().next().unwrap().to_string())
        .collect();
    assert_eq!(subjects, ["Subject: cur/1.a:2,", "Subject: cur/2.a:2,", "Subject: new/4.a"]);
}

#[test]
fn names_cannot_forge_lines() {
    assert_eq!(&*shown(Path::new("a\n\u{1b}[2Jb\u{9b}")), "a\\x0A\\x1B[2Jb\\xC2\\x9B");
    assert_eq!(&*shown(Path::new("grüße/会议")), "grüße/会议");
}

#[cfg(unix)]
#[test]
fn every_name_is_shown_as_no_other_is() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let shown = |name: &[u8]| shown(Path::new(OsStr::from_bytes(name))).to_string();
    let alphabet = [&b"a"[..], b"\xe9", b"\xc3\xa9", b"\\", b"\\xE9", b"\\x5C", b"x", b"\n", b"\xff"];
    let mut seen = std::collections::HashMap::new();
    for n in 0..alphabet.len().pow(4) {
        let name: Vec<u8> =
            (0..4).flat_map(|place| alphabet[n / alphabet.len().pow(place) % alphabet.len()].to_vec()).collect();
        let before = seen.insert(shown(&name), name.clone());
        assert_eq!(unshown(&shown(&name)).as_os_str().as_bytes(), name, "{}", name.escape_ascii());
        assert!(before.is_none_or(|before| before == name), "{}", name.escape_ascii());
    }
    assert_eq!(shown(b"caf\xe9\\"), "caf\\xE9\\\\");
    assert_eq!(shown(b"1.a\\057b:2,S"), "1.a\\057b:2,S");
}

#[test]
fn a_folder_without_files_is_one_error() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["empty/.hidden", "maildir/cur/.keep", "maildir/new/.keep"] {
        write(&folder.path().join(name), "");
    }
    let inputs = ["empty", "maildir", "empty"].map(|name| folder.path().join(name));
    let errors: Vec<_> = Source::new(inputs.into_iter(), Options::default()).map(Result::unwrap_err).collect();
    assert_eq!(errors.len(), 2);
    assert_eq!(errors[0].reason.to_string(), "unreadable: it holds no file that is not hidden");
}

#[test]
fn origins_tell_where_a_document_stands() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("a.mbox"), "From a 1:00 2024\nSubject: 1\n\nx\n\nFrom b 1:00 2024\nSubject: 2\n\ny\n");
    write(&folder.path().join("b.jsonl"), "{\"text\":\"one\"}\n\n{\"text\":\"two\"}\n");
    let source = Source::new(std::iter::once(folder.path().to_path_buf()), Options::default());
    let places: Vec<_> = source.map(|raw| raw.unwrap().origin).map(|o| (o.index, o.offset)).collect();
    assert_eq!(places, [(0, 0), (1, 32), (0, 0), (1, 16)]);
}
