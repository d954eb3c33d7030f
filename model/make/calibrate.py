"""The factor between a cosine and the logit of a softmax, by negative log-likelihood on the development sets.

usage: calibrate.py LABELLED MODEL       the four coefficients of src/engine/models/builtin, and what they make of
                                         the sets that the model is measured on

Imported by export.py for the one factor that suits all label sets best. Every family of sets counts alike (the eleven SIB
languages are one family). The coefficients are fitted to the sets and to 120 random subsets of the labels of each, so that
there are sets of every size; no text that is measured takes part."""
import json
import os
import sys

import numpy as np
from scipy.optimize import minimize

BINS = 10
SUBSETS = 120
FEWEST = 20        # rows of a subset
COEFFICIENTS = np.array([2.0133, .0677, .0044, 2.6471])        # what this program has found: README.md, formula 6


def log_softmax(s):
    s = s - s.max(1, keepdims=True)
    return s - np.log(np.exp(s).sum(1, keepdims=True))


def nll(scores, truth, factor):
    return float(-log_softmax(scores * factor)[np.arange(len(truth)), truth].mean())


def shares(scores, truth, factor):
    """The share of the best label of each text, and whether it is right."""
    p = np.exp(log_softmax(scores * factor))
    return p.max(1), p.argmax(1) == truth


def expected_error(share, right):
    cell = np.minimum((share * BINS).astype(int), BINS - 1)
    cells = [cell == b for b in range(BINS) if (cell == b).any()]
    return 100 * float(sum(abs(share[c].mean() - right[c].mean()) * c.mean() for c in cells))


def ece(scores, truth, factor):
    """Expected calibration error of the best label's share, in points."""
    return expected_error(*shares(scores, truth, factor))


def family(name):
    return name.split('-')[0].split('#')[0]


def family_mean(values):
    """Mean over families of the mean within each family of sets."""
    groups = {}
    for name, v in values.items():
        groups.setdefault(family(name), []).append(v)
    return float(np.mean([np.mean(g) for g in groups.values()]))


def fit(scored):
    """scored: name -> (scores [n, labels], truth [n]). The factor that fits all families, and each set's own."""
    grid = np.arange(2, 40, .5)
    curve = {n: np.array([nll(*v, g) for g in grid]) for n, v in scored.items()}
    loss = [family_mean({n: c[i] for n, c in curve.items()}) for i in range(len(grid))]
    return float(grid[int(np.argmin(loss))]), {n: float(grid[c.argmin()]) for n, c in curve.items()}


def features(cosines):
    """What the factor depends on: 1, the logarithm of the number of labels, its square, and the spread of the cosines of
    all pairs of labels."""
    n = len(cosines)
    log = np.log(n)
    return np.array([1, log, log * log, cosines[~np.eye(n, dtype=bool)].std() if n > 1 else 0])


def with_subsets(sets, rng):
    """name -> (scores, truth, cosines of the labels), and random subsets of the labels of each with the texts of these."""
    out = dict(sets)
    for name, (scores, truth, cosines) in sets.items():
        labels = len(cosines)
        for i in range(SUBSETS):
            size = int(round(np.exp(rng.uniform(np.log(2), np.log(labels)))))
            kept = np.sort(rng.choice(labels, size, replace=False))
            rows = np.isin(truth, kept)
            if size < labels and rows.sum() >= FEWEST:
                out[f'{name}#{i}'] = (scores[rows][:, kept], np.searchsorted(kept, truth[rows]),
                                      cosines[np.ix_(kept, kept)])
    return out


def coefficients(sets):
    """The logarithm of the factor is their product with the features."""
    size = {}
    for name in sets:
        size[family(name)] = size.get(family(name), 0) + 1
    data = [(features(c), s, t, 1 / (len(size) * size[family(n)] * len(t))) for n, (s, t, c) in sets.items()]

    def loss(w):
        total, slope = 0, np.zeros(len(w))
        for x, scores, truth, weight in data:
            factor = np.exp(x @ w)
            log = log_softmax(factor * scores)
            right = np.arange(len(truth)), truth
            total -= weight * log[right].sum()
            slope += weight * factor * ((np.exp(log) * scores).sum(1) - scores[right]).sum() * x
        return total, slope
    return minimize(loss, np.array([np.log(14), 0, 0, 0]), jac=True, method='BFGS').x


def family_ece(sets, w):
    """name -> the error over all texts of a family: of a hundred texts of one language it is mostly chance."""
    parts = {}
    for name, (scores, truth, cosines) in sets.items():
        parts.setdefault(family(name), []).append(shares(scores, truth, float(np.exp(features(cosines) @ w))))
    return {name: expected_error(*map(np.concatenate, zip(*part))) for name, part in parts.items()}


def described(model, sets):
    """Accuracy by bare names and with the descriptions of descriptions.json, of the sets that it describes."""
    known, right = json.load(open(os.path.join(os.path.dirname(__file__), 'descriptions.json'), encoding='utf8')), ({}, {})
    for name, (texts, labels) in sets.items():
        of = known.get(family(name))
        if of:
            names, mails = sorted(of), model.encode_mails(texts)
            truth = np.array([names.index(label) for label in labels])
            for hits, words in zip(right, (names, [f'{label}. {of[label]}' for label in names])):
                hits[name] = 100 * float(((mails @ model.encode(words).T).argmax(1) == truth).mean())
    return [round(family_mean(hits), 1) for hits in right]


def main(labelled, path):
    from dev import development_sets
    from inference import open_artefact
    from measure import measured_sets
    model = open_artefact(path)

    def scored(texts, labels):
        known = sorted(set(labels))
        vectors, place = model.encode(known), {name: i for i, name in enumerate(known)}
        return (model.encode_mails(texts) @ vectors.T, np.array([place[label] for label in labels]),
                vectors @ vectors.T)
    development = development_sets(labelled)
    print('bare names, with descriptions', described(model, development))
    sets = {name: scored(*rows) for name, rows in development.items()}
    w = coefficients(with_subsets(sets, np.random.default_rng(0)))
    print('coefficients', ' '.join(f'{x:.4f}' for x in w))
    errors = family_ece(sets, w)
    print(f'ECE of the development sets {np.mean(list(errors.values())):.1f}', {n: round(e, 1) for n, e in errors.items()})
    print('set labels factor ECE(14) ECE')
    for name, rows in measured_sets(labelled).items():
        scores, truth, cosines = scored(*rows)
        factor = float(np.exp(features(cosines) @ w))
        print(f'{name} {len(cosines)} {factor:.1f} {ece(scores, truth, 14):.1f} {ece(scores, truth, factor):.1f}')
        if name in ('banking77', 'clinc150', 'newsgroups20'):
            half = np.random.default_rng(1).permutation(len(truth)) < len(truth) // 2
            print('  halves', ' '.join(f'{ece(scores[h], truth[h], factor):.1f}' for h in (half, ~half)))


if __name__ == '__main__':
    main(*sys.argv[1:])
