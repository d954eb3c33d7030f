"""The reference inference in numpy, from float arrays (while developing) or from the shipped file.

Imported by the measuring steps. FORMULA: README.md, section "Formula"."""
import numpy as np
import scipy.sparse as sp
from tokenizers import Tokenizer

import artefact

MAX_TOKENS = 512
NO_LANGUAGE = 127
MIX_SUM = MIX_CTX = .70710678       # half of the cosine each


class Model:
    def __init__(self, tokenizer, arrays, pieces=None, means=None, mix=(MIX_SUM, MIX_CTX)):
        """arrays: table [V,d]; optionally p, w1, b1, w2, wg (window) and v1, c1, v2 (layer on the pooled text).
        pieces [V]: the language of each piece; means [languages, 2d]: what is taken from the vector of a mail."""
        self.tokenizer, self.a = tokenizer, {k: np.asarray(v, np.float32) for k, v in arrays.items()}
        self.near = self.a['table'] @ self.a['p'] if 'p' in arrays else None
        self.first_byte = tokenizer.token_to_id(artefact.BYTES[0]) or len(self.a['table'])
        self.pieces, self.means, self.mix = pieces, means, mix

    def ids(self, texts):
        found = self.tokenizer.encode_batch([artefact.clean(t) for t in texts])
        return [np.array(artefact.meaningful(e.ids, self.first_byte), np.int64)[:MAX_TOKENS] for e in found]

    def blocks(self, texts, block=1024):
        for i in range(0, len(texts), block):
            yield self.ids(texts[i:i + block])

    def encode(self, texts):
        """The vectors as labels have them: no mean is taken away."""
        return np.concatenate([self.pool(ids) for ids in self.blocks(texts)])

    def encode_mails(self, texts):
        """The vectors less the mean of the language that the pieces vote for."""
        if self.means is None:
            return self.encode(texts)
        means = np.concatenate([self.means, np.zeros((1, self.means.shape[1]), np.float32)])      # -1: nothing to take away
        return np.concatenate([self.pool(ids) - means[self.languages(ids)] for ids in self.blocks(texts)])

    def languages(self, ids):
        """Index of the language with most votes, the lowest among equals; -1 without a vote."""
        votes = np.stack([np.bincount(self.pieces[i], minlength=NO_LANGUAGE + 1)[:NO_LANGUAGE] for i in ids])
        return np.where(votes.any(1), votes.argmax(1), -1)

    def pool(self, ids):
        """The two unit vectors of each text, weighted and side by side; a text without one known piece gives zeros."""
        length = np.array([len(i) for i in ids])
        flat, start = np.concatenate(ids).astype(np.int64), np.concatenate([[0], np.cumsum(length)])
        ones, table = np.ones(len(flat), np.float32), self.a['table']

        def total(columns, weights, width):
            """Weighted sums over the tokens of each text, as a sparse matrix."""
            return sp.csr_matrix((weights, columns, start), shape=(len(ids), width))
        plain = unit(total(flat, ones, len(table)) @ table)
        if self.near is None:
            return plain
        a, hidden = self.a, self.hidden(flat, np.repeat(np.arange(len(ids)), length))
        gate = 1 + np.tanh(hidden @ a['wg'])
        pooled = total(np.arange(len(flat)), ones, len(flat)) @ hidden
        x = total(flat, gate, len(table)) @ table + pooled @ a['w2']
        size = np.linalg.norm(x, axis=1, keepdims=True) + 1e-9
        x = x / size
        x = x + np.maximum(np.concatenate([x, pooled / size], 1) @ a['v1'] + a['c1'], 0) @ a['v2']
        x[length == 0] = 0
        return np.concatenate([self.mix[0] * plain, self.mix[1] * unit(x)], 1).astype(np.float32)

    def hidden(self, flat, text):
        """Features [T,h] of each token and its two neighbours within the text."""
        c = self.near[flat]
        same = (np.diff(text) == 0)[:, None]             # is the next token of the same text?
        zero = np.zeros((min(1, len(c)), c.shape[1]), np.float32)
        near = np.concatenate([np.concatenate([zero, c[:-1] * same]), c, np.concatenate([c[1:] * same, zero])], 1)
        return np.maximum(near @ self.a['w1'] + self.a['b1'], 0)


def unit(x):
    n = np.linalg.norm(x, axis=-1, keepdims=True)
    return np.where(n > 0, x / np.maximum(n, 1e-30), 0).astype(np.float32)


def open_model(path, tokenizer_path):
    """A model from train.py's .npz; it knows no languages yet."""
    z = np.load(path)
    return Model(Tokenizer.from_file(tokenizer_path), {k: z[k] for k in z.files})


def open_artefact(path):
    """The shipped file; the tokenizer is rebuilt from its pieces, so that nothing else is needed."""
    t, metadata = artefact.load(path)
    raw, ends = t['pieces'].tobytes(), [0, *t['piece_ends'].tolist()]
    scores = t['piece_scores'].astype(float) / artefact.SCORE_UNIT
    vocab = [(raw[a:b].decode(), float(s)) for a, b, s in zip(ends, ends[1:], scores)]
    if not vocab[-1][0]:
        vocab[-256:] = [(name, s) for name, (_, s) in zip(artefact.BYTES, vocab[-256:])]
    arrays = {k: t[n] for k, n in artefact.NAMES.items() if n in t}
    arrays['table'] = t['vectors'].astype(np.float32) * t['scales'].astype(np.float32)[:, None]
    return Model(artefact.build_tokenizer(vocab), arrays, t['piece_flags'] & NO_LANGUAGE, t['lang_means'],
                 (float(metadata['mix_sum']), float(metadata['mix_ctx'])))
