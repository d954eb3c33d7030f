"""A WordPiece tokenizer as BERT has it and a Unigram one as XLM-RoBERTa has it, with a few hundred entries each."""

import json
from collections import Counter

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

import qwen3
import texts

WORDS = [*texts.MAILS, *texts.LABELS, *texts.INSTRUCTS]
BERT_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
XLMR_SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
BERT_PIECES, XLMR_PIECES = 500, 500


def pieces(words, size, inner=""):
    """The most useful pieces of the words and all their letters; a piece within a word has `inner` before it.

    Counted here, since the library's own trainers number them, or choose them, otherwise each time.
    """
    counts = Counter()
    for word in words:
        for start in range(len(word)):
            mark = inner if start else ""
            counts.update(mark + word[start:end] for end in range(start + 1, min(start + 8, len(word)) + 1))
    length = lambda piece: len(piece.removeprefix(inner))
    letters = sorted(piece for piece in counts if length(piece) == 1)
    several = [piece for piece in counts if length(piece) > 1 and counts[piece] > 1]
    worth = sorted(several, key=lambda piece: (-counts[piece] * (length(piece) - 1), piece))
    return [*worth[: size - len(letters)], *letters]


def word_piece():
    tokenizer = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    normal = [tokenizer.normalizer.normalize_str(text) for text in WORDS]
    words = [word for text in normal for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)]
    vocabulary = [*BERT_SPECIAL, *pieces(words, BERT_PIECES, "##")]
    ids = {piece: at for at, piece in enumerate(vocabulary)}
    tokenizer.model = models.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=100)
    tokenizer.add_special_tokens(BERT_SPECIAL)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return tokenizer


def unigram():
    words = ["▁" + word for text in WORDS for word in text.split()]
    # A piece is likelier than its letters together, the more so the longer it is; no two are equally likely.
    chance = lambda at, piece: round(-7 - 0.5 * len(piece) - 0.001 * at, 4)
    known = [(piece, chance(at, piece)) for at, piece in enumerate(pieces(words, XLMR_PIECES))]
    listed = [(token, 0.0) for token in XLMR_SPECIAL] + known + [("<mask>", 0.0)]
    tokenizer = tokenizers.Tokenizer(models.Unigram(listed, unk_id=3, byte_fallback=False))
    tokenizer.add_special_tokens([*XLMR_SPECIAL, tokenizers.AddedToken("<mask>", lstrip=True)])
    # The released one normalises by a table of sentencepiece's, which does little else.
    runs = normalizers.Replace(tokenizers.Regex(" {2,}"), " ")
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), runs])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")]
    )
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


def configuration(bert, longest):
    """What tokenizer_config.json holds."""
    if bert:
        names = dict(zip(("pad", "unk", "cls", "sep", "mask"), BERT_SPECIAL))
        rest = {"do_lower_case": True, "strip_accents": None, "tokenize_chinese_chars": True}
        rest["tokenizer_class"] = "BertTokenizer"
    else:
        names = {"bos": "<s>", "cls": "<s>", "eos": "</s>", "sep": "</s>", "pad": "<pad>", "unk": "<unk>"}
        names["mask"] = "<mask>"
        # XLMRobertaTokenizer, as the released ones say, makes transformers 5 drop the normalizer of tokenizer.json.
        rest = {"tokenizer_class": "PreTrainedTokenizerFast"}
    return {**{f"{kind}_token": token for kind, token in names.items()}, "model_max_length": longest, **rest}


def write(folder, bert, longest, cut_in_file=None):
    """Writes both files and returns the tokenizer, which neither cuts nor pads.

    `cut_in_file`: all-MiniLM's tokenizer.json asks for 128 tokens, no more and no fewer, while its model takes 256 and
    its users give it 256. Whoever obeys the file gets other vectors.
    """
    tokenizer = word_piece() if bert else unigram()
    described = json.loads(tokenizer.to_str())
    if cut_in_file:
        side = {"direction": "Right"}
        cut = {**side, "max_length": cut_in_file, "strategy": "LongestFirst", "stride": 0}
        pad = {"strategy": {"Fixed": cut_in_file}, **side, "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0}
        described |= {"truncation": cut, "padding": {**pad, "pad_token": "[PAD]"}}
    qwen3.write_json(folder / "tokenizer.json", described)
    qwen3.write_json(folder / "tokenizer_config.json", configuration(bert, longest))
    return tokenizer
