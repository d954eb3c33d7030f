"""Zero-shot accuracy by the bare label name on the sets that the model is measured on.

usage: measure.py minilm LABELLED OUT.json MINILM.onnx      all-MiniLM-L6-v2 itself, f32, cosine argmax, 256 tokens
       measure.py builtin LABELLED OUT.json MODEL           the shipped file, by the numpy reference: the mean of the voted
                                                       language is taken from the texts, not from the labels
Rows: the test split of banking77, clinc150 (without oos), trec and bitext; the dev split of SIB-200 and tnews; every
row of the others."""
import json
import os
import sys

import numpy as np

from inference import open_artefact
from select_samples import MEASURED, read

SHORT = {'bitext_customer_service': 'bitext', 'thucnews_titles_dev': 'thucnews_titles', 'tnews_train_dev': 'tnews'}


def measured_sets(labelled):
    """name -> (texts, label names)."""
    sets = {}
    for file in sorted(os.listdir(labelled)):
        name = file.split('.')[0]
        for r in read(f'{labelled}/{file}'):
            if (name in MEASURED and r['split'] not in MEASURED[name]) or r['label'] == 'oos':
                continue
            short = 'sib200-' + r['lang'] if name.startswith('sib200') else SHORT.get(name, name)
            sets.setdefault(short, []).append(r)
    return {n: ([r['text'] for r in v], [r['label'].replace('_', ' ') for r in v]) for n, v in sets.items()}


def main(which, labelled, out, model):
    if which == 'minilm':
        from teachers import MiniLm
        mails = names_of = MiniLm(model, max_tokens=256, threads=2).embed
    else:
        shipped = open_artefact(model)
        mails, names_of = shipped.encode_mails, shipped.encode
    result = {}
    for name, (texts, labels) in measured_sets(labelled).items():
        names = sorted(set(labels))
        best = (mails(texts) @ names_of(names).T).argmax(1)
        result[name] = round(100 * float(np.mean([names[b] == l for b, l in zip(best, labels)])), 2)
        print(name, len(texts), result[name], flush=True)
    json.dump(result, open(out, 'w'), indent=1)


if __name__ == '__main__':
    main(*sys.argv[1:5])
