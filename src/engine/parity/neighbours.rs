//! A score is the same alone, in a batch, with other neighbours, with other thread counts; and the prefix that labels
//! share changes nothing.

use candle_core::{DType, Device};

use super::errors::{copied, edit};
use super::*;
use crate::engine::backend::candle::Candle;
use crate::engine::models::qwen3::prompt as words;
use crate::engine::models::qwen3::reranker::Qwen3Reranker;
use crate::engine::models::qwen3::{Qwen3, Qwen3Model};
use crate::labels::LabelSet;
use crate::requirements::lacks;

/// Labels that tokenizers stumble over.
const ODD: [&str; 14] = [
    "a",
    "!",
    "...",
    "123",
    "3.14 % off",
    "会议通知",
    "重要：请回复",
    "🎉",
    "👩‍💻 работа",
    "<tag>",
    "e\u{301}clair",
    "- dash",
    "'s",
    "\u{300}combining",
];

fn tasks() -> Vec<Task> {
    let mut tasks = vec![Task { instruct: None, labels: ODD.map(bare).to_vec() }];
    for entry in std::fs::read_dir(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("labels")).unwrap() {
        let set = LabelSet::read(&entry.unwrap().path(), None).unwrap();
        let label =
            |label: &crate::labels::Label| LabelText { name: label.words(), description: label.description.clone() };
        tasks.push(Task { instruct: set.instruct.clone(), labels: set.labels.iter().map(label).collect() });
    }
    assert!(tasks.len() > 3);
    tasks
}

/// Messages of different and of equal lengths.
fn mails() -> Vec<String> {
    let words = ["invoice", "meeting", "Rechnung", "会议", "please reply", "shipped"];
    let mail = |at: usize| (0..=at * 7 % 23).map(|word| words[(at + word) % words.len()]).collect::<Vec<_>>().join(" ");
    (0..12).map(mail).chain(["same length one".into(), "same length two".into()]).collect()
}

#[test]
fn prefix_and_tail_are_the_tokens_of_the_whole() {
    let real = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data/qwen3-tokenizer");
    let mut vocabularies = vec![folder("tiny-reranker/tokenizer.json")];
    if real.exists() {
        vocabularies.push(real.join("tokenizer-reranker.json"));
    } else {
        lacks("shared", format!("{} is not there", real.display()));
    }
    for path in vocabularies {
        let vocabulary = || Vocabulary::from_json(&path).unwrap();
        let (whole, prompt) = (vocabulary(), RerankerPrompt::new(vocabulary()).unwrap());
        assert_eq!(prompt.prefix("task", "", 0).unwrap().tokens, 0, "nothing, cut to nothing, comes to an end");
        let specials = ["<|im_start|>", "<|im_end|>", "<think>", "</think>"];
        for task in tasks() {
            let instruct = task.instruct.as_deref().unwrap_or(words::RERANKER_TASK);
            for mail in mails() {
                let prefix = prompt.prefix(instruct, &mail, 100_000).unwrap().ids;
                for label in &task.labels {
                    let label = words::label(label);
                    let text = [
                        words::PREFIX,
                        &format!("<Instruct>: {instruct}\n<Query>: {mail}\n<Document>: {label}"),
                        words::SUFFIX,
                    ];
                    let expected = whole.template(&text.concat(), &specials).unwrap();
                    let got = [prefix.clone(), prompt.tail(&label).unwrap()].concat();
                    assert_eq!(got, expected, "{label:?}");
                }
            }
        }
    }
}

#[test]
fn shared_prefix_is_the_whole_prompt_per_label() {
    for (name, dtype) in [("tiny-reranker", Dtype::F32), ("tiny-reranker-untied", Dtype::F32)] {
        let model = reranker(name, options(dtype));
        for task in tasks() {
            let shared = judge(&*model, &task, "Your parcel arrives on Friday between 8 and 12.");
            for (label, logit) in task.labels.iter().zip(shared.logits) {
                let alone = Task { instruct: task.instruct.clone(), labels: vec![label.clone()] };
                let alone = judge(&*model, &alone, "Your parcel arrives on Friday between 8 and 12.").logits[0];
                assert!((alone - logit).abs() <= F32 * alone.abs().max(1.0), "{label:?}: {logit} for {alone}");
            }
        }
    }
}

/// All logits, with everything else as given.
fn logits(model: &dyn Reranker, mails: &[String], task: &Task, threads: usize) -> Vec<Vec<u32>> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let labels: Vec<usize> = (0..task.labels.len()).collect();
    let questions: Vec<Question> = mails.iter().map(|text| Question { text, labels: &labels }).collect();
    let judged = pool.install(|| model.judge(task, &questions, 100_000)).unwrap();
    judged.into_iter().map(|judgement| judgement.logits.into_iter().map(f32::to_bits).collect()).collect()
}

