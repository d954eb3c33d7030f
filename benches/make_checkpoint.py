#!/usr/bin/env python3
"""A Qwen3 reranker of a released shape with random weights, to measure speed where no real weights are at hand.

    python3 benches/make_checkpoint.py TOKENIZER.json FOLDER [--size 0.6b|4b] [--layers N] [--f32] [--q4-k] [--no-gguf]

Writes into FOLDER: config.json, the tokenizer, model.safetensors (bf16), the same weights as Q8_0 in FOLDER.gguf beside
it, with --q4-k as Q4_K_M in FOLDER-q4_k_m.gguf, and with --f32 another folder FOLDER-f32. The vocabulary is that of TOKENIZER.json: Qwen3's own has 151,669 entries.
Weights are normal with a deviation of 0.02, as an initialiser has them, norms are 1; a tensor is seeded by its name, so
every file holds the same numbers and a second run the same bytes. One tensor at a time is in memory.

Needs what tests/models/README.md names. On a disk: 1.2 GB bf16 and 0.6 GB Q8_0 for 0.6b, 8 GB and 4.3 GB for 4b.
"""

import argparse
import json
import shutil
import struct
import sys
import zlib
from dataclasses import replace
from math import prod
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests" / "models"))

import gguf
import numpy
import tokenizers
import torch

import gguf_files
import qwen3

SIZES = {
    "0.6b": dict(layers=28, hidden=1024, heads=16, kv_heads=8, head_dim=128, intermediate=3072),
    "4b": dict(layers=36, hidden=2560, heads=32, kv_heads=8, head_dim=128, intermediate=9728),
}
TYPES = gguf.GGMLQuantizationType
FILES = {TYPES.Q8_0: gguf.LlamaFileType.MOSTLY_Q8_0, TYPES.Q4_K: gguf.LlamaFileType.MOSTLY_Q4_K_M}


def tensor(name, shape):
    """The weights of one tensor, float32 that bf16 can hold."""
    if len(shape) == 1:
        return numpy.ones(shape, numpy.float32)
    random = numpy.random.Generator(numpy.random.PCG64(zlib.crc32(name.encode())))
    drawn = random.standard_normal(shape, numpy.float32)
    drawn *= 0.02
    # To the nearest bf16, ties to the even one: the upper half of the bits.
    bits = drawn.view(numpy.uint32)
    bits += 0x7FFF + ((bits >> 16) & 1)
    bits &= 0xFFFF0000
    return drawn


def write_safetensors(path, model, dtype):
    """Header first, then every tensor as it is made."""
    size = {"BF16": 2, "F32": 4}[dtype]
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, shape, _ in qwen3.parts(model):
        begin, end = end, end + size * prod(shape)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for name, shape, _ in qwen3.parts(model):
            array = tensor(name, shape)
            out.write((array.view(numpy.uint32) >> 16).astype(numpy.uint16) if dtype == "BF16" else array)


def write_folder(folder, model, dtype, tokenizer):
    folder.mkdir(parents=True, exist_ok=True)
    qwen3.write_json(folder / "config.json", qwen3.configuration(model))
    shutil.copyfile(tokenizer, folder / "tokenizer.json")
    named = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "model_max_length": 131072}
    qwen3.write_json(folder / "tokenizer_config.json", {**named, "tokenizer_class": "PreTrainedTokenizerFast"})
    write_safetensors(folder / "model.safetensors", model, dtype)


def gguf_parts(model, yes_no):
    """Name in the GGUF file, shape, and how to make it; the head's two rows stand before what they are from."""
    for name, shape, _ in qwen3.parts(model):
        made = lambda name=name, shape=shape: tensor(name, shape)
        if name == "model.embed_tokens.weight":
            yield gguf_files.HEAD, (2, shape[1]), lambda made=made: made()[yes_no]
        yield gguf_files.gguf_name(name), shape, made


def write_gguf(path, model, tokenizer, kind):
    described = json.loads(tokenizer.read_text("utf-8"))
    yes_no = [described["model"]["vocab"][word] for word in ("yes", "no")]
    writer = gguf_files.begun(path, model, FILES[kind], described, True)
    for name, shape, _ in gguf_parts(model, yes_no):
        finest = gguf_files.kind_of(name, kind)
        wide = finest == TYPES.F32
        size = shape if wide else gguf.quant_shape_to_byte_shape(shape, finest)
        dtype = numpy.dtype(numpy.float32 if wide else numpy.uint8)
        writer.add_tensor_info(name, size, dtype, prod(size) * dtype.itemsize, finest)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for name, _, made in gguf_parts(model, yes_no):
        writer.write_tensor_data(gguf_files.stored(name, made(), kind)[0])
    writer.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", choices=SIZES, default="0.6b")
    parser.add_argument("--layers", type=int, help="fewer layers, to try things out")
    parser.add_argument("--f32", action="store_true", help="also FOLDER-f32, the same weights as float32")
    parser.add_argument("--q4-k", action="store_true", help="also FOLDER-q4_k_m.gguf")
    parser.add_argument("--no-gguf", action="store_true")
    given = parser.parse_args()
    vocabulary = tokenizers.Tokenizer.from_file(str(given.tokenizer)).get_vocab_size()
    model = qwen3.Checkpoint(given.folder.name, 0, torch.bfloat16, vocabulary=vocabulary, **SIZES[given.size])
    model = replace(model, layers=given.layers or model.layers)
    write_folder(given.folder, model, "BF16", given.tokenizer)
    if given.f32:
        wide = replace(model, dtype=torch.float32)
        write_folder(given.folder.with_name(given.folder.name + "-f32"), wide, "F32", given.tokenizer)
    if not given.no_gguf:
        write_gguf(given.folder.with_name(given.folder.name + ".gguf"), model, given.tokenizer, TYPES.Q8_0)
    if given.q4_k:
        write_gguf(given.folder.with_name(given.folder.name + "-q4_k_m.gguf"), model, given.tokenizer, TYPES.Q4_K)
    count = sum(prod(shape) for _, shape, _ in qwen3.parts(model))
    trunk = count - vocabulary * model.hidden
    print(f"{given.folder}: {count / 1e6:.1f} M parameters, {trunk / 1e6:.1f} M of them without the embedding")


if __name__ == "__main__":
    main()
