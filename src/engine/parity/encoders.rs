//! The architectures beside BERT and Qwen3, and NLI heads on all encoders, opened through the registry as a user does.

use super::errors::{copied, drop_weight, edit, refused};
use super::*;
use crate::engine::models::encoder::{Hypothesis, Nli};

const EMBEDDINGS: [&str; 5] = ["tiny-distilbert", "tiny-roberta", "tiny-deberta-v3", "tiny-modernbert", "tiny-nomic"];
const NLI: [&str; 7] = [
    "tiny-bert-nli",
    "tiny-xlmr-nli",
    "tiny-roberta-nli",
    "tiny-distilbert-nli",
    "tiny-deberta-nli",
    "tiny-deberta-v2-nli",
    "tiny-modernbert-nli",
];
/// Largest difference of a value of a normalised vector. GELU by a hyperbolic tangent is off by a hundred times as
/// much.
const VECTOR: f32 = 2e-6;
/// Largest difference of a logit, as a share of it or of 1.
const LOGIT: f32 = 2e-5;
/// Largest difference of a probability.
const PROBABILITY: f32 = 5e-6;

fn nli(name: &str, nli: Nli) -> Box<dyn Reranker> {
    reranker(name, LoadOptions { nli, ..LoadOptions::default() })
}

fn texts(golden: &Value) -> Vec<String> {
    cases(golden).iter().map(|case| text(case, "text").to_string()).collect()
}

fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let total: f32 = logits.iter().map(|logit| logit.exp()).sum();
    logits.iter().map(|logit| logit.exp() / total).collect()
}

#[test]
fn vectors_are_those_of_sentence_transformers() {
    for name in EMBEDDINGS {
        let (golden, model) = (golden(name), embedder(name, LoadOptions::default()));
        let longest = golden["max_length"].as_u64().unwrap() as usize;
        let (mut compared, mut worst) = (0, 0.0f32);
        let embedded = model.embed(&texts(&golden), None, model.default_max_tokens()).unwrap();
        for (case, ours) in cases(&golden).iter().zip(embedded) {
            // A text of which nothing is known has no vector here.
            let Some(ours) = ours else { continue };
            let tokens = case["ids"].as_array().unwrap().len();
            assert_eq!(ours.tokens, tokens - 2, "{name}: {case}");
            assert_eq!(ours.truncated, text(case, "text").len() > 1000, "{name}: {case}");
            assert!(!ours.truncated || tokens == longest);
            for (ours, theirs) in ours.vector.iter().zip(numbers(&case["vector"])) {
                worst = worst.max((ours - theirs).abs());
            }
            compared += 1;
        }
        assert!(compared > 20 && worst < VECTOR, "{name}: {compared} cases, {worst}");
    }
}

#[test]
fn entailment_is_that_of_the_zero_shot_pipeline() {
    for name in NLI {
        let golden = golden(name);
        let labels: Vec<LabelText> =
            golden["labels"].as_array().unwrap().iter().map(|l| bare(l.as_str().unwrap())).collect();
        let all: Vec<usize> = (0..labels.len()).collect();
        let task = Task { instruct: None, labels };
        let class = |start: &str| {
            let named = |class: &Value| class.as_str().unwrap().to_lowercase().starts_with(start);
            golden["classes"].as_array().unwrap().iter().position(named)
        };
        let (entailment, contradiction) = (class("entail").unwrap(), class("contra").or(class("not_")).unwrap());
        let (single, multi) = (nli(name, Nli::Single), nli(name, Nli::Multi));
        assert!(single.shares_over_labels() && !multi.shares_over_labels());
        for case in cases(&golden) {
            let question = [Question { text: text(case, "text"), labels: &all }];
            let judge =
                |model: &dyn Reranker| model.judge(&task, &question, model.default_max_tokens()).unwrap().remove(0);
            let (one, several) = (judge(&*single), judge(&*multi));
            let long = text(case, "text").len() > 1000;
            assert_eq!((one.truncated(), several.truncated()), (long, long), "{name}: {case}");
            let near = |ours: f32, theirs: f32, most: f32| {
                assert!((ours - theirs).abs() <= most, "{name}: {ours} for {theirs} in {case}");
            };
            let theirs = case["logits"].as_array().unwrap().iter().map(numbers);
            for ((theirs, one), several) in theirs.zip(&one.logits).zip(&several.logits) {
                near(*one, theirs[entailment], LOGIT * theirs[entailment].abs().max(1.0));
                let apart = theirs[entailment] - theirs[contradiction];
                near(*several, apart, LOGIT * apart.abs().max(1.0));
            }
            let pairs = softmax(&one.logits).into_iter().zip(numbers(&case["single"]));
            pairs.for_each(|(ours, theirs)| near(ours, theirs, PROBABILITY));
            let pairs = several.logits.iter().zip(numbers(&case["multi"]));
            pairs.for_each(|(ours, theirs)| near(sigmoid(*ours), theirs, PROBABILITY));
        }
    }
}

