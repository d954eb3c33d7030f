//! PDF and DOCX: the text of `tests/documents/`, and what becomes of hostile ones: one record each, in time.
//!
//! `UPDATE_DOCUMENTS=1 cargo test --test it documents` writes the texts that were read beside the documents.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

use mailsort::intake::{self, Options, Reading, Source};
use serde_json::Value;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::mailsort::{mailsort, root};

/// A run over hostile documents ends within this time, which is that of a slow machine with other things to do. A PDF
/// may compute for 10 s before it is given up.
const PATIENCE: Duration = Duration::from_secs(120);

fn text_of(path: &Path) -> String {
    let raw = Source::new(std::iter::once(path.to_path_buf()), Options::default()).next().unwrap().unwrap();
    intake::read(raw, &Reading::default()).unwrap().text()
}

fn document(name: &str) -> Vec<u8> {
    fs::read(root().join("tests/documents").join(name)).unwrap()
}

#[test]
fn texts() {
    let mut seen = 0;
    for entry in fs::read_dir(root().join("tests/documents")).unwrap() {
        let path = entry.unwrap().path();
        if !path.extension().is_some_and(|ending| ending == "pdf" || ending == "docx") {
            continue;
        }
        seen += 1;
        let text = text_of(&path) + "\n";
        let beside = path.with_added_extension("txt");
        if std::env::var_os("UPDATE_DOCUMENTS").is_some() {
            fs::write(beside, text).unwrap();
        } else {
            assert_eq!(text, fs::read_to_string(beside).unwrap(), "{}", path.display());
        }
    }
    assert_eq!(seen, 7, "not all documents were found");
}

/// Runs the program over files of these names and bytes, and checks that each has its record, in order and in time.
fn records(files: &[(&str, Vec<u8>)]) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let list: Vec<String> = files.iter().map(|(name, _)| (*name).to_string()).collect();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let started = Instant::now();
    let records = mailsort(["classify", "--label", "a bill", "--label", "a letter", "--files-from", "-"])
        .in_folder(folder.path())
        .stdin(list.join("\n"))
        .records();
    assert!(started.elapsed() < PATIENCE, "{list:?} took {:?}", started.elapsed());
    let sources: Vec<_> = records.iter().map(|record| record["source"].as_str().unwrap().to_string()).collect();
    assert_eq!(sources, list);
    records
}

fn errors(files: &[(&str, Vec<u8>)]) -> Vec<String> {
    let error = |record: &Value| record["error"].as_str().unwrap_or("none").to_string();
    records(files).iter().map(error).collect()
}

/// A PDF of these objects, numbered from 1; the first is the catalogue.
fn pdf<S: AsRef<[u8]>>(objects: &[S], trailer: &str) -> Vec<u8> {
    let mut bytes = b"%PDF-1.5\n".to_vec();
    let mut table = String::new();
    for (at, object) in objects.iter().enumerate() {
        table += &format!("{:010} 00000 n \n", bytes.len());
        bytes.extend_from_slice(format!("{} 0 obj\n", at + 1).as_bytes());
        bytes.extend_from_slice(object.as_ref());
        bytes.extend_from_slice(b"\nendobj\n");
    }
    let (start, size) = (bytes.len(), objects.len() + 1);
    write!(bytes, "xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<</Size {size}/Root 1 0 R{trailer}>>\n")
        .unwrap();
    write!(bytes, "startxref\n{start}\n%%EOF\n").unwrap();
    bytes
}

/// A PDF of one page with this content.
fn page(filter: &str, content: &[u8]) -> Vec<u8> {
    let stream =
        [format!("<</Length {}{filter}>>stream\n", content.len()).as_bytes(), content, b"\nendstream"].concat();
    let font = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>";
    pdf(
        &[
            b"<</Type/Catalog/Pages 2 0 R>>".as_slice(),
            b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>",
            &stream,
            font.as_bytes(),
        ],
        "",
    )
}

fn deflated(chunk: &[u8], times: usize) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    (0..times).for_each(|_| encoder.write_all(chunk).unwrap());
    encoder.finish().unwrap()
}

fn docx(parts: &[(&str, &[u8], usize)]) -> Vec<u8> {
    let mut archive = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, chunk, times) in parts {
        archive.start_file(*name, SimpleFileOptions::default()).unwrap();
        (0..*times).for_each(|_| archive.write_all(chunk).unwrap());
    }
    archive.finish().unwrap().into_inner()
}

const HELLO: &[u8] = b"BT /F 12 Tf 72 700 Td (Please pay this invoice) Tj ET";

