//! Label files: a set that is read holds what the contract says, and reads the same when it is written out.

use std::collections::HashSet;

use mailsort::labels::LabelSet;

/// A label file in both forms.
pub fn labels(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match LabelSet::from_toml("set".into(), &text) {
        Ok(set) => is_sound(&set),
        Err(error) => assert!(!format!("{error:#}").is_empty()),
    }
    match LabelSet::from_text("set".into(), &text) {
        Ok(set) => {
            is_sound(&set);
            reads_back(&set);
        }
        Err(error) => names_a_line(&format!("{error:#}"), text.lines().count()),
    }
}

fn is_sound(set: &LabelSet) {
    assert!(!set.labels.is_empty(), "a set without labels");
    let names: HashSet<&str> = set.labels.iter().map(|label| label.name.trim()).collect();
    assert_eq!(names.len(), set.labels.len(), "labels that look alike");
    for label in &set.labels {
        assert!(!label.name.trim().is_empty(), "a label without a name");
        assert!(!label.name.chars().any(char::is_control), "{:?} would break a line of output", label.name);
        assert!(!label.words().is_empty());
    }
    let thresholds = set.labels.iter().map(|label| label.threshold).chain([set.threshold]);
    for threshold in thresholds.flatten() {
        assert!((-1.0..=1.0).contains(&threshold), "{threshold} is no score");
    }
}

fn reads_back(set: &LabelSet) {
    let written: Vec<String> = set
        .labels
        .iter()
        .map(|label| match &label.description {
            Some(description) => format!("{}: {description}", label.name),
            None => label.name.to_string(),
        })
        .collect();
    let read = LabelSet::from_text("set".into(), &written.join("\n"));
    assert_eq!(read.as_ref().ok(), Some(set), "{read:?}");
    let arguments = LabelSet::from_arguments(&written);
    assert_eq!(arguments.ok().map(|arguments| arguments.labels).as_ref(), Some(&set.labels), "{written:?}");
}

/// The message says where, and there is such a line.
fn names_a_line(message: &str, lines: usize) {
    if message.starts_with("there is no label") {
        return;
    }
    let figure = message.strip_prefix("line ").and_then(|rest| rest.split(':').next());
    let line: Option<usize> = figure.and_then(|figure| figure.parse().ok());
    assert!(line.is_some_and(|line| (1..=lines).contains(&line)), "{message:?} names no line of {lines}");
}
