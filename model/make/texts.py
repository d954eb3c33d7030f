"""Step 4. The texts that the teachers read, each once, those first that training draws more often: a run of the teachers may
end before the last, and training takes what they have read.

usage: texts.py WORK E5_TOKENIZER      reads WORK/samples.jsonl and tokenizer.json; writes WORK/texts.jsonl, WORK/english.jsonl
                                       (the English sides, in the order in which texts need them) and WORK/texts.npz

Words of the vocabulary of multilingual-e5-small in scripts that have no pieces here teach the bytes."""
import json
import sys

import numpy as np
from tokenizers import Tokenizer

import artefact
from select_samples import INTENTS, read

DICTIONARY = ('dict', 'omw', 'cedict', 'script')
WEIGHT = {'stsb': .5, 'phrase': .5, '20ng': 2} | {kind: .5 for kind in DICTIONARY} | {kind: 2 for kind in INTENTS}
CHINESE = 1.3
FOREIGN = '?'                # the language of words in scripts that have no pieces
LONGEST = 1500               # characters of a text; teachers read less


def foreign_words(tokenizer, e5_tokenizer):
    """Words of e5's vocabulary of which more than half is spelled in bytes."""
    first = tokenizer.token_to_id(artefact.BYTES[0])
    words = [piece[1:] for piece, _ in json.load(open(e5_tokenizer, encoding='utf8'))['model']['vocab']
             if len(piece) > 2 and piece[0] == '▁']
    found = zip(words, tokenizer.encode_batch(words))
    return [word for word, e in found if 2 * sum(i >= first for i in artefact.meaningful(e.ids, first)) > len(e.ids)]


def main(work, e5_tokenizer):
    index, english, rows, weight = {}, [], [], []
    strings = list(read(work + '/strings.jsonl'))
    samples = [*read(work + '/samples.jsonl')]
    tokenizer = Tokenizer.from_file(work + '/tokenizer.json')
    samples += [[word, -1, FOREIGN, 'script', -1] for word in foreign_words(tokenizer, e5_tokenizer)]
    for text, string, lang, kind, doc in samples:
        text = artefact.clean(text)[:LONGEST]
        at = index.setdefault(text, len(index))
        if at == len(english):
            english.append(string)
            weight.append(0)
        weight[at] += WEIGHT.get(kind, 1) * (CHINESE if lang == 'zh' else 1)
        rows.append((at, lang, kind, doc))
    order = np.argsort(-np.log(np.random.RandomState(0).rand(len(weight))) / np.array(weight))
    place = np.argsort(order)
    texts, needed = list(index), {}
    with open(work + '/texts.jsonl', 'w', encoding='utf8') as f:
        f.writelines(json.dumps(texts[i], ensure_ascii=False) + '\n' for i in order)
    of = [needed.setdefault(english[i], len(needed)) if english[i] >= 0 else -1 for i in order]
    with open(work + '/english.jsonl', 'w', encoding='utf8') as f:
        f.writelines(json.dumps(artefact.clean(strings[i])[:LONGEST], ensure_ascii=False) + '\n' for i in needed)
    column = lambda i: np.array([row[i] for row in rows])
    lang, kind = column(1), column(2)
    is_word, language = np.ones(len(texts), bool), np.full(len(texts), FOREIGN, lang.dtype)
    at = place[column(0)]
    language[at], is_word[at] = lang, np.isin(kind, DICTIONARY)
    np.savez(work + '/texts.npz', text=at.astype(np.int32), lang=lang, kind=kind, doc=column(3),
             english=np.array(of, np.int32), text_lang=language, is_word=is_word)
    print(f'{len(rows)} samples, {len(texts)} texts, {len(needed)} English sides, {(kind == "script").sum()} words of other scripts')


if __name__ == '__main__':
    main(*sys.argv[1:3])
