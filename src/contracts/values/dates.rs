//! Dates: `2024年6月1日`, `June 1, 2024`, `1. Juni 2024`, `01.06.2024`, `6/1/24`

use super::Date;
use crate::contracts::lexicon::Lexicon;
use crate::contracts::numerals;
use crate::contracts::tokens::{ContractToken, TokenKind};

/// Reads a date at a token; returns it and how many tokens it takes.
pub(super) fn read(
    text: &str,
    base: usize,
    tokens: &[ContractToken],
    at: usize,
    lexicons: &[&'static Lexicon],
) -> Option<(Date, usize)> {
    let first = tokens.get(at)?;
    match first.kind {
        TokenKind::Digits => chinese(text, base, tokens, at)
            .or_else(|| dotted(first, lexicons))
            .or_else(|| divided(tokens, at, lexicons))
            .or_else(|| day_first(tokens, at, lexicons)),
        TokenKind::Character => chinese(text, base, tokens, at),
        TokenKind::Word => month_first(tokens, at, lexicons),
        TokenKind::Mark => None,
    }
}

/// `2024年6月1日`, `二〇二四年六月`, `6月1日`, `2024年度` is none.
fn chinese(text: &str, base: usize, tokens: &[ContractToken], at: usize) -> Option<(Date, usize)> {
    let mut date = Date { year: 0, month: 0, day: 0, ambiguous: false };
    let mut next = at;
    let mut seen = 0;
    for (unit, largest) in [("年", 2200.0), ("月", 12.0), ("日", 31.0)] {
        let Some((value, end)) = number(text, base, tokens, next) else { break };
        let Some(token) = tokens.get(end).filter(|token| token.text == unit || unit == "日" && token.text == "号")
        else {
            continue;
        };
        if value > largest || value < 1.0 || unit == "年" && value < 1900.0 || token.text.is_empty() {
            break;
        }
        match unit {
            "年" => date.year = value as u16,
            "月" => date.month = value as u8,
            _ => date.day = value as u8,
        }
        seen += 1;
        next = end + 1;
    }
    let is_year = date.year > 0 && tokens.get(next).is_none_or(|token| token.text != "度");
    let is_day = date.year == 0 && date.month > 0 && date.day > 0;
    (seen > 0 && (is_year || is_day)).then(|| (date, next - at))
}

/// A plain number at a token and the token behind it.
fn number(text: &str, base: usize, tokens: &[ContractToken], at: usize) -> Option<(f64, usize)> {
    let token = tokens.get(at)?;
    if token.kind == TokenKind::Digits {
        return token.text.parse().ok().map(|value| (value, at + 1));
    }
    let (value, length) = numerals::chinese(text.get(token.start - base..)?)?;
    let end = token.start + length;
    Some((value, tokens.partition_point(|token| token.start < end)))
}

/// `01.06.2024`, `2024.6.1`
fn dotted(token: &ContractToken, lexicons: &[&'static Lexicon]) -> Option<(Date, usize)> {
    let parts: Option<Vec<u16>> = token.text.split('.').map(|part| part.parse().ok()).collect();
    let parts = parts.filter(|parts| parts.len() == 3)?;
    Some((order(parts[0], parts[1], parts[2], Some(true).filter(|_| !lexicons.is_empty()))?, 1))
}

/// `6/1/24`, `2024-06-01`
fn divided(tokens: &[ContractToken], at: usize, lexicons: &[&'static Lexicon]) -> Option<(Date, usize)> {
    let window = tokens.get(at..at + 5)?;
    let touches = window.windows(2).all(|pair| pair[0].end == pair[1].start);
    let mark = window[1].text.as_str();
    if !touches || !matches!(mark, "/" | "-") || window[3].text != mark {
        return None;
    }
    let part = |i: usize| window[i].text.parse::<u16>().ok();
    let day_first = lexicons.first().and_then(|lexicon| lexicon.day_first);
    Some((order(part(0)?, part(2)?, part(4)?, day_first)?, 5))
}

/// Three numbers as a date. Which is the day is open where both could be.
fn order(a: u16, b: u16, c: u16, day_first: Option<bool>) -> Option<Date> {
    let date = |year: u16, month: u16, day: u16, ambiguous: bool| {
        let year = if year < 100 { year + 2000 } else { year };
        let fits = (1..=12).contains(&month) && (1..=31).contains(&day) && (1900..=2200).contains(&year);
        fits.then_some(Date { year, month: month as u8, day: day as u8, ambiguous })
    };
    if a > 31 {
        return date(a, b, c, false);
    }
    if a > 12 {
        return date(c, b, a, false);
    }
    if b > 12 {
        return date(c, a, b, false);
    }
    match day_first {
        Some(true) => date(c, b, a, false),
        _ => date(c, a, b, a != b),
    }
}

/// `June 1, 2024`, `June 2024`, `June, 2024`, and `June` alone
fn month_first(tokens: &[ContractToken], at: usize, lexicons: &[&'static Lexicon]) -> Option<(Date, usize)> {
    let month = month(tokens.get(at)?, lexicons)?;
    let mut next = at + 1;
    next += usize::from(tokens.get(next).is_some_and(|token| token.text == "."));
    let value =
        |at: usize| tokens.get(at).filter(|t| t.kind == TokenKind::Digits).and_then(|t| t.text.parse::<u16>().ok());
    let is_year = |number: &u16| (1900..=2200).contains(number);
    let comma = usize::from(tokens.get(next).is_some_and(|token| token.text == ","));
    if let Some(year) = value(next + comma).filter(is_year) {
        return Some((Date { year, month, day: 0, ambiguous: false }, next + comma + 1 - at));
    }
    let Some(day) = value(next).and_then(|first| u8::try_from(first).ok()).filter(|day| (1..=31).contains(day)) else {
        // "may", "march" and "mar" alone are words.
        let is_month = !matches!(tokens[at].text.as_str(), "may" | "march" | "mar");
        return is_month.then_some((Date { year: 0, month, day: 0, ambiguous: false }, 1));
    };
    next += 1;
    next += usize::from(tokens.get(next).is_some_and(|token| matches!(token.text.as_str(), "st" | "nd" | "rd" | "th")));
    let comma = usize::from(tokens.get(next).is_some_and(|token| token.text == ","));
    let year = value(next + comma).filter(is_year);
    let end = if year.is_some() { next + comma + 1 } else { next };
    Some((Date { year: year.unwrap_or(0), month, day, ambiguous: false }, end - at))
}

/// `1 June 2024`, `1st day of June, 2024`, `1. Juni 2024`, `1 de junio de 2024`
fn day_first(tokens: &[ContractToken], at: usize, lexicons: &[&'static Lexicon]) -> Option<(Date, usize)> {
    let day = tokens.get(at)?.text.parse::<u8>().ok().filter(|day| (1..=31).contains(day))?;
    let mut next = at + 1;
    let joins = |at: usize| {
        tokens.get(at).is_some_and(|t| matches!(t.text.as_str(), "." | "st" | "nd" | "rd" | "th" | "er" | "of" | "de"))
            || tokens.get(at + 1).is_some_and(|t| t.text == "of") && tokens[at].text == "day"
    };
    while next < at + 4 && joins(next) {
        next += 1;
    }
    let month = month(tokens.get(next)?, lexicons)?;
    next += 1;
    let gap = usize::from(tokens.get(next).is_some_and(|token| matches!(token.text.as_str(), "," | "de" | "del")));
    let year =
        tokens.get(next + gap).and_then(|token| token.text.parse::<u16>().ok()).filter(|y| (1900..=2200).contains(y));
    let end = if year.is_some() { next + gap + 1 } else { next };
    Some((Date { year: year.unwrap_or(0), month, day, ambiguous: false }, end - at))
}

fn month(token: &ContractToken, lexicons: &[&'static Lexicon]) -> Option<u8> {
    let find =
        |lexicon: &&Lexicon| lexicon.months.iter().find(|(name, _)| *name == token.text).map(|(_, month)| *month);
    lexicons.iter().find_map(find)
}
