//! Reads the values of a clause from left to right

use std::ops::Range;

use super::amounts::{self, AmountSource};
use super::phrases::{self, Entry};
use super::{Fact, Value, dates};
use crate::contracts::lexicon::{Bound, Lexicon, Sense};
use crate::contracts::tokens::{ContractToken, TokenKind, tokens};

/// How far "more than" may stand from its number, in tokens.
const BOUND_REACH: usize = 3;
/// Most words of the name of a law or a court.
const LONGEST_NAME: usize = 8;

/// The tokens of a clause and the values in it, in order and without overlap.
#[derive(Debug, Clone, Default)]
pub(in crate::contracts) struct Reading {
    pub tokens: Vec<ContractToken>,
    pub facts: Vec<Fact>,
}

/// A bound before it is given to a value.
struct Near {
    bound: Bound,
    range: Range<usize>,
    /// It counts only directly behind its value.
    closes: bool,
}

/// What the reader must know of the document.
pub(in crate::contracts) struct Context<'a> {
    pub lexicons: &'a [&'static Lexicon],
    /// Citations of the clause, in bytes of the visible text.
    pub references: Vec<Range<usize>>,
    /// Names that the document gives to its parties, in small letters.
    pub parties: &'a [String],
}

/// Reads a text that begins at `base` of the visible text.
pub(in crate::contracts) fn read(text: &str, base: usize, context: &Context<'_>) -> Reading {
    let tokens = tokens(text, base);
    let phrases = phrases::of(context.lexicons);
    let source = AmountSource { text, base, tokens: &tokens, lexicons: context.lexicons, phrases: &phrases };
    let mut facts: Vec<Fact> = Vec::new();
    let mut bounds: Vec<Near> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let (fact, end) = step(&source, context, at, &mut bounds);
        if let Some(fact) = fact {
            // An amount may begin with a currency that was passed already.
            while facts.last().is_some_and(|last| last.tokens.end > fact.tokens.start) {
                facts.pop();
            }
            facts.push(fact);
        }
        at = end.max(at + 1);
    }
    merge_repeated(&mut facts, &tokens);
    attach(&mut facts, bounds, &tokens);
    Reading { tokens, facts }
}

/// The value at a token, if there is one, and the token to go on with.
fn step(source: &AmountSource<'_>, context: &Context<'_>, at: usize, bounds: &mut Vec<Near>) -> (Option<Fact>, usize) {
    let tokens = source.tokens;
    let start = tokens[at].start;
    // Citations stand in the order of the text.
    let after = context.references.partition_point(|range| range.start <= start);
    if let Some(index) = after.checked_sub(1).filter(|index| context.references[*index].contains(&start)) {
        let end = tokens.partition_point(|token| token.start < context.references[index].end);
        return (Some(fact(Value::Reference(index), at..end, tokens)), end);
    }
    if let Some((law, end)) = titled_law(tokens, at) {
        return (Some(fact(Value::Law(law), at..end, tokens)), end);
    }
    // "may" is a month before a number only.
    if let Some((date, taken)) = dates::read(source.text, source.base, tokens, at, source.lexicons) {
        return (Some(fact(Value::Date(date), at..at + taken, tokens)), at + taken);
    }
    let sense =
        source.phrases.iter().filter_map(|p| phrases::find(&p.senses, tokens, at)).max_by_key(|(_, taken)| *taken);
    let amount = amounts::read(source, at);
    if let Some(amount) = amount
        && sense.is_none_or(|(_, taken)| amount.end >= at + taken)
    {
        let mut fact = fact(amount.value, amount.start..amount.end, tokens);
        fact.fault = amount.fault;
        fact.bound = amount.bound.and_then(|(bound, range)| {
            Some((bound, tokens.get(range.start)?.start..tokens.get(range.end.checked_sub(1)?)?.end))
        });
        return (Some(fact), amount.end);
    }
    if let Some((place, end)) = place(source, at) {
        return (Some(fact(place, at..end, tokens)), end);
    }
    if let Some(taken) = party(context.parties, tokens, at) {
        let name: Vec<&str> = tokens[at..at + taken].iter().map(|token| token.text.as_str()).collect();
        if sense.is_none_or(|(_, other)| other < taken) {
            return (Some(fact(Value::Party(name.join(" ")), at..at + taken, tokens)), at + taken);
        }
    }
    let Some((Entry::Sense(sense), taken)) = sense else { return (None, at + 1) };
    let range = at..at + taken;
    let value = match sense {
        Sense::Modality(modality) => Value::Modality(modality),
        Sense::Not => Value::Not,
        Sense::Except => Value::Except,
        Sense::And => Value::And,
        Sense::Or => Value::Or,
        Sense::AndOr => Value::AndOr,
        Sense::Per(unit) => Value::Per(unit),
        Sense::Party(name) => Value::Party(name.to_owned()),
        Sense::Term(group, member, weight) => Value::Term(group, member, weight),
        Sense::Nothing => return (None, range.end),
        Sense::Bound(bound) | Sense::Closing(bound) => {
            bounds.push(Near { bound, range: range.clone(), closes: matches!(sense, Sense::Closing(_)) });
            return (None, range.end);
        }
    };
    (Some(fact(value, range.clone(), tokens)), range.end)
}

