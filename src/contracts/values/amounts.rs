//! Numbers with what they count: terms, rates, amounts

use std::ops::Range;

use super::Value;
use super::phrases::{self, Entry, Phrases};
use crate::contracts::lexicon::{Bound, Lexicon, Sense, TermUnit};
use crate::contracts::numerals;
use crate::contracts::tokens::{ContractToken, TokenKind};

/// Most tokens of a code.
const LONGEST_CODE: usize = 24;

/// The tokens of a clause and the words that may stand in it.
pub(super) struct AmountSource<'a> {
    /// The visible text from `base` on.
    pub text: &'a str,
    pub base: usize,
    pub tokens: &'a [ContractToken],
    pub lexicons: &'a [&'static Lexicon],
    pub phrases: &'a [&'static Phrases],
}

/// A value, and the tokens that belong to it.
pub(super) struct Amount {
    pub value: Value,
    pub start: usize,
    pub end: usize,
    /// Words and figures disagree.
    pub fault: bool,
    /// A bound between the number and its unit: "30 or more days".
    pub bound: Option<(Bound, Range<usize>)>,
}

/// A bare number.
#[derive(Clone, Copy)]
struct Number {
    value: f64,
    end: usize,
    /// Written with digits, so that it is certainly a number.
    is_digits: bool,
    fault: bool,
}

/// Reads the value that begins with the number at this token.
pub(super) fn read(source: &AmountSource<'_>, at: usize) -> Option<Amount> {
    if let Some(amount) = chinese_ratio(source, at) {
        return Some(amount);
    }
    let number = number(source, at);
    let with_unit = |number| {
        money(source, at, number).or_else(|| percent(source, at, number)).or_else(|| duration(source, at, number))
    };
    // "1 500 000 €" is an amount, whatever else its groups of digits look like.
    let found = number.and_then(with_unit).or_else(|| code(source, at)).or_else(|| counted(source, at, number?))?;
    Some(with_sign(source, at, found))
}

/// Takes a minus that touches the number, as in "-5%", into the value. The one in "5-8" and "T-5" is a dash.
fn with_sign(source: &AmountSource<'_>, at: usize, amount: Amount) -> Amount {
    let Some(sign) = at.checked_sub(1).filter(|sign| source.tokens[*sign].text == "-") else { return amount };
    let touches = |at: usize| source.tokens[at].end == source.tokens[at + 1].start;
    let is_dash = sign > 0 && touches(sign - 1) && source.tokens[sign - 1].kind != TokenKind::Mark;
    if amount.start != at || is_dash || !touches(sign) {
        return amount;
    }
    let value = match amount.value {
        Value::Percent(value) => Value::Percent(-value),
        Value::Number(value, unit) => Value::Number(-value, unit),
        Value::Money(value, currency) => Value::Money(-value, currency),
        _ => return amount,
    };
    Amount { value, start: sign, ..amount }
}