#[test]
fn a_score_does_not_depend_on_its_neighbours() {
    let (mails, task) = (mails(), tasks().remove(1));
    let kinds = [
        ("tiny-reranker", Dtype::F32),
        ("tiny-reranker-untied", Dtype::Bf16),
        ("tiny-reranker-f16", Dtype::F16),
        ("tiny-reranker-q8_0.gguf", Dtype::Auto),
        ("tiny-wide-q4_k_m.gguf", Dtype::Auto),
    ];
    for (name, dtype) in kinds {
        let small = LoadOptions { batch_tokens: Some(200), ..options(dtype) };
        let models = [reranker(name, options(dtype)), reranker(name, small)];
        let expected: Vec<Vec<u32>> =
            mails.iter().map(|mail| logits(&*models[0], std::slice::from_ref(mail), &task, 1).remove(0)).collect();
        for model in &models {
            for threads in [1, 2, 3] {
                assert_eq!(logits(&**model, &mails, &task, threads), expected, "{name} with {threads} threads");
            }
            let backwards: Vec<String> = mails.iter().rev().cloned().collect();
            let mut got = logits(&**model, &backwards, &task, 2);
            got.reverse();
            assert_eq!(got, expected, "{name} in another order");
        }
    }
}

#[test]
fn a_label_is_judged_without_the_others() {
    let (model, task) = (reranker("tiny-reranker", options(Dtype::F32)), tasks().remove(0));
    let all = judge(&*model, &task, "hello").logits;
    let some = model.judge(&task, &[Question { text: "hello", labels: &[3, 1] }], 100).unwrap().remove(0);
    assert_eq!(some.logits, [all[3], all[1]]);
    let none = model.judge(&task, &[Question { text: "hello", labels: &[] }], 100).unwrap().remove(0);
    assert!(none.logits.is_empty());
}

#[test]
fn where_a_mail_is_cut_does_not_depend_on_the_labels() {
    let small = copied("tiny-reranker");
    edit(&small, "config.json", |text| {
        text.replace("\"max_position_embeddings\": 40960", "\"max_position_embeddings\": 400")
    });
    let cpu = open_device(DeviceChoice::Cpu).unwrap();
    let Model::Reranker(model) = open("small", small.path(), &cpu, options(Dtype::F32)).unwrap().model else {
        panic!()
    };
    let mail = "Your parcel arrives on Friday. ".repeat(100);
    let task = |labels: &[&str]| Task { instruct: None, labels: labels.iter().map(|label| bare(label)).collect() };
    let long = "parcel ".repeat(12);
    let (alone, beside) = (task(&["travel"]), task(&["travel", &long]));
    let first = |task: &Task| {
        let judged = model.judge(task, &[Question { text: &mail, labels: &[0] }], 100_000).unwrap().remove(0);
        (judged.logits.clone(), judged.tokens(), judged.truncated())
    };
    let (logits, tokens, truncated) = first(&alone);
    assert!(truncated && tokens > 50 && tokens < 300, "{tokens}");
    assert_eq!(first(&beside), (logits, tokens, truncated));
    // A label that has no room is named, before there is a mail.
    let error = model.check(&task(&["travel", &"parcel ".repeat(100)])).unwrap_err().to_string();
    assert!(error.contains("the label \"parcel parcel") && error.contains("tokens that small can read"), "{error}");
    let endless = Task { instruct: Some("Judge it. ".repeat(100)), labels: vec![bare("travel")] };
    assert!(model.check(&endless).unwrap_err().to_string().contains("the instruction alone has"));
}

#[test]
fn vectors_do_not_depend_on_their_neighbours() {
    let mails = mails();
    let model = embedder("tiny-embedding", options(Dtype::F32));
    let small = embedder("tiny-embedding", LoadOptions { batch_tokens: Some(30), ..options(Dtype::F32) });
    let together = model.embed(&mails, None, 1000).unwrap();
    assert_eq!(small.embed(&mails, None, 1000).unwrap(), together);
    for (mail, vector) in mails.iter().zip(&together) {
        assert_eq!(model.embed(std::slice::from_ref(mail), None, 1000).unwrap()[0], *vector);
    }
}

#[test]
fn what_other_devices_compute_is_what_the_kernels_do() {
    let (mut tasks, mails) = (tasks(), &mails()[6..10]);
    tasks.truncate(2);
    // Longer than the queries that ask at once.
    let long = LabelText { name: "long".into(), description: Some("a label of many words ".repeat(100)) };
    tasks[1].labels.truncate(3);
    tasks[1].labels.push(long);
    for name in ["tiny-reranker", "tiny-reranker-f16.gguf"] {
        let fused = reranker(name, options(Dtype::F32));
        for flash in [false, true] {
            let (checkpoint, backend) =
                (super::checkpoint(name), Candle { device: Device::Cpu, dtype: DType::F32, flash });
            let load = |prefix: &str| Ok(Box::new(Qwen3Model::load(&checkpoint, prefix, backend)?) as Box<dyn Qwen3>);
            let composed = Qwen3Reranker::new("composed", &checkpoint, load, 4096).unwrap();
            for task in &tasks {
                let labels: Vec<usize> = (0..task.labels.len()).collect();
                let questions: Vec<Question> = mails.iter().map(|text| Question { text, labels: &labels }).collect();
                let logits = |model: &dyn Reranker| {
                    model.judge(task, &questions, 100_000).unwrap().into_iter().flat_map(|judged| judged.logits)
                };
                for (fused, composed) in logits(&*fused).zip(logits(&composed)) {
                    assert!((fused - composed).abs() <= F32 * fused.abs().max(1.0), "{name}: {composed} for {fused}");
                }
            }
        }
    }
}
