//! Numbers in every spelling: digits, Chinese and Roman numerals, letters of a list, number words

use super::lexicon::Lexicon;

/// Longest number in one word, in bytes. Longer words are none.
const LONGEST_COMPOUND: usize = 60;

/// Reads a Chinese numeral from the start of `text`; returns its value and its length in bytes.
///
/// `一百二十`, `壹佰万`, `二〇二四`, `三点五`, `3万` and `1.5亿` are all read. A lone unit such as `万` is none.
pub(super) fn chinese(text: &str) -> Option<(f64, usize)> {
    let mut sum = Chinese::default();
    let mut end = 0;
    let mut rest = text.char_indices().peekable();
    while let Some(&(at, c)) = rest.peek() {
        if let Some(digit) = chinese_digit(c) {
            if !sum.digit(digit) {
                break;
            }
        } else if let Some(unit) = chinese_unit(c) {
            // A unit without a number before it belongs to a word: 万一, 百分.
            if at == 0 && unit != 10.0 {
                return None;
            }
            if !sum.unit(unit) {
                break;
            }
        } else if c == '点'
            && at > 0
            && text[at + c.len_utf8()..].chars().next().is_some_and(|c| chinese_digit(c).is_some())
        {
            let (fraction, length) = decimals(&text[at + c.len_utf8()..]);
            end = at + c.len_utf8() + length;
            let whole = sum.total();
            let (unit, unit_length) = units_after(&text[end..]);
            return Some(((whole + fraction) * unit, end + unit_length));
        } else {
            break;
        }
        end = at + c.len_utf8();
        rest.next();
    }
    (end > 0).then(|| (sum.total(), end))
}

/// The number that the digits of a Chinese numeral add up to.
#[derive(Default)]
struct Chinese {
    /// Finished sections: those with 万 or 亿.
    whole: f64,
    section: f64,
    digits: f64,
    pending: bool,
    count: u32,
}

impl Chinese {
    fn digit(&mut self, digit: u8) -> bool {
        // Digits in a row are written by position, as in 二〇二四.
        self.digits = if self.pending { self.digits * 10.0 } else { 0.0 } + f64::from(digit);
        self.pending = true;
        self.count += 1;
        self.count <= 24
    }

    fn unit(&mut self, unit: f64) -> bool {
        if unit < 10_000.0 {
            self.section += if self.pending { self.digits } else { 1.0 } * unit;
        } else {
            let section = self.section + self.digits;
            self.whole = if unit > self.whole { (self.whole + section) * unit } else { self.whole + section * unit };
            self.section = 0.0;
        }
        self.digits = 0.0;
        self.pending = false;
        self.count += 1;
        self.count <= 24
    }

    fn total(&self) -> f64 {
        self.whole + self.section + self.digits
    }
}

fn decimals(text: &str) -> (f64, usize) {
    let (mut value, mut scale, mut length) = (0.0, 0.1, 0);
    for c in text.chars().take(12) {
        let Some(digit) = chinese_digit(c) else { break };
        value += f64::from(digit) * scale;
        scale /= 10.0;
        length += c.len_utf8();
    }
    (value, length)
}

/// The product of the units at the start of `text`, such as `万` behind `3.5`, and their length.
pub(super) fn units_after(text: &str) -> (f64, usize) {
    let (mut product, mut length) = (1.0, 0);
    for c in text.chars().take(3) {
        let Some(unit) = chinese_unit(c) else { break };
        product *= unit;
        length += c.len_utf8();
    }
    (product, length)
}

/// A Chinese digit, in everyday or in bankers' form.
pub(super) fn chinese_digit(c: char) -> Option<u8> {
    const DIGITS: [&str; 10] =
        ["〇零○", "一壹弌", "二贰貳两兩", "三叁參参", "四肆", "五伍", "六陆陸", "七柒", "八捌", "九玖"];
    DIGITS.iter().position(|forms| forms.contains(c)).map(|digit| digit as u8)
}

fn chinese_unit(c: char) -> Option<f64> {
    Some(match c {
        '十' | '拾' => 10.0,
        '百' | '佰' => 100.0,
        '千' | '仟' => 1000.0,
        '万' | '萬' => 10_000.0,
        '亿' | '億' => 100_000_000.0,
        _ => return None,
    })
}

