//! What rules mean, and the errors of wrong ones.

use std::sync::Arc;

use super::*;
use crate::delivery::exec::RetryPolicy;

fn rules(text: &str) -> Result<Rules> {
    Rules::parse(text, RetryPolicy::default())
}

fn said(text: &str) -> String {
    format!("{:#}", rules(text).unwrap_err())
}

fn ranking(label: &str, score: f32, sure: bool) -> Ranking {
    let label: Arc<str> = label.into();
    Ranking { label: sure.then(|| label.clone()), score, by: None, top: vec![(label, score)] }
}

const TWO: &str = "threshold = 0.5\non-unsure = { folder = \"Look\", errors = true }\n\
    [[rule]]\nlabel = \"invoice\"\nfolder = \"Money/Invoices\"\n\
    [[rule]]\nlabel = \"meeting\"\nset = \"kind\"\nfolder = \"Meetings\"\nthreshold = 0.9\naction = \"copy\"\nkeep-unread = false\n";

#[test]
fn headers_need_no_folder() {
    let rules =
        rules("action = \"header\"\non-unsure = {}\n[[rule]]\nlabel = \"a\"\n[[rule]]\nlabel = \"b\"\nfolder = \"B\"")
            .unwrap();
    let filings: Vec<_> = rules.steps().map(|(_, steps)| steps.filing.clone().unwrap()).collect();
    assert!(filings.iter().all(|filing| filing.action == Action::Header) && rules.write_headers());
    let has_folder: Vec<bool> = filings.iter().map(|filing| filing.folder.is_some()).collect();
    assert_eq!(has_folder, [false, true, false]);
    assert!(said("on-unsure = {}\n").contains("on-unsure"), "a move needs a folder");
}

#[test]
fn everything_is_read() {
    let rules = rules(TWO).unwrap();
    let all: Vec<_> = rules.steps().map(|(position, steps)| (position, steps.filing.clone().unwrap())).collect();
    let filing = |action, folder: &str, keep_unread| Filing {
        action,
        folder: Some(FolderName::parse(folder).unwrap()),
        keep_unread,
    };
    assert_eq!(all[0], (": line 3".into(), filing(Action::Move, "Money/Invoices", true)));
    assert_eq!(all[1], (": line 6".into(), filing(Action::Copy, "Meetings", false)));
    assert_eq!(all[2].1, filing(Action::Move, "Look", true));
    assert_eq!((rules.threshold, rules.layout, rules.on_error().is_some()), (Some(0.5), None, true));
    let rules =
        self::rules("labels = [\"a\", \"b\"]\nlayout = \"maildir++\"\naction = \"tag\"\n[[rule]]\nlabel = \"x\"")
            .unwrap();
    assert_eq!((rules.labels.len(), rules.layout), (2, Some(TreeLayout::MaildirPlus)));
    assert_eq!((rules.tags().collect::<Vec<_>>(), rules.on_error()), (vec!["x"], None));
}

#[test]
fn the_first_rule_that_fits_wins() {
    let rules = rules(TWO).unwrap();
    let decide = |rankings: &[Ranking]| {
        let decision = rules.decide(&["kind", "who"][..rankings.len()], rankings, &[]);
        let folder =
            decision.steps.map(|steps| format!("{:?}", steps.filing.as_ref().unwrap().folder.as_ref().unwrap()));
        let folder = folder.map(|folder| folder.split('"').nth(1).unwrap_or_default().to_string());
        (folder.unwrap_or_default(), decision.top.map(|top| top.set), decision.unsure)
    };
    assert_eq!(decide(&[ranking("invoice", 0.6, true)]), ("Money".into(), Some(0), false));
    assert_eq!(decide(&[ranking("invoice", 0.4, false)]), ("Look".into(), Some(0), true));
    assert_eq!(decide(&[ranking("meeting", 0.9, true)]), ("Meetings".into(), Some(0), false));
    assert_eq!(
        decide(&[ranking("meeting", 0.8, true)]),
        ("Look".into(), Some(0), true),
        "not sure enough for the rule"
    );
    assert_eq!(decide(&[ranking("other", 0.8, true)]), (String::new(), Some(0), false));
    assert_eq!(decide(&[ranking("other", 0.8, true), ranking("invoice", 0.7, true)]), ("Money".into(), Some(1), false));
    assert_eq!(decide(&[ranking("meeting", 0.8, true), ranking("meeting", 0.95, true)]).0, "", "of another set");
    assert_eq!(decide(&[ranking("meeting", 0.95, true), ranking("invoice", 0.7, true)]).0, "Money");
}

