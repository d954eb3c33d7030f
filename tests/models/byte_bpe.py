"""A byte-level BPE with Qwen's pipeline and added tokens, and a vocabulary of a few hundred entries."""

import json

import tokenizers
from tokenizers import models, pre_tokenizers, trainers

from texts import TRAINING

# Bytes and merges; the added tokens follow.
TEXT_TOKENS = 416
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL = (
    "<|endoftext|> <|im_start|> <|im_end|> <|object_ref_start|> <|object_ref_end|> <|box_start|> <|box_end|> "
    "<|quad_start|> <|quad_end|> <|vision_start|> <|vision_end|> <|vision_pad|> <|image_pad|> <|video_pad|>"
).split()
ADDED = SPECIAL + (
    "<tool_call> </tool_call> <|fim_prefix|> <|fim_middle|> <|fim_suffix|> <|fim_pad|> <|repo_name|> <|file_sep|> "
    "<tool_response> </tool_response> <think> </think>"
).split()
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
PRE_TOKENIZER = {
    "type": "Sequence",
    "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": PATTERN}, "behavior": "Isolated", "invert": False},
        BYTE_LEVEL,
    ],
}


def trained():
    """The vocabulary and the merges, learnt from the texts of `texts.py`."""
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.normalizer = tokenizers.normalizers.NFC()
    split = pre_tokenizers.Split(tokenizers.Regex(PATTERN), "isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=TEXT_TOKENS, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(TRAINING, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    assert len(model["vocab"]) == TEXT_TOKENS
    return model["vocab"], model["merges"]


def flags(at, content):
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {"id": TEXT_TOKENS + at, "content": content, **plain, "special": content in SPECIAL}


def end_appended(end):
    """The post-processor of the embedding models, which puts `<|endoftext|>` behind a text."""
    sequence = lambda name: {"Sequence": {"id": name, "type_id": 0}}
    token = {"SpecialToken": {"id": end["content"], "type_id": 0}}
    known = {"id": end["content"], "ids": [end["id"]], "tokens": [end["content"]]}
    template = {
        "type": "TemplateProcessing",
        "single": [sequence("A"), token],
        "pair": [sequence("A"), token, sequence("B"), token],
        "special_tokens": {end["content"]: known},
    }
    return {"type": "Sequence", "processors": [BYTE_LEVEL, template]}


def described(embedding):
    """What tokenizer.json holds."""
    vocabulary, merges = trained()
    added = [flags(at, content) for at, content in enumerate(ADDED)]
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": "",
        "end_of_word_suffix": "",
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": vocabulary,
        "merges": merges,
    }
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": PRE_TOKENIZER,
        "post_processor": end_appended(added[0]) if embedding else BYTE_LEVEL,
        "decoder": BYTE_LEVEL,
        "model": model,
    }


def configuration(embedding):
    """What tokenizer_config.json holds."""
    added = [flags(at, content) for at, content in enumerate(ADDED)]
    return {
        "add_bos_token": False,
        "add_prefix_space": False,
        "added_tokens_decoder": {str(token.pop("id")): token for token in added},
        "additional_special_tokens": SPECIAL[1:],
        "bos_token": None,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|endoftext|>" if embedding else "<|im_end|>",
        "errors": "replace",
        "model_max_length": 131072,
        "pad_token": "<|endoftext|>",
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }


def write(folder, embedding):
    """Writes both files and returns the tokenizer as the library reads it back."""
    for name, content in (("tokenizer", described(embedding)), ("tokenizer_config", configuration(embedding))):
        (folder / f"{name}.json").write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", "utf-8")
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    for word in ("yes", "no"):
        assert len(tokenizer.encode(word, add_special_tokens=False).ids) == 1, f"{word} is no single token"
    assert tokenizer.get_vocab_size() == TEXT_TOKENS + len(ADDED)
    return tokenizer
