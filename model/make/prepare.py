"""Step 7. Tokenise every text once.

usage: prepare.py WORK      writes WORK/samples.npz"""
import collections
import itertools
import sys
import time

import numpy as np
from tokenizers import Tokenizer

import artefact
from select_samples import read

BLOCK = 20000


def tokenised(work, tokenizer):
    """The token ids of each text of texts.jsonl, without what has no meaning."""
    first_byte, texts = tokenizer.token_to_id(artefact.BYTES[0]), read(work + '/texts.jsonl')
    while block := list(itertools.islice(texts, BLOCK)):
        yield from (np.array(artefact.meaningful(e.ids, first_byte), np.int32) for e in tokenizer.encode_batch(block))


def documents(doc, lang, text):
    """Runs of the samples of one document in one language."""
    found = collections.defaultdict(list)
    for row in np.flatnonzero((doc != -1) & (doc != '-1')):
        found[(doc[row], lang[row])].append(row)
    return [rows for rows in found.values() if len(rows) > 1]


def main(work):
    start = time.time()
    tokenizer = Tokenizer.from_file(work + '/tokenizer.json')
    ids = list(tokenised(work, tokenizer))
    length, z = np.array([len(i) for i in ids]), np.load(work + '/texts.npz')
    kept = length[z['text']] > 0
    text, kind, lang, doc = (z[name][kept] for name in ('text', 'kind', 'lang', 'doc'))
    docs = documents(doc, lang, text)
    print(f'{len(text)} samples, {length.sum()} tokens, {len(docs)} documents, {time.time() - start:.0f} s', flush=True)
    np.savez(work + '/samples.npz', flat=np.concatenate(ids), length=length.astype(np.int32), text=text, kind=kind, lang=lang,
             vocab=tokenizer.get_vocab_size(), doc_rows=np.concatenate(docs), doc_length=np.array([len(d) for d in docs]))


if __name__ == '__main__':
    main(sys.argv[1])
