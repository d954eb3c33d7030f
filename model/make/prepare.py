"""Step 5. Tokenise every sample once; centre the teacher's vectors and turn them onto their principal axes.

usage: prepare.py WORK      writes WORK/samples.npz and WORK/targets.npy (strings x MAX_DIM, f16)
The axes are fitted on running text only: dictionary entries have a different mean. Targets stay unnormalised, so that
training can take the first d columns for any d <= MAX_DIM."""
import collections
import json
import sys
import time

import numpy as np
from tokenizers import Tokenizer

from artefact import clean

MAX_DIM = 256
AXES_KINDS = ('tatoeba', 'ntrex', 'stsb', 'sib', 'intent_train', 'intent_other', 'dialog', 'social')


def tokenise(work, tokenizer):
    """Flat token ids (unknown and bare space dropped), and per kept row: length, string index, kind, language, document."""
    rows = [json.loads(line) for line in open(work + '/samples.jsonl', encoding='utf8')]
    flat, meta, docs = [], [], collections.defaultdict(list)
    for at in range(0, len(rows), 20000):
        block = rows[at:at + 20000]
        for row, e in zip(block, tokenizer.encode_batch([clean(r[0]) for r in block])):
            ids = np.array([i for i in e.ids if i > 1], np.int32)
            if not len(ids):
                continue
            if row[4] != -1:
                docs[(row[4], row[2])].append(len(meta))
            flat.append(ids)
            meta.append((len(ids), row[1], row[3], row[2]))
    return np.concatenate(flat), meta, [d for d in docs.values() if len(d) > 1]


def axes(teacher, rows):
    """Mean and principal axes of the teacher's vectors of `rows`."""
    chosen = np.sort(np.random.RandomState(1).choice(rows, min(120000, len(rows)), False))
    sample = teacher[chosen].astype(np.float32)
    mean = sample.mean(0)
    sample -= mean
    values, vectors = np.linalg.eigh(sample.T @ sample / len(sample))
    kept = np.cumsum(values[::-1]) / values.sum()
    print('variance kept by', {d: round(float(kept[d - 1]), 4) for d in (128, 160, 192, 224, 256)})
    return mean, vectors[:, ::-1][:, :MAX_DIM].copy()


def main(work):
    start = time.time()
    tokenizer = Tokenizer.from_file(work + '/tokenizer.json')
    flat, meta, docs = tokenise(work, tokenizer)
    length, string, kind, lang = (np.array(c) for c in zip(*meta))
    print(f'{len(length)} samples, {len(flat)} tokens, {len(docs)} documents, {time.time() - start:.0f} s', flush=True)
    strings = sum(1 for _ in open(work + '/strings.jsonl', encoding='utf8'))
    teacher = np.memmap(work + '/teacher.f16', np.float16, 'r', shape=(strings, 384))
    running = np.unique(string[np.isin(kind, AXES_KINDS)])
    mean, basis = axes(teacher, running)
    targets = np.zeros((strings, MAX_DIM), np.float16)
    for at in range(0, strings, 50000):
        targets[at:at + 50000] = (teacher[at:at + 50000].astype(np.float32) - mean) @ basis
    np.save(work + '/targets.npy', targets)
    np.savez(work + '/samples.npz', flat=flat, length=length.astype(np.int32), string=string.astype(np.int32), kind=kind,
             lang=lang, vocab=tokenizer.get_vocab_size(), mean=mean, basis=basis,
             doc_rows=np.concatenate(docs), doc_length=np.array([len(d) for d in docs]))
    print(f'finished in {time.time() - start:.0f} s')


if __name__ == '__main__':
    main(sys.argv[1])
