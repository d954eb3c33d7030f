//! Whether two values are the same

use serde::Serialize;

use super::{Date, Value};
use crate::contracts::lexicon::{Modality, TermUnit, Weight};

/// How two values compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ValueVerdict {
    /// The same value in another spelling.
    Equal,
    /// About the same, or the same only in one reading: 30 days and one month, an ambiguous date.
    Similar,
    /// Another value, or a value on one side only.
    Different,
}

/// Largest ratio of two terms that are about the same; a month has 28 to 31 days.
const ABOUT: f64 = 1.1;

/// Compares two values of one class.
pub(in crate::contracts) fn verdict(old: &Value, new: &Value) -> ValueVerdict {
    use Value::*;
    let equal = |is_equal: bool| if is_equal { ValueVerdict::Equal } else { ValueVerdict::Different };
    match (old, new) {
        (Duration(a, unit), Duration(b, other)) => durations(*a, *unit, *b, *other),
        (Percent(a), Percent(b)) => equal(same_number(*a, *b)),
        (Money(a, currency), Money(b, other)) => {
            equal(same_number(*a, *b) && (currency == other || currency.is_none() || other.is_none()))
        }
        (Date(a), Date(b)) => dates(*a, *b),
        (Number(a, unit), Number(b, other)) => match (unit, other) {
            _ if !same_number(*a, *b) => ValueVerdict::Different,
            _ if unit == other => ValueVerdict::Equal,
            // The noun is not in the tables on one side: the words beside it tell, in the redline.
            (None, _) | (_, None) => ValueVerdict::Equal,
            _ => ValueVerdict::Different,
        },
        (Modality(a), Modality(b)) => modality(*a, *b),
        (Term(group, a, weight), Term(other, b, other_weight)) if group == other => {
            match (a == b, *weight, *other_weight) {
                (true, _, _) => ValueVerdict::Equal,
                (false, Weight::Soft, Weight::Soft) => ValueVerdict::Similar,
                _ => ValueVerdict::Different,
            }
        }
        _ => equal(old == new),
    }
}

/// Equal up to rounding.
pub(in crate::contracts) fn same_number(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1e-6)
}

fn durations(a: f64, unit: TermUnit, b: f64, other: TermUnit) -> ValueVerdict {
    if unit == other {
        return if same_number(a, b) { ValueVerdict::Equal } else { ValueVerdict::Different };
    }
    // Business days follow another calendar, whatever their number; of two such calendars each has its holidays.
    let has_holidays = |unit| matches!(unit, TermUnit::BusinessDay | TermUnit::WorkingDay | TermUnit::TradingDay);
    if has_holidays(unit) && has_holidays(other) && same_number(a, b) {
        return ValueVerdict::Similar;
    }
    if has_holidays(unit) || has_holidays(other) {
        return ValueVerdict::Different;
    }
    // Days and months do not convert exactly; weeks into days and quarters into months do.
    let is_calendar = |unit: TermUnit| unit >= TermUnit::Month;
    let exact = |unit: TermUnit| match unit {
        TermUnit::Month => 1.0,
        TermUnit::Quarter => 3.0,
        TermUnit::Year => 12.0,
        other => other.days(),
    };
    if is_calendar(unit) == is_calendar(other) {
        return if same_number(a * exact(unit), b * exact(other)) {
            ValueVerdict::Equal
        } else {
            ValueVerdict::Different
        };
    }
    let (a, b) = (a * unit.days(), b * other.days());
    if a.max(b) <= a.min(b) * ABOUT { ValueVerdict::Similar } else { ValueVerdict::Different }
}

fn dates(a: Date, b: Date) -> ValueVerdict {
    if (a.year, a.month, a.day) == (b.year, b.month, b.day) {
        return if a.ambiguous == b.ambiguous { ValueVerdict::Equal } else { ValueVerdict::Similar };
    }
    let swapped = |a: Date, b: Date| a.ambiguous && (a.year, a.day, a.month) == (b.year, b.month, b.day);
    if swapped(a, b) || swapped(b, a) { ValueVerdict::Similar } else { ValueVerdict::Different }
}

fn modality(a: Modality, b: Modality) -> ValueVerdict {
    match (a, b) {
        _ if a == b => ValueVerdict::Equal,
        (Modality::Must, Modality::Should) | (Modality::Should, Modality::Must) => ValueVerdict::Similar,
        _ => ValueVerdict::Different,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms() {
        use TermUnit::*;
        for (a, unit, b, other, expected) in [
            (15.0, BusinessDay, 15.0, Day, ValueVerdict::Different),
            (5.0, WorkingDay, 5.0, TradingDay, ValueVerdict::Similar),
            (5.0, WorkingDay, 6.0, TradingDay, ValueVerdict::Different),
            (30.0, Day, 1.0, Month, ValueVerdict::Similar),
            (15.0, Day, 0.5, Month, ValueVerdict::Similar),
            (14.0, Day, 2.0, Week, ValueVerdict::Equal),
            (1.0, Quarter, 3.0, Month, ValueVerdict::Equal),
            (12.0, Month, 1.0, Year, ValueVerdict::Equal),
            (30.0, Day, 60.0, Day, ValueVerdict::Different),
            (45.0, Day, 1.0, Month, ValueVerdict::Different),
        ] {
            assert_eq!(durations(a, unit, b, other), expected, "{a} {unit:?} {b} {other:?}");
        }
    }
}
