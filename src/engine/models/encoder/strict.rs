//! What must not load, what must be cut, and what foreign text must not be able to say.

use std::collections::BTreeMap;
use std::path::Path;

use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use tempfile::TempDir;

use super::parity::{bare, difference, encoder, folder, pairs};
use super::*;
use crate::engine::{Embedder, LabelText, Question, Reranker, Task};

/// A tensor by its type, shape and bytes.
type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

/// A copy of a model with other weights and other files.
fn changed(name: &str, change: impl FnOnce(&mut Tensors), files: &[(&str, &str, &str)]) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_folder(&folder(name), copy.path());
    let path = copy.path().join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let read = SafeTensors::deserialize(&bytes).unwrap();
    let own = |(name, view): (String, TensorView)| (name, (view.dtype(), view.shape().to_vec(), view.data().to_vec()));
    let mut tensors: Tensors = read.tensors().into_iter().map(own).collect();
    change(&mut tensors);
    let views = tensors
        .iter()
        .map(|(name, (kind, shape, data))| (name.clone(), TensorView::new(*kind, shape.clone(), data).unwrap()));
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
    for (file, from, to) in files {
        let path = copy.path().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        std::fs::write(path, text.replacen(from, to, 1)).unwrap();
    }
    copy
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn same(_: &mut Tensors) {}

fn refused<T>(opened: Result<T>, words: &[&str]) {
    let Err(error) = opened else { panic!("it opened, but {words:?} was expected") };
    let error = format!("{error:#}");
    assert!(words.iter().all(|word| error.contains(word)), "{error}");
}

const QUERY: &str = "encoder.layer.1.attention.self.query.weight";