#[test]
fn kinds_are_told_by_bytes_and_names() {
    let mut zipped = GzEncoder::new(Vec::new(), Compression::fast());
    zipped.write_all(&document("contract.docx")).unwrap();
    let page = |text: &str| page("", format!("BT /F 12 Tf 72 700 Td ({text}) Tj ET").as_bytes());
    let odt = docx(&[("mimetype", b"application/vnd.oasis.opendocument.text", 1), ("content.xml", b"<a/>", 1)]);
    let encrypted = [
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".as_slice(),
        &"EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>(),
    ]
    .concat();
    let locked = format!("/Encrypt<</Filter/Standard/V 1/R 2/O<{0}>/U<{0}>/P -4>>/ID[<00><00>]", "41".repeat(32));
    let locked = pdf(&["<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[]/Count 0>>"], &locked);
    let files = [
        ("a", page("Please pay this invoice"), "none"),
        ("b.txt", page("Please pay this invoice"), "none"),
        ("c.pdf", [b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), &page("Please pay this invoice")].concat(), "none"),
        ("d", document("contract.docx"), "none"),
        ("e.docx.gz", zipped.finish().unwrap(), "none"),
        ("f.pdf", b"<html><p>Your session has ended, please sign in</html>".to_vec(), "none"),
        ("g.pdf", Vec::new(), "no text"),
        ("h.docx", Vec::new(), "no text"),
        ("i.pdf", page(""), "no text"),
        ("j.odt", odt.clone(), "not text"),
        ("k.docx", odt, "not text"),
        ("l.docx", encrypted, "unreadable: the DOCX is encrypted"),
        ("m.pdf", locked, "unreadable: the PDF is encrypted"),
        ("n.pdf", b"\0\x01\x02".to_vec(), "unreadable: the file is no PDF"),
        ("o.docx", b"\0\x01\x02".to_vec(), "not text"),
        ("p.md", b"A PDF begins with %PDF-1.7 and some bytes".to_vec(), "none"),
    ];
    let expected = files.each_ref().map(|(_, _, expected)| *expected);
    assert_eq!(errors(&files.map(|(name, bytes, _)| (name, bytes))), expected);
}

#[test]
fn cut_anywhere() {
    for name in ["contract.pdf", "bericht.pdf", "contract.docx"] {
        let whole = document(name);
        let files: Vec<_> =
            (0..40).map(|at| (format!("{at}-{name}"), whole[..whole.len() * at / 40].to_vec())).collect();
        records(&files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect::<Vec<_>>());
    }
}

#[test]
fn damaged_anywhere() {
    // Numbers of a linear congruential generator (Knuth, MMIX), always the same.
    let mut state = 2024_u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for name in ["contract.pdf", "bericht.pdf", "contract.docx"] {
        let mut damaged = |at: usize| {
            let mut bytes = document(name);
            for _ in 0..=at {
                let place = random(bytes.len());
                bytes[place] = random(256) as u8;
            }
            (format!("{at}-{name}"), bytes)
        };
        let files: Vec<_> = (0..60).map(&mut damaged).collect();
        records(&files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect::<Vec<_>>());
    }
}

#[test]
fn bombs() {
    let mebibyte = vec![b' '; 1 << 20];
    let once = deflated(&mebibyte, 640);
    let twice = deflated(&once, 1);
    let both = "/Filter[/FlateDecode/FlateDecode]";
    let xml: &[u8] = b"<w:document><w:body><w:p><w:r><w:t>Please pay this invoice</w:t></w:r></w:p>";
    let long = "Please pay this invoice. ".repeat(40_000);
    let paragraphs = format!("<w:p><w:r><w:t>{long}</w:t></w:r></w:p>");
    let files = [
        ("spaces.pdf", page("/Filter/FlateDecode", &once)),
        ("twice.pdf", page(both, &twice)),
        ("words.pdf", page("/Filter/FlateDecode", &deflated(&[HELLO, b"\n"].concat(), 1_000_000))),
        ("spaces.docx", docx(&[("word/document.xml", &mebibyte, 256)])),
        ("words.docx", docx(&[("word/document.xml", paragraphs.as_bytes(), 40)])),
        ("part.docx", docx(&[("word/document.xml", xml, 1), ("word/footnotes.xml", &mebibyte, 256)])),
        ("tags.docx", docx(&[("word/document.xml", "<w:p>".repeat(1 << 18).as_bytes(), 100)])),
    ];
    let records = records(&files);
    for (at, name) in files.iter().map(|(name, _)| name).enumerate().filter(|(_, name)| name.contains("s.docx")) {
        assert!(records[at]["truncated"] == true || records[at]["error"].is_string(), "{name}: {}", records[at]);
    }
    if cfg!(target_os = "linux") {
        let error = "unreadable: the PDF needs more than 512 MiB of memory, or is nested too deep";
        assert_eq!(records[0]["error"], error, "the PDF was not read under limits");
    }
    assert_eq!(records[4]["truncated"], true);
    assert_eq!(records[5]["error"], Value::Null);
}