/// A Roman numeral in canonical form, up to 399.
pub(super) fn roman(text: &str) -> Option<u32> {
    if text.is_empty() || text.len() > 10 {
        return None;
    }
    let digit = |b: u8| match b.to_ascii_lowercase() {
        b'i' => Some(1),
        b'v' => Some(5),
        b'x' => Some(10),
        b'l' => Some(50),
        b'c' => Some(100),
        _ => None,
    };
    let digits: Option<Vec<u32>> = text.bytes().map(digit).collect();
    let digits = digits?;
    let mut value = 0;
    for (i, &d) in digits.iter().enumerate() {
        let is_smaller = digits.get(i + 1).is_some_and(|next| *next > d);
        value = if is_smaller { value - d as i32 } else { value + d as i32 };
    }
    let value = u32::try_from(value).ok()?;
    (to_roman(value) == text.to_ascii_lowercase()).then_some(value)
}

/// Writes a Roman numeral in small letters.
pub(super) fn to_roman(mut value: u32) -> String {
    const DIGITS: [(u32, &str); 9] =
        [(100, "c"), (90, "xc"), (50, "l"), (40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")];
    let mut out = String::new();
    for (digit, letters) in DIGITS {
        while value >= digit && out.len() < 20 {
            out.push_str(letters);
            value -= digit;
        }
    }
    out
}

/// The position of a letter in a list: a = 1, z = 26, aa = 27, bb = 28.
pub(super) fn letter(text: &str) -> Option<u32> {
    let first = text.bytes().next().filter(u8::is_ascii_alphabetic)?;
    if text.len() > 2 || text.bytes().any(|b| b != first) {
        return None;
    }
    Some(u32::from(first.to_ascii_lowercase() - b'a') + 1 + 26 * (text.len() as u32 - 1))
}

/// Reads digits with separators. `comma_decimal` decides where `1.000` or `1,000` leaves it open.
///
/// `1,000.00`, `1.000,00`, `1'000`, `1 000 000` and `2.5` are read.
pub(super) fn digits(text: &str, comma_decimal: bool) -> Option<f64> {
    let last_dot = text.rfind('.');
    let last_comma = text.rfind(',');
    let decimal = match (last_dot, last_comma) {
        (Some(dot), Some(comma)) => Some(dot.max(comma)),
        (Some(dot), None) => (!is_grouping(text, '.') || !comma_decimal).then_some(dot),
        (None, Some(comma)) => (!is_grouping(text, ',') || comma_decimal).then_some(comma),
        (None, None) => None,
    };
    // Two separators of one kind group thousands; a version such as 1.2.3 is no number.
    let decimal = decimal.filter(|at| text.matches(text[*at..].chars().next().unwrap_or('.')).count() == 1);
    let whole: String = text[..decimal.unwrap_or(text.len())].chars().filter(char::is_ascii_digit).collect();
    let fraction = decimal.map_or("", |at| &text[at + 1..]);
    if fraction.bytes().any(|b| !b.is_ascii_digit()) || whole.len() > 18 {
        return None;
    }
    format!("{whole}.{fraction}0").parse().ok()
}

/// True if the separator stands before groups of three digits only.
fn is_grouping(text: &str, separator: char) -> bool {
    let mut groups = text.split(separator);
    let first = groups.next().unwrap_or_default();
    (1..=3).contains(&first.len()) && first != "0" && groups.all(|group| group.len() == 3)
}

/// Adds up number words: `one hundred and twenty`, `twenty-five`. Returns the value and how many words it took.
pub(super) fn words<'a>(words: impl Iterator<Item = &'a str>, lexicon: &Lexicon) -> Option<(f64, usize)> {
    let (mut total, mut section, mut taken, mut seen) = (0.0, 0.0, 0, 0);
    // Zero allows any number; after a number only a smaller one adds to it.
    let mut room = f64::INFINITY;
    for word in words.take(16) {
        seen += 1;
        if word == "-" || lexicon.number_joints.contains(&word) {
            if taken == 0 {
                return None;
            }
            continue;
        }
        let Some(value) = word_value(word, lexicon) else { break };
        if value >= 1000.0 {
            total += if section == 0.0 { 1.0 } else { section } * value;
            section = 0.0;
            room = value;
        } else if value == 100.0 && section > 0.0 && section < 100.0 {
            section *= value;
            room = 100.0;
        } else if lexicon.vigesimal && section % 100.0 == 4.0 && value == 20.0 {
            section += 76.0;
            room = 20.0;
        } else if value < room {
            section += value;
            room = match value {
                60.0 if lexicon.vigesimal => 20.0,
                10.0 if lexicon.vigesimal => 10.0,
                value if value % 100.0 == 0.0 => 100.0,
                value if value >= 20.0 && value % 10.0 == 0.0 => 10.0,
                _ => 0.0,
            };
        } else {
            break;
        }
        taken = seen;
    }
    (taken > 0).then_some((total + section, taken))
}

fn word_value(word: &str, lexicon: &Lexicon) -> Option<f64> {
    if let Some((_, value)) = lexicon.numbers.iter().find(|(name, _)| *name == word) {
        return Some(*value);
    }
    compound(word, lexicon, lexicon.number_compound?)
}

/// German numbers in one word, the ones before the tens: fünfundzwanzig, dreihundert, hundertzwanzig.
fn compound(word: &str, lexicon: &Lexicon, joint: &str) -> Option<f64> {
    let known = |part: &str| lexicon.numbers.iter().find(|(name, _)| *name == part).map(|(_, value)| *value);
    if word.is_empty() || word.len() > LONGEST_COMPOUND {
        return None;
    }
    if let Some(value) = known(word) {
        return Some(value);
    }
    for (scale, value) in lexicon.numbers.iter().filter(|(_, value)| matches!(*value, 100.0 | 1000.0)).rev() {
        if let Some((before, after)) = word.split_once(scale) {
            let count = if before.is_empty() { 1.0 } else { compound(before, lexicon, joint)? };
            let after = after.strip_prefix(joint).unwrap_or(after);
            return Some(count * value + if after.is_empty() { 0.0 } else { compound(after, lexicon, joint)? });
        }
    }
    let (ones, tens) = word.split_once(joint)?;
    Some(known(ones)? + known(tens)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::lexicon::{ENGLISH, FRENCH, GERMAN, SPANISH};

    #[test]
    fn chinese_numerals() {
        for (text, expected) in [
            ("七条", Some((7.0, 3))),
            ("十二", Some((12.0, 6))),
            ("一百二十三条", Some((123.0, 15))),
            ("二〇二四年", Some((2024.0, 12))),
            ("壹佰万元整", Some((1_000_000.0, 9))),
            ("壹佰贰拾叁万肆仟伍佰", Some((1_234_500.0, 30))),
            ("三亿五千万", Some((350_000_000.0, 15))),
            ("三点五", Some((3.5, 9))),
            ("两", Some((2.0, 3))),
            ("万一", None),
            ("百分", None),
            ("", None),
        ] {
            assert_eq!(chinese(text), expected, "{text}");
        }
    }

    #[test]
    fn roman_and_letters() {
        for (text, value) in [("iv", Some(4)), ("XIX", Some(19)), ("iiii", None), ("c", Some(100)), ("vx", None)] {
            assert_eq!(roman(text), value, "{text}");
        }
        for (text, value) in [("a", Some(1)), ("Z", Some(26)), ("bb", Some(28)), ("ab", None), ("", None)] {
            assert_eq!(letter(text), value, "{text}");
        }
    }

    #[test]
    fn digits_of_two_worlds() {
        for (text, comma, value) in [
            ("1,000.00", false, 1000.0),
            ("1.000,00", false, 1000.0),
            ("1.000", true, 1000.0),
            ("1.000", false, 1.0),
            ("1,5", true, 1.5),
            ("1,500", false, 1500.0),
            ("1'000", false, 1000.0),
            ("1 000 000", true, 1_000_000.0),
            ("0.05", true, 0.05),
        ] {
            assert_eq!(digits(text, comma), Some(value), "{text}");
        }
    }

    #[test]
    fn number_words() {
        for (text, lexicon, value) in [
            ("one hundred and twenty days", &ENGLISH, Some((120.0, 4))),
            ("twenty - five", &ENGLISH, Some((25.0, 3))),
            ("two million", &ENGLISH, Some((2_000_000.0, 2))),
            ("thirty sixty", &ENGLISH, Some((30.0, 1))),
            ("the", &ENGLISH, None),
            ("fünfundzwanzig", &GERMAN, Some((25.0, 1))),
            ("dreihundert", &GERMAN, Some((300.0, 1))),
            ("hundertzwanzig", &GERMAN, Some((120.0, 1))),
            ("zweihundertfünfundvierzigtausend", &GERMAN, Some((245_000.0, 1))),
            ("hundertprozentig", &GERMAN, None),
            ("dreissig", &GERMAN, Some((30.0, 1))),
            ("trente jours", &FRENCH, Some((30.0, 1))),
            ("soixante - dix jours", &FRENCH, Some((70.0, 3))),
            ("quatre - vingt - dix - sept", &FRENCH, Some((97.0, 7))),
            ("cent quatre - vingts", &FRENCH, Some((180.0, 4))),
            ("doscientos cincuenta y dos", &SPANISH, Some((252.0, 4))),
            ("dieciséis", &SPANISH, Some((16.0, 1))),
            ("mil quinientos euros", &SPANISH, Some((1500.0, 2))),
        ] {
            assert_eq!(words(text.split(' '), lexicon), value, "{text}");
        }
    }
}