#[test]
fn weights_missing_left_over_or_of_another_shape_are_named() {
    let missing = changed("tiny-bert", |tensors| drop(tensors.remove(QUERY)), &[]);
    refused(encoder(missing.path()), &[QUERY, "missing"]);
    let wrong = |tensors: &mut Tensors| tensors.get_mut(QUERY).unwrap().1 = vec![16, 64];
    refused(encoder(changed("tiny-bert", wrong, &[]).path()), &[QUERY, "[16, 64]", "[32, 32]"]);
    let layers = [("config.json", r#""num_hidden_layers": 2"#, r#""num_hidden_layers": 1"#)];
    refused(encoder(changed("tiny-xlmr", same, &layers).path()), &["left over", "encoder.layer.1."]);
    let head = "classifier.out_proj.bias";
    let missing = changed("tiny-xlmr-reranker", |tensors| drop(tensors.remove(head)), &[]);
    refused(pairs(missing.path()), &[head, "missing"]);
    let more = |tensors: &mut Tensors| drop(tensors.insert("score.weight".into(), tensors["classifier.bias"].clone()));
    refused(pairs(changed("tiny-bert-reranker", more, &[]).path()), &["score.weight", "left over"]);
}

#[test]
fn heads_that_embeddings_do_not_need_are_left_alone() {
    let prefixed = |tensors: &mut Tensors| {
        let old = std::mem::take(tensors);
        tensors.extend(old.into_iter().map(|(name, tensor)| (format!("bert.{name}"), tensor)));
        tensors.insert("cls.predictions.bias".into(), (Dtype::F32, vec![2], vec![0; 8]));
    };
    let masked = [("config.json", "BertModel", "BertForMaskedLM")];
    let copy = changed("tiny-bert", prefixed, &masked);
    let text = ["Please pay the invoice".to_string()];
    let [ours, theirs] =
        [copy.path(), &folder("tiny-bert")].map(|path| encoder(path).unwrap().embed(&text, None, 96).unwrap());
    assert_eq!(ours, theirs);
}

#[test]
fn norms_by_their_old_names() {
    let old = |tensors: &mut Tensors| {
        let own = std::mem::take(tensors);
        let name = |name: String| name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("Norm.bias", "Norm.beta");
        tensors.extend(own.into_iter().map(|(key, tensor)| (name(key), tensor)));
    };
    assert!(encoder(changed("tiny-bert", old, &[]).path()).is_ok());
}

#[test]
fn half_precision_is_widened() {
    let text = ["Please pay the invoice by Friday".to_string()];
    let exact = encoder(&folder("tiny-bert")).unwrap().embed(&text, None, 96).unwrap().remove(0).unwrap();
    let narrow = |kind: Dtype, write: fn(f32) -> [u8; 2]| {
        move |tensors: &mut Tensors| {
            for (_, (old, _, bytes)) in tensors.iter_mut().filter(|(_, tensor)| tensor.0 == Dtype::F32) {
                let values = bytes.as_chunks().0.iter().map(|&four| write(f32::from_le_bytes(four)));
                *bytes = values.flatten().collect();
                *old = kind;
            }
        }
    };
    let check = |copy: TempDir, bound: f32| {
        let ours = encoder(copy.path()).unwrap().embed(&text, None, 96).unwrap().remove(0).unwrap();
        let off = difference(&ours.vector, &exact.vector);
        assert!(off > 0.0 && off < bound, "{off}");
    };
    check(changed("tiny-bert", narrow(Dtype::F16, |value| f16::from_f32(value).to_le_bytes()), &[]), 5e-3);
    check(changed("tiny-bert", narrow(Dtype::BF16, |value| bf16::from_f32(value).to_le_bytes()), &[]), 4e-2);
}

#[test]
fn other_heads_and_steps_are_refused() {
    let architecture = |name: &'static str| [("config.json", "BertModel", name)];
    let open = |name| encoder(changed("tiny-bert", same, &architecture(name)).path());
    refused(open("BertForTokenClassification"), &["BertForTokenClassification", "no embedding"]);
    refused(encoder(&folder("tiny-bert-reranker")), &["BertForSequenceClassification"]);
    refused(pairs(&folder("tiny-bert")), &["no head"]);
    let dense = [("modules.json", "models.Normalize", "models.Dense")];
    refused(encoder(changed("tiny-bert", same, &dense).path()), &["models.Dense", "2_Normalize"]);
    let two = [("config.json", r#""0": "LABEL_0""#, r#""0": "LABEL_0", "1": "LABEL_1""#)];
    refused(pairs(changed("tiny-bert-reranker", same, &two).path()), &["2 classes"]);
    let act = [("config.json", r#""gelu""#, r#""swish""#)];
    refused(encoder(changed("tiny-bert", same, &act).path()), &["hidden_act", "swish"]);
    let more = [("tokenizer.json", r#""id": 4"#, r#""id": 505"#)];
    refused(encoder(changed("tiny-bert", same, &more).path()), &["505", "rows"]);
}

#[test]
fn a_mail_cannot_write_special_tokens() {
    let (bert, xlmr) = (encoder(&folder("tiny-bert")).unwrap(), encoder(&folder("tiny-xlmr")).unwrap());
    let check = |model: &SentenceEmbedding, text: &str, specials: std::ops::Range<u32>| {
        let words = model.tokens.words(text, 100).unwrap().ids;
        assert!(words.iter().all(|id| !specials.contains(id) || model.tokens.is_unknown(*id)), "{text:?}: {words:?}");
        assert!(words.len() > 2);
    };
    for text in ["a [SEP] b", "[CLS][SEP]", "pay[PAD][MASK] now", "\u{FFFF}[SEP] [SEP]"] {
        check(&bert, text, 0..5);
    }
    for text in ["a </s> b", "<s></s>", "x <mask> <pad>", "\u{FFFF}</s> \u{FFFF}<s>"] {
        check(&xlmr, text, 0..4);
    }
    // As plain characters: what stands inside is read, and case does not matter where the model has none.
    let plain = |text| bert.tokens.words(text, 100).unwrap().ids;
    assert_eq!(plain("[SEP]"), plain("[ sep ]"));
}

#[test]
fn texts_are_cut_at_their_end() {
    let model = encoder(&folder("tiny-bert")).unwrap();
    let long = "The invoice is due on Friday. ".repeat(1000);
    let embed = |text: &str, most| model.embed(&[text.to_string()], None, most).unwrap().remove(0).unwrap();
    assert_eq!(model.default_max_tokens(), 94);
    let cut = embed(&long, 94);
    assert_eq!((cut.tokens, cut.truncated), (94, true));
    assert_eq!(cut.vector, embed(&long[..600], 94).vector);
    // Positions are the end, whatever is asked for.
    assert_eq!(embed(&long, usize::MAX).tokens, 126);
    assert_eq!(encoder(&folder("tiny-xlmr")).unwrap().default_max_tokens(), 126);
    assert!(!embed("Friday", 94).truncated);
    // Words without an end, and more tokens than bytes were looked at for.
    assert!(embed(&"好".repeat(100_000), 94).truncated || model.embed(&["好".into()], None, 94).unwrap()[0].is_none());
}

#[test]
fn nothing_known_is_no_vector() {
    let model = encoder(&folder("tiny-bert")).unwrap();
    let texts = ["", "  \n", "\u{1F9FF}"].map(String::from);
    assert_eq!(model.embed(&texts, None, 94).unwrap(), [None, None, None]);
}

#[test]
fn the_mail_is_cut_and_the_label_never() {
    let model = pairs(&folder("tiny-bert-reranker")).unwrap();
    let mail = "The invoice is due on Friday. ".repeat(50);
    let long = bare(&"meeting in room four ".repeat(4));
    let judge = |label: LabelText, most| {
        let task = Task { instruct: None, labels: vec![label] };
        model.judge(&task, &[Question { text: &mail, labels: &[0] }], most).map(|mut all| all.remove(0))
    };
    let label = model.tokens.words(&long.name, 512).unwrap().ids.len();
    let judged = judge(long, 512).unwrap();
    assert_eq!((judged.tokens(), judged.truncated()), (128 - 3 - label, true));
    assert_eq!(judge(bare("meeting"), 7).unwrap().tokens(), 7);
    refused(judge(bare(&"meeting ".repeat(200)), 512), &["meeting", "124 tokens"]);
}

#[test]
fn a_label_is_never_cut() {
    let model = encoder(&folder("tiny-bert")).unwrap();
    let labels = |words| [bare("meeting"), bare(&"meeting ".repeat(words))];
    assert!(model.embed_labels(&labels(126)).is_ok());
    refused(model.embed_labels(&labels(127)), &["the label \"meeting meeting", "126 tokens that tiny", "shorten"]);
}

#[test]
fn labels_are_read_with_their_description() {
    let model = encoder(&folder("tiny-bert")).unwrap();
    let described = LabelText { name: "meeting".into(), description: Some("time and place".into()) };
    let labels = model.embed_labels(&[described, bare("meeting. time and place"), bare("meeting")]).unwrap();
    assert_eq!(labels[0], labels[1]);
    assert_ne!(labels[0], labels[2]);
}

#[test]
fn prompts_stand_before_texts() {
    let mut model = encoder(&folder("tiny-bert")).unwrap();
    let embed = |model: &SentenceEmbedding, text: &str, most| {
        model.embed(&[text.into()], None, most).unwrap().remove(0).unwrap()
    };
    let (plain, long) = (embed(&model, "query: Friday", 94), "Friday ".repeat(200));
    let own = model.tokens.words("query: ", 94).unwrap().ids.len();
    model.recipe.prompts.query = "query: ".into();
    let prompted = embed(&model, " Friday", 94);
    assert_eq!(prompted.vector, plain.vector);
    // What stands before a text is not counted, and takes nothing of what is asked for.
    assert_eq!(prompted.tokens, plain.tokens - own);
    assert_eq!((embed(&model, &long, 5).tokens, embed(&model, &long, 512).tokens), (5, 126 - own));
    // A prompt is no text.
    assert_eq!(model.embed(&[" ".into()], None, 94).unwrap(), [None]);
}
