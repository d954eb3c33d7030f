//! A report as one HTML page without scripts and external resources. Foreign text is escaped.

use anyhow::Result;

use super::compared::Compared;
use super::lines::{self, Section};
use super::pictures::{self, MOST_LABELS};
use super::{Evaluated, LabelFigures, Mistake};

/// Content security policy: a browser may load nothing, only the inline style is used.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

const STYLE: &str = "\
body{font:15px/1.45 system-ui,sans-serif;color:#222;background:#fff;margin:2rem auto;max-width:68rem;padding:0 1rem}\
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.2rem}\
table{border-collapse:collapse}th,td{padding:.2rem .8rem .2rem 0;border-bottom:1px solid #eee;text-align:left;\
vertical-align:top;overflow-wrap:anywhere}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\
pre{background:#f6f6f6;padding:.7rem;white-space:pre-wrap;overflow-wrap:anywhere}\
.scroll{overflow-x:auto}.pair{display:flex;flex-wrap:wrap;gap:1rem}figure{margin:0}.pair figure{max-width:460px}figcaption{color:#666}\
.missed{color:#c83e1c;font-weight:bold}.note{color:#666}.mistake{margin:1rem 0;border-left:3px solid #c83e1c;\
padding-left:.8rem;overflow-wrap:anywhere}";

/// The report as an HTML page.
///
/// # Errors
/// When a picture cannot be drawn.
pub(super) fn report(report: &Evaluated) -> Result<String> {
    let mut page = String::new();
    let (model, set) = (escape(&report.model), escape(&report.label_set));
    page.push_str(&format!("<h1>mailsort eval</h1>\n<p>{} samples, model {model}, labels {set}</p>\n", report.samples));
    page.push_str(&lines::note(report).map_or(String::new(), |note| format!("<p>{note}</p>\n")));
    page.push_str(&table(&lines::bars(report)));
    page.push_str(&table(&lines::figures_table(report)));
    // Multi-label evaluation has no confusion matrix.
    if !report.questions {
        page.push_str(&matrix(report)?);
    }
    page.push_str(&table(&lines::confused(report)));
    page.push_str(&scores(report)?);
    page.push_str(&mistakes(report));
    for part in [lines::labels(report), lines::reliability(report), lines::abstention(report)] {
        page.push_str(&table(&part));
    }
    if let Some((title, snippet)) = lines::target(report) {
        page.push_str(&format!("<h2>{title}</h2>\n<pre>{}</pre>\n", escape(&snippet)));
    }
    let timing = lines::timing(&report.timing).map(|timing| timing + ". ").unwrap_or_default();
    page.push_str(&format!("<p class=note>{timing}mailsort {}</p>\n", report.mailsort));
    Ok(whole("mailsort eval", &page))
}

/// A comparison as an HTML page.
pub(super) fn compared(compared: &Compared) -> String {
    let mut page = String::from("<h1>mailsort eval --compare</h1>\n<ul>\n");
    for (name, side) in ["old", "new"].iter().zip([&compared.old, &compared.new]) {
        let [file, model, set] = [&side.name, &side.model, &side.label_set].map(|text| escape(text));
        page.push_str(&format!("<li>{name}: {file}, model {model}, labels {set}</li>\n"));
    }
    page.push_str(&format!("</ul>\n<p>{}</p>\n", escape(&compared.summary())));
    compared.tables().iter().for_each(|part| page.push_str(&table(part)));
    whole("mailsort eval --compare", &page)
}

fn whole(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n<meta http-equiv=Content-Security-Policy \
         content=\"{POLICY}\">\n<meta name=viewport content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )
}

