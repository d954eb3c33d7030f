#!/usr/bin/env python3
"""Makes the tiny random models of this folder again, and the values that the tests expect of them. See README.md."""

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

sys.dont_write_bytecode = True
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import gguf
import torch
from transformers.utils import logging

import architecture_golden
import architectures
import embedding_golden
import encoder_golden
import encoders
import gguf_files
import qwen3
import reranker_golden

HERE = Path(__file__).resolve().parent
F16 = (gguf.GGMLQuantizationType.F16, gguf.LlamaFileType.MOSTLY_F16)
Q8_0 = (gguf.GGMLQuantizationType.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0)
Q4_K_M = (gguf.GGMLQuantizationType.Q4_K, gguf.LlamaFileType.MOSTLY_Q4_K_M)
GGUF = [
    ("tiny-reranker-f16", qwen3.RERANKER, F16),
    ("tiny-reranker-q8_0", qwen3.RERANKER, Q8_0),
    ("tiny-reranker-untied-q8_0", qwen3.UNTIED, Q8_0),
    ("tiny-embedding-q8_0", qwen3.EMBEDDING, Q8_0),
    ("tiny-wide-q4_k_m", qwen3.WIDE, Q4_K_M),
]


def make_gguf():
    """The GGUF files, and what transformers makes of the weights that the `gguf` package reads from them."""
    for name, checkpoint, kind in GGUF:
        with TemporaryDirectory() as apart:
            # Only its config.json and its tokenizer are wanted here, and that of tiny-wide is in no folder.
            tokenizer = qwen3.write(Path(apart), checkpoint)
            yes_no = [tokenizer.token_to_id(word) for word in ("yes", "no")]
            path = HERE / f"{name}.gguf"
            gguf_files.write(path, checkpoint, *kind, yes_no)
            read = gguf_files.dequantised(path)
            model = gguf_files.loaded(Path(apart) / checkpoint.name, read, yes_no)
        golden = embedding_golden if checkpoint.embedding else reranker_golden
        golden.write(HERE, checkpoint, tokenizer, model, f"{name}.gguf", gguf_files.samples(read))
    gguf_files.write(HERE / "tiny-reranker-old-q8_0.gguf", qwen3.RERANKER, *Q8_0, yes_no, with_head=False)


def main():
    # The order in which threads add up would show in the last digits.
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    for checkpoint in (qwen3.RERANKER, qwen3.RERANKER_F16, qwen3.UNTIED):
        reranker_golden.write(HERE, checkpoint, qwen3.write(HERE, checkpoint))
    embedding_golden.write(HERE, qwen3.EMBEDDING, qwen3.write(HERE, qwen3.EMBEDDING))
    make_gguf()
    for model in encoders.ENCODERS:
        encoder_golden.write(HERE, model, encoders.write(HERE, model))
    for model in architectures.ARCHITECTURES:
        architecture_golden.write(HERE, model, architectures.write(HERE, model))


if __name__ == "__main__":
    main()
