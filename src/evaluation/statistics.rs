//! Percentiles, and McNemar's test of two classifiers.

/// The value below which `percent` of `sorted` lie, interpolated linearly as numpy does; `None` for an empty list.
pub fn percentile(sorted: &[f64], percent: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let rank = (percent / 100.0).clamp(0.0, 1.0) * last as f64;
    let (below, above) = (rank.floor() as usize, rank.ceil() as usize);
    Some(sorted[below] + (sorted[above] - sorted[below]) * (rank - rank.floor()))
}

/// The result of McNemar's test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct McNemar {
    /// Two-sided p-value: the probability of a difference at least as large if both classifiers are equally good.
    pub p: f64,
    /// True for the exact binomial test, false for the chi-square approximation.
    pub exact: bool,
}

/// Number of discordant rows from which the chi-square approximation is used.
const MANY: u64 = 25;

/// Compares two classifiers on the same rows: `lost` rows were right before and are wrong now, `won` rows the reverse.
///
/// Below 25 such rows the test is the exact binomial one, otherwise chi-square with Edwards' continuity correction:
/// statsmodels' `mcnemar` with `exact=True` and with `exact=False, correction=True`.
pub fn mcnemar(lost: u64, won: u64) -> McNemar {
    let discordant = lost + won;
    if discordant >= MANY {
        let distance = (lost.abs_diff(won) as f64 - 1.0).max(0.0);
        let statistic = distance * distance / discordant as f64;
        // Survival function of chi-square with one degree of freedom.
        return McNemar { p: libm::erfc((statistic / 2.0).sqrt()), exact: false };
    }
    let mut binomial = 1.0;
    let mut tail = 0.0;
    for k in 0..=lost.min(won) {
        tail += binomial;
        binomial *= (discordant - k) as f64 / (k + 1) as f64;
    }
    McNemar { p: (2.0 * tail / 2f64.powi(discordant as i32)).min(1.0), exact: true }
}