fn fact(value: Value, range: Range<usize>, tokens: &[ContractToken]) -> Fact {
    let start = tokens.get(range.start).map_or(0, |token| token.start);
    let end = range.end.checked_sub(1).and_then(|last| tokens.get(last)).map_or(start, |token| token.end);
    Fact { value, tokens: range, span: start..end, bound: None, fault: false }
}

/// `《民法典》`
fn titled_law(tokens: &[ContractToken], at: usize) -> Option<(String, usize)> {
    if tokens[at].text != "《" {
        return None;
    }
    let length = tokens[at..].iter().take(60).position(|token| token.text == "》")?;
    let name = tokens[at + 1..at + length].iter().map(|token| token.text.as_str()).collect();
    Some((name, at + length + 1))
}

/// The law that governs, or the court: the capitalised words behind "laws of the State of".
fn place(source: &AmountSource<'_>, at: usize) -> Option<(Value, usize)> {
    if let Some(found) = chinese_place(source, at) {
        return Some(found);
    }
    let (entry, taken) = source.phrases.iter().find_map(|p| phrases::find(&p.places, source.tokens, at))?;
    let begin = at + taken;
    let mut end = begin;
    let mut name_end = begin;
    while let Some(token) = source.tokens.get(end).filter(|_| end < begin + LONGEST_NAME) {
        let first = source.text.get(token.start - source.base..).and_then(|rest| rest.chars().next());
        let is_name = token.kind == TokenKind::Word && first.is_some_and(char::is_uppercase);
        if is_name {
            name_end = end + 1;
        } else if !(end > begin
            && matches!(token.text.as_str(), "of" | "and" | "the" | "," | "de" | "der" | "und" | "-" | "'" | "s"))
        {
            break;
        }
        end += 1;
    }
    if name_end == begin {
        return None;
    }
    let words: Vec<&str> = source.tokens[begin..name_end].iter().map(|token| token.text.as_str()).collect();
    let name = words.join(" ");
    let value = if entry == Entry::Law { Value::Law(name) } else { Value::Venue(name) };
    Some((value, name_end))
}

/// `适用中国法律`, `向北京市海淀区人民法院起诉`
fn chinese_place(source: &AmountSource<'_>, at: usize) -> Option<(Value, usize)> {
    let opens_venue = |text: &str| matches!(text, "向" | "交" | "由" | "到");
    let opens_law = |text: &str| matches!(text, "用" | "据" | "照" | "受");
    let first = source.tokens.get(at)?.text.as_str();
    if !opens_venue(first) && !opens_law(first) {
        return None;
    }
    let rest = source.text.get(source.tokens[at].end - source.base..)?;
    let head: String = rest.chars().take(24).take_while(|c| !matches!(c, '。' | ',' | ';' | '、' | '《')).collect();
    let endings: &[&str] =
        if opens_venue(first) { &["人民法院", "仲裁委员会", "仲裁中心", "法院"] } else { &["法律"] };
    let (ending, length) = endings.iter().find_map(|word| head.find(word).map(|at| (*word, at + word.len())))?;
    let name = &head[..length];
    // 适用法律 and 有管辖权的人民法院 name nothing.
    if name == ending || name.chars().count() > 20 {
        return None;
    }
    let begin = source.tokens[at].end;
    let end = source.tokens.partition_point(|token| token.start < begin + length);
    let value = if opens_venue(first) { Value::Venue(name.to_owned()) } else { Value::Law(name.to_owned()) };
    Some((value, end))
}

