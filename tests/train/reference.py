#!/usr/bin/env python3
"""Makes reference.json beside it: logistic regressions of scikit-learn on small made-up samples.

usage: reference.py > reference.json

Every case has samples, their weights and C, and the logits that LogisticRegression gives to other samples. Several labels a
row are learned one against the rest."""
import json
import sys

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression

SEEN, UNSEEN, DIMS = 90, 30, 5


def made(labels, random, several=False):
    """Points around the corners of a simplex, some of the wrong label; common labels first."""
    share = np.arange(labels, 0, -1.0)
    y = random.choice(labels, SEEN + UNSEEN, p=share / share.sum())
    x = np.round(np.eye(DIMS)[y] + random.normal(0, .7, (len(y), DIMS)), 3)
    if several:
        return x, [sorted({int(a), int(b)}) if b < labels else [int(a)] for a, b in zip(y, random.integers(0, 2 * labels, len(y)))]
    return x, [[int(a)] for a in y]


def logits(model, x):
    found = model.decision_function(x)
    # Of two labels scikit-learn has one logit, which is the difference of ours.
    return np.stack([-found / 2, found / 2], 1) if found.ndim == 1 else found - found.mean(1, keepdims=True)


def case(name, labels, c, balanced=False, weighted=False, several=False):
    random = np.random.default_rng(len(name))
    x, y = made(labels, random, several)
    weights = np.round(random.uniform(.2, 1, SEEN), 3) if weighted else np.ones(SEEN)
    options = {'C': c, 'tol': 1e-10, 'max_iter': 10000, 'class_weight': 'balanced' if balanced else None}
    train = x[:SEEN]
    if several:
        def one(label):
            model = LogisticRegression(**options).fit(train, [label in row for row in y[:SEEN]], sample_weight=weights)
            return model.decision_function(x[SEEN:])
        expected = np.stack([one(label) for label in range(labels)], 1)
    else:
        # scikit-learn balances by counts of rows, mailsort by sums of weights, which are the same without weights.
        model = LogisticRegression(**options).fit(train, [row[0] for row in y[:SEEN]], sample_weight=weights)
        expected = logits(model, x[SEEN:])
    return {'name': name, 'labels': labels, 'c': c, 'balanced': balanced, 'several': several, 'vectors': train.tolist(),
            'truth': y[:SEEN], 'weights': weights.tolist(), 'unseen': x[SEEN:].tolist(),
            'logits': np.round(expected, 5).tolist()}


def main():
    cases = [case('plain', 4, 1.0), case('strong penalty', 4, .05), case('weak penalty, weights', 3, 30.0, weighted=True),
             case('balanced', 4, 1.0, balanced=True), case('two labels', 2, 1.0),
             case('two labels, balanced, strong', 2, .1, balanced=True), case('several labels a row', 3, 1.0, several=True),
             case('several labels a row, balanced', 3, .3, balanced=True, several=True)]
    json.dump({'scikit-learn': sklearn.__version__, 'cases': cases}, sys.stdout)
    print()


if __name__ == '__main__':
    main()
