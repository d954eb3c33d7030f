"""Step 12. Quantise the token vectors and write the shipped file: with the languages of the pieces, the mean vector of each
language, and the temperature fitted on development data.

usage: export.py LABELLED WORK OUT.safetensors"""
import json
import os
import sys

import numpy as np

import artefact
import calibrate
from calibrate import family_mean
from dev import background_texts, development_sets
from inference import MAX_TOKENS, MIX_CTX, MIX_SUM, Model
from languages import language_means, piece_languages, vote_check

VERSION = '1'                # of the format
TEACHERS = 'builtin 1, multilingual-e5-small, universal-sentence-encoder-multilingual-3, all-MiniLM-L6-v2'


def scored_sets(sets, mails, names):
    """name -> (scores, index of the right label), with one function for the mails and one for the label names."""
    out = {}
    for name, (texts, labels) in sets.items():
        known = sorted(set(labels))
        out[name] = mails(texts) @ names(known).T, np.array([known.index(l) for l in labels])
    return out


def accuracy(scored):
    return family_mean({n: 100 * float((s.argmax(1) == y).mean()) for n, (s, y) in scored.items()})


def temperature_of(model, sets):
    """Fitted as the program scores: the voted language's mean removed from the mail."""
    scored = scored_sets(sets, model.encode_mails, model.encode)
    print(f'development accuracy: {accuracy(scored):.2f}, '
          f'no mean removed {accuracy(scored_sets(sets, model.encode, model.encode)):.2f}')
    temperature, own = calibrate.fit(scored)
    errors = {n: calibrate.ece(*v, temperature) for n, v in scored.items()}
    print(f'temperature {temperature}, each set alone', own)
    print(f'ECE {family_mean(errors):.1f};', {n: round(e, 1) for n, e in errors.items()})
    return temperature


def pieces_that_say_something(table):
    """Without those that no training text has, whose vectors are zeros: a word of them alone would be unknown. Others spell it."""
    is_kept = table.any(1)
    is_kept[:2] = is_kept[-len(artefact.BYTES):] = True
    return np.flatnonzero(is_kept)


def main(labelled, work, out):
    z = np.load(work + '/model.npz')
    arrays = {k: z[k].astype(np.float32) for k in z.files}
    arrays['table'][:2] = 0                              # <unk> and the bare space
    vocab = json.load(open(work + '/tokenizer.json', encoding='utf8'))['model']['vocab']
    kept = pieces_that_say_something(arrays['table'])
    vocab, arrays['table'] = [tuple(vocab[i]) for i in kept], arrays['table'][kept]
    tokenizer = artefact.build_tokenizer(vocab)
    vectors, scales = artefact.quantise(arrays['table'])
    arrays['table'] = vectors.astype(np.float32) * scales.astype(np.float32)[:, None]
    background = background_texts(work)
    languages = sorted(background)
    model = Model(tokenizer, arrays, piece_languages(work, languages)[kept])
    model.means = language_means(model, background, languages)
    print(f'{len(languages)} languages; right vote, per cent:', vote_check(model, labelled, languages))
    temperature = temperature_of(model, development_sets(labelled))
    whole = artefact.whole_words(tokenizer, vocab)
    print(f'{whole.sum()} whole words proved')
    tensors = artefact.piece_tensors(vocab)
    tensors |= {'piece_flags': model.pieces | whole.astype(np.uint8) << 7, 'vectors': vectors, 'scales': scales}
    tensors |= {artefact.NAMES[k]: v for k, v in arrays.items() if k != 'table'} | {'lang_means': model.means}
    artefact.save(out, tensors, {
        'version': VERSION, 'teacher': TEACHERS, 'dim': str(2 * vectors.shape[1]), 'temperature': str(temperature),
        'max_tokens': str(MAX_TOKENS), 'first_byte': str(len(vocab) - len(artefact.BYTES)),
        'mix_sum': str(MIX_SUM), 'mix_ctx': str(MIX_CTX), 'languages': ','.join(languages)})
    print(out, os.path.getsize(out), 'bytes')
    assert os.path.getsize(out) <= 24_000_000


if __name__ == '__main__':
    main(*sys.argv[1:4])
