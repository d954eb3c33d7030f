//! Label files: a set that is read holds what the contract says, and its names are read again when they are written
//! out.

use std::collections::HashSet;

use mailsort::labels::{Label, LabelSet};
use mailsort::record::label_key;

/// A label file in all forms, in whatever charset.
pub fn labels(bytes: &[u8]) {
    for extension in ["txt", "toml", "csv"] {
        match LabelSet::parse("set".into(), bytes, extension, None) {
            Ok(set) => {
                is_sound(&set);
                reads_back(&set);
            }
            Err(error) => assert!(!format!("{error:#}").is_empty()),
        }
    }
    let text = String::from_utf8_lossy(bytes);
    if let Err(error) = LabelSet::from_text("set".into(), &text) {
        names_a_line(&format!("{error:#}"), text.lines().count());
    }
}

fn is_sound(set: &LabelSet) {
    assert!(!set.labels.is_empty(), "a set without labels");
    let names: HashSet<_> = set.labels.iter().map(|label| label_key(label.name.trim())).collect();
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

/// Names in quotes and their descriptions are read as they are, whatever they hold.
fn reads_back(set: &LabelSet) {
    let is_plain = |label: &Label| {
        let description = label.description.as_deref().unwrap_or_default();
        // What ends so begins a block of YAML.
        !description.ends_with(['|', '>'])
            && !label.name.contains('"')
            && !description.contains(|c: char| c.is_control() || ['\u{2028}', '\u{2029}'].contains(&c))
    };
    let labels: Vec<&Label> = set.labels.iter().filter(|label| is_plain(label)).collect();
    if labels.is_empty() {
        return;
    }
    let written: Vec<String> = labels
        .iter()
        .map(|label| format!("\"{}\": {}", label.name, label.description.as_deref().unwrap_or_default()))
        .collect();
    let named = |set: &LabelSet| set.labels.iter().map(|label| label.name.clone()).collect::<Vec<_>>();
    let names: Vec<_> = labels.iter().map(|label| label.name.clone()).collect();
    let read = LabelSet::from_text("set".into(), &written.join("\n"));
    assert_eq!(read.as_ref().ok().map(named), Some(names.clone()), "{read:?}");
    let arguments = LabelSet::from_arguments(&written);
    assert_eq!(arguments.as_ref().ok().map(named), Some(names), "{written:?}");
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
