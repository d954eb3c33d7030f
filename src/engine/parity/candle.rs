//! What candle-transformers would compute otherwise than transformers, or let pass, is refused; and all forms of
//! `config.json` that released models have are read.

use std::collections::HashMap;
use std::path::Path;

use candle_core::Tensor;
use serde_json::json;
use tempfile::TempDir;

use super::errors::{copied, drop_weight, edit, edit_weights, refused};
use super::*;
use crate::engine::Embedding;
use crate::engine::models::encoder::Hypothesis;

/// A copy of a model, without the file that names the folder of its pooling, which is not copied.
fn copied_alone(name: &str) -> TempDir {
    let copy = copied(name);
    drop(std::fs::remove_file(copy.path().join("modules.json")));
    copy
}

/// A copy of a model with another `config.json`.
fn configured(name: &str, change: impl Fn(&mut Value)) -> TempDir {
    let copy = copied_alone(name);
    edit(&copy, "config.json", |text| {
        let mut config = serde_json::from_str(text).unwrap();
        change(&mut config);
        config.to_string()
    });
    copy
}

/// A value of a field of `config.json` is refused, and the message has the field or, where it is given, `part`.
fn refuses(name: &str, field: &str, value: Value, part: Option<&str>) {
    let error = refused(&configured(name, |config| config[field] = value.clone()));
    assert!(error.contains(part.unwrap_or(&format!("`{field}` is"))), "{name}, {field}: {value}: {error}");
}

#[test]
fn weights_that_are_missing_or_left_over() {
    let without = |name: &str, weight: &str| {
        let copy = copied(name);
        drop_weight(&copy, weight);
        let error = refused(&copy);
        assert!(error.contains(weight) && error.contains("missing"), "{error}");
    };
    without("tiny-deberta-nli", "deberta.encoder.layer.1.attention.self.key_proj.bias");
    without("tiny-deberta-nli", "pooler.dense.weight");
    without("tiny-deberta-v2-nli", "deberta.encoder.layer.0.attention.self.pos_key_proj.weight");
    without("tiny-modernbert-nli", "model.layers.2.attn_norm.weight");
    without("tiny-modernbert-nli", "head.norm.weight");
    without("tiny-modernbert", "layers.3.mlp.Wo.weight");
    without("tiny-nomic", "encoder.layers.1.mlp.fc12.weight");
    let with = |name: &str, weight: &str| {
        let copy = copied_alone(name);
        edit_weights(&copy, |tensors: &mut HashMap<String, Tensor>| {
            let norm = tensors.values().find(|tensor| tensor.dims() == [16]).unwrap().clone();
            tensors.insert(weight.into(), norm);
        });
        let error = refused(&copy);
        assert!(error.contains(weight) && error.contains("left over"), "{error}");
    };
    with("tiny-deberta-v3", "encoder.conv.conv.bias");
    with("tiny-modernbert-nli", "model.layers.0.attn_norm.weight");
    with("tiny-modernbert-nli", "head.dense.bias");
    with("tiny-nomic", "encoder.layers.1.attn.Wqkv.bias");
}

#[test]
fn configurations_of_deberta() {
    let v3 = |field: &str, value: Value| refuses("tiny-deberta-v3", field, value, None);
    v3("conv_kernel_size", json!(3));
    v3("embedding_size", json!(8));
    v3("attention_head_size", json!(4));
    v3("hidden_act", json!("tanh"));
    v3("norm_rel_ebd", json!("batch_norm"));
    v3("pos_att_type", json!("p2c|p2p"));
    v3("pos_att_type", json!(["c2p", 1]));
    v3("position_buckets", json!(1));
    v3("position_buckets", json!(300));
    v3("max_relative_positions", json!(i64::MAX));
    v3("max_position_embeddings", json!(1_000_000));
    refuses("tiny-deberta-v3", "num_attention_heads", json!(3), Some("3 attention heads"));
    refuses("tiny-deberta-nli", "num_hidden_layers", json!(1), Some("left over"));
    refuses("tiny-deberta-nli", "pooler_hidden_act", json!("tanh"), None);
    refuses("tiny-deberta-nli", "pooler_hidden_size", json!(8), None);
}

#[test]
fn configurations_of_modernbert() {
    let check = |field: &str, value: Value| refuses("tiny-modernbert-nli", field, value, None);
    ["norm_bias", "attention_bias", "mlp_bias", "classifier_bias"].iter().for_each(|field| check(field, json!(true)));
    check("hidden_activation", json!("silu"));
    check("classifier_activation", json!("silu"));
    check("classifier_pooling", json!("max"));
    check("max_position_embeddings", json!(1_000_000));
    check("layer_types", json!(["full_attention", "full_attention", "sliding_attention", "full_attention"]));
    check("layer_types", json!(["full_attention", "sliding_attention"]));
    refuses("tiny-modernbert-nli", "rope_scaling", json!({"type": "linear"}), Some("\"linear\""));
    let ropes = json!({"full_attention": {"rope_type": "yarn"}});
    refuses("tiny-modernbert-nli", "rope_parameters", ropes, Some("\"yarn\""));
    refuses("tiny-modernbert-nli", "num_hidden_layers", json!(3), Some("left over"));
    // Each head would have one number, and rotary positions turn pairs.
    refuses("tiny-modernbert-nli", "num_attention_heads", json!(16), Some("do not fit"));
}

