//! Mailboxes of nothing but separators, and compressed files that grow.
//!
//! Memory stays flat, and time grows with what has to be read: an archive may be as long as its owner likes.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{A_MAIL, HEAD, one, records, repeat};

const ENVELOPE: &str = "From a Sat Jan  3 01:05:34 1996\n";

#[test]
fn mailboxes_of_separators() {
    for (case, part, times, expected) in [
        ("3,000,000 separators", ENVELOPE, 3_000_000, 1),
        ("5,000,000 bare From", "From \n", 5_000_000, 1),
        ("5,000,000 quoted From", ">From a\n", 5_000_000, 1),
        ("separators and quoted ones", "From a\n>From b\n", 2_000_000, 1),
        ("10,000,000 blank lines", "\n", 10_000_000, 0),
    ] {
        let found =
            records(case, Some("mbox"), 2 * A_MAIL, move |out| repeat(out, part.as_bytes(), times * part.len()));
        assert_eq!(found.len(), expected, "{case}");
    }
    let empty = format!("{ENVELOPE}X:\n\n");
    let found = records("200,000 empty messages", None, 10, move |out| {
        (0..200_000).try_for_each(|_| out.write_all(empty.as_bytes()))
    });
    assert_eq!(found.len(), 200_000);
    assert!(found.iter().all(|record| record["error"] == "no text"));
}

#[test]
fn a_separator_of_a_hundred_megabytes() {
    let found = records("100 MB of one separator", Some("mbox"), A_MAIL, |out| {
        out.write_all(b"From ")?;
        repeat(out, b"x", 100 << 20)?;
        write!(out, "\n{HEAD}\nhello\n\n{ENVELOPE}{HEAD}\nhello\n")
    });
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|record| record["label"] == "invoice"));
}

/// `head`, then `megabytes` of `part`.
fn gzip(head: &str, part: &[u8], megabytes: usize) -> Vec<u8> {
    let member = |head: &str, megabytes: usize| -> io::Result<Vec<u8>> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(head.as_bytes())?;
        repeat(&mut encoder, part, megabytes << 20)?;
        encoder.finish()
    };
    // Members repeat as cheaply as they inflate.
    [member(head, 0).unwrap(), member("", 16).unwrap().repeat(megabytes / 16)].concat()
}

#[test]
fn gzip_bombs() {
    let start = format!("{HEAD}\n");
    let record = one("1 MB that inflates to 1 GB, a mail", Some("eml"), gzip(&start, b"\0", 1024));
    assert_eq!(record["truncated"], true);
    let record = one("the same in words", Some("eml"), gzip(&start, b"word word word\n", 1024));
    assert!(record["label"].is_string());
    assert_eq!(record["truncated"], true);
    // What stands behind it in an archive is read all the same.
    let behind = gzip(&format!("\n\n{ENVELOPE}{HEAD}\nhello\n"), b"", 16);
    for (part, megabytes) in [(b"\0".as_slice(), 512), (b"word word word\n", 128)] {
        let bomb = [gzip(&format!("{ENVELOPE}{start}"), part, megabytes), behind.clone()].concat();
        assert!(bomb.len() < 1 << 20);
        let found = records("an archive that inflates", Some("mbox"), 3 * A_MAIL, move |out| out.write_all(&bomb));
        assert_eq!(found.len(), 2);
        assert_eq!((&found[0]["truncated"], &found[1]["label"]), (&true.into(), &"invoice".into()), "{found:?}");
    }
    let blank = gzip("", b"\n", 32);
    let found = records("blank rows that inflate", Some("jsonl"), 2 * A_MAIL, move |out| out.write_all(&blank));
    assert!(found.is_empty());
    let zipped = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let nested = (0..10).fold(start.into_bytes(), |bytes, _| zipped(&bytes));
    // gzip in gzip is no mail, and nobody looks further.
    assert_eq!(one("gzip ten deep", None, nested)["error"], "not text");
    let mut members = zipped(b"").repeat(100_000);
    members.extend(zipped(HEAD.as_bytes()));
    assert_eq!(one("100,000 empty members", None, members)["label"], "invoice");
    one("a name of 50 MB", None, [b"\x1f\x8b\x08\x08\0\0\0\0\0\xff".as_slice(), &b"n".repeat(50 << 20)].concat());
}

/// A hundred messages of a megabyte that a job wrote, each the same line over and over, and forty of people.
#[test]
fn an_archive_of_what_a_job_writes() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    for n in 0..100 {
        write!(encoder, "{ENVELOPE}{HEAD}Message-ID: <{n}@example.org>\n\n").unwrap();
        repeat(&mut encoder, b"the invoice was sent to the printer without a fault\n", 1 << 20).unwrap();
        encoder.write_all(b"\n").unwrap();
    }
    for n in 100..140 {
        write!(encoder, "{ENVELOPE}{HEAD}Message-ID: <{n}@example.org>\n\nhello\n\n").unwrap();
    }
    let archive = encoder.finish().unwrap();
    assert!(archive.len() < 1 << 20);
    let cut = archive[..archive.len() - 20].to_vec();
    let mut damaged = archive.clone();
    let checksum = archive.len() - 8;
    damaged[checksum] ^= 1;
    let read = |case: &str, bytes: Vec<u8>| records(case, Some("mbox"), 60, move |out| out.write_all(&bytes));
    let found = read("100 MB of repeated lines", archive);
    assert_eq!(found.len(), 140);
    assert!(found.iter().all(|record| record["label"] == "invoice"), "{found:?}");
    for (case, bytes, error) in
        [("an archive without its end", cut, "incomplete deflate stream"), ("a wrong checksum", damaged, "checksum")]
    {
        let found = read(case, bytes);
        let last = found.last().unwrap()["error"].as_str().unwrap();
        assert!(last.starts_with("unreadable: ") && last.contains(error), "{case}: {last}");
        assert!(found.len() > 100, "{case}: {}", found.len());
    }
}
