"""Step 1. Choose the training samples and make short phrases of them.

usage: select_samples.py DATA LABELLED WORK [--drop KIND,KIND]
DATA holds strings.jsonl and samples.jsonl, LABELLED the sets that the model is measured on: a sample whose text occurs
there in a measured split is left out, and so is an eighth of the training splits, kept for development (dev.py) and for
the temperature (calibrate.py). Writes WORK/strings.jsonl (what the teacher embeds) and WORK/samples.jsonl.
The phrases teach what labels look like: runs of 2-4 words that neither begin nor end with a frequent word, and
sentences with words left out or swapped, for which the teacher is asked too."""
import argparse
import collections
import json
import os
import random
import re
import zlib

MEASURED = {'banking77': ('test',), 'clinc150': ('test',), 'trec': ('test',), 'bitext_customer_service': ('test',),
            'sib200_train_dev': ('dev',), 'tnews_train_dev': ('dev',)}
DEVELOPMENT = ('banking77', 'clinc150', 'bitext_customer_service', 'sib200_train_dev', 'trec')
# Kinds without a clear open licence that are small; 20ng, lctt, wmt and so have none either, but cost too much to miss.
LEFT_OUT = 'wmt22,reuters,rlist'
# Kinds of found text, of which pieces may be quoted in a measured text: a document that shares RUN words in a row goes.
FOUND = ('20ng', 'rlist', 'lctt', 'wmt', 'wmt22', 'so', 'reuters')
RUN = 10
PHRASES_FROM = ('intent_train', 'intent_other', 'dialog', 'social', 'tatoeba', 'stsb', 'sib')
INTENTS = ('intent_train', 'intent_other', 'dialog')


def read(path):
    for line in open(path, encoding='utf8'):
        yield json.loads(line)


def key(text):
    return re.sub(r'\W+', '', text.lower())


def for_development(row):
    """An eighth of the rows; the translations of one SIB sentence share their `id` and stay together."""
    return row.get('id', zlib.crc32(row['text'].encode())) % 8 == 0


def texts_to_avoid(labelled):
    out = set()
    for file in os.listdir(labelled):
        name = file.split('.')[0]
        for r in read(f'{labelled}/{file}'):
            measured = name not in MEASURED or r.get('split') in MEASURED[name]
            if measured or name in DEVELOPMENT and for_development(r):
                out.add(key(r['text']))
    return {k for k in out if len(k) > 12}


def runs_of(text):
    words = re.findall(r'\w+', text.lower())
    return {hash(tuple(words[i:i + RUN])) for i in range(len(words) - RUN + 1)}


def quoting(rows, labelled):
    """Indices of samples of FOUND kinds whose document shares a run of words with a measured text."""
    measured = set()
    for file in os.listdir(labelled):
        splits = MEASURED.get(file.split('.')[0])
        for r in read(f'{labelled}/{file}'):
            if splits is None or r.get('split') in splits:
                measured |= runs_of(r['text'])
    hit = {i for i, r in enumerate(rows) if r[3] in FOUND and not measured.isdisjoint(runs_of(r[0]))}
    documents = {(rows[i][3], rows[i][4]) for i in hit if rows[i][4] != -1}
    return hit | {i for i, r in enumerate(rows) if (r[3], r[4]) in documents}


def phrases(english, rng, count):
    """Runs of 2-4 words inside a sentence, without frequent words at the ends."""
    frequency = collections.Counter(w for t in english for w in re.findall(r"[a-z']+", t.lower()))
    frequent, out = {w for w, _ in frequency.most_common(150)}, set()
    while len(out) < count:
        words = re.findall(r"[^\W_]+(?:['-][^\W_]+)*|[^\w\s]", rng.choice(english))
        n = rng.randint(2, 4)
        at = rng.randrange(max(1, len(words) - n))
        run = words[at:at + n]
        if len(run) == n and all(w[0].isalnum() for w in run) and not {run[0].lower(), run[-1].lower()} & frequent:
            out.add(' '.join(run))
    return out


def disturbed(sentences, rng):
    """Each sentence once with words left out, or two swapped, or joined with the half of another."""
    out = set()
    for s in sentences:
        words, how = s.split(), rng.randrange(3)
        if len(words) < 4:
            continue
        if how == 0:
            words = [w for w in words if rng.random() > .25]
        elif how == 1:
            i, j = rng.sample(range(len(words)), 2)
            words[i], words[j] = words[j], words[i]
        else:
            other = rng.choice(sentences).split()
            words = words[:len(words) // 2 + 1] + other[len(other) // 2:]
        if len(words) > 1:
            out.add(' '.join(words))
    return out


def main(o):
    rng, drop, guard = random.Random(0), set(o.drop.split(',')), texts_to_avoid(o.labelled)
    strings, index, samples, left_out = list(read(o.data + '/strings.jsonl')), {}, [], collections.Counter()
    english, intents = set(), set()
    rows = [r for r in read(o.data + '/samples.jsonl') if r[3] not in drop]
    quotes = quoting(rows, o.labelled)
    for i, (text, string, lang, kind, doc) in enumerate(rows):
        if i in quotes or key(text) in guard or key(strings[string]) in guard:
            left_out[kind] += 1
            continue
        samples.append([text, index.setdefault(strings[string], len(index)), lang, kind, doc])
        if lang == 'en' and kind in PHRASES_FROM:
            english.add(text)
            if kind in INTENTS:
                intents.add(text)
    english, intents = sorted(english), sorted(intents)
    for made in sorted(phrases(english, rng, 90000) | disturbed(intents, rng) | disturbed(intents, rng)):
        if made not in index and key(made) not in guard:
            samples.append([made, index.setdefault(made, len(index)), 'en', 'phrase', -1])
    for name, rows in (('strings', index), ('samples', samples)):
        with open(f'{o.work}/{name}.jsonl', 'w', encoding='utf8') as f:
            f.writelines(json.dumps(r, ensure_ascii=False) + '\n' for r in rows)
    kinds = collections.Counter(s[3] for s in samples)
    print(f'{len(samples)} samples, {len(index)} strings, left out as measured or development texts: {dict(left_out)};',
          dict(kinds.most_common()))


if __name__ == '__main__':
    a = argparse.ArgumentParser()
    for name in ('data', 'labelled', 'work'):
        a.add_argument(name)
    a.add_argument('--drop', default=LEFT_OUT)
    main(a.parse_args())