#[test]
fn configurations_of_nomic() {
    let check = |field: &str, value: Value| refuses("tiny-nomic", field, value, None);
    let flags = ["prenorm", "causal", "use_rms_norm", "rotary_emb_interleaved", "qkv_proj_bias", "mlp_fc1_bias"];
    flags.iter().for_each(|field| check(field, json!(true)));
    check("moe_every_n_layers", json!(2));
    check("activation_function", json!("gelu"));
    check("rotary_emb_fraction", json!(0.5));
    check("rotary_emb_scale_base", json!(512));
    check("head_dim", json!(4));
    refuses("tiny-nomic", "rope_parameters", json!({"rope_type": "dynamic"}), Some("\"dynamic\""));
    let error = refused(&configured("tiny-nomic", |config| {
        config["architectures"] = json!(["NomicBertForSequenceClassification"]);
        config["num_labels"] = json!(1);
    }));
    assert!(error.contains("as an embedding only"), "{error}");
}

#[test]
fn other_types_of_numbers_are_refused() {
    for name in ["tiny-deberta-nli", "tiny-modernbert", "tiny-nomic"] {
        let error = model(name, options(Dtype::Bf16)).err().unwrap();
        assert!(format!("{error:#}").contains("--dtype"), "{error:#}");
    }
}

fn remove(config: &mut Value, fields: &[&str]) {
    fields.iter().for_each(|field| drop(config.as_object_mut().unwrap().remove(*field).unwrap()));
}

#[test]
fn older_and_newer_configurations_say_the_same() {
    let check = |name: &str, change: fn(&mut Value)| {
        let golden = golden(name);
        let texts: Vec<String> = cases(&golden).iter().map(|case| text(case, "text").to_string()).collect();
        let vectors = |copy: &Path| -> Vec<Option<Embedding>> {
            let model = embedder(copy.to_str().unwrap(), LoadOptions::default());
            model.embed(&texts, None, model.default_max_tokens()).unwrap()
        };
        assert_eq!(vectors(configured(name, change).path()), vectors(copied_alone(name).path()), "{name}");
    };
    check("tiny-deberta-v3", |config| config["pos_att_type"] = json!(["p2c", "c2p"]));
    check("tiny-modernbert", |config| {
        remove(config, &["global_attn_every_n_layers", "global_rope_theta", "local_rope_theta"]);
        let (full, sliding) = ("full_attention", "sliding_attention");
        config["layer_types"] = json!([full, sliding, sliding, full]);
        let rope = |theta: f64| json!({"rope_theta": theta, "rope_type": "default"});
        config["rope_parameters"] = json!({full: rope(160_000.0), sliding: rope(10_000.0)});
    });
    // As nomic-ai released it, and as transformers 5 writes it.
    check("tiny-nomic", |config| {
        remove(config, &["hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act"]);
        remove(config, &["max_position_embeddings"]);
        config["max_trained_positions"] = json!(128);
    });
    check("tiny-nomic", |config| {
        remove(config, &["n_embd", "n_layer", "n_head", "n_inner", "n_positions", "rotary_emb_base"]);
        remove(config, &["layer_norm_epsilon", "activation_function"]);
        config["layer_norm_eps"] = json!(1e-12);
        config["rope_parameters"] = json!({"rope_theta": 1000.0, "rope_type": "default"});
    });
}

#[test]
fn a_head_of_one_class_is_that_of_a_reranker() {
    for name in ["tiny-deberta-nli", "tiny-modernbert-nli"] {
        let copy = configured(name, |config| config["id2label"] = json!({"0": "LABEL_0"}));
        edit_weights(&copy, |tensors| {
            for part in ["classifier.weight", "classifier.bias"] {
                let entailment = tensors[part].narrow(0, 0, 1).unwrap().contiguous().unwrap();
                tensors.insert(part.into(), entailment);
            }
        });
        let task = Task { instruct: None, labels: ["invoice", "meeting"].map(bare).to_vec() };
        let logits = |model: &dyn Reranker| {
            let question = [Question { text: "Please pay the invoice by Friday", labels: &[0, 1] }];
            model.judge(&task, &question, 512).unwrap().remove(0).logits
        };
        let relevance = reranker(copy.path().to_str().unwrap(), LoadOptions::default());
        assert!(!relevance.shares_over_labels());
        let hypothesis: Hypothesis = "{}".parse().unwrap();
        let entailment = reranker(name, LoadOptions { hypothesis, ..LoadOptions::default() });
        assert_eq!(logits(&*relevance), logits(&*entailment), "{name}");
    }
}
