//! How good answers are: recall, mean reciprocal rank and nDCG against sets of right passages.

/// Figures over many questions, each from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RetrievalFigures {
    /// Questions counted.
    pub questions: usize,
    /// Questions whose first hit is right. For a question with one right passage this is its recall at 1.
    pub first: f64,
    /// Questions with a right passage among the first three.
    pub in_three: f64,
    /// Mean share of the right passages among the first ten.
    pub recall_10: f64,
    /// Mean share of the right passages among the first fifty.
    pub recall_50: f64,
    /// Mean of 1 / rank of the first right passage, among the first ten.
    pub reciprocal_10: f64,
    /// Mean normalised discounted cumulative gain at ten; a passage is right or not.
    pub ndcg_10: f64,
}

impl RetrievalFigures {
    /// Counts the answer to one question: `hits`, best first, and what is right. Questions without a right passage are not
    /// counted.
    pub fn add<T: PartialEq>(&mut self, hits: &[T], right: &[T]) {
        if right.is_empty() {
            return;
        }
        let is_right: Vec<bool> = hits.iter().take(50).map(|hit| right.contains(hit)).collect();
        let among = |first: usize| is_right.iter().take(first).filter(|&&right| right).count() as f64;
        let gain = |at: usize| 1.0 / (at as f64 + 2.0).log2();
        let gains: f64 = (0..10).zip(&is_right).filter(|&(_, &right)| right).map(|(at, _)| gain(at)).sum();
        let ideal: f64 = (0..right.len().min(10)).map(gain).sum();
        let rank = is_right.iter().take(10).position(|&right| right);
        let share = |found: f64| found / right.len() as f64;
        let values = [
            (&mut self.first, among(1)),
            (&mut self.in_three, among(3).min(1.0)),
            (&mut self.recall_10, share(among(10))),
            (&mut self.recall_50, share(among(50))),
            (&mut self.reciprocal_10, rank.map_or(0.0, |at| 1.0 / (at as f64 + 1.0))),
            (&mut self.ndcg_10, gains / ideal),
        ];
        self.questions += 1;
        let count = self.questions as f64;
        for (mean, value) in values {
            *mean += (value - *mean) / count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let mut figures = RetrievalFigures::default();
        figures.add(&[7, 1, 2], &[1]);
        figures.add(&[3], &[3, 4]);
        figures.add(&[], &[5]);
        figures.add(&[1], &[]);
        let close = |one: f64, other: f64| assert!((one - other).abs() < 1e-9, "{one} {other}");
        assert_eq!(figures.questions, 3);
        close(figures.first, 1.0 / 3.0);
        close(figures.in_three, 2.0 / 3.0);
        close(figures.recall_10, 1.5 / 3.0);
        close(figures.recall_50, 1.5 / 3.0);
        close(figures.reciprocal_10, 1.5 / 3.0);
        let second = 1.0 / 3.0_f64.log2();
        close(figures.ndcg_10, (second + 1.0 / (1.0 + second)) / 3.0);
    }
}
