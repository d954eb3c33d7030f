"""Step 5. Vectors of one teacher, in the order of the texts; goes on where an earlier run ended.

usage: teacher_embed.py WHEELS WORK e5          writes WORK/e5.f16, a row for each line of texts.jsonl
       teacher_embed.py WHEELS WORK use         WORK/use.f16, likewise
       teacher_embed.py WHEELS WORK minilm      WORK/minilm.f16, a row for each line of english.jsonl

Dictionary words stand behind `topic: ` for e5, as the name of a label does."""
import itertools
import os
import sys
import time

import numpy as np

from select_samples import read
from teachers import E5, MiniLm, Use

CHUNK = 4096
TOPIC = 'topic: '


def texts_of(teacher, work):
    if teacher == 'minilm':
        return read(work + '/english.jsonl')
    texts = read(work + '/texts.jsonl')
    if teacher == 'use':
        return texts
    is_word = np.load(work + '/texts.npz')['is_word']
    return (TOPIC + text if word else text for text, word in zip(texts, is_word))


def main(wheels, work, teacher):
    made = {'e5': lambda: E5(work), 'use': lambda: Use(wheels, work), 'minilm': lambda: MiniLm(work + '/minilm_int8.onnx')}[teacher]()
    path, started = f'{work}/{teacher}.f16', time.time()
    done = os.path.getsize(path) // (2 * made.width) if os.path.exists(path) else 0
    rows = itertools.islice(texts_of(teacher, work), done, None)
    with open(path, 'ab') as file:
        file.truncate(done * 2 * made.width)
        while chunk := list(itertools.islice(rows, CHUNK)):
            file.write(made.embed(chunk).astype(np.float16).tobytes())
            done += len(chunk)
            print(f'{teacher}: {done} after {time.time() - started:.0f} s', flush=True)


if __name__ == '__main__':
    main(*sys.argv[1:4])
