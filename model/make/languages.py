"""The language of a piece, by how often each language uses it, and the mean vector of each language's background texts.

Imported by dev.py and export.py. A text's language is the vote of its pieces (inference.py)."""
import numpy as np

from artefact import BYTES
from inference import NO_LANGUAGE
from select_samples import read

WORD_LISTS = ('dict', 'omw', 'cedict', 'script', 'phrase')      # kinds without running text
ROWS = 8000                                           # at most so many texts of a language are counted
SHARE = .5                                            # a piece that is less sure than this does not vote


def piece_languages(work, languages):
    """uint8 [V]: for each piece the language with the highest relative frequency, or NO_LANGUAGE."""
    z = np.load(work + '/samples.npz')
    lang, flat, text, length = z['lang'], z['flat'], z['text'], z['length'].astype(np.int64)
    offset, running = np.concatenate([[0], np.cumsum(length)]), ~np.isin(z['kind'], WORD_LISTS)
    relative, rng = np.zeros((len(languages), int(z['vocab'])), np.float32), np.random.RandomState(2)
    for i, l in enumerate(languages):
        rows = np.flatnonzero(running & (lang == l))
        rows = rng.permutation(rows)[:ROWS]
        used = np.concatenate([flat[offset[i]:offset[i + 1]] for i in text[rows]])
        relative[i] = np.bincount(used, minlength=relative.shape[1]) / len(used)
    total = relative.sum(0)
    sure = relative.max(0) > SHARE * total
    out = np.where((total > 0) & sure, relative.argmax(0), NO_LANGUAGE).astype(np.uint8)
    out[-len(BYTES):] = NO_LANGUAGE                       # bytes are of any
    return out


def language_means(model, background, languages):
    """F32 [n, dims]: the mean vector of each language's texts."""
    return np.stack([model.encode(background[l]).mean(0) for l in languages]).astype(np.float32)


def vote_check(model, labelled, languages):
    """How often the vote is right, on training rows whose language is known."""
    texts = {}
    for file, lang in (('sib200_train_dev', None), ('tnews_train_dev', 'zh'), ('clinc150', 'en')):
        for r in read(f'{labelled}/{file}.jsonl'):
            if r['split'] == 'train':
                texts.setdefault((file.split('_')[0], lang or r['lang']), []).append(r['text'])
    return {f'{name}-{l}': round(100 * float((model.languages(model.ids(t)) == languages.index(l)).mean()), 1)
            for (name, l), t in texts.items()}
