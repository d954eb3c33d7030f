//! Whether one classifier is worse than another, or only unlucky on these samples.

/// The result of McNemar's test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct McNemar {
    /// How likely a difference at least as large is if both are equally good (two-sided).
    pub p: f64,
    /// True when it was counted exactly, false for the chi-square approximation.
    pub exact: bool,
}

/// From so many rows on, on which only one of the two is right, the approximation is good enough.
const MANY: u64 = 25;

/// Compares two classifiers on the same rows: `lost` are right before and wrong now, `won` the other way around.
///
/// Few such rows are compared with a fair coin, exactly; many by chi-square with Edwards' continuity correction, as
/// statsmodels' `mcnemar` does with `exact=True` and with `exact=False, correction=True`.
pub fn mcnemar(lost: u64, won: u64) -> McNemar {
    let discordant = lost + won;
    if discordant >= MANY {
        let distance = (lost.abs_diff(won) as f64 - 1.0).max(0.0);
        let statistic = distance * distance / discordant as f64;
        // The upper tail of chi-square with one degree of freedom.
        return McNemar { p: libm::erfc((statistic / 2.0).sqrt()), exact: false };
    }
    let mut ways = 1.0;
    let mut tail = 0.0;
    for heads in 0..=lost.min(won) {
        tail += ways;
        ways *= (discordant - heads) as f64 / (heads + 1) as f64;
    }
    McNemar { p: (2.0 * tail / 2f64.powi(discordant as i32)).min(1.0), exact: true }
}
