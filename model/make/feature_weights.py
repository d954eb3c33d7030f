"""The constants of src/classifier/linear/weights.rs: how much words and characters count beside the embedding.

usage: feature_weights.py LABELLED PAIRS MODEL NUMBER,...   NUMBER: samples a label, such as 2,8,64

For each NUMBER and each pair of lengths of the vectors of words and of characters it prints the mean accuracy over the sets
where C is chosen by cross-validation, and where the lengths are too: from all of the grid, or from the few that `train` tries.
With fewer than 8 samples a label, where nothing is chosen, it prints accuracy and the best temperature for each C.

Only training splits take part (see few_samples.py), and sets of PAIRS: gzip JSON Lines with text and label in one to many
languages, which the model is not measured on. A classifier is the one of src/classifier/linear in its dual form: logistic
regression on inner products, the names of the labels as its prior."""
import gzip
import json
import random
import re
import sys

import numpy as np
import scipy.linalg
import scipy.sparse
from scipy.optimize import minimize

from calibrate import COEFFICIENTS, features, log_softmax
from few_samples import sets
from inference import open_artefact

PAIRS = ('xsid', 'haintents', 'chatterbot', 'reddit', 'opentrivia', 'goemotions', 'movies', 'digitalgov')
GRID = [(words, characters) for words in (0, .7, 1.4, 2.8) for characters in (0, .7, 1.4, 2.8)]
TRIED = [(.7, 1.4), (1.4, 1.4), (1.4, .7), (1.4, 0), (0, 1.4)]
BEFORE = [(1, 0), (2, 0), (3, 0), (.5, 0)]
STRENGTHS, OF_FEW, FEW, WORTHWHILE = (10, 100), (3, 10, 30, 100), 8, .01
TEMPERATURES = np.exp(np.linspace(np.log(.1), np.log(6), 50))
# HELD: texts on which weights are compared. The program takes 100 for time, which costs nothing on banking77.
MOST_LABELS, TESTED, FOLDS, HELD = 24, 600, 5, 250
WORD = re.compile(r'[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]|[^\W\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]+')


def words(text):
    """Words and pairs; digits are alike."""
    found = WORD.findall(re.sub(r'\d', '0', text.lower()))[:512]
    return found + [' '.join(pair) for pair in zip(found, found[1:])]


def characters(text):
    """Runs of one to three characters between blanks, of the first 2048."""
    runs = [f' {run} ' for run in re.sub(r'\d', '0', text.lower())[:2048].split()]
    return [run[i:i + n] for run in runs for n in (1, 2, 3) for i in range(len(run) - n + 1) if run[i:i + n] != ' ']


def counted(grams):
    counts = {}
    for gram in grams:
        counts[gram] = counts.get(gram, 0) + 1
    return counts


def tfidf(train, test, split):
    """Sparse matrices of both, of length 1 where every n-gram is known."""
    train, test = [counted(split(text)) for text in train], [counted(split(text)) for text in test]
    documents = counted(gram for counts in train for gram in counts)
    places = {gram: at for at, gram in enumerate(documents)}
    idf = {gram: np.log((1 + len(train)) / (1 + count)) + 1 for gram, count in documents.items()}
    unknown = np.log(1 + len(train)) + 1

    def matrix(texts):
        rows, columns, values = [], [], []
        for row, counts in enumerate(texts):
            of = {gram: (1 + np.log(count)) * idf.get(gram, unknown) for gram, count in counts.items()}
            length = np.sqrt(sum(value * value for value in of.values())) or 1
            known = [gram for gram in of if gram in places]
            rows += [row] * len(known)
            columns += [places[gram] for gram in known]
            values += [of[gram] / length for gram in known]
        return scipy.sparse.csr_matrix((values, (rows, columns)), shape=(len(texts), len(places)), dtype=np.float32)
    return matrix(train), matrix(test)


def products(train, test):
    pair = train @ train.T, test @ train.T
    return [one.toarray() if scipy.sparse.issparse(one) else one for one in pair]


def fit(gram, y, labels, strength, prior, start, few):
    """Factors of the samples and intercepts, and the point where a next fit may start."""
    n = len(y)
    lower = np.linalg.cholesky(gram.astype(np.float64) + 1e-4 * np.trace(gram) / n * np.eye(n)).astype(np.float32)
    truth, penalty = np.eye(labels, dtype=np.float32)[y], (2 if labels == 2 else 1) / strength
    weight = (n / (labels * np.bincount(y, minlength=labels)[y]))[:, None].astype(np.float32)

    def loss(point):
        u, b = point[:n * labels].reshape(n, labels).astype(np.float32), point[n * labels:]
        logs = log_softmax(prior + lower @ u + b)
        residuals = (np.exp(logs) - truth) * weight
        slope = np.concatenate([(lower.T @ residuals + penalty * u).ravel(), residuals.sum(0) + few * penalty / 10 * b])
        return -(logs * truth * weight).sum() + penalty / 2 * ((u * u).sum() + few / 10 * (b * b).sum()), slope
    start = np.zeros((n + 1) * labels) if start is None else start
    found = minimize(loss, start, jac=True, method='L-BFGS-B', options={'maxiter': 80}).x
    factors = scipy.linalg.solve_triangular(lower.T, found[:n * labels].reshape(n, labels))
    return factors, found[n * labels:], found


