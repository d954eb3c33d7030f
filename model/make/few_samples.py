"""The constants of `train` for few samples a label: the share of the zero-shot logits that is the prior, C and the temperature.

usage: few_samples.py LABELLED MODEL       prints accuracy and negative log-likelihood by n samples a label, share and C, as means
                                           of families of sets, and the best temperature of each

Each set is split in two; samples are drawn from one half, figures are of the other. Only training splits take part, so no
text that the model is measured on. The classifier is the one of src/classifier/linear: logistic regression on the vectors,
whose weights are drawn to share x factor x the label's vector, with balanced labels; intercepts are drawn to zero ten times
weaker. Words are no features here."""
import json
import random
import sys

import numpy as np
from scipy.optimize import minimize

from calibrate import COEFFICIENTS, family_mean, features, log_softmax
from inference import open_artefact

SETS = ('banking77', 'clinc150', 'trec', 'bitext_customer_service', 'tnews_train_dev', 'sib200_train_dev')
NUMBERS, SHARES, STRENGTHS = (1, 2, 4, 8, 16), (0, .25, .5, 1), (3, 10, 30, 100)
DRAWS, MOST_TESTED = 3, 400
TEMPERATURES = np.exp(np.linspace(np.log(.2), np.log(3), 50))


def sets(labelled):
    """name -> rows of text and label of the training split; a language is a set of its own."""
    out = {}
    for name in SETS:
        for row in map(json.loads, open(f'{labelled}/{name}.jsonl', encoding='utf8')):
            if row.get('split') == 'train' and row['label'] != 'oos':
                own = f"{name}-{row['lang']}" if name.startswith('sib') else name
                out.setdefault(own, []).append((row['text'], row['label']))
    return out


def fit(x, y, labels, strength, prior):
    """Weights [dims, labels] and intercepts of the samples x with the labels y."""
    n, dims = x.shape
    counts = np.bincount(y, minlength=labels)
    weight = (n / (labels * counts[y]))
    weight *= n / weight.sum()
    given, truth = x @ prior, np.eye(labels)[y]

    def loss(point):
        w, b = point[:dims * labels].reshape(dims, labels), point[dims * labels:]
        logs = log_softmax(given + x @ w + b)
        residuals = (np.exp(logs) - truth) * weight[:, None]
        slope = np.concatenate([(x.T @ residuals + w / strength).ravel(), residuals.sum(0) + b / (10 * strength)])
        penalty = .5 / strength * ((w * w).sum() + (b * b).sum() / 10)
        return penalty - (weight * logs[np.arange(n), y]).sum(), slope
    found = minimize(loss, np.zeros((dims + 1) * labels), jac=True, method='L-BFGS-B', options={'maxiter': 200}).x
    return prior + found[:dims * labels].reshape(dims, labels), found[dims * labels:]


def halves(rows, names, rng):
    """Texts to draw from by label, and tested texts with their labels."""
    by_label = {name: [] for name in names}
    for text, label in rng.sample(rows, len(rows)):
        by_label[label].append(text)
    most, tested, pool = max(2, MOST_TESTED // len(names)), [], []
    for label, texts in enumerate(by_label.values()):
        held = texts[:min(len(texts) // 2, most)]
        tested += [(text, label) for text in held]
        pool.append(texts[len(held):])
    return pool, tested


def main(labelled, artefact):
    model, rng = open_artefact(artefact), random.Random(0)
    results = {}
    for name, rows in sets(labelled).items():
        names = sorted({label for _, label in rows})
        pool, tested = halves(rows, names, rng)
        z = model.encode([label.translate(str.maketrans('_.-', '   ')) for label in names])
        factor = np.exp(features(z @ z.T) @ COEFFICIENTS)
        xs, ys = model.encode_mails([text for text, _ in tested]), np.array([label for _, label in tested])
        results.setdefault(('names alone', ''), {})[name] = ((xs @ z.T).argmax(1) == ys).mean(), None
        for number in NUMBERS:
            figures = {}
            for _ in range(DRAWS if len(names) < 60 else 1):
                drawn = [(t, label) for label, texts in enumerate(pool) for t in rng.sample(texts, min(number, len(texts)))]
                x, y = model.encode_mails([text for text, _ in drawn]), np.array([label for _, label in drawn])
                for share in SHARES:
                    for strength in STRENGTHS:
                        w, b = fit(x, y, len(names), strength, share * factor * z.T)
                        logits = xs @ w + b
                        curve = [-log_softmax(logits / t)[np.arange(len(ys)), ys].mean() for t in TEMPERATURES]
                        figures.setdefault((share, strength), []).append(((logits.argmax(1) == ys).mean(), curve))
            for key, found in figures.items():
                results.setdefault((number, *key), {})[name] = np.mean([a for a, _ in found]), np.mean([c for _, c in found], 0)
    for key, by_set in results.items():
        accuracy = family_mean({name: a for name, (a, _) in by_set.items()})
        line = ' '.join(str(part) for part in key) + f': accuracy {100 * accuracy:.1f}'
        if key[0] != 'names alone':
            curve = [family_mean({name: c[i] for name, (_, c) in by_set.items()}) for i in range(len(TEMPERATURES))]
            line += f', loss {min(curve):.3f} at temperature {TEMPERATURES[int(np.argmin(curve))]:.2f}'
        print(line)


if __name__ == '__main__':
    main(sys.argv[1], sys.argv[2])
