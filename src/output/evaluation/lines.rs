//! The contents of all reports as tables of cells. The formats only lay them out.

use super::{Evaluated, Timing, share};

/// A table with a title. Its first columns hold text, the others numbers.
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) head: Vec<&'static str>,
    /// Number of columns that hold text.
    pub(super) texts: usize,
    pub(super) rows: Vec<Vec<String>>,
    /// A note about rows that were left out.
    pub(super) more: Option<String>,
}

/// Number of confused pairs that are shown.
const PAIRS: usize = 20;

/// Shown in place of a label that is missing.
pub(super) const NONE: &str = "(none)";

/// A note on how multi-label metrics are computed.
pub(super) fn note(report: &Evaluated) -> Option<&'static str> {
    let note = "Each label is a question of its own: it is given where its score reaches its threshold, or 0.5, and judged \
                over all samples.";
    report.questions.then_some(note)
}

/// The main metrics: name, value and explanation.
pub(super) fn figures(report: &Evaluated) -> Vec<[String; 3]> {
    let row = |name: &str, figure: String, note: String| [name.to_string(), figure, note];
    let (right, shares, held) = match report.questions {
        false => ("", "how far scores are from the share that is right", "below a threshold"),
        true => (
            ", with all labels and no other",
            "how far scores are from the share that is right, over all questions",
            "all labels below their thresholds",
        ),
    };
    let mut rows = vec![
        row("accuracy", share(report.accuracy), format!("{} of {} right{right}", report.right, report.samples)),
        row("macro F1", share(report.macro_f1), "the mean of the labels".into()),
        row("weighted F1", share(report.weighted_f1), "each label as often as it is true".into()),
        row("ECE", share(report.ece), shares.into()),
    ];
    let held_back = report.samples - report.answered - report.without_verdict;
    if held_back > 0 {
        rows.push(row("held back", held_back.to_string(), format!("{held}; count as wrong")));
    }
    if report.without_verdict > 0 {
        rows.push(row(
            "no verdict",
            report.without_verdict.to_string(),
            "not read or not scored; count as wrong".into(),
        ));
    }
    rows
}

/// The main metrics as a table.
pub(super) fn figures_table(report: &Evaluated) -> Section {
    let rows = figures(report).into_iter().map(|[name, figure, note]| vec![name, note, figure]).collect();
    Section { title: "Figures", head: vec!["figure", "what it is", ""], texts: 2, rows, more: None }
}

/// Precision, recall and F1 of each label.
pub(super) fn labels(report: &Evaluated) -> Section {
    let row = |label: &super::LabelFigures| {
        let shares = [label.precision, label.recall, label.f1].map(share);
        [label.label.clone()].into_iter().chain(shares).chain([label.support.to_string()]).collect()
    };
    let rows: Vec<Vec<String>> = report.seen_labels().map(row).collect();
    let unseen = report.labels.len() - rows.len();
    let more = (unseen > 0).then(|| format!("{unseen} labels are neither true nor given anywhere"));
    Section { title: "Labels", head: vec!["label", "precision", "recall", "F1", "samples"], texts: 1, rows, more }
}

/// The most frequent confusions.
pub(super) fn confused(report: &Evaluated) -> Section {
    let pairs = report.confused();
    let row = |cell: &&super::ConfusionCell| {
        vec![cell.truth.clone(), cell.predicted.clone().unwrap_or(NONE.into()), cell.count.to_string()]
    };
    let left = pairs.len().saturating_sub(PAIRS);
    Section {
        title: "Most confused",
        head: vec!["true label", "label given", "samples"],
        texts: 2,
        rows: pairs.iter().take(PAIRS).map(row).collect(),
        more: (left > 0).then(|| format!("{left} more pairs")),
    }
}

/// Calibration of the scores.
pub(super) fn reliability(report: &Evaluated) -> Section {
    let bins = report.reliability.iter().filter(|bin| bin.samples > 0);
    let row = |bin: &super::ReliabilityBin| {
        let range = format!("{:.2} to {:.2}", bin.from, bin.to);
        vec![range, share(bin.confidence), share(bin.accuracy), bin.samples.to_string()]
    };
    Section {
        title: "Reliability",
        head: vec!["score", "mean score", "right", if report.questions { "questions" } else { "samples" }],
        texts: 1,
        rows: bins.map(row).collect(),
        more: None,
    }
}

/// Coverage and accuracy by threshold.
pub(super) fn abstention(report: &Evaluated) -> Section {
    let row = |point: &super::AbstentionPoint| {
        let accuracy = point.accuracy.map_or("–".into(), share);
        vec![format!("{:.2}", point.threshold), share(point.coverage), accuracy]
    };
    Section {
        title: "Accuracy against coverage",
        head: vec!["threshold", "coverage", "accuracy"],
        texts: 0,
        rows: report.abstention.iter().map(row).collect(),
        more: None,
    }
}

/// The bars and whether they were met.
pub(super) fn bars(report: &Evaluated) -> Section {
    let row = |bar: &super::Bar| {
        let met = if bar.met { "met" } else { "MISSED" };
        vec![bar.name.clone(), bar.asked.clone(), bar.found.clone(), met.to_string()]
    };
    let rows = report.bars.iter().map(row).collect();
    Section { title: "Bars", head: vec!["bar", "asked", "found", ""], texts: 4, rows, more: None }
}

/// Throughput and latency, in a sentence; `None` where verdicts were recorded and nothing was scored.
pub(super) fn timing(timing: &Timing) -> Option<String> {
    let speed = timing.samples_per_second.map(|speed| format!("{speed:.0} messages/s scored together"));
    let alone = timing.p50_ms.zip(timing.p95_ms).zip(timing.p99_ms).map(|((p50, p95), p99)| {
        format!("P50 {}, P95 {}, P99 {} for {} scored one by one", ms(p50), ms(p95), ms(p99), timing.timed)
    });
    let parts: Vec<String> = speed.into_iter().chain(alone).collect();
    (!parts.is_empty()).then(|| format!("{}; from clean text to verdict", parts.join(", ")))
}

fn ms(time: f64) -> String {
    if time < 10.0 { format!("{time:.2} ms") } else { format!("{time:.0} ms") }
}

/// Title and lines for a label file: the thresholds that reach the target precision.
pub(super) fn target(report: &Evaluated) -> Option<(String, String)> {
    let target = report.target.as_ref()?;
    let mut lines = String::new();
    for found in &target.thresholds {
        let name = toml_string(&found.label);
        match found.threshold {
            Some(threshold) => {
                let lost = format!("{} of {} right", found.right, found.kept);
                lines.push_str(&format!("[[label]]\nname = {name}\nthreshold = {threshold:.4} # {lost}\n\n"));
            }
            None if found.kept == 0 => lines.push_str(&format!("# {name}: given to no sample\n\n")),
            None => {
                lines.push_str(&format!("# {name}: no threshold will do, {} of {} right\n\n", found.right, found.kept));
            }
        }
    }
    Some((format!("Thresholds for a precision of {}", target.precision), lines.trim_end().to_string() + "\n"))
}

/// A TOML basic string. Line breaks and bidirectional overrides are escaped, so that it is safe in a comment.
fn toml_string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {
                quoted.push_str(&format!("\\u{:04X}", u32::from(c)));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
