"""Step 8. Where training begins: the first edition, with token vectors of zeros for the bytes, which it lacks.

usage: warm.py WORK FIRST.safetensors OUT.npz"""
import sys

import numpy as np

import artefact
from inference import open_artefact


def main(work, first, out):
    old = open_artefact(first).a
    table = np.zeros((int(np.load(work + '/samples.npz')['vocab']), old['table'].shape[1]), np.float32)
    table[:len(old['table'])] = old['table']
    np.savez(out, table=table, **{name: old[name] for name in artefact.NAMES})


if __name__ == '__main__':
    main(*sys.argv[1:4])
