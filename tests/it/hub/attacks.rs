//! A hub that wants to write elsewhere, to crash the program, or to hang it.

use std::fs;
use std::path::Path;

use super::server::Manners;
use super::{CONFIG, Place, bad, good, weights};

/// All files below a folder.
fn below(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().unwrap().is_dir() {
            found.extend(below(&entry.path()));
        } else {
            found.push(entry.path().to_string_lossy().into_owned());
        }
    }
    found
}

#[test]
fn an_index_cannot_name_files_elsewhere() {
    let weights = weights(1);
    let outside = [
        "../../../evil.safetensors",
        "/tmp/evil.safetensors",
        "a/../../evil.safetensors",
        "evil.bin",
        "..\\\\evil.safetensors",
    ];
    for name in outside {
        let index = format!("{{\"weight_map\": {{\"a\": \"{name}\"}}}}");
        let files = [
            ("config.json", CONFIG),
            ("tokenizer.json", b"{}"),
            ("model.safetensors.index.json", index.as_bytes()),
            (name, &weights),
        ];
        let place = Place::new(&files, Manners::default());
        bad(place.run("models pull owner/tiny"), &["index.json", "evil", "not a safetensors file beside it"]);
        assert!(!below(place.home.path()).iter().any(|path| path.contains("evil")));
    }
    assert!(!Path::new("/tmp/evil.safetensors").exists());
}

#[test]
fn a_list_cannot_name_files_elsewhere() {
    let weights = weights(1);
    for name in ["../evil.gguf", "/tmp/evil.gguf", "a/../../../evil.gguf"] {
        let place = Place::new(&[(name, &weights)], Manners::default());
        bad(place.run("models pull owner/tiny"), &["no GGUF file"]);
        assert!(!below(place.home.path()).iter().any(|path| path.contains("evil")));
    }
}

#[test]
fn a_commit_cannot_be_a_path() {
    for commit in ["../../../../evil", "", "/tmp/evil", "0123", "0123456789abcdef0123456789abcdef0123456/"] {
        let place = Place::with_a_model(Manners { commit: Some(commit), ..Default::default() });
        bad(place.run("models pull owner/tiny"), &["owner/tiny", "HF_ENDPOINT"]);
        assert!(below(place.home.path()).is_empty());
    }
}

#[test]
fn an_etag_cannot_be_a_path() {
    let answer = "302 Found\r\nX-Linked-Etag: \"../../../../evil\"\r\nX-Linked-Size: 2\r\nContent-Length: 0";
    let place = Place::with_a_model(Manners { answers: vec![("tokenizer.json", answer, 1)], ..Default::default() });
    let said = good(place.run("models pull owner/tiny"));
    assert!(said.contains("no checksum for tokenizer.json"), "{said}");
    assert!(!below(place.home.path()).iter().any(|path| path.contains("evil")));
    place.is_whole();
}

/// Answers that no hub gives. None may crash or hang the program, and all end in one clear sentence.
#[test]
fn answers_that_make_no_sense() {
    let cases = [
        ("/api/", "200 OK\r\nContent-Length: 0", "is HF_ENDPOINT right"),
        ("/api/", "200 OK\r\nContent-Length: 2\r\n\r\n[]", "is HF_ENDPOINT right"),
        ("/api/", "204 No Content", "is HF_ENDPOINT right"),
        ("/api/", "302 Found\r\nLocation: /api/again\r\nContent-Length: 0", "redirects"),
        ("/api/", "999 Odd\r\nContent-Length: 0", "999"),
        ("/api/", "418 I'm a teapot\r\nContent-Length: 0", "418"),
        ("config.json", "200 OK\r\nContent-Length: 5", "no ETag"),
        ("config.json", "302 Found\r\nContent-Length: 0", "without saying where"),
        ("config.json", "302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0", "file:///etc/passwd"),
        ("config.json", "302 Found\r\nLocation: //\r\nContent-Length: 0", "sends us to"),
        ("config.json", "302 Found\r\nLocation: /x/config.json\r\nContent-Length: 0", "circles"),
        ("/store/", "206 Partial Content\r\nContent-Length: 0", "without saying which"),
        ("/store/", "200 OK\r\nContent-Length: 999999999", "sends 999999999"),
        ("/store/", "302 Found\r\nContent-Length: 0", "location header"),
    ];
    for (path, answer, expected) in cases {
        let place = Place::with_a_model(Manners { answers: vec![(path, answer, 99)], ..Default::default() });
        let said = bad(place.run("models pull owner/tiny"), &["owner/tiny", expected]);
        assert!(!said.contains('\u{1b}'), "{said:?}");
    }
}