/// The tokens of a party's name at a token.
fn party(names: &[String], tokens: &[ContractToken], at: usize) -> Option<usize> {
    let fits = |name: &str| {
        let mut taken = 0;
        for word in crate::contracts::tokens::tokens(name, 0) {
            if tokens.get(at + taken).is_none_or(|token| token.text != word.text) {
                return None;
            }
            taken += 1;
        }
        (taken > 0).then_some(taken)
    };
    names.iter().filter(|name| name.starts_with(&tokens[at].text)).filter_map(|name| fits(name)).max()
}

/// One value for an amount and its repetition in brackets: `人民币壹佰万元整（¥1,000,000）`.
fn merge_repeated(facts: &mut Vec<Fact>, tokens: &[ContractToken]) {
    let is_mark = |at: usize, mark: &str| tokens.get(at).is_some_and(|token| token.text == mark);
    let mut at = 0;
    while at + 1 < facts.len() {
        let (first, second) = (&facts[at], &facts[at + 1]);
        let between = second.tokens.start.saturating_sub(first.tokens.end);
        let amounts = match (&first.value, &second.value) {
            (Value::Money(a, _), Value::Money(b, _) | Value::Number(b, None)) => Some((*a, *b)),
            (Value::Duration(a, unit), Value::Duration(b, other)) if unit == other => Some((*a, *b)),
            (Value::Percent(a), Value::Percent(b)) => Some((*a, *b)),
            _ => None,
        };
        let repeats = (1..=6).contains(&between) && is_mark(first.tokens.end, "(") && is_mark(second.tokens.end, ")");
        let Some((a, b)) = amounts.filter(|_| repeats) else {
            at += 1;
            continue;
        };
        let has_digits = |fact: &Fact| tokens[fact.tokens.clone()].iter().any(|token| token.kind == TokenKind::Digits);
        // Two figures, as in "$5 (€4)", do not repeat each other.
        if has_digits(first) == has_digits(second) {
            at += 1;
            continue;
        }
        let value = if has_digits(first) { second.value.clone() } else { first.value.clone() };
        let range = first.tokens.start..second.tokens.end + 1;
        let mut merged = fact(value, range, tokens);
        merged.fault = !super::same_number(a, b);
        facts.splice(at..at + 2, [merged]);
    }
}

