//! Which columns of a table, or fields of a row, hold its text, subject, id and sender.

use serde_json::Value;

use crate::intake::rows::TableText;

/// The names that tables give to the column of the text, the likeliest first.
pub(super) const TEXT: [&str; 4] = ["text", "body", "message", "content"];
const SUBJECT: [&str; 2] = ["subject", "title"];
const ID: [&str; 1] = ["id"];
const FROM: [&str; 1] = ["from"];
/// Of questions and their answers.
const ANSWERS: [(&str, &str); 6] =
    [("question", "answer"), ("q", "a"), ("frage", "antwort"), ("问题", "答案"), ("问题", "回答"), ("问", "答")];

/// How many columns are named in a message, and how much of a name.
const NAMED: usize = 12;
const LONGEST_NAME: usize = 40;

/// The columns of texts, subjects and ids, by name without case. Several of one kind are joined; where none is given,
/// the names that tables usually have are tried.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(default)]
pub struct RowFields {
    /// Of the text.
    pub text: Vec<String>,
    /// Of the subject.
    pub subject: Vec<String>,
    /// Of the id.
    pub id: Vec<String>,
    /// Where none is named and there is none of texts, take those of questions as subjects and of answers as texts.
    pub answers: bool,
}

/// The positions of these columns in one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::intake) struct ChosenColumns {
    text: Vec<usize>,
    subject: Vec<usize>,
    id: Vec<usize>,
    from: Vec<usize>,
    /// True where the subject is a question and the text its answer.
    answers: bool,
}

impl RowFields {
    /// True where no column was named.
    pub fn are_default(&self) -> bool {
        self.text.is_empty() && self.subject.is_empty() && self.id.is_empty()
    }

    /// Finds the columns among `names`.
    ///
    /// # Errors
    /// Where a column that was named is not there, or no column has a text; the text says what is there.
    pub(in crate::intake) fn choose(&self, names: &[&str]) -> Result<ChosenColumns, String> {
        let position = |name: &str| names.iter().position(|column| column.trim().eq_ignore_ascii_case(name.trim()));
        let find = |given: &[String], known: &[&str]| {
            if given.is_empty() {
                return Ok(known.iter().find_map(|name| position(name)).into_iter().collect());
            }
            let found = given.iter().map(|name| position(name).ok_or_else(|| missing(name, names)));
            found.collect::<Result<Vec<usize>, String>>()
        };
        let text: Vec<usize> = find(&self.text, &TEXT)?;
        let subject = find(&self.subject, &SUBJECT)?;
        let (id, from) = (find(&self.id, &ID)?, find(&[], &FROM)?);
        let of_answers =
            || ANSWERS.iter().find_map(|(question, answer)| Some((position(question)?, position(answer)?)));
        if self.answers
            && self.subject.is_empty()
            && text.is_empty()
            && let Some((question, answer)) = of_answers()
        {
            return Ok(ChosenColumns { text: vec![answer], subject: vec![question], id, from, answers: true });
        }
        if text.is_empty() {
            return Err(format!(
                "no column of texts ({}): --text-field names one, and the first row must hold the names of the columns; \
                 the columns here are {}",
                TEXT.join(", "),
                listed(names)
            ));
        }
        // Whoever names both has such a table.
        let answers = self.answers && !self.subject.is_empty() && !self.text.is_empty();
        Ok(ChosenColumns { text, subject, id, from, answers })
    }

    /// The text of a row that is read by itself, such as one of JSON.
    pub(in crate::intake) fn text_of(&self, row: &[(String, Value)]) -> Result<TableText, String> {
        let names: Vec<&str> = row.iter().map(|(name, _)| name.as_str()).collect();
        self.choose(&names).and_then(|columns| columns.text_of(row))
    }
}

