"""The constants of `train` without labels (src/classifier/linear/from_names.rs): which share of the texts of each label the
rounds learn from, C, the part of the first logits that is added, the temperature, and when names are better left alone.

usage: from_names.py LABELLED PAIRS MODEL     prints the gain over names by shares, C and part, for as many texts of each label
                                              as there are and for skewed numbers; then by number of texts, and with a few
                                              labelled samples

LABELLED holds sets as JSON Lines, of which only training splits take part, and PAIRS texts with a label in words (`text`,
`label`, `lang`, gzip), none of them measured elsewhere. Each set is taken whole and with random parts of its labels, halved:
one half has no labels, the figures are of the other, as means of families of sets in points of accuracy."""
import collections
import gzip
import json
import random
import sys

import numpy as np

from calibrate import COEFFICIENTS, family_mean, features, log_softmax
from few_samples import fit, sets
from inference import open_artefact

PAIRS = ('digitalgov', 'goemotions', 'medical_zh', 'opentrivia', 'trivia', 'snips', 'rasa', 'selfhosted', 'publicapis', 'movies',
         'sgd', 'nlupp', 'haintents', 'xsid', 'awesomemac', 'chatterbot')
BY_LANGUAGE, LANGUAGES = ('haintents', 'xsid', 'awesomemac', 'chatterbot'), ('en', 'de', 'zh', 'ja', 'fr', 'es')
FEWEST_ROWS, MOST_ROWS, MOST_TESTED = 20, 8000, 1500
WHOLE, SKEWED = 2, 3                    # draws of each set
NUMBERS = (30, 60, 100, 200, 500, 1000, 3000)
SHARES = ((.5,), (.3, .3), (.3, .6), (.5, .8), (.3, .6, .9))
STRENGTHS, PARTS = (.3, 1, 3), (0, .2, .4, .6, 1)
CHOSEN = (.3, .6), 1, .4
FEWEST, FEWEST_EACH = 100, 5            # texts, and texts a label: with fewer, one draw of five loses more than a point
TEMPERATURES = np.exp(np.linspace(np.log(.3), np.log(3), 40))


def development_sets(labelled, pairs):
    """name -> rows of text and label. Texts with two labels and labels with few texts are left out."""
    out, rng = sets(labelled), random.Random(0)
    for name in PAIRS:
        for row in map(json.loads, gzip.open(f'{pairs}/{name}.jsonl.gz', 'rt', encoding='utf8')):
            if name not in BY_LANGUAGE:
                out.setdefault(name, []).append((row['text'], row['label']))
            elif row['lang'] in LANGUAGES and row['llang'] in (row['lang'], 'en'):
                out.setdefault(f"{name}-{row['lang']}", []).append((row['text'], row['label']))
    for name, rows in out.items():
        labels = collections.defaultdict(set)
        for text, label in rows:
            labels[text].add(label)
        rows = [(text, label) for text, label in rows if len(labels[text]) == 1]
        counts = collections.Counter(label for _, label in rows)
        rows = [row for row in dict.fromkeys(rows) if counts[row[1]] >= FEWEST_ROWS]
        out[name] = rng.sample(rows, min(len(rows), MOST_ROWS))
    return {name: rows for name, rows in out.items() if len({label for _, label in rows}) > 1}


def embedded(rows, model):
    """Vectors of the texts, their labels as numbers, and the vectors of the labels."""
    names = sorted({label for _, label in rows})
    z = model.encode([name.translate(str.maketrans('_.-/', '    ')) for name in names])
    return model.encode_mails([text for text, _ in rows]), np.array([names.index(label) for _, label in rows]), z


