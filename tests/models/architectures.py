"""Tiny random models of the architectures beside BERT and Qwen3, and NLI heads on all encoders, in released files' names.

Weights get the names that transformers saves them by. What a name ends with says how its values are spread."""

import json
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory

import numpy
import tokenizers
import torch
from safetensors.torch import load_file
from tokenizers import models, normalizers, pre_tokenizers, processors
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

import byte_bpe
import encoder_tokenizers
import qwen3

HIDDEN, HEADS, INTERMEDIATE, LONGEST = 16, 2, 32, 128
# The orders and cases that released models have: cross-encoder's, MoritzLaurer's, roberta-large-mnli's, zeroshot-v2.0's.
CONTRADICTION_FIRST = ["contradiction", "entailment", "neutral"]
ENTAILMENT_FIRST = ["entailment", "neutral", "contradiction"]
ENTAILMENT_LAST = ["CONTRADICTION", "NEUTRAL", "ENTAILMENT"]
TWO = ["entailment", "not_entailment"]


@dataclass
class Architecture:
    """A model to make: an embedding, or an NLI model where `classes` names what it tells apart."""

    name: str
    seed: int
    kind: str
    tokenizer: str
    classes: list = field(default_factory=list)
    # What config.json says beside or instead of the usual.
    config: dict = field(default_factory=dict)
    pooling: str = "mean"
    longest: int = LONGEST


