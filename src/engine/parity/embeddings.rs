//! Vectors of embeddings.

use super::*;

fn vectors_are_those_of_sentence_transformers(name: &str, dims: Option<usize>, tolerance: f32) {
    let golden = golden(name);
    let model = embedder(name, LoadOptions { dims, ..LoadOptions::default() });
    let task = golden["task"].as_str().unwrap();
    let field = if dims.is_some() { "vector_32" } else { "vector" };
    let mut kinds = [0, 0];
    for case in cases(&golden) {
        let words = text(case, "text");
        let got = if text(case, "kind") == "query" {
            kinds[0] += 1;
            model.embed(&[words.to_string()], Some(task), 100_000).unwrap().remove(0).unwrap().vector
        } else {
            kinds[1] += 1;
            model.embed_labels(&[bare(words)]).unwrap().remove(0).unwrap()
        };
        let expected = numbers(&case[field]);
        assert_eq!(got.len(), expected.len());
        for (got, expected) in got.iter().zip(&expected) {
            assert!((got - expected).abs() <= tolerance, "{name}: {got} for {expected} in {words:?}");
        }
    }
    assert!(kinds.iter().all(|&count| count > 2), "{kinds:?}");
}

#[test]
fn safetensors() {
    vectors_are_those_of_sentence_transformers("tiny-embedding", None, F32);
}

#[test]
fn matryoshka_dims_are_cut_then_normalised() {
    vectors_are_those_of_sentence_transformers("tiny-embedding", Some(32), F32);
}

#[test]
fn gguf() {
    vectors_are_those_of_sentence_transformers("tiny-embedding-q8_0.gguf", None, Q8_0);
}

#[test]
fn too_few_or_too_many_dims_are_refused() {
    for dims in [1, 5, 31, 65, 4096] {
        let asked = LoadOptions { dims: Some(dims), ..LoadOptions::default() };
        let error = model("tiny-embedding", asked).err().unwrap();
        assert!(format!("{error:#}").contains("gives 32 to 64 dims"), "{error:#}");
    }
}
