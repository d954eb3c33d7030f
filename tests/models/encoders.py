"""Tiny random BERT and XLM-RoBERTa models, to embed texts or to score pairs, in the files of the released ones."""

from dataclasses import dataclass

import numpy
import torch

import encoder_tokenizers
import qwen3

HIDDEN, HEADS, INTERMEDIATE, LAYERS = 32, 4, 64, 2
# Positions of XLM-RoBERTa are counted from behind the padding token, so two of its rows are never used.
LONGEST, UNUSED = 128, 2


@dataclass
class Encoder:
    """A model to make; `pooling` is cls or mean, and None for one that scores pairs."""

    name: str
    seed: int
    bert: bool
    pooling: str | None
    # How many tokens sentence-transformers gives it, and how many tokenizer.json says.
    longest: int = LONGEST
    cut_in_file: int | None = None
    # Older files carry the positions 0, 1, 2 .. as if they were weights.
    position_ids: bool = False


ENCODERS = [
    Encoder("tiny-bert", 11, True, "mean", longest=96, cut_in_file=64, position_ids=True),
    Encoder("tiny-xlmr", 12, False, "cls"),
    Encoder("tiny-bert-reranker", 15, True, None, position_ids=True),
    Encoder("tiny-xlmr-reranker", 16, False, None),
]


def configuration(model, vocabulary):
    """What config.json holds."""
    kind = "Bert" if model.bert else "XLMRoberta"
    task = "Model" if model.pooling else "ForSequenceClassification"
    ids = {"pad_token_id": 0} if model.bert else {"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1}
    labels = {} if model.pooling else {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
    return {
        "architectures": [kind + task],
        "attention_probs_dropout_prob": 0.1,
        "classifier_dropout": None,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": HIDDEN,
        **labels,
        "initializer_range": 0.02,
        "intermediate_size": INTERMEDIATE,
        "layer_norm_eps": 1e-12 if model.bert else 1e-5,
        "max_position_embeddings": LONGEST + (0 if model.bert else UNUSED),
        "model_type": "bert" if model.bert else "xlm-roberta",
        "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS,
        **ids,
        "position_embedding_type": "absolute",
        "torch_dtype": "float32",
        "transformers_version": "4.51.0",
        "type_vocab_size": 2 if model.bert else 1,
        "use_cache": True,
        "vocab_size": vocabulary,
    }


def weights(model, vocabulary):
    """All weights by their names in the file."""
    random = numpy.random.RandomState(model.seed)
    made = {}

    def table(name, rows, spread):
        made[f"embeddings.{name}.weight"] = spread * random.standard_normal((rows, HIDDEN))

    def linear(name, rows, columns, gain=1.0):
        made[f"{name}.weight"] = random.standard_normal((rows, columns)) * gain / numpy.sqrt(columns)
        made[f"{name}.bias"] = 0.1 * random.standard_normal(rows)

    def norm(name):
        made[f"{name}.weight"] = 1 + 0.25 * random.standard_normal(HIDDEN)
        made[f"{name}.bias"] = 0.1 * random.standard_normal(HIDDEN)

    table("word_embeddings", vocabulary, 1.0)
    table("position_embeddings", LONGEST + (0 if model.bert else UNUSED), 0.3)
    table("token_type_embeddings", 2 if model.bert else 1, 0.3)
    norm("embeddings.LayerNorm")
    for at in range(LAYERS):
        layer = f"encoder.layer.{at}."
        for part in ("query", "key", "value"):
            linear(f"{layer}attention.self.{part}", HIDDEN, HIDDEN, 1.3)
        linear(layer + "attention.output.dense", HIDDEN, HIDDEN, 1.5)
        norm(layer + "attention.output.LayerNorm")
        linear(layer + "intermediate.dense", INTERMEDIATE, HIDDEN)
        linear(layer + "output.dense", HIDDEN, INTERMEDIATE)
        norm(layer + "output.LayerNorm")
    # The released embedding models carry a pooler that nothing uses.
    if model.bert or model.pooling:
        linear("pooler.dense", HIDDEN, HIDDEN)
    if not model.pooling:
        prefix = "bert." if model.bert else "roberta."
        made = {prefix + name: array for name, array in made.items()}
        if not model.bert:
            linear("classifier.dense", HIDDEN, HIDDEN)
        linear("classifier" if model.bert else "classifier.out_proj", 1, HIDDEN, 4.0)
    tensors = {name: torch.from_numpy(array.astype(numpy.float32)) for name, array in made.items()}
    if model.position_ids:
        tensors[f"{'' if model.pooling else 'bert.'}embeddings.position_ids"] = torch.arange(LONGEST)[None]
    return tensors


def write(root, model):
    """Writes the whole folder and returns its tokenizer."""
    folder = root / model.name
    folder.mkdir(exist_ok=True)
    tokenizer = encoder_tokenizers.write(folder, model.bert, LONGEST, model.cut_in_file)
    vocabulary = tokenizer.get_vocab_size()
    qwen3.write_json(folder / "config.json", configuration(model, vocabulary))
    qwen3.write_weights(folder, weights(model, vocabulary), 1)
    if model.pooling:
        qwen3.write_pooling(folder, HIDDEN, "cls_token" if model.pooling == "cls" else "mean_tokens")
        said = {"max_seq_length": model.longest, "do_lower_case": False}
        qwen3.write_json(folder / "sentence_bert_config.json", said)
    return tokenizer
