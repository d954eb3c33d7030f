//! A report as GitHub Markdown, for pull requests and job summaries.

use super::lines::{self, Section};
use super::{Evaluated, compared::Compared};

/// The report as Markdown.
pub(super) fn report(report: &Evaluated) -> String {
    let missed = report.bars.iter().filter(|bar| !bar.met).count();
    let mut text = format!(
        "## mailsort eval\n\n{} samples, model {}, labels {}\n",
        report.samples,
        plain(&report.model),
        plain(&report.label_set)
    );
    if let Some(note) = lines::note(report) {
        text.push_str(&format!("\n{note}\n"));
    }
    if missed > 0 {
        text.push_str(&format!("\n**{missed} of {} bars missed**\n", report.bars.len()));
    }
    text.push_str(&table(&lines::bars(report)));
    text.push_str(&table(&lines::figures_table(report)));
    for part in [lines::labels(report), lines::confused(report), lines::reliability(report), lines::abstention(report)]
    {
        text.push_str(&table(&part));
    }
    if let Some((title, snippet)) = lines::target(report) {
        text.push_str(&format!("\n### {title}\n\n{}", block(&snippet)));
    }
    text.extend(lines::timing(&report.timing).map(|timing| format!("\n{timing}\n")));
    text
}

/// A comparison as Markdown.
pub(super) fn compared(compared: &Compared) -> String {
    let mut text = String::from("## mailsort eval --compare\n\n");
    for (name, side) in ["old", "new"].iter().zip([&compared.old, &compared.new]) {
        let [file, model, set] = [&side.name, &side.model, &side.label_set].map(|text| plain(text));
        text.push_str(&format!("- {name}: {file}, model {model}, labels {set}\n"));
    }
    text.push_str(&format!("\n{}\n", compared.summary()));
    for part in compared.tables() {
        text.push_str(&table(&part));
    }
    text
}

fn table(section: &Section) -> String {
    if section.rows.is_empty() {
        return String::new();
    }
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut text = format!("\n### {}\n\n", section.title);
    text.push_str(&line(section.head.iter().map(|name| name.to_string()).collect()));
    let side = |at| if at < section.texts { "---" } else { "---:" }.to_string();
    text.push_str(&line((0..section.head.len()).map(side).collect()));
    for row in &section.rows {
        text.push_str(&line(row.iter().map(|cell| plain(cell)).collect()));
    }
    if let Some(more) = &section.more {
        text.push_str(&format!("\n… {more}\n"));
    }
    text
}

/// A fenced code block. Its fence is longer than any in the text.
fn block(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}toml\n{text}{fence}\n")
}

/// Escapes foreign text for Markdown and for the HTML that Markdown allows.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // As an entity it is neither a mention, which would notify somebody, nor a link.
            '@' => out.push_str("&#64;"),
            ':' => out.push_str("&#58;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '!' => out.extend(['\\', c]),
            c if c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_shown_and_not_obeyed() {
        assert_eq!(plain("a|b\n<img src=x>"), "a\\|b &lt;img src=x&gt;");
        assert_eq!(plain("[x](javascript:y) @you"), "\\[x\\](javascript&#58;y) &#64;you");
        assert!(block("name = \"```\"\n").starts_with("````toml\n"));
    }
}