#[test]
fn nesting_and_loops() {
    let deep = |open: &str, close: &str, times| open.repeat(times) + &close.repeat(times);
    let catalogue = "<</Type/Catalog/Pages 2 0 R>>";
    let mut prev = pdf(&[catalogue, "<</Type/Pages/Kids[]/Count 0>>"], "/Prev 9");
    let start = prev.windows(5).position(|window| window == b"xref\n").unwrap();
    let looped = String::from_utf8(prev).unwrap().replace("/Prev 9", &format!("/Prev {start}"));
    prev = looped.into_bytes();
    let form = "<</Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X 4 0 R>>>>/Length 7>>stream\n/X Do X\nendstream";
    let calls = "<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R/Resources<</XObject<</X 4 0 R>>>>>>";
    let chain: Vec<String> = std::iter::once(catalogue.to_string())
        .chain((2..20_002).map(|at| format!("<</Type/Pages/Count 1/Kids[{} 0 R]>>", at + 1)))
        .collect();
    let wide = "<</Type/Pages/Count 4/Kids[2 0 R 2 0 R 2 0 R 2 0 R]>>";
    let nested_xml = ["<w:document>", &deep("<w:tbl><w:tr><w:tc>", "</w:tc></w:tr></w:tbl>", 200_000)].concat();
    let files = [
        ("array.pdf", pdf(&[catalogue, &deep("[", "]", 2_000_000)], "")),
        ("dictionary.pdf", pdf(&[catalogue, &deep("<</A", ">>", 1_000_000)], "")),
        ("content.pdf", page("", deep("[", "]", 2_000_000).as_bytes())),
        ("strings.pdf", page("", deep("(", ")", 2_000_000).as_bytes())),
        ("states.pdf", page("", deep("q ", "Q ", 1_000_000).as_bytes())),
        ("kids.pdf", pdf(&[catalogue, wide], "")),
        ("chain.pdf", pdf(&chain, "")),
        ("prev.pdf", prev),
        (
            "length.pdf",
            pdf(
                &[catalogue, "<</Type/Pages/Kids[3 0 R]/Count 1>>", calls, "<</Length 4 0 R>>stream\nx\nendstream"],
                "",
            ),
        ),
        ("form.pdf", pdf(&[catalogue, "<</Type/Pages/Kids[3 0 R]/Count 1>>", calls, form], "")),
        ("self.pdf", pdf(&[catalogue, "2 0 R"], "")),
        ("trailer.pdf", b"%PDF-1.7\n".repeat(100_000)),
        (
            "objects.pdf",
            (0..300_000).fold(b"%PDF-1.7\n".to_vec(), |mut all, at| {
                all.extend_from_slice(format!("{at} 0 obj [").as_bytes());
                all
            }),
        ),
        ("tables.docx", docx(&[("word/document.xml", nested_xml.as_bytes(), 1)])),
        (
            "entities.docx",
            docx(&[("word/document.xml", b"<!DOCTYPE a [<!ENTITY a \"&a;&a;\">]><w:p><w:t>&a;</w:t></w:p>", 1)]),
        ),
    ];
    for (record, (name, _)) in records(&files).iter().zip(&files) {
        assert!(record["error"].is_string(), "{name} has no text: {record}");
    }
}

#[test]
fn many_pages() {
    let mut objects = vec!["<</Type/Catalog/Pages 2 0 R>>".to_string()];
    let kids: Vec<String> = (0..10_000).map(|at| format!("{} 0 R", at + 5)).collect();
    objects.push(format!("<</Type/Pages/Count 10000/Kids[{}]>>", kids.join(" ")));
    objects.push(format!("<</Length {}>>stream\n{}\nendstream", HELLO.len(), std::str::from_utf8(HELLO).unwrap()));
    objects.push("<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>".into());
    let page = "<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 3 0 R/Resources<</Font<</F 4 0 R>>>>>>";
    objects.extend((0..10_000).map(|_| page.to_string()));
    let records = records(&[("pages.pdf", pdf(&objects, ""))]);
    assert_eq!(records[0]["truncated"], true, "{}", records[0]);
}

#[test]
fn many_parts() {
    let mut archive = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for at in 0..50_000 {
        archive.start_file(format!("word/document{at}.xml"), SimpleFileOptions::default()).unwrap();
    }
    let bytes = archive.finish().unwrap().into_inner();
    assert_eq!(errors(&[("parts.docx", bytes)]), ["not text"]);
}
