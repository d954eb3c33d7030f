"""Compare designs on development data only (no test text or label, and no text that a student was trained on).

usage: dev.py LABELLED WORK MODEL.npz..."""
import json
import sys

import numpy as np

from inference import open_model
from languages import language_means, piece_languages
from select_samples import DEVELOPMENT, for_development, read

RUNNING = ('tatoeba', 'ntrex', 'stsb', 'dialog', 'social', 'intent_other')
ENGLISH = ('banking77', 'clinc150', 'trec', 'bitext', 'sib-en')


def development_sets(labelled):
    """name -> (texts, label names)."""
    sets = {}
    for name in DEVELOPMENT:
        for r in read(f'{labelled}/{name}.jsonl'):
            if r['split'] in ('train', 'val') and for_development(r) and r['label'] != 'oos':
                short = {'bitext_customer_service': 'bitext', 'sib200_train_dev': 'sib-' + r['lang']}.get(name, name)
                sets.setdefault(short, []).append(r)
    sets['tnews'] = [r for r in read(labelled + '/tnews_train_dev.jsonl') if r['split'] == 'train']
    return {n: ([r['text'] for r in v], [r['label'].replace('_', ' ') for r in v]) for n, v in sets.items()}


def background_texts(work):
    """Running text of each language, more of English and Chinese; the same list in every run."""
    out = {}
    for text, _, lang, kind, _ in read(work + '/samples.jsonl'):
        texts = out.setdefault(lang, [])
        if kind in RUNNING and len(text) > 20 and len(texts) < {'en': 6000, 'zh': 3000}.get(lang, 400):
            texts.append(text)
    return {l: t for l, t in out.items() if t}


def accuracy(mails, names, texts, labels):
    known = sorted(set(labels))
    best = (mails(texts) @ names(known).T).argmax(1)
    return 100 * float(np.mean([known[b] == l for b, l in zip(best, labels)]))


def main(labelled, work, *models):
    sets, background = development_sets(labelled), background_texts(work)
    languages = sorted(background)
    print({n: len(v[0]) for n, v in sets.items()})
    for path in models:
        model = open_model(path, work + '/tokenizer.json')
        model.pieces = piece_languages(work, languages)
        for what in ('no mean', 'language mean'):
            got = {n: accuracy(model.encode_mails, model.encode, *v) for n, v in sets.items()}
            en = np.mean([got[n] for n in ENGLISH])
            other = np.mean([v for n, v in got.items() if n not in ENGLISH])
            print(path.split('/')[-1], what, f'en {en:.1f} other {other:.1f}',
                  ' '.join(f'{n} {v:.1f}' for n, v in got.items()), flush=True)
            model.means = language_means(model, background, languages)


if __name__ == '__main__':
    main(*sys.argv[1:])
