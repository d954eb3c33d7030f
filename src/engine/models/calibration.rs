//! How sure the model may be: the factor between its cosines and the logits of a softmax over the labels.
//!
//! One factor for all label sets is a compromise. Among many labels a difference of cosines says more than between two,
//! and labels whose vectors lie far apart are told apart by larger differences. `model/make/calibrate.py` fits the
//! coefficients on development sets and random subsets of their labels, and `model/README.md` says what comes of it.
//! The order of labels never depends on the factor.

/// Sets of more labels, by logarithm, count as sets of so many: there the parabola has its vertex.
const MOST: f64 = 5.8;
/// Labels of which pairs are compared; of larger sets so many are taken from all over them.
const COMPARED: usize = 256;

/// The factor for labels with these vectors. `coefficients` are those of 1, the logarithm of the number of labels, its
/// square, and the spread of the cosines of pairs of labels.
pub(super) fn factor(labels: &[Vec<f32>], coefficients: &[f64; 4]) -> f32 {
    let log = (labels.len().max(1) as f64).ln().min(MOST);
    let features = [1.0, log, log * log, spread(labels)];
    let exponent: f64 = coefficients.iter().zip(features).map(|(coefficient, feature)| coefficient * feature).sum();
    exponent.exp() as f32
}

/// The standard deviation of the cosines of all pairs.
fn spread(labels: &[Vec<f32>]) -> f64 {
    let compared: Vec<&Vec<f32>> = labels.iter().step_by(labels.len().div_ceil(COMPARED).max(1)).collect();
    let (mut sum, mut squares, mut count) = (0.0, 0.0, 0.0);
    for (at, a) in compared.iter().enumerate() {
        for b in &compared[..at] {
            let cosine = f64::from(a.iter().zip(*b).map(|(a, b)| a * b).sum::<f32>());
            sum += cosine;
            squares += cosine * cosine;
            count += 1.0;
        }
    }
    let mean = sum / f64::max(count, 1.0);
    f64::max(squares / f64::max(count, 1.0) - mean * mean, 0.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COEFFICIENTS: [f64; 4] = [2.0888, 0.1829, -0.0157, 1.5038];

    fn factor(labels: &[Vec<f32>]) -> f32 {
        super::factor(labels, &COEFFICIENTS)
    }

    /// Label vectors on a circle.
    fn labels(angles: &[f32]) -> Vec<Vec<f32>> {
        angles.iter().map(|angle| vec![angle.cos(), angle.sin()]).collect()
    }

    #[test]
    fn factors_are_those_of_the_formula() {
        let log = 2f64.ln();
        let two = (2.0888 + 0.1829 * log - 0.0157 * log * log).exp() as f32;
        assert!((factor(&labels(&[0.0, 1.0])) - two).abs() < 1e-4);
        assert!((spread(&labels(&[0.0, 0.0, std::f32::consts::PI])) - (8.0f64 / 9.0).sqrt()).abs() < 1e-6);
    }

    #[test]
    fn any_number_of_labels_has_a_sane_factor() {
        assert!((8.0..9.0).contains(&factor(&labels(&[0.5]))));
        assert!((8.0..9.0).contains(&factor(&[])));
        let many: Vec<f32> = (0..5000).map(|n| n as f32 * 0.37).collect();
        let found = factor(&labels(&many));
        assert!((10.0..60.0).contains(&found), "{found}");
    }
}