def draws(sets, rng):
    """name -> (vectors without labels, their labels, vectors to test, their labels, vectors of the label names)."""
    for name, (x, y, z) in sets.items():
        for draw in range(WHOLE + SKEWED):
            kept = np.arange(len(z))
            if draw:
                size = int(round(np.exp(rng.uniform(np.log(2), np.log(len(z))))))
                kept = np.sort(rng.choice(len(z), max(2, size), replace=False))
            rows = rng.permutation(np.where(np.isin(y, kept))[0])
            if draw >= WHOLE:
                place = np.searchsorted(kept, y[rows])
                odds = np.exp(rng.normal(0, 1.2, len(kept))) / np.bincount(place, minlength=len(kept))
                rows = rows[rng.random(len(rows)) < odds[place] / np.sort(odds)[-max(1, len(odds) // 4)]]
            most = NUMBERS[rng.integers(len(NUMBERS))] if draw else MOST_ROWS
            half, labels = len(rows) // 2, np.searchsorted(kept, y[rows])
            tested = slice(half, half + MOST_TESTED)
            if min(half, most) >= NUMBERS[0]:
                yield (f"{name}#{'skewed' if draw >= WHOLE else 'whole'}{draw}", x[rows[:half][:most]], labels[:half][:most],
                       x[rows[tested]], labels[tested], z[kept])


def surest(logits, share):
    """The best label of each text, and which texts of each label have the largest margins."""
    p = np.exp(log_softmax(logits))
    ordered, best, kept = np.sort(p, 1), p.argmax(1), np.zeros(len(p), bool)
    margin = ordered[:, -1] - ordered[:, -2]
    for label in np.unique(best):
        rows = np.where(best == label)[0]
        kept[rows[np.argsort(-margin[rows], kind='stable')[:int(np.ceil(share * len(rows)))]]] = True
    return best, kept


def learn(x, xs, start, shares, strength, part, given=None):
    """Logits of the texts xs. start: weights and intercepts; given: labelled vectors and their labels."""
    weights, intercepts = start
    logits, nothing = x @ weights + intercepts, np.zeros_like(weights)
    for share in shares:
        best, kept = surest(logits, share)
        samples, labels = x[kept], best[kept]
        if given:
            samples, labels = np.concatenate([samples, given[0]]), np.concatenate([labels, given[1]])
        w, b = with_missing(samples, labels, weights.shape[1], strength, nothing)
        w, b = w + part * weights, b + part * intercepts
        logits = x @ w + b
    return xs @ w + b


def with_missing(samples, labels, count, strength, prior):
    """As fit, for labels of which some have no sample."""
    there = np.unique(labels)
    w, b = np.zeros_like(prior), np.full(count, -3., np.float32)
    w[:, there], b[there] = fit(samples, np.searchsorted(there, labels), len(there), strength, prior[:, there])
    return w, b


def zero_shot(z):
    return (np.exp(features(z @ z.T) @ COEFFICIENTS) * z.T).astype(np.float32), np.zeros(len(z), np.float32)


def show(what, gains):
    for kind in ('whole', 'skewed'):
        found = {name: gain for name, gain in gains.items() if '#' + kind in name}
        if found:
            values = np.array(list(found.values()))
            print(f'{what}, {kind}: mean {family_mean({n.replace("#", "-#"): g for n, g in found.items()}):+.2f}, below -1 in '
                  f'{(values < -1).sum()} of {len(values)}, worst {np.sort(values)[:3].round(1)}', flush=True)


def main(labelled, pairs, artefact):
    model = open_artefact(artefact)
    sets = {name: embedded(rows, model) for name, rows in development_sets(labelled, pairs).items()}
    tasks = list(draws(sets, np.random.default_rng(0)))
    large = [task for task in tasks if len(task[1]) >= max(FEWEST, FEWEST_EACH * len(task[5]))]

    def gains(tasks, shares, strength, part):
        out = {}
        for name, x, _, xs, ys, z in tasks:
            start = zero_shot(z)
            names = ((xs @ start[0]).argmax(1) == ys).mean()
            out[name] = 100 * float((learn(x, xs, start, shares, strength, part).argmax(1) == ys).mean() - names)
        return out
    for shares in SHARES:
        show(f'shares {shares}', gains(large, shares, *CHOSEN[1:]))
    for strength in STRENGTHS:
        for part in PARTS:
            show(f'C {strength}, part {part}', gains(large, CHOSEN[0], strength, part))
    found = gains(tasks, *CHOSEN)
    for least, most in zip(NUMBERS, NUMBERS[1:] + (10 ** 9,)):
        show(f'{least} texts or more', {t[0]: found[t[0]] for t in tasks if least <= len(t[1]) < most})
    curves = {}
    for name, x, _, xs, ys, z in large:
        logits = learn(x, xs, zero_shot(z), *CHOSEN)
        curves[name] = np.array([-log_softmax(logits / t)[np.arange(len(ys)), ys].mean() for t in TEMPERATURES])
    losses = [family_mean({name: curve[i] for name, curve in curves.items()}) for i in range(len(TEMPERATURES))]
    settled, swallowed = [], []
    for name, x, _, _, _, z in large:
        one, two = (learn(x, x, zero_shot(z), shares, *CHOSEN[1:]).argmax(1) for shares in (CHOSEN[0][:1], CHOSEN[0]))
        settled.append((one == two).mean())
        share = np.bincount(two).max() / len(two)
        swallowed.append((share, found[name]))
    print(f'the rounds agree on {min(settled):.2f} of the texts or more')
    for least in (.5, .6, .7, .8):
        gained = [gain for share, gain in swallowed if share > least]
        print(f'one label has more than {least} of the texts: {len(gained)} draws, mean {np.mean(gained or [0]):+.2f}')
    print(f'temperature {TEMPERATURES[int(np.argmin(losses))]:.2f}')
    for number in (1, 2, 4, 8):
        beside(large, number)


def beside(tasks, number):
    """So many labelled samples of each label: alone, and with the texts beside them."""
    rng, alone, both = np.random.default_rng(1), {}, {}
    for name, x, y, xs, ys, z in tasks:
        if len(z) > 50 or len(y) < 200:
            continue
        given = np.concatenate([rng.permutation(np.where(y == label)[0])[:number] for label in range(len(z))])
        if len(np.unique(y[given])) < len(z):
            continue
        rest = np.setdiff1d(np.arange(len(y)), given)
        start = fit(x[given], y[given], len(z), 10, .5 * min(1, 16 / number) * zero_shot(z)[0])
        alone[name] = 100 * float(((xs @ start[0] + start[1]).argmax(1) == ys).mean())
        logits = learn(x[rest], xs, start, *CHOSEN, given=(x[given], y[given]))
        both[name] = 100 * float((logits.argmax(1) == ys).mean())
    print(f'{number} labelled: alone {family_mean(alone):.1f}')
    show('  with texts', {name: both[name] - alone[name] for name in both})


if __name__ == '__main__':
    main(*sys.argv[1:4])