BERT = {
    "hidden_size": HIDDEN,
    "num_hidden_layers": 2,
    "num_attention_heads": HEADS,
    "intermediate_size": INTERMEDIATE,
    "max_position_embeddings": LONGEST,
    "type_vocab_size": 2,
}
# XLM-RoBERTa and RoBERTa count positions from behind the padding token.
ROBERTA = {**BERT, "max_position_embeddings": LONGEST + 2, "type_vocab_size": 1, "layer_norm_eps": 1e-5}
ROBERTA |= {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
DISTILBERT = {
    "dim": HIDDEN,
    "n_layers": 2,
    "n_heads": HEADS,
    "hidden_dim": INTERMEDIATE,
    "max_position_embeddings": LONGEST,
    "sinusoidal_pos_embds": False,
}
# As deberta-v3-base says it, but with 16 buckets, so that texts are longer than the exact ones reach.
DEBERTA_V3 = {
    **BERT,
    "type_vocab_size": 0,
    "layer_norm_eps": 1e-7,
    "relative_attention": True,
    "position_buckets": 16,
    "max_relative_positions": -1,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pos_att_type": "p2c|c2p",
    "position_biased_input": False,
    "pooler_dropout": 0,
    "pooler_hidden_act": "gelu",
    "pooler_hidden_size": HIDDEN,
}
# All that DeBERTa-v2 can say otherwise: absolute positions too, types, projections of positions of their own, no buckets.
DEBERTA_V2 = {
    **DEBERTA_V3,
    "type_vocab_size": 2,
    "position_biased_input": True,
    "share_att_key": False,
    "pos_att_type": ["c2p", "p2c"],
    "norm_rel_ebd": "none",
    "position_buckets": -1,
    "max_relative_positions": 48,
}
# A window of 8 tokens, and layers of each sort.
MODERNBERT = {
    "hidden_size": HIDDEN,
    "num_hidden_layers": 4,
    "num_attention_heads": HEADS,
    "intermediate_size": 24,
    "max_position_embeddings": LONGEST,
    "local_attention": 8,
    "global_attn_every_n_layers": 3,
    "global_rope_theta": 160000.0,
    "local_rope_theta": 10000.0,
    "layer_norm_eps": 1e-5,
    "norm_eps": 1e-5,
    "norm_bias": False,
    "attention_bias": False,
    "mlp_bias": False,
    "hidden_activation": "gelu",
    "classifier_activation": "gelu",
    "classifier_bias": False,
    "classifier_pooling": "mean",
    "position_embedding_type": "absolute",
}
# Both sets of names: those of the released file, and those that transformers reads.
NOMIC = {
    "n_embd": HIDDEN,
    "n_layer": 2,
    "n_head": HEADS,
    "n_inner": INTERMEDIATE,
    "n_positions": LONGEST,
    "layer_norm_epsilon": 1e-12,
    "activation_function": "swiglu",
    "rotary_emb_base": 1000,
    "rotary_emb_fraction": 1.0,
    "rotary_emb_interleaved": False,
    "rotary_scaling_factor": None,
    "qkv_proj_bias": False,
    "mlp_fc1_bias": False,
    "mlp_fc2_bias": False,
    "prenorm": False,
    **BERT,
}

# Buckets and positions of the released models: a long mail and its label are in all of them.
DEBERTA_LONG = {**DEBERTA_V3, "position_buckets": 256, "max_position_embeddings": 512}
ACTIVATIONS = {"modernbert": {}, "nomic_bert": {"hidden_act": "silu"}, "distilbert": {"activation": "gelu"}}

ARCHITECTURES = [
    Architecture("tiny-distilbert", 31, "distilbert", "word_piece", config=DISTILBERT),
    Architecture("tiny-deberta-v3", 32, "deberta-v2", "deberta", config=DEBERTA_V3),
    Architecture("tiny-modernbert", 33, "modernbert", "modernbert", config=MODERNBERT, pooling="cls"),
    Architecture("tiny-roberta", 34, "roberta", "roberta", config=ROBERTA),
    Architecture("tiny-nomic", 42, "nomic_bert", "word_piece", config=NOMIC),
    Architecture("tiny-bert-nli", 35, "bert", "word_piece", CONTRADICTION_FIRST, BERT),
    Architecture("tiny-xlmr-nli", 36, "xlm-roberta", "unigram", ENTAILMENT_FIRST, ROBERTA),
    Architecture("tiny-roberta-nli", 37, "roberta", "roberta", ENTAILMENT_LAST, ROBERTA),
    Architecture("tiny-distilbert-nli", 38, "distilbert", "word_piece", ENTAILMENT_FIRST, DISTILBERT),
    Architecture("tiny-deberta-nli", 39, "deberta-v2", "deberta", TWO, DEBERTA_LONG, longest=512),
    Architecture("tiny-deberta-v2-nli", 40, "deberta-v2", "deberta", CONTRADICTION_FIRST, DEBERTA_V2),
    Architecture("tiny-modernbert-nli", 41, "modernbert", "modernbert", ENTAILMENT_FIRST, MODERNBERT),
]


def deberta():
    """The Unigram tokenizer of DeBERTa-v3."""
    described = json.loads(encoder_tokenizers.unigram().to_str())
    special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]
    vocabulary = described["model"]["vocab"]
    for at, token in enumerate(special):
        vocabulary[at][0] = token
    vocabulary[-1][0] = "[MASK]"
    described["model"]["unk_id"] = 3
    described["added_tokens"] = []
    tokenizer = tokenizers.Tokenizer.from_str(json.dumps(described | {"post_processor": None}))
    tokenizer.add_special_tokens([*special, "[MASK]"])
    tokenizer.post_processor = around("[CLS]", "[SEP]", tokenizer)
    return tokenizer


def around(start, end, tokenizer):
    special = [(token, tokenizer.token_to_id(token)) for token in (start, end)]
    pair = f"{start}:0 $A:0 {end}:0 $B:1 {end}:1"
    return processors.TemplateProcessing(single=f"{start}:0 $A:0 {end}:0", pair=pair, special_tokens=special)


def bytes_of(first, last, plain=()):
    """A byte-level BPE with the tokens `first` before its vocabulary and `last` behind it."""
    vocabulary, merges = byte_bpe.trained()
    pieces = [*first, *sorted(vocabulary, key=vocabulary.get), *last]
    ids = {piece: at for at, piece in enumerate(pieces)}
    tokenizer = tokenizers.Tokenizer(models.BPE(ids, [tuple(merge) for merge in merges]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.add_tokens([tokenizers.AddedToken(word, normalized=True) for word in plain])
    tokenizer.add_special_tokens([*first, *[token for token in last if token not in plain]])
    return tokenizer


def modernbert():
    """Byte-level, with runs of blanks as tokens that are not special, as the released one has them."""
    blanks = ["  ", "   ", "    "]
    tokenizer = bytes_of([], [*blanks, "[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"], blanks)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.post_processor = around("[CLS]", "[SEP]", tokenizer)
    return tokenizer


def roberta():
    tokenizer = bytes_of(["<s>", "<pad>", "</s>", "<unk>"], ["<mask>"])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), True, False)
    return tokenizer