#[test]
fn commands_stand_before_folders() {
    let rules = rules(
        "[[rule]]\nlabel = \"a\"\nexec = [\"x\", \"-y\"]\nretries = 1\n[[rule]]\nlabel = \"b\"\nfolder = \"B\"\nexec = [\"z\"]",
    );
    let rules = rules.unwrap();
    let all: Vec<_> = rules.steps().map(|(_, steps)| (steps.exec.is_some(), steps.filing.is_some())).collect();
    assert_eq!(all, [(true, false), (true, true)]);
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let rule = "[[rule]]\nlabel = \"a\"\nfolder = \"A\"\n";
    for (text, expected) in [
        ("\n\ncolour = 1\n", "line 3"),
        (&format!("{rule}colour = 1"), "line 4"),
        ("action = \"burn\"", "line 1"),
        ("layout = \"flat\"", "line 1"),
        ("on-unsure = \"burn\"", "line 1: on-unsure: it is either \"leave\""),
        ("\non-unsure = { action = \"copy\" }", "line 2: on-unsure"),
        ("on-unsure = { folder = \"a\", action = \"tag\" }", "gets no tag"),
        ("threshold = 2", "line 1: the threshold 2 is not a score"),
        (&format!("\n{rule}{rule}"), "line 5: there is a rule for \"a\" on line 2 already"),
        ("[[rule]]\nfolder = \"A\"", "label"),
        (
            &format!("{rule}when = {{ A = \"*\" }}\n{rule}when = {{ A = \"*\" }}"),
            "line 5: there is a rule for \"a\" on line 1 already",
        ),
        (&format!("{rule}when = {{ A = \"/(/\" }}"), "line 1: \"a\": when: the header \"A\": the pattern \"/(/\""),
        (&format!("{rule}action = \"tag\""), "there can be no `folder`"),
        (&format!("{rule}timeout = 3"), "there is no `exec`"),
        (&format!("{rule}exec = []"), "line 1: `exec` names no command"),
        (&format!("{rule}exec = [\"a\\u0000\"]"), "NUL"),
        (&format!("{rule}exec = [\"a\"]\ntimeout = 0"), "the timeout 0 is not"),
        (&rule.replace("\"A\"", "\"../A\""), "line 1: the folder \"../A\" leads elsewhere"),
        (&rule.replace("\"A\"", "\"a\\nb\""), "control character"),
    ] {
        assert!(said(text).contains(expected), "{text}: {}", said(text));
    }
}

#[test]
fn rules_about_what_is_not_there_are_refused() {
    let rules = rules(TWO).unwrap();
    let check = |sets: &[LabelNames<'_>]| {
        format!("{:#}", rules.check(sets).map_or_else(|error| error, |()| anyhow::anyhow!("fine")))
    };
    assert_eq!(check(&[("kind", vec!["invoice", "meeting"])]), "fine");
    assert_eq!(check(&[("kind", vec!["meeting"]), ("who", vec!["invoice"])]), "fine");
    assert_eq!(
        check(&[("kind", vec!["bill", "meeting"])]),
        ": line 3: there is no label \"invoice\"; there are: bill, meeting"
    );
    assert_eq!(
        check(&[("what", vec!["invoice", "meeting"])]),
        ": line 6: there is no label set \"kind\"; there are: what"
    );
    let mut empty = self::rules("[[rule]]\nlabel = \"a\"").unwrap();
    let sets = [("kind", vec!["a"])];
    assert!(format!("{:#}", empty.check(&sets).unwrap_err()).contains("line 1: it has neither `folder` nor `exec`"));
    empty.run_for_all(&Exec::new(crate::delivery::CommandLine::Shell("true".into()), RetryPolicy::default()).unwrap());
    empty.check(&sets).unwrap();
}

#[test]
fn a_rule_whose_headers_do_not_match_is_passed_over() {
    let rules = rules(
        "[[rule]]\nlabel = \"a\"\nwhen = { List-Id = \"*\" }\nfolder = \"Lists\"\n\
         [[rule]]\nlabel = \"a\"\nwhen = { X-Spam = { not = \"yes\" } }\nfolder = \"A\"",
    )
    .unwrap();
    assert_eq!(rules.headers().collect::<Vec<_>>(), ["list-id", "x-spam"]);
    let check = |headers: &[(&str, &str)], expected: Option<&str>| {
        let header = |(name, value): &(&str, &str)| Header { name: name.to_string(), value: value.to_string() };
        let headers: Vec<Header> = headers.iter().map(header).collect();
        let rankings = [ranking("a", 0.9, true)];
        let decision = rules.decide(&["kind"], &rankings, &headers);
        let folder = decision.steps.and_then(|steps| steps.filing.as_ref()?.folder.as_ref()).map(FolderName::name);
        assert_eq!((folder.as_deref(), decision.unsure), (expected, false), "{headers:?}");
    };
    check(&[("list-id", "x")], Some("Lists"));
    check(&[("list-id", "x"), ("x-spam", "yes")], Some("Lists"));
    check(&[], Some("A"));
    check(&[("x-spam", "Yes")], None);
}