fn find(
    source: &AmountSource<'_>,
    table: impl Fn(&'static Phrases) -> Option<(Entry, usize)>,
) -> Option<(Entry, usize)> {
    source.phrases.iter().find_map(|phrases| table(phrases))
}

/// Digits, Chinese numerals or number words, with the same number in brackets: `sixty (60)`, `30 (thirty)`.
fn number(source: &AmountSource<'_>, at: usize) -> Option<Number> {
    let mut first = bare_number(source, at)?;
    let is_bracket = |at: usize, mark: &str| source.tokens.get(at).is_some_and(|token| token.text == mark);
    if is_bracket(first.end, "(")
        && let Some(second) = bare_number(source, first.end + 1)
        && second.is_digits != first.is_digits
    {
        let percent = usize::from(is_bracket(second.end, "%"));
        if is_bracket(second.end + percent, ")") {
            first.fault = !super::same_number(first.value, second.value);
            // In a doubt the words count.
            first.value = if first.is_digits { second.value } else { first.value };
            first.is_digits = true;
            // "five (5%)" leaves the sign to the reader of percentages.
            first.end = second.end + percent + 1;
            if percent == 1 && !is_bracket(first.end, "%") {
                first.end = second.end;
            }
        }
    }
    Some(first)
}

fn bare_number(source: &AmountSource<'_>, at: usize) -> Option<Number> {
    let token = source.tokens.get(at)?;
    match token.kind {
        TokenKind::Digits => Some(with_factor(source, digits(source, at)?)),
        TokenKind::Character => {
            if token.text == "半" {
                return Some(Number { value: 0.5, end: at + 1, is_digits: false, fault: false });
            }
            let (value, length) = numerals::chinese(source.text.get(token.start - source.base..)?)?;
            let end = source.tokens.partition_point(|other| other.start < token.start + length);
            Some(Number { value, end, is_digits: false, fault: false })
        }
        TokenKind::Word => source.lexicons.iter().find_map(|lexicon| {
            if token.text == "half"
                && source.tokens.get(at + 1).is_some_and(|next| matches!(next.text.as_str(), "a" | "an"))
            {
                return Some(Number { value: 0.5, end: at + 2, is_digits: false, fault: false });
            }
            let words = source.tokens[at..].iter().map(|token| token.text.as_str());
            let (value, taken) = numerals::words(words, lexicon)?;
            Some(Number { value, end: at + taken, is_digits: false, fault: false })
        }),
        TokenKind::Mark => None,
    }
}

/// Digits, grouped with blanks as well: `1 000 000`.
fn digits(source: &AmountSource<'_>, at: usize) -> Option<Number> {
    let comma = source.lexicons.first().is_some_and(|lexicon| lexicon.comma_decimal);
    let first = source.tokens.get(at)?;
    let mut text = first.text.clone();
    let mut end = at + 1;
    if comma && text.len() <= 3 {
        while let Some(next) = source.tokens.get(end)
            && next.kind == TokenKind::Digits
            && next.start == source.tokens[end - 1].end + 1
            && next.text.split([',', '.']).next().is_some_and(|group| group.len() == 3)
        {
            text.push_str(&next.text);
            end += 1;
        }
    }
    let value = numerals::digits(&text, comma)?;
    Some(Number { value, end, is_digits: true, fault: false })
}

/// `100万`, `1.5 million`
fn with_factor(source: &AmountSource<'_>, number: Number) -> Number {
    let Some(next) = source.tokens.get(number.end) else { return number };
    if next.kind == TokenKind::Character {
        let rest = source.text.get(next.start - source.base..).unwrap_or_default();
        let (factor, length) = numerals::units_after(rest);
        let end = source.tokens.partition_point(|token| token.start < next.start + length);
        return Number { value: number.value * factor, end: end.max(number.end), ..number };
    }
    let found = find(source, |p| phrases::find(&p.factors, source.tokens, number.end));
    match found {
        // "5 m" may be metres; letters are a factor only behind a currency or when they touch the digits.
        Some((Entry::Factor(factor), taken)) if next.text.len() > 2 || is_money_before(source, number.end) => {
            Number { value: number.value * factor, end: number.end + taken, ..number }
        }
        _ => number,
    }
}

fn is_money_before(source: &AmountSource<'_>, end: usize) -> bool {
    end >= 2 && find(source, |p| phrases::find_before(&p.currencies, source.tokens, end - 1)).is_some()
}

/// `百分之五`, `千分之三`, `三分之二`
fn chinese_ratio(source: &AmountSource<'_>, at: usize) -> Option<Amount> {
    let token = source.tokens.get(at).filter(|token| token.kind == TokenKind::Character)?;
    let rest = source.text.get(token.start - source.base..)?;
    let (base, length) = match rest.chars().next()? {
        '百' => (100.0, '百'.len_utf8()),
        '千' => (1000.0, '千'.len_utf8()),
        '万' => (10_000.0, '万'.len_utf8()),
        _ => numerals::chinese(rest)?,
    };
    let tail = rest[length..].strip_prefix("分之")?;
    let number_at = token.start + (rest.len() - tail.len());
    let index = source.tokens.partition_point(|token| token.start < number_at);
    let part = bare_number(source, index)?;
    let mut end = part.end;
    let mut fault = false;
    // 百分之五(5%)
    if source.tokens.get(end).is_some_and(|token| token.text == "(")
        && let Some(figure) = bare_number(source, end + 1)
        && source.tokens.get(figure.end).is_some_and(|token| token.text == "%")
        && source.tokens.get(figure.end + 1).is_some_and(|token| token.text == ")")
    {
        fault = !super::same_number(part.value / base, figure.value / 100.0);
        end = figure.end + 2;
    }
    Some(Amount { value: Value::Percent(part.value / base), start: at, end, fault, bound: None })
}

/// A telephone number or another code: three groups of digits with hyphens or brackets between them, or a leading plus.
/// Blanks alone make none: in the cells of a table they divide numbers.
fn code(source: &AmountSource<'_>, at: usize) -> Option<Amount> {
    let first = source.tokens.get(at)?;
    let has_plus = first.text == "+";
    if first.kind != TokenKind::Digits && !has_plus && first.text != "(" {
        return None;
    }
    let mut groups: Vec<&str> = Vec::new();
    let (mut end, mut has_mark, mut last) = (at, has_plus, first.start);
    for (i, token) in source.tokens.iter().enumerate().skip(at).take(LONGEST_CODE) {
        let is_mark = matches!(token.text.as_str(), "-" | "(" | ")") || i == at && has_plus;
        let is_digits = token.kind == TokenKind::Digits && !token.text.contains(['.', ',']);
        if token.start > last + 1 || !is_mark && !is_digits {
            break;
        }
        if is_digits {
            groups.push(&token.text);
            end = i + 1;
        } else {
            has_mark |= i > at;
        }
        last = token.end;
    }
    let text = groups.concat();
    let is_code = text.len() >= 7 && has_mark && (groups.len() >= 3 || has_plus);
    is_code.then_some(Amount { value: Value::Code(text), start: at, end, fault: false, bound: None })
}

/// `RMB 1 million`, `人民币壹佰万元整`, `EUR 1.000,00`, `$5`
fn money(source: &AmountSource<'_>, at: usize, number: Number) -> Option<Amount> {
    let before = find(source, |p| phrases::find_before(&p.currencies, source.tokens, at));
    let after = find(source, |p| phrases::find(&p.currencies, source.tokens, number.end));
    let (mut start, mut end, mut value) = (at, number.end, number.value);
    let mut currency = None;
    if let Some((Entry::Currency(code), taken)) = before {
        currency = Some(code);
        start -= taken;
        // "人民币 ¥5" and "US $5" name the currency twice.
        if let Some((Entry::Currency(_), taken)) =
            find(source, |p| phrases::find_before(&p.currencies, source.tokens, start))
        {
            start -= taken;
        }
    }
    if let Some((Entry::Currency(code), taken)) = after {
        currency = currency.or(Some(code));
        end += taken;
        for (unit, part) in [("角", 0.1), ("分", 0.01)] {
            if let Some(small) = bare_number(source, end)
                && source.tokens.get(small.end).is_some_and(|token| token.text == unit)
            {
                value += small.value * part;
                end = small.end + 1;
            }
        }
    }
    currency?;
    let is_closed = |at: usize| source.tokens.get(at).is_some_and(|token| matches!(token.text.as_str(), "整" | "正"));
    end += usize::from(is_closed(end));
    Some(Amount { value: Value::Money(value, currency), start, end, fault: number.fault, bound: None })
}

/// `5%`, `five percent`, `一成`, `3‰`
fn percent(source: &AmountSource<'_>, at: usize, number: Number) -> Option<Amount> {
    let sign = source.tokens.get(number.end)?.text.as_str();
    let (factor, mut end) = match sign {
        "%" => (0.01, number.end + 1),
        "‰" => (0.001, number.end + 1),
        "‱" => (0.0001, number.end + 1),
        _ => match find(source, |p| phrases::find(&p.percent, source.tokens, number.end))? {
            (Entry::Percent(factor), taken) => (factor, number.end + taken),
            _ => return None,
        },
    };
    let is_mark = |at: usize, mark: &str| source.tokens.get(at).is_some_and(|token| token.text == mark);
    end += usize::from(is_mark(end, ")") && source.tokens[at..end].iter().any(|token| token.text == "("));
    let mut value = number.value * factor;
    let mut fault = number.fault;
    // 一成半
    if is_mark(end, "半") {
        value += factor / 2.0;
        end += 1;
    }
    // five percent (5%)
    if is_mark(end, "(")
        && let Some(figure) = bare_number(source, end + 1)
        && is_mark(figure.end, "%")
        && is_mark(figure.end + 1, ")")
    {
        fault = !super::same_number(value, figure.value / 100.0);
        end = figure.end + 2;
    }
    Some(Amount { value: Value::Percent(value), start: at, end, fault, bound: None })
}

/// `30 days`, `半个月`, `两年半`, `5 business days`
fn duration(source: &AmountSource<'_>, at: usize, number: Number) -> Option<Amount> {
    // "60-day period"
    let dash = usize::from(source.tokens.get(number.end).is_some_and(|token| token.text == "-"));
    let bound = bound_at(source, number.end);
    let unit_at = bound.as_ref().map_or(number.end + dash, |(_, range)| range.end);
    let (unit, factor, taken) = match find(source, |p| phrases::find(&p.units, source.tokens, unit_at)) {
        Some((Entry::Unit(unit, factor), taken)) => (unit, factor, taken),
        _ => {
            // "30 consecutive calendar days": one word between.
            source.tokens.get(unit_at).filter(|t| t.kind == TokenKind::Word && !source.is_joint(t))?;
            match find(source, |p| phrases::find(&p.units, source.tokens, unit_at + 1))? {
                (Entry::Unit(unit, factor), taken) if source.tokens[unit_at].text.len() > 3 => {
                    (unit, factor, taken + 1)
                }
                _ => return None,
            }
        }
    };
    let mut end = unit_at + taken;
    let mut amount = number.value * factor;
    if source.tokens.get(end).is_some_and(|token| token.text == "半") {
        amount += 0.5;
        end += 1;
    }
    // A figure with a unit in brackets repeats the words: 三十日(30日).
    let mut fault = number.fault;
    if source.tokens.get(end).is_some_and(|token| token.text == "(")
        && let Some(figure) = bare_number(source, end + 1)
        && let Some((Entry::Unit(other, _), taken)) =
            find(source, |p| phrases::find(&p.units, source.tokens, figure.end))
        && source.tokens.get(figure.end + taken).is_some_and(|token| token.text == ")")
        && other == unit
    {
        fault = !super::same_number(number.value, figure.value);
        end = figure.end + taken + 1;
    }
    // A year such as 2024 is a date without a day.
    if unit == TermUnit::Year && amount >= 1900.0 && taken == 1 {
        let date = super::Date { year: amount.min(9999.0) as u16, month: 0, day: 0, ambiguous: false };
        return Some(Amount { value: Value::Date(date), start: at, end, fault: false, bound: None });
    }
    Some(Amount { value: Value::Duration(amount, unit), start: at, end, fault, bound })
}

fn bound_at(source: &AmountSource<'_>, at: usize) -> Option<(Bound, Range<usize>)> {
    match find(source, |p| phrases::find(&p.senses, source.tokens, at))? {
        (Entry::Sense(Sense::Closing(bound)), taken) => Some((bound, at..at + taken)),
        _ => None,
    }
}

/// `10 miles`, `3份`, `12`
fn counted(source: &AmountSource<'_>, at: usize, number: Number) -> Option<Amount> {
    let is_character = source.tokens.get(at).is_some_and(|token| token.kind == TokenKind::Character);
    let measure = find(source, |p| phrases::find(&p.measures, source.tokens, number.end));
    if let Some((Entry::Measure(name), taken)) = measure {
        // 一个, 一次: an article more than a number.
        if is_character && (number.value <= 1.0 && is_article(name) || is_ordinal(source, at)) {
            return None;
        }
        let value = Value::Number(number.value, Some(name));
        return Some(Amount { value, start: at, end: number.end + taken, fault: number.fault, bound: None });
    }
    if is_label(source, at, number) {
        return None;
    }
    // "one" and 三 without a unit are words of the language.
    if is_character || !number.is_digits && number.value < 2.0 {
        return None;
    }
    Some(Amount {
        value: Value::Number(number.value, None),
        start: at,
        end: number.end,
        fault: number.fault,
        bound: None,
    })
}

/// Measures that make an article of "one": 一个, 一次. Copies and pieces of equipment are counted from one on.
fn is_article(measure: &str) -> bool {
    matches!(measure, "piece" | "person" | "times" | "kind" | "o'clock" | "term" | "number" | "instalment" | "lot")
}

/// True for the label of an item inside a paragraph: `(1)` or `1)`.
fn is_label(source: &AmountSource<'_>, at: usize, number: Number) -> bool {
    let closes = source.tokens.get(number.end).is_some_and(|token| token.text == ")");
    let opens = at > 0 && source.tokens.get(at - 1).is_some_and(|token| token.text == "(");
    let is_open = source.tokens[..at].iter().rev().take(8).any(|token| token.text == "(");
    closes && number.value <= 20.0 && (opens || !is_open) && !(opens && is_counting(source, at - 1, number.end + 1))
}

/// True if the number in brackets counts what follows: "within (10) days". A label stands behind a stop, or no unit
/// stands behind it.
fn is_counting(source: &AmountSource<'_>, open: usize, behind: usize) -> bool {
    let goes_on = open > 0 && source.tokens[open - 1].kind != TokenKind::Mark;
    let has_unit = find(source, |p| phrases::find(&p.units, source.tokens, behind))
        .or_else(|| find(source, |p| phrases::find(&p.percent, source.tokens, behind)))
        .or_else(|| find(source, |p| phrases::find(&p.currencies, source.tokens, behind)));
    let is_percent = source.tokens.get(behind).is_some_and(|token| token.text == "%");
    goes_on && (has_unit.is_some() || is_percent)
}

fn is_ordinal(source: &AmountSource<'_>, at: usize) -> bool {
    at > 0 && source.tokens[at - 1].text == "第"
}

impl AmountSource<'_> {
    /// True for "and" and the like, behind which a new number would begin.
    fn is_joint(&self, token: &ContractToken) -> bool {
        self.lexicons.iter().any(|lexicon| lexicon.frequent.contains(&token.text.as_str()))
    }
}