#[test]
fn more_bytes_than_announced_are_not_taken() {
    let answer = "200 OK\r\nTransfer-Encoding: chunked\r\n\r\n61a80\r\n";
    // 400,000 bytes in one piece, and an empty one at the end; the head is sent as it stands, so they are part of it.
    let long: &'static str = Box::leak(format!("{answer}{}\r\n0", "x".repeat(400_000)).into_boxed_str());
    let place = Place::with_a_model(Manners { answers: vec![("/store/", long, 99)], ..Default::default() });
    bad(place.run("models pull owner/tiny"), &["model.safetensors", "more bytes than it said"]);
    assert!(fs::metadata(place.part()).map_or(0, |part| part.len()) <= 300_000);
}

#[test]
fn what_a_hub_says_cannot_drive_a_terminal() {
    let files: [(&str, &[u8]); 2] = [("a\u{1b}]0;x.gguf", b"a"), ("b\u{202e}.gguf", b"b")];
    let place = Place::new(&files, Manners::default());
    let said = bad(place.run("models pull owner/tiny"), &["GGUF"]);
    assert!(!said.contains(['\u{1b}', '\u{202e}']), "{said:?}");
}

#[test]
fn what_is_too_long_is_not_taken() {
    let endless = "200 OK\r\nETag: \"x\"\r\nTransfer-Encoding: chunked\r\n\r\n1100000\r\n";
    let endless: &'static str = Box::leak(format!("{endless}{}\r\n0", " ".repeat(17 << 20)).into_boxed_str());
    let huge = "302 Found\r\nX-Linked-Etag: \"x\"\r\nX-Linked-Size: 1000000000000000000\r\nContent-Length: 0";
    let cases: [(&str, &str, &[&str]); 3] = [
        (
            "config.json",
            "200 OK\r\nETag: \"x\"\r\nContent-Length: 1000000000000000",
            &["config.json", "1000000000000000 bytes", "16 MiB"],
        ),
        ("config.json", endless, &["config.json", "more than the 16777216 bytes"]),
        ("model.safetensors", huge, &["model.safetensors", "needs 1000000000000000000 more bytes", "free", "HF_HOME"]),
    ];
    for (path, answer, expected) in cases {
        let place = Place::with_a_model(Manners { answers: vec![(path, answer, 99)], ..Default::default() });
        bad(place.run("models pull owner/tiny"), expected);
        let kept: u64 = below(&place.repository()).iter().map(|path| fs::metadata(path).unwrap().len()).sum();
        assert!(kept < 1 << 20, "{kept} bytes are left of {path}");
    }
}

#[test]
fn a_list_that_unpacks_to_gigabytes_is_not_unpacked() {
    use std::io::Write;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(b"{\"sha\": \"").unwrap();
    let block = vec![b'0'; 1 << 20];
    (0..40).for_each(|_| packed.write_all(&block).unwrap());
    let list = packed.finish().unwrap();
    assert!(list.len() < 1 << 20);
    let place = Place::with_a_model(Manners { packed_list: Some(list), ..Default::default() });
    bad(place.run("models pull owner/tiny"), &["owner/tiny", "list of more than 32 MiB"]);
    assert!(below(place.home.path()).is_empty());
}