fn in_a_pool<T: Send>(threads: usize, run: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(run)
}

#[test]
fn a_vector_does_not_depend_on_its_neighbours() {
    for name in EMBEDDINGS {
        let (texts, model) = (texts(&golden(name)), embedder(name, LoadOptions::default()));
        let together = in_a_pool(3, || model.embed(&texts, None, 100).unwrap());
        let alone = |text: &String| model.embed(std::slice::from_ref(text), None, 100).unwrap().remove(0);
        let one_by_one: Vec<_> = in_a_pool(1, || texts.iter().map(alone).collect());
        // Bit by bit.
        assert_eq!(together, one_by_one, "{name}");
    }
}

#[test]
fn an_entailment_does_not_depend_on_its_neighbours() {
    for name in NLI {
        let model = nli(name, Nli::Single);
        let task = Task { instruct: None, labels: ["invoice", "meeting", "личное"].map(bare).to_vec() };
        let texts = texts(&golden(name));
        let questions: Vec<Question> = texts.iter().map(|text| Question { text, labels: &[0, 1, 2] }).collect();
        let together = in_a_pool(3, || model.judge(&task, &questions, 512).unwrap());
        for (text, together) in texts.iter().zip(&together) {
            for (label, logit) in together.logits.iter().enumerate() {
                let question = [Question { text, labels: &[label] }];
                let alone = in_a_pool(1, || model.judge(&task, &question, 512).unwrap());
                assert_eq!(alone[0].logits, [*logit], "{name}: {text:?}, {label}");
            }
        }
    }
}

#[test]
fn the_mail_is_cut_and_the_hypothesis_never() {
    let judge = |hypothesis: &str, label: &str, mail: &str| {
        let hypothesis: Hypothesis = hypothesis.parse().unwrap();
        let model = reranker("tiny-bert-nli", LoadOptions { hypothesis, ..LoadOptions::default() });
        let task = Task { instruct: None, labels: vec![bare(label)] };
        let judged = model.judge(&task, &[Question { text: mail, labels: &[0] }], 512);
        judged.map(|judged| (judged[0].tokens(), judged[0].truncated()))
    };
    let check = |hypothesis: &str, label: &str| {
        let (own, _) = judge("{}", "yes", &hypothesis.replace("{}", label)).unwrap();
        // Of 128 tokens three are special ones.
        assert_eq!(judge(hypothesis, label, &"yes no ".repeat(200)).unwrap(), (125 - own, true), "{hypothesis}");
    };
    check("{}", "yes");
    check("It is about {} or no.", "meetings and rooms");
    let error = judge("{}", &"yes ".repeat(125), "no").unwrap_err().to_string();
    assert!(error.contains("the label \"yes yes"), "{error}");
}

#[test]
fn a_description_is_no_part_of_the_hypothesis() {
    let model = nli("tiny-bert-nli", Nli::Single);
    let described = LabelText { name: "meeting".into(), description: Some("time and place".into()) };
    let task = Task { instruct: None, labels: vec![described, bare("meeting")] };
    let judged = model.judge(&task, &[Question { text: "Room 4", labels: &[0, 1] }], 512).unwrap().remove(0);
    assert_eq!(judged.logits[0], judged.logits[1]);
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let without = |name: &str, weight: &str| {
        let copy = copied(name);
        drop_weight(&copy, weight);
        let error = refused(&copy);
        assert!(error.contains(weight) && error.contains("missing"), "{error}");
    };
    without("tiny-distilbert-nli", "pre_classifier.bias");
    let says = |name: &str, from: &str, to: &str, part: &str| {
        let copy = copied(name);
        edit(&copy, "config.json", |text| {
            assert!(text.contains(from), "{name} has no {from}");
            text.replacen(from, to, 1)
        });
        let error = refused(&copy);
        assert!(error.contains(part), "{name}, {to}: {error}");
    };
    says("tiny-distilbert-nli", r#""n_layers": 2"#, r#""n_layers": 1"#, "left over");
}

#[test]
fn heads_of_other_classes_are_refused_by_their_names() {
    let copy = copied("tiny-bert-nli");
    edit(&copy, "config.json", |text| text.replace("entailment", "joy"));
    let error = refused(&copy);
    assert!(error.contains("3 classes of its own") && error.contains("contradiction, joy, neutral"), "{error}");
}

#[test]
fn what_scores_depend_on_is_in_their_class() {
    let class = |nli: Nli, hypothesis: &str| {
        let options = LoadOptions { nli, hypothesis: hypothesis.parse().unwrap(), ..LoadOptions::default() };
        let cpu = open_device(DeviceChoice::Cpu).unwrap();
        open("tiny", &folder("tiny-bert-nli"), &cpu, options).unwrap().class
    };
    let all = [class(Nli::Single, "{}"), class(Nli::Multi, "{}"), class(Nli::Single, "about {}")];
    assert!(all[0] != all[1] && all[0] != all[2] && all[1] != all[2], "{all:?}");
}
