"""Fifty texts with the ids of the `tokenizers` library that have a meaning, and from the numpy reference their vectors (no mean
removed) and the index of the language that their pieces vote for (-1: none).

usage: golden.py MODEL.safetensors OUT.json"""
import json
import sys

from artefact import clean, meaningful
from golden_texts import TEXTS
from inference import open_artefact


def main(model_path, out):
    model = open_artefact(model_path)
    assert len(TEXTS) == 50 and len(set(TEXTS)) == 50
    rows = [{'text': t, 'ids': meaningful(model.tokenizer.encode(clean(t)).ids, model.first_byte),
             'vector': [float(f'{v:.8g}') for v in model.encode([t])[0]],
             'language': int(model.languages(model.ids([t]))[0])} for t in TEXTS]
    with open(out, 'w', encoding='utf8') as f:
        f.write('[\n' + ',\n'.join(json.dumps(r, ensure_ascii=False) for r in rows) + '\n]\n')
    print(len(rows), 'texts,', sum(len(r['ids']) for r in rows), 'ids')


if __name__ == '__main__':
    main(sys.argv[1], sys.argv[2])
