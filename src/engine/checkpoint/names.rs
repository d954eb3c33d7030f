//! What the files of a model folder are called: those that are fetched, opened and hashed, and no others.

/// Says what the model is, and how large.
pub(in crate::engine) const CONFIG: &str = "config.json";
/// Its vocabulary.
pub(in crate::engine) const TOKENIZER: &str = "tokenizer.json";
/// All weights, where they are in one file.
pub(in crate::engine) const WEIGHTS: &str = "model.safetensors";
/// Names the files of weights that are in several.
pub(in crate::engine) const INDEX: &str = "model.safetensors.index.json";
/// Says that an encoder was published with its pooling.
pub(in crate::engine) const MODULES: &str = "modules.json";
/// How vectors are pooled, where [`MODULES`] names its folder.
pub(in crate::engine) const POOLING: &str = "1_Pooling/config.json";
/// Files that a model may lack. For encoders they say how the vector is made.
pub(in crate::engine) const OPTIONAL: [&str; 7] = [
    "tokenizer_config.json",
    MODULES,
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_xlm-roberta_config.json",
    POOLING,
];
