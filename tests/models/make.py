#!/usr/bin/env python3
"""Makes the tiny random models of this folder again, and the values that the tests expect of them. See README.md."""

import os
import sys
from pathlib import Path

sys.dont_write_bytecode = True
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import torch
from transformers.utils import logging

import embedding_golden
import qwen3
import reranker_golden

HERE = Path(__file__).resolve().parent


def main():
    # The order in which threads add up would show in the last digits.
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    for checkpoint in (qwen3.RERANKER, qwen3.RERANKER_F16, qwen3.UNTIED):
        reranker_golden.write(HERE, checkpoint, qwen3.write(HERE, checkpoint))
    embedding_golden.write(HERE, qwen3.EMBEDDING, qwen3.write(HERE, qwen3.EMBEDDING))


if __name__ == "__main__":
    main()
