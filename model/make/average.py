"""Step 11. The weighted mean of two models that began alike: it keeps what training disturbs by chance.

usage: average.py SHARE ONE.npz OTHER.npz OUT.npz      SHARE is that of the second"""
import sys

import numpy as np


def main(share, one, other, out):
    a, b, share = np.load(one), np.load(other), float(share)
    np.savez(out, **{name: ((1 - share) * a[name] + share * b[name]).astype(np.float32) for name in a.files})


if __name__ == '__main__':
    main(*sys.argv[1:5])
