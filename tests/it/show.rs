//! `mailsort show`: what the model sees, and what was cut.

use crate::mailsort::{mailsort, root, shared};

#[test]
fn the_samples_as_a_model_sees_them() {
    let path = root().join("samples/.expected.jsonl");
    let expected: Vec<serde_json::Value> =
        std::fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let inputs = ["samples/inbox.mbox", "samples/maildir", "samples/files", "samples/chinese.mbox"];
    let shown = mailsort(["show"]).args(inputs).records();
    assert_eq!(shown.len(), expected.len());
    let folded = |text: &serde_json::Value| text.as_str().unwrap().split_whitespace().collect::<String>();
    for (shown, expected) in shown.iter().zip(&expected) {
        for field in ["source", "index", "id", "subject"] {
            assert_eq!(shown[field], expected[field]);
        }
        assert_eq!(folded(&shown["body"]), folded(&expected["body"]));
        assert!(shown.get("removed").is_none() && shown.get("error").is_none());
    }
}

const REPLY: &str = "Subject: Re: Friday\nFrom: Ann <ann@example.org>\nMessage-ID: <a@b>\n\nFriday it is.\n\n-- \nAnn\n\
                     555-0100\n\nOn 3 May 2016 10:10, Bob <b@example.com> wrote:\n> Friday?\n";

#[test]
fn a_reply_for_people() {
    insta::assert_snapshot!(mailsort(["show", "-", "--format", "text", "--removed"]).stdin(REPLY).transcript());
}

#[test]
fn a_reply_as_json() {
    insta::assert_snapshot!(mailsort(["show", "-", "--removed"]).stdin(REPLY).transcript());
    insta::assert_snapshot!(mailsort(["show", "-", "--keep-quotes", "--removed"]).stdin(REPLY).transcript());
}

#[test]
fn every_step_can_be_turned_off() {
    let page = "<div style='display:none'>Look inside</div><p>Our news, see http://example.com/track?utm_source=abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz012345</p>\
                <p>To unsubscribe click <a href='http://example.com/u'>here</a>.</p>";
    let mail = |kind: &str, body: &str| format!("Subject: x\nContent-Type: {kind}\n\n{body}\n");
    let forward = "FYI\n\n---------- Forwarded message ---------\nFrom: Ann <a@example.org>\nSubject: y\nDate: Monday\nTo: Bob\n\nThe news.\n";
    let legal = "We agree.\n\nThis e-mail and any attachments are confidential and intended solely for the addressee. If you have received it \
                 in error, please notify the sender and delete it.\n";
    for (flag, step, input) in [
        ("--keep-html", "html", mail("text/html", page)),
        (
            "--keep-quotes",
            "quotes",
            mail("text/plain", "Yes.\n\nOn 3 May 2016 10:10, Bob <b@example.com> wrote:\n> When?"),
        ),
        ("--keep-forwards", "forwards", mail("text/plain", forward)),
        ("--keep-signatures", "signatures", mail("text/plain", "Yes, I do.\n\nSent from my iPhone")),
        ("--keep-disclaimers", "disclaimers", mail("text/plain", legal)),
        ("--keep-footers", "footers", mail("text/html", page)),
        ("--keep-links", "links", mail("text/html", page)),
    ] {
        let steps = |arguments: &[&str]| -> Vec<String> {
            let shown = mailsort(["show", "-", "--removed"]).args(arguments).stdin(input.clone()).records();
            let cuts = shown[0]["removed"].as_array().unwrap().clone();
            cuts.iter().map(|cut| cut["step"].as_str().unwrap().to_string()).collect()
        };
        assert!(steps(&[]).contains(&step.to_string()), "{step} is not among {:?}", steps(&[]));
        assert!(!steps(&[flag]).contains(&step.to_string()), "{flag} does not turn it off");
        if step != "html" {
            assert!(!steps(&["--no-clean"]).contains(&step.to_string()), "--no-clean does not turn off {step}");
        }
    }
}

/// The bars that cleaning is held to on `reply/pairs.jsonl`: exact matches with white space ignored, and the share of
/// expected lines that a pair may lose. `examples/reply_pairs.rs` prints a table by source.
const EXACT: f64 = 0.72;
const MOST_LOST: f64 = 0.2;

#[test]
fn reply_pairs() {
    let Some(path) = shared("reply/pairs.jsonl") else { return };
    let rows = std::fs::read_to_string(path).unwrap();
    let pairs: Vec<serde_json::Value> = rows.lines().map(|row| serde_json::from_str(row).unwrap()).collect();
    let gold: Vec<_> = pairs.iter().filter(|pair| pair["grade"] == "gold").collect();
    assert!(gold.len() > 100);
    let folder = tempfile::tempdir().unwrap();
    for (at, pair) in gold.iter().enumerate() {
        let header = "Subject: pair\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n";
        let mail = format!("{header}{}", pair["input"].as_str().unwrap());
        std::fs::write(folder.path().join(format!("{at:05}.eml")), mail).unwrap();
    }
    let shown = mailsort(["show"]).args([folder.path()]).records();
    assert_eq!(shown.len(), gold.len());
    let tight = |text: &str| text.split_whitespace().collect::<String>();
    let mut exact = 0;
    for (shown, pair) in shown.iter().zip(&gold) {
        let (body, expected) = (shown["body"].as_str().unwrap_or_default(), pair["expected"].as_str().unwrap());
        exact += usize::from(tight(body) == tight(expected));
        let kept: Vec<String> = body.lines().map(tight).collect();
        let lines: Vec<String> = expected.lines().map(tight).filter(|line| !line.is_empty()).collect();
        let lost = lines.iter().filter(|line| !kept.contains(line)).count();
        assert!(lost as f64 <= MOST_LOST * lines.len() as f64, "{} loses {lost} of {} lines", pair["id"], lines.len());
    }
    assert!(exact as f64 >= EXACT * gold.len() as f64, "{exact} of {}", gold.len());
}

#[test]
fn mails_without_text() {
    let picture = |subject: &str| {
        format!(
            "Subject: {subject}\nFrom: a@example.org\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\niVBORw0KGgo=\n"
        )
    };
    let error = |subject: &str, arguments: &[&str]| {
        mailsort(["show", "-"]).args(arguments).stdin(picture(subject)).records()[0]["error"].clone()
    };
    assert_eq!(error("Hi", &[]), "no text");
    assert_eq!(error("", &["--min-text", "0"]), "no text");
    assert!(error("Hi", &["--min-text", "2"]).is_null());
    assert!(error("Photos of the summer party", &[]).is_null());
    assert_eq!(error("Photos of the summer party", &["--min-text", "50"]), "no text");
    let sealed = "Subject: Hi\nContent-Type: application/pkcs7-mime; name=smime.p7m\nContent-Transfer-Encoding: base64\n\nMIIB\n";
    let record = &mailsort(["show", "-"]).stdin(sealed).records()[0];
    assert_eq!(record["error"], "no text: encrypted or signed with S/MIME");
}
