"""Step 9. Texts with the name of their class, from many public sets, as token ids.

usage: pairs.py PAIRS LABELLED WORK      PAIRS has .jsonl.gz files of rows text, label, lang, llang; writes WORK/pairs.npz

A task is a set in one language with labels in one language. Rows that are, or share RUN words in a row with, a text that is
measured or kept for development are left out. Lists of words are too: they help other lists."""
import glob
import gzip
import json
import os
import sys

import numpy as np
from tokenizers import Tokenizer

import artefact
from select_samples import key, read, runs_of, texts_to_avoid

WORD_LISTS = ('wn_hyper', 'wn_lex', 'wn_topic', 'emoji', 'osm', 'thuocl')
NO_LICENCE = ('opentrivia', 'cs_opentrivia', 'snips', 'cs_snips')      # none is stated
MAX_TOKENS = 96
FEWEST = 60                  # rows of a task
TASKS, TEXTS, NAMES, STRANGE = 16, 30, 64, 24
MOST = 4000                  # a larger task is not drawn more often


def tasks(pairs, avoided, runs):
    """(set, language, language of labels) -> texts and labels."""
    out = {}
    for path in sorted(glob.glob(pairs + '/**/*.jsonl.gz', recursive=True)):
        name = os.path.basename(path).split('.')[0]
        if name in WORD_LISTS + NO_LICENCE:
            continue
        for line in gzip.open(path, 'rt', encoding='utf8'):
            row = json.loads(line)
            if key(row['text']) not in avoided and runs.isdisjoint(runs_of(row['text'])):
                out.setdefault(f"{name} {row['lang']} {row['llang']}", []).append((row['text'], row['label']))
    return {n: rows for n, rows in out.items() if len(rows) >= FEWEST and len({label for _, label in rows}) > 1}


def measured_runs(labelled):
    out = set()
    for file in os.listdir(labelled):
        for row in read(f'{labelled}/{file}'):
            out |= runs_of(row['text'])
    return out


class Pairs:
    """Draws tasks, their texts and names."""

    def __init__(self, path, seed):
        z = np.load(path)
        self.flat, self.offset = z['flat'], np.concatenate([[0], np.cumsum(z['length'].astype(np.int64))])
        self.rng, self.tasks = np.random.RandomState(seed), []
        for texts, names, label in zip(*(np.split(z[part], z[part + '_ends'][:-1]) for part in ('texts', 'names', 'label'))):
            order = np.argsort(label, kind='stable')
            self.tasks.append((texts[order], names, np.searchsorted(label[order], np.arange(len(names) + 1))))
        size = np.array([min(len(texts), MOST) ** .5 for texts, _, _ in self.tasks])
        self.share = size / size.sum()

    def ids(self, i):
        return self.flat[self.offset[i]:self.offset[i + 1]]

    def draw(self):
        """[(ids of texts, ids of names, right name of each text)]"""
        return [self.task(self.tasks[i]) for i in self.rng.choice(len(self.tasks), TASKS, p=self.share)]

    def task(self, task):
        texts, names, start = task
        size = np.diff(start)
        p = np.sqrt(size)
        of = self.rng.choice(len(names), TEXTS, p=p / p.sum())
        rows = texts[start[of] + (self.rng.rand(TEXTS) * size[of]).astype(int)]
        used = np.unique(of)
        others = self.rng.permutation(np.setdiff1d(np.arange(len(names)), used))[:max(0, NAMES - len(used))]
        return [self.ids(i) for i in rows], [self.ids(names[i]) for i in [*used, *others]], np.searchsorted(used, of)


def main(pairs, labelled, work):
    tokenizer, index = Tokenizer.from_file(work + '/tokenizer.json'), {}
    first_byte = tokenizer.token_to_id(artefact.BYTES[0])
    columns = {'texts': [], 'names': [], 'label': []}
    place = lambda text: index.setdefault(artefact.clean(text)[:700], len(index))
    for name, rows in tasks(pairs, texts_to_avoid(labelled), measured_runs(labelled)).items():
        known = sorted({label for _, label in rows})
        columns['texts'].append([place(text) for text, _ in rows])
        columns['names'].append([place(label) for label in known])
        columns['label'].append([known.index(label) for _, label in rows])
        print(name, len(rows), len(known))
    ids = [np.array(artefact.meaningful(e.ids, first_byte), np.int32)[:MAX_TOKENS] for e in tokenizer.encode_batch(list(index))]
    arrays = {part: np.concatenate(values) for part, values in columns.items()}
    arrays |= {part + '_ends': np.cumsum([len(v) for v in values]) for part, values in columns.items()}
    np.savez(work + '/pairs.npz', flat=np.concatenate(ids), length=np.array([len(i) for i in ids], np.int32), **arrays)


if __name__ == '__main__':
    main(*sys.argv[1:4])
