//! An answer for programs: one object, the same at the prompt and over HTTP.

use serde::Serialize;

use super::hits::Hit;
use super::search::SearchAnswer;

/// A question and the passages that were found.
#[derive(Serialize)]
pub struct AnswerObject<'a> {
    query: &'a str,
    reranked: bool,
    /// Whether a passage answers, where a reranker has judged.
    answered: Option<bool>,
    results: Vec<FoundPassage<'a>>,
}

/// A passage. Scores that were not made are null.
#[derive(Serialize)]
struct FoundPassage<'a> {
    rank: usize,
    id: Option<&'a str>,
    source: &'a str,
    index: u64,
    start: usize,
    end: usize,
    text: &'a str,
    subject: Option<&'a str>,
    from: Option<&'a str>,
    /// As RFC 3339 has it, in UTC.
    date: Option<String>,
    label: Option<&'a str>,
    kind: &'static str,
    /// Headings above it.
    head: &'a str,
    cosine: Option<f32>,
    keyword_rank: Option<usize>,
    reranker: Option<f32>,
    /// Words of the question in `text`, as bytes.
    highlights: Vec<[usize; 2]>,
    more_in_thread: usize,
    /// Other documents that have the same passage.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    also: Vec<OtherPlace<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<ExplainedScore>,
}

#[derive(Serialize)]
struct OtherPlace<'a> {
    id: Option<&'a str>,
    source: &'a str,
    index: u64,
}

#[derive(Serialize)]
struct ExplainedScore {
    score: f32,
    keywords: f32,
    meaning: f32,
    semantic_rank: Option<usize>,
}

impl<'a> AnswerObject<'a> {
    /// The answer to a question; `explains` says where the order comes from.
    pub fn new(query: &'a str, answer: &'a SearchAnswer, explains: bool) -> Self {
        let results = answer.hits.iter().filter_map(|hit| passage(hit, explains)).collect();
        let answered = answer.reranked.then_some(answer.answered);
        Self { query, reranked: answer.reranked, answered, results }
    }
}

fn passage(hit: &Hit, explains: bool) -> Option<FoundPassage<'_>> {
    let (place, others) = hit.places.split_first()?;
    let explanation = explains.then_some(ExplainedScore {
        score: hit.score,
        keywords: hit.explanation.keywords,
        meaning: hit.explanation.meaning,
        semantic_rank: hit.semantic_rank,
    });
    Some(FoundPassage {
        rank: hit.rank,
        id: place.id.as_deref(),
        source: &place.path,
        index: place.index,
        start: place.range.start,
        end: place.range.end,
        text: &hit.text,
        subject: place.subject.as_deref(),
        from: place.from.as_deref(),
        date: place.date.map(rfc3339),
        label: place.label.as_deref(),
        kind: place.kind.name(),
        head: &hit.head,
        cosine: hit.cosine,
        keyword_rank: hit.keyword_rank,
        reranker: hit.probability,
        highlights: hit.highlights.iter().map(|range| [range.start, range.end]).collect(),
        more_in_thread: hit.more_in_thread,
        also: others
            .iter()
            .map(|place| OtherPlace { id: place.id.as_deref(), source: &place.path, index: place.index })
            .collect(),
        explanation,
    })
}

/// A time as RFC 3339 has it: `2024-06-17T08:00:00Z`. Days are counted from 1 March of the year 0, so that the leap day is
/// the last of its year (<https://howardhinnant.github.io/date_algorithms.html#civil_from_days>).
fn rfc3339(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(86_400) + 719_468, seconds.rem_euclid(86_400));
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_718_611_205, "2024-06-17T08:00:05Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(seconds), expected);
        }
    }
}
