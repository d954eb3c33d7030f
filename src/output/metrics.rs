//! Counters for the textfile collector of Prometheus, whose format is described at
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use super::folder_of;
use crate::platform;

/// All that is written: name, the name of its label, type, and what it means.
const METRICS: [(&str, &str, &str, &str); 7] = [
    ("mailsort_mails_total", "label", "counter", "Mails that a rule was carried out for, by label."),
    ("mailsort_actions_total", "action", "counter", "What was done, by action."),
    (
        "mailsort_unsure_total",
        "",
        "counter",
        "Times that no label set was sure of a mail; one that stays counts in each run.",
    ),
    ("mailsort_errors_total", "", "counter", "Times that a mail had an error; one that stays counts in each run."),
    ("mailsort_last_run_mails", "outcome", "gauge", "Mails that the last run has looked at, and what came of them."),
    (
        "mailsort_seconds_per_mail",
        "quantile",
        "summary",
        "Seconds from reading to filing; quantiles of the last run that had mail.",
    ),
    (
        "mailsort_last_success_timestamp_seconds",
        "",
        "gauge",
        "When a run last came to its end and nothing that it did failed.",
    ),
];

/// Writes figures, by name and label, to a file that appears when it is complete.
///
/// # Errors
/// When it cannot be written.
pub fn write(path: &Path, figures: &BTreeMap<(String, String), f64>) -> io::Result<()> {
    let mut file = begin(path)?;
    file.write_all(text(figures).as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// Finds out whether such a file could be written.
///
/// # Errors
/// When it could not.
pub fn check(path: &Path) -> io::Result<()> {
    begin(path).map(drop)
}

fn begin(path: &Path) -> io::Result<NamedTempFile> {
    // What is replaced must be a file like it.
    if path.metadata().is_ok_and(|there| !there.is_file()) {
        return Err(io::Error::other("it is there and no file"));
    }
    let folder = folder_of(path);
    let mut builder = tempfile::Builder::new();
    // The collector is another user, and reads what ends with `.prom`.
    if let Some(permissions) = platform::readable_by_all() {
        builder.permissions(permissions);
    }
    builder.prefix(".mailsort").suffix(".tmp").tempfile_in(folder)
}

fn text(figures: &BTreeMap<(String, String), f64>) -> String {
    let mut text = String::new();
    for (name, label, kind, help) in METRICS {
        let of_name = figures.iter().filter(|((own, _), _)| own == name);
        let mut lines: Vec<String> = of_name.map(|((_, value), figure)| sample(name, label, value, *figure)).collect();
        if kind == "summary" {
            let parts = ["_sum", "_count"].map(|part| format!("{name}{part}"));
            let part = |part: String| {
                let value = figures.get(&(part.clone(), String::new()))?;
                Some(sample(&part, "", "", *value))
            };
            lines.extend(parts.into_iter().filter_map(part));
        }
        if lines.is_empty() && kind == "counter" && label.is_empty() {
            lines.push(sample(name, label, "", 0.0));
        }
        if !lines.is_empty() {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{}", lines.join("\n"));
        }
    }
    text
}

fn sample(name: &str, label: &str, value: &str, figure: f64) -> String {
    if label.is_empty() {
        return format!("{name} {figure}");
    }
    let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("{name}{{{label}=\"{value}\"}} {figure}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_escaped_and_described() {
        let figure = |name: &str, label: &str, value: f64| ((name.to_string(), label.to_string()), value);
        let figures = [
            figure("mailsort_mails_total", "a \"b\"\\\nc", 3.0),
            figure("mailsort_mails_total", "日本", 1.0),
            figure("mailsort_seconds_per_mail", "0.5", 0.0125),
            figure("mailsort_seconds_per_mail_sum", "", 2.5),
            figure("mailsort_seconds_per_mail_count", "", 200.0),
            figure("of_nobody", "", 1.0),
        ];
        let written = text(&figures.into());
        let lines: Vec<&str> = written.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            lines,
            [
                "mailsort_mails_total{label=\"a \\\"b\\\"\\\\\\nc\"} 3",
                "mailsort_mails_total{label=\"日本\"} 1",
                "mailsort_unsure_total 0",
                "mailsort_errors_total 0",
                "mailsort_seconds_per_mail{quantile=\"0.5\"} 0.0125",
                "mailsort_seconds_per_mail_sum 2.5",
                "mailsort_seconds_per_mail_count 200",
            ]
        );
        assert!(written.contains("# TYPE mailsort_mails_total counter\n") && written.ends_with('\n'));
    }
}
