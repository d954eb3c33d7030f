//! The sentences in which an embedding reads a label.
//!
//! Models were trained on sentences, and a bare word lies apart from them. In a few sentences about it the label lies
//! nearer to texts of its kind; what the sentences themselves say is in the vector of every word, and is taken away with
//! their mean.

use super::{LabelText, unit};

/// `{}` stands for the label. `model/make/deep_constants.py` compares them.
pub const LABEL_PROMPTS: [&str; 3] = ["topic: {}", "A message about {}.", "The subject is {}."];

/// A label in each of the prompts, its description behind it.
pub fn prompted(label: &LabelText) -> impl Iterator<Item = LabelText> {
    LABEL_PROMPTS
        .iter()
        .map(|prompt| LabelText { name: prompt.replace("{}", &label.name), description: label.description.clone() })
}

/// One vector of length 1 for each label, from those in so many prompts, less the mean of words in general. `None` where
/// a model knows no word of it. Shapes: `vectors` `[labels · prompts][dims]`, `words` `[dims]`.
pub fn joined(vectors: &[Option<Vec<f32>>], prompts: usize, words: &[f32]) -> Vec<Option<Vec<f32>>> {
    let label = |own: &[Option<Vec<f32>>]| {
        let known: Vec<&Vec<f32>> = own.iter().map(Option::as_ref).collect::<Option<_>>()?;
        let mut sum = vec![0.0; words.len()];
        for vector in &known {
            sum.iter_mut().zip(*vector).for_each(|(sum, value)| *sum += value / known.len() as f32);
        }
        sum.iter_mut().zip(words).for_each(|(value, mean)| *value -= mean);
        Some(unit(sum))
    };
    vectors.chunks_exact(prompts).map(label).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_the_mean_of_its_prompts_less_that_of_words() {
        let label = LabelText { name: "invoice".into(), description: Some("bills".into()) };
        let texts: Vec<LabelText> = prompted(&label).collect();
        assert_eq!(texts.len(), LABEL_PROMPTS.len());
        assert!(texts.iter().all(|text| text.name.contains("invoice") && text.description == label.description));
        let vectors = [[1.0, 1.0], [1.0, 4.0], [1.0, 1.0]].map(|vector| Some(vector.to_vec()));
        assert_eq!(joined(&vectors, 3, &[1.0, 1.0]), [Some(vec![0.0, 1.0])]);
        assert_eq!(joined(&[vectors[0].clone(), None, None], 3, &[1.0, 1.0]), [None]);
    }
}
