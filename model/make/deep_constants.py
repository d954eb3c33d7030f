"""The constants of `deep` and of centred embeddings on development sets: which label prompts, how much the one with a
description counts, how much e5 weighs beside the built-in model, how sure the built-in model must be to decide alone,
and the factors of the softmax.

usage: deep_constants.py LABELLED WORK BUILTIN DEEP      WORK as for deep.py; those of e5 are kept in WORK/deep_dev.npz

Only development sets take part (dev.py), at most 250 texts of each. Figures are means of families of sets."""
import itertools
import json
import os
import random
import sys

import numpy as np

import artefact
import calibrate
from calibrate import COEFFICIENTS, family_mean, log_softmax
from deep import LABEL_PROMPTS, PROMPT
from deep_golden import encoder_of
from dev import development_sets
from inference import open_artefact, unit

TRIED = ('{}', '{}.', '{}: {}', 'This is about {}.', 'This text is about {}', 'category: {}', *LABEL_PROMPTS)
WEIGHTS = (.5, .75, 1, 1.3, 1.6, 2)
SURE = (.3, .4, .5, .6, .7, .8)
PAIRS = 60
DESCRIBED = (0, .3, .5, .7, .85, 1)
TEXTS = 250


def vectors(labelled, work, builtin, deep):
    """name -> x, labels in each prompt z, and of the built-in model b, zb and languages; truth y. Those of e5 are kept."""
    path, first, out = work + '/deep_dev.npz', open_artefact(builtin), {}
    kept = dict(np.load(path)) if os.path.exists(path) else {}
    encoder = None if kept else encoder_of(work, deep)
    for name, (texts, labels) in development_sets(labelled).items():
        rows = sorted(random.Random(name).sample(range(len(texts)), min(TEXTS, len(texts))))
        known = sorted(set(labels))
        texts = [artefact.clean(texts[i]) for i in rows]
        if encoder:
            kept |= {f'{name}/x': encoder.embed([PROMPT + text for text in texts]),
                     f'{name}/z': np.stack([encoder.embed([PROMPT + p.format(k, k) for k in known]) for p in TRIED])}
            print(name, len(rows), flush=True)
        out[name] = {'x': kept[f'{name}/x'], 'z': kept[f'{name}/z'], 'lang': sure(first, first.ids(texts)),
                     'b': first.encode_mails(texts), 'zb': first.encode(known),
                     'y': np.array([known.index(labels[i]) for i in rows])}
    np.savez(path, **kept)
    return out


def sure(model, ids):
    """The language that more than half of the votes are for, or -1."""
    votes = np.stack([np.bincount(model.pieces[i], minlength=128)[:127] for i in ids])
    return np.where(2 * votes.max(1) > votes.sum(1), votes.argmax(1), -1)


def scores(data, deep, prompts):
    """name -> cosines of e5, centred, with the labels in these prompts."""
    tensors, _ = artefact.load(deep)
    out = {}
    for name, v in data.items():
        x = unit(v['x'] - tensors['means'][v['lang']])
        out[name] = x @ unit(v['z'][list(prompts)].mean(0) - tensors['words']).T
    return out


def described(data, work, builtin, deep, weight):
    """How much the description counts -> accuracy of e5 and of both models, with labels that have one: the mean of the bare
    names in the label prompts, and the first prompt with the description behind it; at last the description in all."""
    known = json.load(open(os.path.join(os.path.dirname(__file__), 'descriptions.json'), encoding='utf8'))
    encoder, first, (tensors, _) = encoder_of(work, deep), open_artefact(builtin), artefact.load(deep)
    shipped, right, made = [TRIED.index(prompt) for prompt in LABEL_PROMPTS], {}, {}
    for name, v in data.items():
        family = calibrate.family(name)
        if family not in known:
            continue
        if family not in made:
            texts = [f'{label}. {known[family][label]}' for label in sorted(known[family])]
            made[family] = [encoder.embed([PROMPT + p.format(text) for text in texts]) for p in LABEL_PROMPTS], first.encode(texts)
        texts, zb = made[family]
        labels = {w: (1 - w) * v['z'][shipped].mean(0) + w * texts[0] for w in DESCRIBED} | {'in all': np.mean(texts, 0)}
        for w, z in labels.items():
            e5 = unit(v['x'] - tensors['means'][v['lang']]) @ unit(z - tensors['words']).T
            hits = [100 * (s.argmax(1) == v['y']).mean() for s in (e5, v['b'] @ zb.T + weight * e5)]
            right.setdefault(w, {})[name] = hits
    return {w: [round(family_mean({n: h[i] for n, h in r.items()}), 1) for i in (0, 1)] for w, r in right.items()}


