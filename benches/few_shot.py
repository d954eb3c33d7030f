#!/usr/bin/env python3
"""Learning from few examples: `mailsort train` beside scikit-learn's TF-IDF and logistic regression, on the same splits.

usage: few_shot.py FOLDER [--mailsort PATH] [--examples 8,64] [--seeds 5] [--sets NAME,...] [--full] [--same-features]
                          [--from-names [--texts 3000]]

FOLDER holds sets as JSON Lines with `text`, `label`, `lang` and `split`. Of each set so many examples of every label are drawn
from the training split by a seed, and the whole test split is judged (dev where there is none; sets without splits are
halved by the seed, each label by itself). The other side is TfidfVectorizer() and LogisticRegression(max_iter=1000).

--full takes the whole training split once, and prints the seconds that training took and the size of the file.
--from-names gives `train` the label names and at most so many texts of the training split without their labels, and compares
with the names alone.
--same-features compares `train --ngrams off --c 1 --label-weights none` with LogisticRegression on the vectors of the built-in
model, which model/make/inference.py makes. Needs scikit-learn; --same-features also tokenizers and safetensors."""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

ROOT = pathlib.Path(__file__).resolve().parent.parent
LANGUAGES = 'en de fr es pt it nl ru zh ja ar'.split()
BINS = 15
# name -> (file, training split, test split, language); without splits the set is halved.
SETS = {'banking77': ('banking77', 'train', 'test', None), 'clinc150': ('clinc150', 'train', 'test', None),
        'newsgroups20': ('newsgroups20', None, None, None), 'thucnews_titles': ('thucnews_titles_dev', None, None, None),
        'trec': ('trec', 'train', 'test', None), 'ag_news': ('ag_news', None, None, None),
        'sms_spam': ('sms_spam', None, None, None), 'tnews': ('tnews_train_dev', 'train', 'dev', None),
        'bitext': ('bitext_customer_service', 'train', 'test', None)}
SETS.update({f'sib200-{lang}': ('sib200_train_dev', 'train', 'dev', lang) for lang in LANGUAGES})
MEASURED = ['banking77', 'clinc150', 'newsgroups20', 'thucnews_titles'] + [f'sib200-{lang}' for lang in LANGUAGES]


def rows_of(folder, name):
    file, train, test, lang = SETS[name]
    rows = [json.loads(line) for line in open(folder / f'{file}.jsonl', encoding='utf-8')]
    # `oos` is no label but the absence of one.
    rows = [r for r in rows if (lang is None or r['lang'] == lang) and r['label'] != 'oos']
    if train is None:
        return rows, None
    return [r for r in rows if r['split'] == train], [r for r in rows if r['split'] == test]