TOKENIZERS = {
    "word_piece": encoder_tokenizers.word_piece,
    "unigram": encoder_tokenizers.unigram,
    "deberta": deberta,
    "modernbert": modernbert,
    "roberta": roberta,
}


def write_tokenizer(folder, model):
    tokenizer = TOKENIZERS[model.tokenizer]()
    known = ("<s>", "</s>", "<pad>", "<unk>") if tokenizer.token_to_id("<s>") is not None else None
    start, end, pad, unknown = known or ("[CLS]", "[SEP]", "[PAD]", "[UNK]")
    types = model.config.get("type_vocab_size") == 2
    said = {
        "cls_token": start,
        "sep_token": end,
        "pad_token": pad,
        "unk_token": unknown,
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"] if types else ["input_ids", "attention_mask"],
        "model_max_length": model.longest,
        # A name of a class of its own makes transformers 5 build another tokenizer than tokenizer.json describes.
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    qwen3.write_json(folder / "tokenizer.json", json.loads(tokenizer.to_str()))
    qwen3.write_json(folder / "tokenizer_config.json", said)
    return tokenizer


def values(name, shape, random):
    """What a weight is filled with, by its name and shape."""
    drawn = random.standard_normal(shape)
    if len(shape) == 1:
        return 0.1 * drawn if name.endswith("bias") else 1 + 0.25 * drawn
    if "embeddings" in name and "norm" not in name.lower():
        return drawn if "word" in name or "tok_" in name or "rel_" in name else 0.3 * drawn
    last = name.endswith(("classifier.weight", "out_proj.weight"))
    return drawn * (4.0 if last else 1.4) / numpy.sqrt(shape[1])


def weights(network, seed):
    """Random weights, by the names that transformers saves them under."""
    random = numpy.random.RandomState(seed)
    shapes = sorted((name, tuple(tensor.shape)) for name, tensor in network.state_dict().items())
    made = {name: values(name, shape, random).astype(numpy.float32) for name, shape in shapes}
    network.load_state_dict({name: torch.from_numpy(array) for name, array in made.items()})
    with TemporaryDirectory() as apart:
        network.save_pretrained(apart)
        return dict(sorted(load_file(f"{apart}/model.safetensors").items()))


def configuration(model, vocabulary):
    classes = dict(enumerate(model.classes))
    named = {"id2label": classes, "label2id": {name: at for at, name in classes.items()}} if classes else {}
    ends = {"modernbert": {"pad_token_id": vocabulary - 2}, "distilbert": {"pad_token_id": 0}}
    return {"vocab_size": vocabulary, **ends.get(model.kind, {}), **model.config, **named}


def write(root, model):
    """Writes the whole folder and returns its tokenizer."""
    folder = root / model.name
    folder.mkdir(exist_ok=True)
    tokenizer = write_tokenizer(folder, model)
    said = configuration(model, tokenizer.get_vocab_size())
    config = AutoConfig.for_model(model.kind, **said)
    network = (AutoModelForSequenceClassification if model.classes else AutoModel).from_config(config)
    kind = {key: value for key, value in said.items() if key != "vocab_size"}
    head = {"architectures": [type(network).__name__], "model_type": model.kind, "vocab_size": said["vocab_size"]}
    kind |= ACTIVATIONS.get(model.kind, {"hidden_act": "gelu"})
    kind |= {"layer_norm_eps": 1e-12} if model.kind == "bert" else {}
    qwen3.write_json(folder / "config.json", {**head, **kind, "torch_dtype": "float32"})
    qwen3.write_weights(folder, weights(network, model.seed), 1)
    if not model.classes:
        qwen3.write_pooling(folder, HIDDEN, f"{model.pooling}_token" + ("s" if model.pooling == "mean" else ""))
        qwen3.write_json(folder / "sentence_bert_config.json", {"max_seq_length": model.longest, "do_lower_case": False})
    return tokenizer
