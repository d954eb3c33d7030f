//! The sentences in which an embedding reads a label.
//!
//! Models were trained on sentences, and a bare word lies apart from them. In a few sentences about it the label lies
//! nearer to texts of its kind; what the sentences themselves say is in the vector of every word, and is taken away with
//! their mean.

use super::{LabelText, unit};

/// `{}` stands for the label. `model/make/deep_constants.py` compares them.
pub const LABEL_PROMPTS: [&str; 3] = ["topic: {}", "A message about {}.", "The subject is {}."];
/// How much the first prompt counts with the description behind it, beside the mean of all without, by the same program.
/// In one prompt the description says what it says in three, for a third of the time.
pub const DESCRIBED: f32 = 0.7;

/// A label in each of the prompts, and where it has a description once more in the first with that behind it.
pub fn prompted(label: &LabelText) -> impl Iterator<Item = LabelText> {
    let bare = LABEL_PROMPTS.iter().map(|prompt| (prompt, None));
    let described = label.description.as_ref().map(|description| (&LABEL_PROMPTS[0], Some(description.clone())));
    let text = |(prompt, description): (&&str, _)| LabelText { name: prompt.replace("{}", &label.name), description };
    bare.chain(described).map(text)
}

/// One vector of length 1 for each label, from those of [`prompted`], less the mean of words in general. `None` where a
/// model knows no word of a text. Shapes: `vectors` one for each text, `words` `[dims]`.
pub fn joined(labels: &[LabelText], vectors: &[Option<Vec<f32>>], words: &[f32]) -> Vec<Option<Vec<f32>>> {
    let mut rest = vectors;
    let own = labels.iter().map(|label| {
        let (bare, behind) = rest.split_at(LABEL_PROMPTS.len());
        let (described, behind) = behind.split_at(usize::from(label.description.is_some()));
        rest = behind;
        let share = if described.is_empty() { 1.0 } else { 1.0 - DESCRIBED };
        let bare = bare.iter().map(|vector| (vector, share / LABEL_PROMPTS.len() as f32));
        mean(bare.chain(described.iter().map(|vector| (vector, DESCRIBED))), words)
    });
    own.collect()
}

/// The weighted mean of vectors less that of words, of length 1; `None` where one is missing.
pub fn mean<'a>(weighted: impl Iterator<Item = (&'a Option<Vec<f32>>, f32)>, words: &[f32]) -> Option<Vec<f32>> {
    let mut sum: Vec<f32> = words.iter().map(|mean| -mean).collect();
    for (vector, weight) in weighted {
        sum.iter_mut().zip(vector.as_ref()?).for_each(|(sum, value)| *sum += weight * value);
    }
    Some(unit(sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(description: Option<&str>) -> LabelText {
        LabelText { name: "invoice".into(), description: description.map(String::from) }
    }

    #[test]
    fn a_label_is_the_mean_of_its_prompts_less_that_of_words() {
        let vectors = [[1.0, 1.0], [1.0, 4.0], [1.0, 1.0]].map(|vector| Some(vector.to_vec()));
        let made = joined(&[label(None)], &vectors, &[1.0, 1.0]).remove(0).unwrap();
        assert!(made[0].abs() < 1e-6 && (made[1] - 1.0).abs() < 1e-6, "{made:?}");
        let unknown = [vectors[0].clone(), None, None];
        assert_eq!(joined(&[label(None)], &unknown, &[1.0, 1.0]), [None]);
    }

    /// `model/make/deep.py` takes the mean of words in the same.
    #[test]
    fn the_maker_of_deep_has_the_same_prompts() {
        let maker = include_str!("../../model/make/deep.py");
        let prompts = LABEL_PROMPTS.map(|prompt| format!("'{prompt}'")).join(", ");
        assert!(maker.contains(&format!("LABEL_PROMPTS = ({prompts})")), "{prompts}");
    }

    #[test]
    fn a_description_stands_behind_one_prompt() {
        let texts: Vec<LabelText> = prompted(&label(Some("bills"))).collect();
        assert_eq!(texts.iter().filter(|text| text.description.is_some()).count(), 1);
        assert!(texts.len() == LABEL_PROMPTS.len() + 1 && texts.iter().all(|text| text.name.contains("invoice")));
        assert_eq!(prompted(&label(None)).count(), LABEL_PROMPTS.len());
        let bare = Some(vec![1.0, 0.0]);
        let vectors =
            [bare.clone(), bare.clone(), bare.clone(), Some(vec![0.0, 3.0 / 7.0]), bare.clone(), bare.clone(), bare];
        let made = joined(&[label(Some("bills")), label(None)], &vectors, &[0.0, 0.0]);
        let first = made[0].as_ref().unwrap();
        assert!((first[0] - first[1]).abs() < 1e-6, "{first:?}");
        assert!((made[1].as_ref().unwrap()[0] - 1.0).abs() < 1e-6, "{made:?}");
    }
}
