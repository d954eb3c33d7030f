//! The tokens of Hugging Face `tokenizers` and the vectors of the f32 graph, as `model/make/deep_golden.py` has written
//! them, against ours; and that no vector depends on its neighbours.

#![cfg(feature = "deep")]

use safetensors::SafeTensors;
use serde_json::Value;

use super::*;

/// The least cosine of a vector with that of the reference: products are of 8 bits here. Their mean is 0.9992.
const LEAST: f32 = 0.998;

/// Texts of each language in the golden file.
const EACH: usize = 17;

fn golden() -> (Vec<u8>, Vec<String>) {
    let read = |name: &str| std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/").to_string() + name).unwrap();
    let golden = read("tests/golden/deep.safetensors");
    let (_, header) = SafeTensors::read_metadata(&golden).unwrap();
    let languages = header.metadata().as_ref().unwrap()["languages"].clone();
    let background: Value = serde_json::from_slice(&read("model/background.json")).unwrap();
    let texts = languages.split(',').flat_map(|language| {
        background[language]["texts"]
            .as_array()
            .unwrap()
            .iter()
            .take(EACH)
            .map(|text| text.as_str().unwrap().to_string())
    });
    let texts = texts.collect();
    (golden, texts)
}

fn numbers<const N: usize, T>(bytes: &[u8], number: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks().0.iter().map(|&bytes| number(bytes)).collect()
}

fn encoded(deep: &Deep, texts: &[String]) -> Vec<Vec<u32>> {
    let most = MAX_TOKENS - deep.prompt.len() - AROUND;
    texts.iter().map(|text| tokens::encode(&deep.file.unigram, &deep.prompt, text, most)).collect()
}

#[test]
fn tokens_are_those_of_the_reference() {
    let (deep, (golden, texts)) = (Deep::new().unwrap(), golden());
    let tensors = SafeTensors::deserialize(&golden).unwrap();
    let read = |name: &str| numbers(tensors.tensor(name).unwrap().data(), u32::from_le_bytes);
    let (all, ends) = (read("tokens"), read("ends"));
    assert_eq!(texts.len(), ends.len());
    let mut start = 0;
    for ((text, ours), end) in texts.iter().zip(encoded(&deep, &texts)).zip(ends) {
        assert_eq!(ours, all[start..end as usize], "{text}");
        start = end as usize;
    }
}

#[test]
fn vectors_are_those_of_the_reference() {
    let (deep, (golden, texts)) = (Deep::new().unwrap(), golden());
    let tensors = SafeTensors::deserialize(&golden).unwrap();
    let expected = numbers(tensors.tensor("vectors").unwrap().data(), f32::from_le_bytes);
    let ids = encoded(&deep, &texts);
    let ours = deep.pooled(ids.iter().map(Vec::as_slice)).unwrap();
    let cosines =
        ours.iter().zip(expected.chunks_exact(HIDDEN)).map(|(a, b)| a.iter().zip(b).map(|(a, b)| a * b).sum());
    let cosines: Vec<f32> = cosines.collect();
    let least = cosines.iter().copied().fold(1.0, f32::min);
    assert!(cosines.len() >= 200 && least >= LEAST, "{least}");
    // One by one the bits are the same.
    for (ids, whole) in ids.iter().zip(&ours).step_by(40) {
        assert_eq!(&deep.pooled([&ids[..]].into_iter()).unwrap()[0], whole);
    }
}

#[test]
fn odd_texts_have_tokens() {
    let deep = Deep::new().unwrap();
    let check = |text: &str, most: usize, expected: usize| {
        let text = deep.tokenize(text, None, most).unwrap();
        assert_eq!(text.tokens, expected, "{:?}", text.ids);
    };
    check("", 96, 0);
    check(" \t\n", 96, 0);
    check("</s> <mask>", 96, 8);
    check(&"word ".repeat(5000), 96, 96);
    check(&"\u{10ffff}".repeat(3_000_000), 96, 96);
    let unknown = deep.tokenize("\u{10fff0}\u{10fff1}", None, 96).unwrap();
    assert_eq!(deep.embed_tokens(&[&unknown]).unwrap(), [None]);
}
