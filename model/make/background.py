"""Makes model/background.json: what text and words in general look like in each language.

usage: background.py WORK BUILTIN OUT      WORK holds samples.jsonl of select_samples.py, BUILTIN is the shipped file, whose
                                           languages count

Texts are sentences of Tatoeba (CC BY 2.0 FR) and NTREX-128 (CC BY-SA 4.0), half of each where there are both; words are those
of the wordnets and dictionaries of samples.jsonl that stand most often in such sentences."""
import collections
import json
import random
import re
import sys

import artefact
from select_samples import read

TEXTS, WORDS = 32, 24
KINDS = ('tatoeba', 'ntrex')
LISTS = ('omw', 'dict', 'cedict')
UNSPACED = ('zh', 'ja', 'th')
SHORTEST = {'zh': 2, 'ja': 2, 'ko': 2, 'th': 3}
SKIPPED = 12                       # the most frequent are words such as "that"
COUNTED = 6000                     # sentences of a language


def words_of(language, texts, known):
    found = collections.Counter()
    for text in texts[:COUNTED]:
        text = text.lower()
        if language in UNSPACED:
            parts = {text[i:i + n] for n in (2, 3, 4) for i in range(len(text) - n + 1)}
        else:
            parts = set(re.findall(r'\w+', text))
        found.update(part for part in parts if part in known and len(part) >= SHORTEST.get(language, 4))
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return [word for word, _ in ordered[SKIPPED:SKIPPED + WORDS]]


def main(work, builtin, out):
    languages = artefact.load(builtin)[1]['languages'].split(',')
    texts, known = {}, {}
    for text, _, language, kind, _ in read(work + '/samples.jsonl'):
        if kind in KINDS and 30 <= len(text.encode()) <= 300:
            texts.setdefault(language, {}).setdefault(kind, []).append(artefact.clean(text))
        elif kind in LISTS and ' ' not in text:
            known.setdefault(language, set()).add(text.lower())
    made, rng = {}, random.Random(0)
    for language in languages:
        by_kind = [rng.sample(own, len(own)) for own in texts.get(language, {}).values()]
        if not by_kind:
            continue
        some = [text for own in by_kind for text in own[:TEXTS // len(by_kind)]]
        every = [text for own in by_kind for text in own]
        made[language] = {'texts': some, 'words': words_of(language, every, known.get(language, set()))}
    with open(out, 'w', encoding='utf8') as f:
        json.dump(made, f, ensure_ascii=False, indent=0)
        f.write('\n')
    print({language: (len(own['texts']), len(own['words'])) for language, own in made.items()})


if __name__ == '__main__':
    main(*sys.argv[1:4])
