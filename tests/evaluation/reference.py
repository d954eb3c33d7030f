"""Makes reference.json: figures of scikit-learn, scipy and numpy that src/evaluation/ is compared with.

    pip install scikit-learn scipy && python reference.py

Every case is drawn from a fixed seed. Scores are rounded to four decimals as f32, as mailsort prints them.
"""

import json
import pathlib

import numpy as np
import sklearn
import scipy
from scipy.stats import binomtest, chi2
from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

BINS = 15
TARGET = 0.75


def case(seed, rows, labels, skill, several=False, silent=0.0, held_back=0.0):
    draw = np.random.default_rng(seed)
    made = []
    for _ in range(rows):
        truth = [int(draw.integers(labels))]
        if several and draw.random() < 0.4:
            truth.append(int((truth[0] + 1 + draw.integers(labels - 1)) % labels))
        score = float(np.float32(round(float(draw.beta(3, 1.5)), 4)))
        best = truth[int(draw.integers(len(truth)))] if draw.random() < skill * (0.4 + 0.6 * score) else int(draw.integers(labels))
        if draw.random() < silent:
            made.append({"truth": truth, "best": None, "score": None, "answered": False})
            continue
        made.append({"truth": truth, "best": best, "score": score, "answered": bool(draw.random() >= held_back)})
    return figures(made, labels)


def figures(rows, labels):
    given = [row["best"] if row["answered"] else None for row in rows]
    # A row counts for the label that was given if that is right, else for its first.
    truth = [g if g in row["truth"] else row["truth"][0] for g, row in zip(given, rows)]
    # What was not answered is a label that no row has.
    predicted = [labels if g is None else g for g in given]
    names = list(range(labels))
    precision, recall, f1, support = precision_recall_fscore_support(truth, predicted, labels=names, zero_division=0)
    seen = sorted((set(truth) | set(predicted)) - {labels})
    scored = [row for row in rows if row["best"] is not None]
    scores = np.array([row["score"] for row in scored])
    right = np.array([row["best"] in row["truth"] for row in scored])
    return {
        "labels": labels,
        "rows": rows,
        "accuracy": float(np.mean([g in row["truth"] for g, row in zip(given, rows)])),
        "macro_f1": float(f1_score(truth, predicted, labels=seen, average="macro", zero_division=0)),
        "weighted_f1": float(f1_score(truth, predicted, labels=names, average="weighted", zero_division=0)),
        "precision": precision.tolist(),
        "recall": recall.tolist(),
        "f1": f1.tolist(),
        "support": support.tolist(),
        "confusion": confusion_matrix(truth, predicted, labels=names + [labels])[:labels, :labels].tolist(),
        **calibration(scores, right),
        "abstention": [curve(scores, right, len(rows), t) for t in (0.0, 0.25, 0.5, 0.8, 0.95, 1.0)],
        "thresholds": [threshold(scored, label) for label in names],
    }


def calibration(scores, right):
    at = np.minimum(np.digitize(scores, np.arange(1, BINS) / BINS), BINS - 1)
    bins, error = [], 0.0
    for b in range(BINS):
        inside = at == b
        n = int(inside.sum())
        confidence = float(scores[inside].mean()) if n else 0.0
        accuracy = float(right[inside].mean()) if n else 0.0
        error += n / len(scores) * abs(accuracy - confidence)
        bins.append({"rows": n, "confidence": confidence, "accuracy": accuracy})
    return {"bins": bins, "ece": error}


def curve(scores, right, rows, threshold):
    kept = scores >= np.float32(threshold)
    accuracy = float(right[kept].mean()) if kept.any() else None
    return {"threshold": threshold, "coverage": float(kept.sum() / rows), "accuracy": accuracy}


def threshold(scored, label):
    """The lowest score at which the label's precision reaches the target, by trying all."""
    own = [row for row in scored if row["best"] == label]
    found = None
    for t in sorted({row["score"] for row in own}, reverse=True):
        kept = [row for row in own if row["score"] >= t]
        right = sum(label in row["truth"] for row in kept)
        if right / len(kept) >= TARGET:
            found = {"threshold": t, "kept": len(kept), "right": right}
    return found or {"threshold": None, "kept": len(own), "right": sum(label in row["truth"] for row in own)}


def mcnemar(lost, won):
    n = lost + won
    if n < 25:
        p = binomtest(lost, n, 0.5).pvalue if n else 1.0
        return {"lost": lost, "won": won, "p": float(p), "exact": True}
    statistic = max(abs(lost - won) - 1, 0) ** 2 / n
    return {"lost": lost, "won": won, "p": float(chi2.sf(statistic, 1)), "exact": False}


def percentiles():
    draw = np.random.default_rng(5)
    for size in (1, 2, 7, 100):
        values = draw.exponential(size=size)
        for percent in (0, 50, 95, 99, 100):
            yield {"values": values.tolist(), "percent": percent, "value": float(np.percentile(values, percent))}


reference = {
    "made_with": {"scikit-learn": sklearn.__version__, "scipy": scipy.__version__, "numpy": np.__version__},
    "cases": [
        case(1, 60, 3, 0.9),
        case(2, 80, 7, 0.7),
        case(3, 70, 5, 0.8, several=True),
        case(4, 70, 4, 0.8, silent=0.1, held_back=0.2),
        case(5, 50, 30, 0.5, several=True, silent=0.05, held_back=0.1),
    ],
    "mcnemar": [mcnemar(*pair) for pair in ((0, 0), (0, 1), (3, 3), (8, 2), (1, 23), (12, 12), (13, 12), (30, 10), (5, 60), (200, 180))],
    "percentiles": list(percentiles()),
}
path = pathlib.Path(__file__).with_name("reference.json")
path.write_text(json.dumps(reference, separators=(",", ":")) + "\n")