class Task:
    """Samples drawn from a set, and tested texts."""

    def __init__(self, model, rows, number, rng):
        by_label = {}
        for text, label in rng.sample(rows, len(rows)):
            by_label.setdefault(label, {})[text] = True
        names = sorted(label for label, texts in by_label.items() if len(texts) >= 1.5 * min(number, 40))
        names = sorted(rng.sample(names, min(len(names), MOST_LABELS if number < 64 else MOST_LABELS // 2)))
        train, test = [], []
        for at, name in enumerate(names):
            texts = list(by_label[name])
            held = min(len(texts) // 2, TESTED // len(names))
            test += [(text, at) for text in texts[:held]]
            train += [(text, at) for text in texts[held:][:number]]
        (texts, y), (held, truth) = zip(*train), zip(*test)
        self.y, self.truth, self.labels, self.few = np.array(y), np.array(truth), len(names), number < FEW
        dense = model.encode_mails(texts), model.encode_mails(held)
        self.grams = [products(*dense), products(*tfidf(texts, held, words)), products(*tfidf(texts, held, characters))]
        z = model.encode([name.translate(str.maketrans('_.-', '   ')) for name in names])
        share = .5 * min(1, 16 / number) * np.exp(features(z @ z.T) @ COEFFICIENTS)
        self.prior = [share * part @ z.T for part in dense]
        if -log_softmax(self.prior[0])[np.arange(len(y)), y].mean() >= np.log(len(names)):
            self.prior = [0 * part for part in self.prior]
        self.fold = np.zeros(len(y), int)
        self.fold[np.argsort(self.y + np.random.default_rng(0).random(len(y)))] = np.arange(len(y)) % FOLDS

    def gram(self, lengths):
        return [sum(length * length * part[side] for length, part in zip((1, *lengths), self.grams)) for side in (0, 1)]

    def tested(self, lengths, strength, start=None):
        """Logits of the tested texts."""
        train, test = self.gram(lengths)
        factors, intercepts, point = fit(train, self.y, self.labels, strength, self.prior[0], start, self.few)
        return self.prior[1] + test @ factors + intercepts, point

    def held_out(self, lengths, strength):
        """Loss at the best temperature of so many folds that they test enough."""
        gram, (prior, _) = self.gram(lengths)[0], self.prior
        logits, truth = [], []
        for fold in range(FOLDS):
            rest, held = np.flatnonzero(self.fold != fold), np.flatnonzero(self.fold == fold)
            factors, intercepts, _ = fit(gram[np.ix_(rest, rest)], self.y[rest], self.labels, strength, prior[rest], None, self.few)
            logits.append(prior[held] + gram[np.ix_(held, rest)] @ factors + intercepts)
            truth += [*self.y[held]]
            if len(truth) >= HELD:
                break
        return min(curve(np.concatenate(logits), np.array(truth)))

    def accuracy(self, lengths):
        """By the C that is best in cross-validation."""
        best = min(STRENGTHS, key=lambda strength: self.held_out(lengths, strength))
        return self.right(self.tested(lengths, best)[0])

    def right(self, logits):
        return 100 * (logits.argmax(1) == self.truth).mean()

    def chosen(self, lengths):
        """Those with the least loss; each must lower it by a part."""
        best, least = lengths[0], self.held_out(lengths[0], STRENGTHS[0])
        for other in lengths[1:]:
            loss = self.held_out(other, STRENGTHS[0])
            if loss < least * (1 - WORTHWHILE):
                best, least = other, loss
        return best


def curve(logits, truth):
    return [-log_softmax(logits / temperature)[np.arange(len(truth)), truth].mean() for temperature in TEMPERATURES]


def of_few(task, results):
    for lengths in [(0, 0), (1, 0), *TRIED]:
        point = None
        for strength in OF_FEW:
            logits, point = task.tested(lengths, strength, point)
            results.setdefault((*lengths, strength), []).append((task.right(logits), curve(logits, task.truth)))


def of_many(task, results):
    for lengths in GRID:
        results.setdefault(lengths, []).append((task.accuracy(lengths), None))
    for name, lengths in (('chosen as before', BEFORE), ('chosen from the few', TRIED), ('chosen from the grid', GRID)):
        results.setdefault(name, []).append((task.accuracy(task.chosen(lengths)), None))


def main(labelled, pairs, artefact, numbers):
    model, every = open_artefact(artefact), sets(labelled)
    for name in PAIRS:
        rows = map(json.loads, gzip.open(f'{pairs}/{name}.jsonl.gz', 'rt', encoding='utf8'))
        every[name] = [(row['text'], row['label']) for row in rows]
    for number in map(int, numbers.split(',')):
        results = {}
        for rows in every.values():
            task = Task(model, rows, number, random.Random(0))
            (of_few if task.few else of_many)(task, results)
        for key, found in results.items():
            line = f'{number} a label, {key}: accuracy {np.mean([accuracy for accuracy, _ in found]):.1f}'
            if number < FEW:
                mean = np.mean([losses for _, losses in found], 0)
                line += f', loss {mean.min():.3f} at temperature {TEMPERATURES[mean.argmin()]:.2f}'
            print(line, flush=True)


if __name__ == '__main__':
    main(*sys.argv[1:5])
