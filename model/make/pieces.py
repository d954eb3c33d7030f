"""Step 2. The pieces of the first edition, whose token vectors training begins with, and behind them those of the bytes.

usage: pieces.py FIRST.safetensors WORK      writes WORK/tokenizer.json"""
import json
import sys

import artefact
from inference import open_artefact


def main(first, work):
    pieces = json.loads(open_artefact(first).tokenizer.to_str())['model']['vocab']
    made = artefact.build_tokenizer([(piece, score) for piece, score in pieces] + [(byte, 0.0) for byte in artefact.BYTES])
    with open(work + '/tokenizer.json', 'w', encoding='utf8') as f:
        json.dump(artefact.round_scores(json.loads(made.to_str())), f, ensure_ascii=False, separators=(',', ':'))
    print(len(pieces) + len(artefact.BYTES), 'pieces in all')


if __name__ == '__main__':
    main(*sys.argv[1:3])
