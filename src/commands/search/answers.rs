//! Answers for people and programs.

use std::fmt::Write;
use std::ops::Range;

use anyhow::Result;

use crate::commands::near;
use crate::knowledge::{AnswerObject, Hit, PassagePlace, Query, SearchAnswer};
use crate::output;
use crate::terminal;

/// What is said where a reranker finds no answer.
const NO_ANSWER: &str = "nothing answers this; the closest passages:";

/// One line.
pub(super) fn jsonl(query: &Query, answer: &SearchAnswer, explains: bool) -> Result<String> {
    Ok(serde_json::to_string(&AnswerObject::new(&query.text, answer, explains))? + "\n")
}

/// A document, by the path from the current folder where it is in it.
fn document(place: &PassagePlace) -> String {
    format!("{}[{}]", near(&place.path), place.index)
}

/// Where a passage stands: file, subject or heading, sender.
fn citation(hit: &Hit) -> String {
    let Some(place) = hit.places.first() else { return String::new() };
    let mut parts = vec![document(place)];
    let head = hit.head.lines().last().unwrap_or_default();
    // Of a message the head has both.
    let others = [&place.subject, &place.from].into_iter().flatten().filter(|part| !head.contains(part.as_str()));
    parts.extend(others.cloned());
    if !head.is_empty() && !parts.iter().any(|part| part == head) {
        parts.push(head.to_string());
    }
    parts.join(" · ")
}

/// The scores of a hit, each by its name.
fn scores(hit: &Hit) -> String {
    let mut scores = Vec::new();
    scores.extend(hit.probability.map(|probability| format!("reranker {probability:.4}")));
    scores.extend(hit.cosine.map(|cosine| format!("cosine {cosine:.4}")));
    scores.extend(hit.keyword_rank.map(|rank| format!("keyword rank {rank}")));
    scores.join("  ")
}

/// For a terminal.
pub(super) fn text(query: &Query, answer: &SearchAnswer, explains: bool) -> String {
    if answer.hits.is_empty() {
        return format!("nothing is found for {:?}\n", query.text);
    }
    let mut out = String::new();
    if !answer.answered {
        let _ = writeln!(out, "{NO_ANSWER}\n");
    }
    for hit in &answer.hits {
        let _ = writeln!(out, "{}. {}", hit.rank, terminal::escape(&citation(hit)));
        let _ = writeln!(out, "   {}", scores(hit));
        if explains {
            let explanation = &hit.explanation;
            let _ = writeln!(
                out,
                "   score {:.4} = keywords {:.4} + meaning {:.4}",
                hit.score, explanation.keywords, explanation.meaning
            );
        }
        for line in marked(hit, "[", "]", |text| text.to_string()).lines().filter(|line| !line.trim().is_empty()) {
            let _ = writeln!(out, "   {}", terminal::escape(line.trim()));
        }
        if hit.more_in_thread > 0 {
            let _ = writeln!(out, "   and {} more in this conversation", hit.more_in_thread);
        }
        for place in hit.places.iter().skip(1) {
            let _ = writeln!(out, "   also {}", terminal::escape(&document(place)));
        }
        out.push('\n');
    }
    out
}

/// A passage with marks around the words of the question.
fn marked(hit: &Hit, open: &str, close: &str, escape: impl Fn(&str) -> String) -> String {
    let mut out = String::new();
    let mut at = 0;
    for Range { start, end } in hit.highlights.iter().cloned() {
        let (Some(before), Some(word)) = (hit.text.get(at..start), hit.text.get(start..end)) else { continue };
        out += &escape(before);
        out += open;
        out += &escape(word);
        out += close;
        at = end;
    }
    out + &escape(hit.text.get(at..).unwrap_or_default())
}

/// One row a passage. Cells that a spreadsheet would compute are made harmless.
pub(super) fn csv(answer: &SearchAnswer) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record([
        "rank",
        "source",
        "index",
        "id",
        "subject",
        "from",
        "start",
        "end",
        "text",
        "cosine",
        "keyword_rank",
        "reranker",
    ])?;
    let number = |value: Option<f32>| value.map(|value| format!("{value:.4}")).unwrap_or_default();
    for (hit, place) in answer.hits.iter().filter_map(|hit| Some((hit, hit.places.first()?))) {
        let neutral = |text: &str| output::neutral(text.to_string().into()).into_owned();
        let cell = |text: &Option<String>| neutral(text.as_deref().unwrap_or_default());
        writer.write_record([
            hit.rank.to_string(),
            neutral(&place.path),
            place.index.to_string(),
            cell(&place.id),
            cell(&place.subject),
            cell(&place.from),
            place.range.start.to_string(),
            place.range.end.to_string(),
            neutral(&hit.text),
            number(hit.cosine),
            hit.keyword_rank.map(|rank| rank.to_string()).unwrap_or_default(),
            number(hit.probability),
        ])?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

/// One page.
pub(super) fn html(query: &Query, answer: &SearchAnswer) -> String {
    let title = escaped(&query.text);
    let mut out = format!(
        "<!DOCTYPE html>\n<html>\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>:root{{color-scheme:light dark}}body{{font:16px/1.5 system-ui,sans-serif;max-width:50rem;\
         margin:auto;padding:1rem}}mark{{padding:0 .1em}}li p{{white-space:pre-wrap;overflow-wrap:anywhere}}small{{opacity:.8}}\
         </style>\n</head>\n<body>\n<h1>{title}</h1>\n"
    );
    if answer.hits.is_empty() {
        out += "<p>nothing is found</p>\n";
    } else if !answer.answered {
        let _ = writeln!(out, "<p>{NO_ANSWER}</p>");
    }
    out += "<ol>\n";
    for hit in &answer.hits {
        let _ = writeln!(
            out,
            "<li><b>{}</b><br><small>{}</small><p>{}</p></li>",
            escaped(&citation(hit)),
            scores(hit),
            marked(hit, "<mark>", "</mark>", escaped)
        );
    }
    out + "</ol>\n</body>\n</html>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\0', "")
}
