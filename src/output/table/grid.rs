//! Which columns a table has and how wide they are. Rows stream, so the page and the labels decide, and no row does.

use super::fit::fit;
use crate::output::{Layout, SetLayout};
use crate::record::DECIMALS;

/// A score: a sign, a digit, a point and the decimals.
pub(super) const SCORE: usize = 3 + DECIMALS;
/// Cells of the bar.
pub(super) const BAR: usize = 8;
/// To fewer columns no label is cut to make room for another set.
const SHORT_LABEL: usize = 9;
/// A subject in less room says nothing.
const LEAST_SUBJECT: usize = 10;
/// A subject in more room gives some to the bar and to the next label.
const FINE_SUBJECT: usize = 30;
/// The width from which columns stand two blanks apart.
const WIDE: usize = 70;

/// Widths in columns of a terminal, in the order in which they stand on the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    /// Blanks between columns.
    pub(super) gap: usize,
    /// Source and index.
    pub(super) mail: usize,
    /// The label of each set; a score follows each.
    pub(super) labels: Vec<usize>,
    /// True when a bar shows the score.
    pub(super) bar: bool,
    /// The label that comes next, without its score.
    pub(super) next: Option<usize>,
    /// The rest.
    pub(super) subject: Option<usize>,
}

impl Grid {
    /// Fits the columns of `layout` onto a page of `width`.
    pub(super) fn new(layout: &Layout, width: usize) -> Self {
        let gap = if width < WIDE { 1 } else { 2 };
        let cap = (width / 5).clamp(5, 24);
        let of_labels = |cap: usize| -> Vec<usize> {
            let widest = |set: &SetLayout| set.labels.iter().map(|label| fit(label, cap).width).max().unwrap_or(0);
            layout.sets.iter().map(|set| widest(set).max(fit(&set.name, cap).width).max("label".len())).collect()
        };
        let mut grid = Self { gap, mail: cap, labels: of_labels(cap), bar: false, next: None, subject: None };
        let too_wide = |grid: &Self| grid.used() + gap + LEAST_SUBJECT > width;
        // First labels are cut, then sets are left out; the first set always stays.
        for cap in (SHORT_LABEL..cap).rev() {
            if layout.sets.len() > 1 && too_wide(&grid) {
                grid.labels = of_labels(cap);
            }
        }
        while grid.labels.len() > 1 && too_wide(&grid) {
            grid.labels.pop();
        }
        let left = |grid: &Self| width.saturating_sub(grid.used() + gap);
        if left(&grid) < LEAST_SUBJECT {
            grid.mail = width.saturating_sub(grid.verdict() + gap).max(1);
            return grid;
        }
        if layout.sets.len() == 1 {
            grid.bar = true;
            grid.bar = left(&grid) >= FINE_SUBJECT;
            grid.next = Some(grid.labels[0]).filter(|_| layout.top_k > 1);
            grid.next = grid.next.filter(|_| left(&grid) >= FINE_SUBJECT);
        }
        grid.subject = Some(left(&grid));
        grid
    }

    /// The width of all that says what was decided: labels, scores, bar and next label, with the gaps between them.
    pub(super) fn verdict(&self) -> usize {
        let labels: usize = self.labels.iter().map(|label| label + self.gap + SCORE + self.gap).sum();
        let bar = if self.bar { BAR + self.gap } else { 0 };
        let next = self.next.map_or(0, |label| label + self.gap + SCORE + self.gap);
        labels + bar + next - self.gap
    }

    /// The width of all columns but the subject.
    fn used(&self) -> usize {
        self.mail + self.gap + self.verdict()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(sets: &[&[&str]], width: usize) -> Grid {
        let set = |labels: &&[&str]| SetLayout {
            name: "set".into(),
            labels: labels.iter().map(|&label| label.into()).collect(),
        };
        Grid::new(
            &Layout { sets: sets.iter().map(set).collect(), top_k: 3, model: "m".into(), columns: Vec::new() },
            width,
        )
    }

    #[test]
    fn columns_come_with_the_room_for_them() {
        let shown = |width: usize| {
            let grid = grid(&[&["invoice", "project status"]], width);
            (grid.subject.is_some(), grid.bar, grid.next.is_some())
        };
        assert_eq!(shown(20), (false, false, false));
        assert_eq!(shown(40), (true, false, false));
        assert_eq!(shown(80), (true, false, false));
        assert_eq!(shown(100), (true, true, false));
        assert_eq!(shown(200), (true, true, true));
    }

    #[test]
    fn sets_without_room_are_left_out() {
        let sets: [&[&str]; 4] = [&["a department"], &["urgent"], &["yes"], &["no"]];
        assert_eq!(grid(&sets, 20).labels.len(), 1);
        assert_eq!(grid(&sets, 60).labels.len(), 2);
        assert_eq!(grid(&sets, 100).labels.len(), 3);
        assert_eq!(grid(&sets, 120).labels.len(), 4);
        for width in 20..200 {
            let grid = grid(&sets, width);
            let all = grid.used() + grid.subject.map_or(0, |subject| grid.gap + subject);
            assert!(all <= width, "{all} of {width}");
        }
    }
}