impl ChosenColumns {
    /// The text of a row.
    ///
    /// # Errors
    /// Where it has none, or a list in its place.
    pub(in crate::intake) fn text_of(&self, row: &[(String, Value)]) -> Result<TableText, String> {
        let cells = |columns: &[usize]| {
            let filled = columns.iter().filter_map(|at| row.get(*at)).filter(|(_, value)| !value.is_null());
            filled.map(|(name, value)| written(value).ok_or_else(|| format!("`{name}` is no text"))).collect()
        };
        let joined = |columns: &[usize]| {
            let cells: Result<Vec<String>, String> = cells(columns);
            let filled = cells?.into_iter().filter(|cell| !cell.trim().is_empty()).collect::<Vec<_>>();
            Ok::<_, String>((!filled.is_empty()).then(|| filled.join(" ")))
        };
        let texts: Vec<String> = cells(&self.text)?;
        if texts.is_empty() {
            let names: Vec<&str> = self.text.iter().filter_map(|at| row.get(*at)).map(|(name, _)| &**name).collect();
            return Err(format!("nothing in its column `{}`", names.join("`, `")));
        }
        let (id, subject, from) = (joined(&self.id)?, joined(&self.subject)?, joined(&self.from)?);
        Ok(TableText { texts, id, subject, from, row: Vec::new(), answers: self.answers })
    }
}

/// A value as text; `None` for a list or an object.
pub(in crate::intake) fn written(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null => Some(String::new()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

fn missing(name: &str, names: &[&str]) -> String {
    format!("no column `{name}`; the columns here are {}", listed(names))
}

/// Names of columns for a message.
pub(in crate::intake) fn listed(names: &[&str]) -> String {
    let clipped = |name: &&str| format!("{:?}", name.chars().take(LONGEST_NAME).collect::<String>());
    let mut listed: Vec<String> = names.iter().take(NAMED).map(clipped).collect();
    if names.len() > NAMED {
        listed.push(format!("{} more", names.len() - NAMED));
    }
    listed.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &[&str], subject: &[&str]) -> RowFields {
        let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        RowFields { text: owned(text), subject: owned(subject), ..RowFields::default() }
    }

    #[test]
    fn columns_are_found_by_name() {
        let check = |fields: &RowFields, names: &[&str], text: &[usize], subject: &[usize]| {
            let chosen = fields.choose(names).unwrap();
            assert_eq!((chosen.text.as_slice(), chosen.subject.as_slice()), (text, subject), "{names:?}");
        };
        check(&RowFields::default(), &["ID", "Title", " Body "], &[2], &[1]);
        check(&RowFields::default(), &["message", "text"], &[1], &[]);
        check(&fields(&["question", "answer"], &["id"]), &["id", "Answer", "Question"], &[2, 1], &[0]);
        let answers = RowFields { answers: true, ..RowFields::default() };
        for (names, subject, text) in [(["id", "Question ", "ANSWER"], 1, 2), (["答案", "id", "问题"], 2, 0)] {
            let chosen = answers.choose(&names).unwrap();
            assert_eq!((chosen.subject, chosen.text, chosen.answers), (vec![subject], vec![text], true), "{names:?}");
            assert!(RowFields::default().choose(&names).is_err());
        }
        assert!(!answers.choose(&["question", "answer", "text"]).unwrap().answers);
        let error = RowFields::default().choose(&["1", "Please pay"]).unwrap_err();
        assert!(error.contains("--text-field") && error.contains("\"Please pay\""), "{error}");
        assert!(fields(&["x"], &[]).choose(&["text"]).unwrap_err().contains("`x`"));
    }

    #[test]
    fn cells_are_joined() {
        let row = [("a", Value::from("one")), ("b", Value::from(2)), ("c", Value::Null), ("d", Value::from(""))];
        let row = row.map(|(name, value)| (name.to_string(), value));
        let text = fields(&["a", "c", "d"], &["b", "a"]).text_of(&row).unwrap();
        assert_eq!((text.texts, text.subject.as_deref()), (vec!["one".to_string(), String::new()], Some("2 one")));
        assert!(fields(&["c"], &[]).text_of(&row).unwrap_err().contains("`c`"));
    }
}
