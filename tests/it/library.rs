//! The library without the command line: the example gives the labels of the program.

use crate::mailsort::{mailsort, root};

#[allow(dead_code, reason = "main is for the example alone")]
#[path = "../../examples/classify_mbox.rs"]
mod classify_mbox;

#[test]
fn the_example_gives_the_labels_of_the_program() {
    let (mbox, labels) = (root().join("samples/inbox.mbox"), root().join("labels/mail.txt"));
    let mut out = Vec::new();
    classify_mbox::classify(&mbox, &labels, &mut out).unwrap();
    let records = mailsort(["classify", "samples/inbox.mbox", "--labels", "labels/mail.txt"]).records();
    let expected: String = records
        .iter()
        .map(|record| {
            let of = |name: &str| record[name].as_str().unwrap_or_default().to_string();
            format!("{}\t{}\n", of("label"), of("subject"))
        })
        .collect();
    assert!(expected.lines().count() > 10);
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn the_example_fits_a_page() {
    let text = std::fs::read_to_string(root().join("examples/classify_mbox.rs")).unwrap();
    assert!(text.lines().count() < 25, "it shows how short a program is");
}
