//! The embedded model against `tests/golden/builtin.json`, which `model/make/golden.py` made with Hugging Face
//! `tokenizers` and NumPy from the same file of weights.

use mailsort::engine::{Builtin, Embedder, LabelText};
use serde::Deserialize;

/// Both sides compute in f32 from the same int8 vectors; they may differ by the order of additions.
const TOLERANCE: f32 = 1e-5;

#[derive(Deserialize)]
struct Golden {
    text: String,
    ids: Vec<u32>,
    vector: Vec<f32>,
    /// Index of the language, -1 when no token tells.
    language: i64,
}

fn golden() -> Vec<Golden> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/builtin.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn tokens_equal_the_reference() {
    let model = Builtin::new().unwrap();
    let texts = golden();
    assert!(texts.len() >= 50);
    for golden in texts {
        // Piece 0 is unknown, piece 1 a bare word mark; neither has a vector.
        let known: Vec<u32> = golden.ids.into_iter().filter(|&id| id > 1).collect();
        assert_eq!(model.tokens(&golden.text, usize::MAX), known, "{:?}", golden.text);
    }
}

#[test]
fn vectors_equal_the_reference() {
    let model = Builtin::new().unwrap();
    for golden in golden() {
        match model.vector(&golden.text) {
            None => assert!(golden.vector.iter().all(|v| *v == 0.0), "{:?}", golden.text),
            Some((vector, language)) => {
                assert_eq!(language.map_or(-1, |language| language as i64), golden.language, "{:?}", golden.text);
                assert_eq!(vector.len(), golden.vector.len());
                for (ours, theirs) in vector.iter().zip(&golden.vector) {
                    assert!((ours - theirs).abs() <= TOLERANCE, "{:?}: {ours} and {theirs}", golden.text);
                }
            }
        }
    }
}

#[test]
fn letters_of_any_script_have_a_vector_and_are_no_words() {
    let model = Builtin::new().unwrap();
    for text in ["საქართველო", "ሰላም ለዓለም", "ᚠᚢᚦᚨᚱᚲ", "ꆈꌠꁱꂷ", "ⵜⴰⵎⴰⵣⵉⵖⵜ 2024"]
    {
        assert!(model.vector(text).is_some(), "{text}");
        assert!(!model.knows(text), "{text}");
        let label =
            |description: Option<&str>| LabelText { name: text.into(), description: description.map(Into::into) };
        assert_eq!(model.embed_labels(&[label(None)]).unwrap(), [None]);
        assert!(model.embed_labels(&[label(Some("a land"))]).unwrap()[0].is_some(), "{text}");
    }
    // A borrowed word leaves a text what it is.
    assert!(model.knows("The word ቡና means coffee"));
    assert!(!model.knows("ቡና means ብዙ ሰዎች በየቀኑ የሚጠጡት መጠጥ ነው"));
    // Signs are no letters.
    for text in ["☃☂", "═══", "\u{10ffff}", ""] {
        assert!(model.vector(text).is_none() && !model.knows(text), "{text}");
    }
}