def split(rows, test, examples, seed):
    """Training rows with at most so many of each label, and test rows."""
    random = np.random.default_rng(seed)
    by_label, held = {}, []
    for row in rows:
        by_label.setdefault(row['label'], []).append(row)
    train = []
    for label in sorted(by_label):
        mixed = [by_label[label][i] for i in random.permutation(len(by_label[label]))]
        if test is None:
            held += mixed[len(mixed) // 2:]
            mixed = mixed[:len(mixed) // 2]
        train += mixed[:examples]
    return train, held if test is None else test


def write(path, rows):
    with open(path, 'w', encoding='utf-8') as out:
        for row in rows:
            out.write(json.dumps({'text': row['text'], 'label': row['label']}, ensure_ascii=False) + '\n')


def calibration_error(scores, right):
    cell = np.minimum((scores * BINS).astype(int), BINS - 1)
    return sum(abs(scores[cell == b].mean() - right[cell == b].mean()) * (cell == b).mean()
               for b in range(BINS) if (cell == b).any())


def mailsort(program, train, test, *flags):
    """Accuracy and calibration error in points, seconds of training, bytes of the file."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        write(folder / 'train.jsonl', train)
        write(folder / 'test.jsonl', test)
        began = time.monotonic()
        subprocess.run([program, 'train', folder / 'train.jsonl', '--output', folder / 'c.json', '--quiet', *flags], check=True)
        seconds = time.monotonic() - began
        # 1 says that some texts have no known word; they count as wrong.
        done = subprocess.run([program, 'classify', folder / 'test.jsonl', '--classifier', folder / 'c.json', '--quiet', '-k', '1'],
                              stdout=subprocess.PIPE, check=False)
        if done.returncode > 1:
            sys.exit(f'classify ended with {done.returncode}')
        records = [json.loads(line) for line in done.stdout.splitlines()]
        size = (folder / 'c.json').stat().st_size
    assert len(records) == len(test)
    right = np.array([r['label'] == t['label'] for r, t in zip(records, test)])
    scored = np.array([r['score'] is not None for r in records])
    scores = np.array([r['score'] or 0 for r in records])
    return 100 * right.mean(), 100 * calibration_error(scores[scored], right[scored]), seconds, size


def regression(train, test, features=None):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        began = time.monotonic()
        texts, held = [r['text'] for r in train], [r['text'] for r in test]
        if features:
            a, b = features(texts), features(held)
        else:
            vectorizer = TfidfVectorizer()
            a, b = vectorizer.fit_transform(texts), vectorizer.transform(held)
        model = LogisticRegression(max_iter=1000).fit(a, [r['label'] for r in train])
        right = model.predict(b) == np.array([r['label'] for r in test])
    return 100 * right.mean(), time.monotonic() - began


def builtin_vectors():
    sys.path.insert(0, str(ROOT / 'model/make'))
    from inference import open_artefact
    return open_artefact(str(ROOT / 'model/builtin.safetensors')).encode_mails


def names_alone(program, train, test):
    """Accuracy by names, and by what names and unlabelled texts teach; None where `train` refuses."""
    names = sorted({row['label'] for row in train} | {row['label'] for row in test})
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        write(folder / 'test.jsonl', test)
        (folder / 'texts.jsonl').write_text(''.join(json.dumps({'text': row['text']}) + '\n' for row in train))
        (folder / 'labels.toml').write_text(''.join(f'[[label]]\nname = {json.dumps(name)}\n' for name in names))
        labels = ['--labels', folder / 'labels.toml']

        def accuracy(*flags):
            done = subprocess.run([program, 'classify', folder / 'test.jsonl', '--quiet', '-k', '1', *flags],
                                  stdout=subprocess.PIPE, check=False)
            records = [json.loads(line) for line in done.stdout.splitlines()]
            assert len(records) == len(test)
            return 100 * np.mean([r['label'] == t['label'] for r, t in zip(records, test)])
        learned = subprocess.run([program, 'train', folder / 'texts.jsonl', *labels, '--from-names', '--output', folder / 'c.json',
                                  '--quiet'], stderr=subprocess.DEVNULL, check=False)
        return accuracy(*labels), accuracy('--classifier', folder / 'c.json') if learned.returncode == 0 else None


def compare_names(given):
    print('| set | labels | texts | names | from names | difference |\n' + '|---' * 6 + '|')
    gains = {}
    for name in given.sets.split(','):
        rows, test = rows_of(given.folder, name)
        train, held = split(rows, test, 10 ** 9, 0)
        train = [train[i] for i in np.random.default_rng(0).permutation(len(train))[:given.texts]]
        alone, learned = names_alone(given.mailsort, train, held)
        gains.setdefault(name.split('-')[0], []).append((alone if learned is None else learned) - alone)
        shown = 'refused' if learned is None else f'{learned:.1f}'
        print(f"| {name} | {len({row['label'] for row in train})} | {len(train)} | {alone:.1f} | {shown} | "
              f'{gains[name.split("-")[0]][-1]:+.1f} |', flush=True)
    print(f'mean of {len(gains)} sets {np.mean([np.mean(g) for g in gains.values()]):+.1f}; languages of one set count as one')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=pathlib.Path)
    parser.add_argument('--mailsort', default=str(ROOT / 'target/release/mailsort'))
    parser.add_argument('--examples', default='8,64')
    parser.add_argument('--seeds', type=int, default=5)
    parser.add_argument('--sets')
    parser.add_argument('--from-names', action='store_true')
    parser.add_argument('--texts', type=int, default=3000)
    parser.add_argument('--full', action='store_true')
    parser.add_argument('--same-features', action='store_true')
    given = parser.parse_args()
    given.sets = given.sets or ','.join(SETS if given.from_names else MEASURED)
    if given.from_names:
        return compare_names(given)
    examples = [10 ** 9] if given.full else [int(n) for n in given.examples.split(',')]
    features = builtin_vectors() if given.same_features else None
    flags = ['--ngrams', 'off', '--c', '1', '--label-weights', 'none'] if given.same_features else []
    other = 'the same features' if given.same_features else 'TF-IDF'
    print(f'| set | examples | mailsort | {other} | difference | ECE | train, s | {other}, s | file, MB |\n' + '|---' * 9 + '|')
    for name in given.sets.split(','):
        rows, test = rows_of(given.folder, name)
        for count in examples:
            ours, theirs = [], []
            for seed in range(given.seeds):
                train, held = split(rows, test, count, seed)
                ours.append(mailsort(given.mailsort, train, held, *flags))
                theirs.append(regression(train, held, features))
            accuracy, ece, seconds, size = np.mean(ours, axis=0)
            beside, longer = np.mean(theirs, axis=0)
            shown = f'all ({len(train)})' if given.full else count
            print(f'| {name} | {shown} | {accuracy:.1f} | {beside:.1f} | {accuracy - beside:+.1f} | {ece:.1f} | {seconds:.1f} '
                  f'| {longer:.1f} | {size / 1e6:.1f} |', flush=True)


if __name__ == '__main__':
    main()