/// The confusion matrix with its caption.
fn matrix(report: &Evaluated) -> Result<String> {
    let mut labels: Vec<&LabelFigures> = report.seen_labels().collect();
    let all = labels.len();
    if all > MOST_LABELS {
        let mistakes = |label: &LabelFigures| (label.support as f64 * (1.0 - label.recall)).round() as u64;
        labels.sort_by_key(|label| std::cmp::Reverse(mistakes(label)));
        labels.truncate(MOST_LABELS);
    }
    let picture = pictures::confusion(&labels, &report.confusion)?;
    let shown = match all > MOST_LABELS {
        true => format!(" The {MOST_LABELS} labels of {all} with the most mistakes are shown."),
        false => String::new(),
    };
    let none = report.samples - report.answered;
    let none = if none > 0 { format!(" {none} samples got no label and are not in it.") } else { String::new() };
    Ok(format!(
        "<h2>Confusion</h2>\n<figure class=scroll>{picture}<figcaption>A row for each true label, a column for each label \
         given; the darker, the larger the share of the row.{shown}{none}</figcaption></figure>\n"
    ))
}

/// The reliability diagram and the curve of accuracy against coverage.
fn scores(report: &Evaluated) -> Result<String> {
    let reliability = pictures::reliability(&report.reliability)?;
    let count = if report.questions { "questions" } else { "samples" };
    let mut figures = format!(
        "<figure>{reliability}<figcaption>Reliability: on the line, a score is the share that is right; bars show how many \
         {count} have it</figcaption></figure>"
    );
    if !report.questions {
        let curve = pictures::abstention(&report.abstention)?;
        figures.push_str(&format!(
            "\n<figure>{curve}<figcaption>Accuracy against coverage, as a threshold rises from the right to the left\
             </figcaption></figure>"
        ));
    }
    Ok(format!("<h2>Scores</h2>\n<div class=pair>{figures}</div>\n"))
}

fn mistakes(report: &Evaluated) -> String {
    if report.mistakes.is_empty() {
        return String::new();
    }
    let mut page = String::from("<h2>Worst mistakes</h2>\n<p class=note>Wrong labels, the highest score first</p>\n");
    for Mistake { at, text } in &report.mistakes {
        let Some(said) = report.predictions.get(*at) else { continue };
        let given = said.said().unwrap_or(lines::NONE.into());
        let score = said.score.map_or(String::new(), super::share);
        let text = text.as_deref().map_or(String::new(), |text| format!("<pre>{}</pre>", escape(text)));
        let (place, truth) = (escape(&said.place()), escape(&said.truth.join(", ")));
        page.push_str(&format!(
            "<div class=mistake><p><b>{}</b> {score}, should be <b>{truth}</b> <span class=note>{place}</span></p>{text}\
             </div>\n",
            escape(&given)
        ));
    }
    page
}

fn table(section: &Section) -> String {
    if section.rows.is_empty() {
        return String::new();
    }
    let class = |at: usize| if at < section.texts { "" } else { " class=n" };
    let mut page = format!("<h2>{}</h2>\n<div class=scroll><table>\n", section.title);
    if section.head.iter().any(|name| !name.is_empty()) {
        let cells: String =
            section.head.iter().enumerate().map(|(at, name)| format!("<th{}>{name}</th>", class(at))).collect();
        page.push_str(&format!("<tr>{cells}</tr>\n"));
    }
    for row in &section.rows {
        let cell = |(at, text): (usize, &String)| match text.as_str() {
            "MISSED" if section.title == "Bars" => "<td class=missed>missed</td>".to_string(),
            text => format!("<td{}>{}</td>", class(at), escape(text)),
        };
        page.push_str(&format!("<tr>{}</tr>\n", row.iter().enumerate().map(cell).collect::<String>()));
    }
    page.push_str("</table></div>\n");
    if let Some(more) = &section.more {
        page.push_str(&format!("<p class=note>… {}</p>\n", escape(more)));
    }
    page
}

/// Escapes foreign text for HTML and XML. Bidirectional overrides, which could turn a line around, and characters that
/// XML 1.0 forbids even as references become U+FFFD.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {
                out.push('\u{fffd}')
            }
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