def accuracy(scored, data):
    return 100 * family_mean({n: (s.argmax(1) == data[n]['y']).mean() for n, s in scored.items()})


def by_probability(sets, factor, sure):
    """Accuracy where the first decides from so much of the way from chance to certainty on, and the share that goes on."""
    right, on = {}, {}
    for name, (first, both, truth, labels) in sets.items():
        p = np.exp(log_softmax(first * factor(labels))).max(1)
        is_sure = p >= sure + (1 - sure) / len(labels)
        right[name] = (np.where(is_sure, first.argmax(1), both.argmax(1)) == truth).mean()
        on[name] = 1 - is_sure.mean()
    return 100 * family_mean(right), 100 * family_mean(on)


def pairs_of_labels(sets, rng):
    """The texts of two random labels of each set, PAIRS times."""
    out = {}
    for name, (first, both, truth, labels) in sets.items():
        for i in range(PAIRS):
            kept = np.sort(rng.choice(len(labels), 2, replace=False))
            rows = np.isin(truth, kept)
            if rows.sum() >= calibrate.FEWEST:
                out[f'{name}#{i}'] = first[rows][:, kept], both[rows][:, kept], np.searchsorted(kept, truth[rows]), labels[kept]
    return out


def main(labelled, work, builtin, deep):
    data = vectors(labelled, work, builtin, deep)
    first = {n: v['b'] @ v['zb'].T for n, v in data.items()}
    print(f'the built-in model alone: {accuracy(first, data):.1f}')
    shipped = [TRIED.index(prompt) for prompt in LABEL_PROMPTS]
    choices = [c for size in (1, 3) for c in itertools.combinations(range(len(TRIED)), size)]
    ranked = sorted(choices, key=lambda c: -accuracy(scores(data, deep, c), data))
    for chosen in [*ranked[:6], tuple(shipped), tuple(range(len(TRIED)))]:
        print(f'{accuracy(scores(data, deep, chosen), data):.1f}', [TRIED[i] for i in chosen])
    e5 = scores(data, deep, shipped)
    both = {w: {n: first[n] + w * e5[n] for n in data} for w in WEIGHTS}
    print('weights', {w: round(accuracy(s, data), 1) for w, s in both.items()})
    weight = max(WEIGHTS, key=lambda w: accuracy(both[w], data))
    print('described', described(data, work, builtin, deep, weight))
    factor = lambda zb: float(np.exp(calibrate.features(zb @ zb.T) @ COEFFICIENTS))
    whole = {n: (first[n], both[weight][n], v['y'], v['zb']) for n, v in data.items()}
    two = pairs_of_labels(whole, np.random.default_rng(0))
    for sure in SURE:
        print('sure from {}: accuracy {:.1f}, {:.0f} % go on; of two labels {:.1f}, {:.0f} %'.format(
            sure, *by_probability(whole, factor, sure), *by_probability(two, factor, sure)))
    print('e5 alone: factor', calibrate.fit({n: (s, data[n]['y']) for n, s in e5.items()})[0])
    words = artefact.load(deep)[0]['words']
    # Labels as the program has them: both vectors side by side, the second longer, and of length 1 together.
    label = {n: unit(np.concatenate([v['zb'], weight ** .5 * unit(v['z'][shipped].mean(0) - words)], 1)) for n, v in data.items()}
    sets = {n: (both[weight][n] / (1 + weight) ** .5, data[n]['y'], label[n] @ label[n].T) for n in data}
    w = calibrate.coefficients(calibrate.with_subsets(sets, np.random.default_rng(0)))
    print('weight', weight, 'coefficients', ' '.join(f'{x:.4f}' for x in w))
    errors = calibrate.family_ece(sets, w)
    print(f'ECE {np.mean(list(errors.values())):.1f}', {n: round(e, 1) for n, e in errors.items()})


if __name__ == '__main__':
    main(*sys.argv[1:5])
