"""Step 6. What each text is trained towards: a vector in the space of the first edition.

usage: targets.py WORK FIRST.safetensors TEXT WORDS OUT.npy      texts x DIM, f16; zeros where no teacher has read a text

Three vectors of length 1: all-MiniLM-L6-v2 of the English side, by the ridge regression that gives the first edition's vectors
of English texts; multilingual-e5-small and the Universal Sentence Encoder of the text itself, side by side, by the ridge regression
that gives the vectors just named, TEXT times in running text and WORDS times in words; and FIRST times the first edition's own. All
lose the mean over the texts of a language and kind, those of the English side that of all. Words in scripts that have no pieces
have the second alone.
"""
import itertools
import os
import sys
import time

import numpy as np

from inference import open_artefact, unit
from select_samples import read
from texts import FOREIGN

DIM = 160
WIDTH = {'e5': 384, 'use': 512, 'minilm': 384}
FIRST = .7
USE = .5                     # of the length of e5
RIDGE = 10
FITTED = 200000
BLOCK = 50000


def file_of(work, name, most):
    """The rows that a teacher has made so far."""
    path = f'{work}/{name}.f16'
    rows = os.path.getsize(path) // (2 * WIDTH[name]) if os.path.exists(path) else 0
    if not rows:
        return np.zeros((0, WIDTH[name]), np.float16)
    return np.memmap(path, np.float16, 'r', shape=(rows, WIDTH[name]))[:most]


def first_vectors(model, work, count):
    """The mean of the halves of the first edition's vectors, f16."""
    out, texts = np.zeros((count, DIM), np.float16), read(work + '/texts.jsonl')
    for at in range(0, count, BLOCK):
        block = list(itertools.islice(texts, BLOCK))[:count - at]
        vectors = model.encode(block)
        out[at:at + len(block)] = unit(vectors[:, :DIM] + vectors[:, DIM:])
    return out


def ridge(x, y):
    return np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1], dtype=np.float32), x.T @ y)


class Part:
    """One teacher's vectors, by text."""

    def __init__(self, vectors, at, group, groups):
        """at [texts]: the row of each text, -1 without one; group [texts]: what a mean is taken over."""
        self.vectors, self.at, self.group = vectors, np.where(at < len(vectors), at, -1), group
        self.means, count = np.zeros((groups, vectors.shape[1])), np.zeros(groups)
        for rows in self.blocks():
            np.add.at(self.means, group[rows], self.vectors[self.at[rows]].astype(np.float64))
            count += np.bincount(group[rows], minlength=groups)
        self.means = (self.means / np.maximum(count, 1)[:, None]).astype(np.float32)

    def blocks(self):
        known = np.flatnonzero(self.at >= 0)
        return np.split(known, range(BLOCK, len(known), BLOCK))

    def rows(self, texts):
        """[texts, width], zeros where the teacher has no vector."""
        out, known = np.zeros((len(texts), self.vectors.shape[1]), np.float32), self.at[texts] >= 0
        some = texts[known]
        out[known] = unit(self.vectors[self.at[some]].astype(np.float32) - self.means[self.group[some]])
        return out


def some(rows):
    return np.sort(np.random.RandomState(1).permutation(rows)[:FITTED])


def main(work, first, weight_of_text, weight_of_words, out):
    started, z = time.time(), np.load(work + '/texts.npz')
    texts = len(z['is_word'])
    e5, use, minilm = (file_of(work, name, texts) for name in ('e5', 'use', 'minilm'))
    count = len(e5)
    names, language = np.unique(z['text_lang'][:count], return_inverse=True)
    is_word, every = z['is_word'][:count], np.arange(count)
    group, groups = 2 * language + is_word, 2 * len(names)
    own = Part(first_vectors(open_artefact(first), work, count), every, group, groups)
    parts = [Part(e5, every, group, groups), Part(use, every, group, groups)]
    english = Part(minilm, z['english'][:count], np.zeros(count, int), 1)
    print({name: len(v) for name, v in (('e5', e5), ('use', use), ('minilm', minilm))}, f'{time.time() - started:.0f} s', flush=True)
    itself = lambda rows: np.concatenate([parts[0].rows(rows), USE * parts[1].rows(rows)], 1)
    known = english.at >= 0
    rows = some(np.flatnonzero(known & (z['text_lang'][:count] == 'en') & ~is_word))
    to_space = ridge(english.rows(rows), own.rows(rows))
    translated = lambda rows: unit(english.rows(rows) @ to_space)
    fits = {kind: some(np.flatnonzero(known & (is_word == kind))) for kind in (False, True)}
    to_english = {kind: ridge(itself(rows), translated(rows)) for kind, rows in fits.items()}
    for kind, rows in fits.items():
        print('words' if kind else 'text', 'cosine', round(float((unit(itself(rows) @ to_english[kind]) * translated(rows)).sum(1).mean()), 3))
    weight = np.where(is_word, float(weight_of_words), float(weight_of_text)).astype(np.float32)[:, None]
    unread, targets = (z['text_lang'][:count] == FOREIGN)[:, None], np.zeros((texts, DIM), np.float16)
    for at in range(0, count, BLOCK):
        rows = every[at:at + BLOCK]
        x = itself(rows)
        second = unit(np.where(is_word[rows, None], x @ to_english[True], x @ to_english[False]))
        whole = translated(rows) + weight[rows] * second + FIRST * own.rows(rows)
        targets[rows] = np.where(unread[rows], second, whole)
    np.save(out, targets)
    print(f'finished in {time.time() - started:.0f} s')


if __name__ == '__main__':
    main(*sys.argv[1:6])