/// Gives each bound to the value beside it. A bound without a value is a word like another.
fn attach(facts: &mut [Fact], bounds: Vec<Near>, tokens: &[ContractToken]) {
    for Near { bound, range, closes } in bounds {
        let after = facts.partition_point(|fact| fact.tokens.start < range.end);
        let takes = |fact: &Fact| {
            fact.bound.is_none()
                && matches!(
                    fact.value,
                    Value::Duration(..) | Value::Percent(_) | Value::Money(..) | Value::Number(..) | Value::Date(_)
                )
        };
        // 以上 stands behind its number, "more than" before it.
        let behind = facts.get(after).filter(|fact| takes(fact) && fact.tokens.start <= range.end + BOUND_REACH);
        let before = after
            .checked_sub(1)
            .and_then(|i| facts.get(i))
            .filter(|fact| takes(fact) && fact.tokens.end + 1 >= range.start);
        let touches = before.is_some_and(|fact| fact.tokens.end == range.start);
        let index = if closes {
            touches.then(|| after - 1)
        } else if touches || behind.is_none() {
            before.map(|_| after - 1)
        } else {
            Some(after)
        };
        let (Some(first), Some(last)) = (tokens.get(range.start), tokens.get(range.end - 1)) else { continue };
        if let Some(fact) = index.and_then(|i| facts.get_mut(i)) {
            fact.bound = Some((bound, first.start..last.end));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::lexicon::{self, CHINESE, ENGLISH};

    fn facts(text: &str) -> Vec<String> {
        let mut lexicons = lexicon::detect(text);
        lexicons.extend([&ENGLISH, &CHINESE]);
        let context = Context { lexicons: &lexicons, references: Vec::new(), parties: &[] };
        let write = |fact: &Fact| {
            let bound = fact.bound.as_ref().map_or(String::new(), |(bound, _)| format!(" {bound:?}"));
            format!("{:?}{bound}{}", fact.value, if fact.fault { " fault" } else { "" })
        };
        read(text, 0, &context).facts.iter().filter(|f| f.value.is_quantity()).map(write).collect()
    }

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(facts(text), expected, "{text}");
    }

    #[test]
    fn durations() {
        check("within thirty (30) days", &["Duration(30.0, Day) AtMost"]);
        check("sixty (50) days", &["Duration(60.0, Day) fault"]);
        check("a 60-day period and 5 business days", &["Duration(60.0, Day)", "Duration(5.0, BusinessDay)"]);
        check("15个工作日内", &["Duration(15.0, BusinessDay) AtMost"]);
        check("超过30日", &["Duration(30.0, Day) MoreThan"]);
        check("达一个月以上", &["Duration(1.0, Month) AtLeast"]);
        check("半个月或两周或两年半", &["Duration(0.5, Month)", "Duration(2.0, Week)", "Duration(2.5, Year)"]);
        check("30 or more consecutive days", &["Duration(30.0, Day) AtLeast"]);
        check("30 consecutive days per week", &["Duration(30.0, Day)", "Per(Week)"]);
        check(
            "innerhalb von 14 Tagen oder zwei Werktagen nach der Lieferung und der Abnahme",
            &["Duration(14.0, Day) AtMost", "Duration(2.0, WorkingDay)"],
        );
    }

    #[test]
    fn ratios() {
        for text in ["5%", "5 %", "five percent", "百分之五", "five percent (5%)", "5.0％".replace('％', "%").as_str()]
        {
            check(text, &["Percent(0.05)"]);
        }
        check("一成", &["Percent(0.1)"]);
        check("按日万分之五", &["Per(Day)", "Percent(0.0005)"]);
        check("千分之三", &["Percent(0.003)"]);
        check("-5% or 1-5%", &["Percent(-0.05)", "Number(1.0, None)", "Percent(0.05)"]);
        check("five percent (6%)", &["Percent(0.05) fault"]);
    }

    #[test]
    fn money() {
        for text in ["人民币壹佰万元整", "¥1,000,000", "100万元", "RMB 1 million"] {
            check(text, &["Money(1000000.0, Some(\"CNY\"))"]);
        }
        check("EUR 1.000,00 für die und das", &["Money(1000.0, Some(\"EUR\"))"]);
        check("$5.5 million", &["Money(5500000.0, Some(\"USD\"))"]);
        check("a $500 fee", &["Money(500.0, Some(\"USD\"))"]);
        check("A$500", &["Money(500.0, Some(\"AUD\"))"]);
        for text in ["1 500 000 €", "1.500.000 €"] {
            check(&format!("Le prix est de {text} et il est pour le client."), &["Money(1500000.0, Some(\"EUR\"))"]);
        }
        check("5000-8000元", &["Number(5000.0, None)", "Money(8000.0, Some(\"CNY\"))"]);
        check("人民币壹佰万元整(¥1,100,000)", &["Money(1000000.0, Some(\"CNY\")) fault"]);
    }

    #[test]
    fn dates_and_numbers() {
        for text in ["2024年6月1日", "二〇二四年六月一日", "2024-06-01", "June 1, 2024", "1 June 2024"] {
            check(text, &["Date(Date { year: 2024, month: 6, day: 1, ambiguous: false })"]);
        }
        check(
            "Das beginnt am 1. Juni 2025 und der Vertrag",
            &["Date(Date { year: 2025, month: 6, day: 1, ambiguous: false })"],
        );
        check("6/1/24", &["Date(Date { year: 2024, month: 6, day: 1, ambiguous: true })"]);
        check(
            "10 miles, 9am, 12",
            &["Number(10.0, Some(\"mile\"))", "Number(9.0, Some(\"am\"))", "Number(12.0, None)"],
        );
        check("一式三份", &["Number(3.0, Some(\"copy\"))"]);
        check("一方和第三方统一", &[]);
        check("(555) 123-4567 or +49 30 123456", &["Code(\"5551234567\")", "Code(\"4930123456\")"]);
        check("12 3456 789", &["Number(12.0, None)", "Number(3456.0, None)", "Number(789.0, None)"]);
        check("-5 and 5-8", &["Number(-5.0, None)", "Number(5.0, None)", "Number(8.0, None)"]);
        check("within (10) days: (1) day", &["Number(10.0, None) AtMost"]);
        check("1st day of June, 2024", &["Date(Date { year: 2024, month: 6, day: 1, ambiguous: false })"]);
        check("ends in June", &["Date(Date { year: 0, month: 6, day: 0, ambiguous: false })"]);
        check("the laws of the State of New York, without", &["Law(\"new york\")"]);
        check("向北京市海淀区人民法院起诉", &["Venue(\"北京市海淀区人民法院\")"]);
    }
}
