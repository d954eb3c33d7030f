"""The shipped file: writing it, reading it, and the reference inference in plain numpy.

Imported by the other steps. Writes safetensors by hand because the header is padded so that the data begins at a
multiple of 64, and the tensors are ordered by element size so that each is aligned when the file is read in place."""
import json
import re

import numpy as np
import regex
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

SCORE_UNIT = 1024           # piece scores are whole multiples of 1/1024
DTYPES = {'float32': 'F32', 'uint32': 'U32', 'int16': 'I16', 'float16': 'F16', 'uint8': 'U8', 'int8': 'I8'}
NUMPY = {v: k for k, v in DTYPES.items()}
# Names in the training arrays -> names in the file.
NAMES = {'p': 'ctx_project', 'w1': 'ctx_w1', 'b1': 'ctx_b1', 'w2': 'ctx_w2', 'wg': 'ctx_gate',
         'v1': 'head_w1', 'c1': 'head_b1', 'v2': 'head_w2'}
HAN = r'[\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+'
BYTES = [f'<0x{byte:02X}>' for byte in range(256)]
LETTERS = regex.compile(r'\p{Alphabetic}')
SPACE = re.compile('[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+')   # Unicode White_Space


def clean(text):
    """Runs of white space become one space; the ends are trimmed."""
    return SPACE.sub(' ', text).strip(' ')


def save(path, tensors, metadata):
    names = sorted(tensors, key=lambda n: -tensors[n].dtype.itemsize)
    header, at = {'__metadata__': metadata}, 0
    for name in names:
        t = tensors[name]
        header[name] = {'dtype': DTYPES[t.dtype.name], 'shape': list(t.shape), 'data_offsets': [at, at + t.nbytes]}
        at += t.nbytes
    raw = json.dumps(header, ensure_ascii=False, separators=(',', ':')).encode()
    raw += b' ' * (-(len(raw) + 8) % 64)
    with open(path, 'wb') as f:
        f.write(len(raw).to_bytes(8, 'little') + raw)
        for name in names:
            f.write(np.ascontiguousarray(tensors[name]).tobytes())


def load(path):
    data = open(path, 'rb').read()
    n = int.from_bytes(data[:8], 'little')
    header = json.loads(data[8:8 + n])
    metadata, out = header.pop('__metadata__'), {}
    for name, h in header.items():
        a, b = h['data_offsets']
        out[name] = np.frombuffer(data[8 + n + a:8 + n + b], NUMPY[h['dtype']]).reshape(h['shape'])
    return out, metadata


def build_tokenizer(vocab):
    """NFKC, lower case, digit runs to 0; Han and Kana runs split off; spaces to ▁; Unigram; bytes where no piece is."""
    t = Tokenizer(models.Unigram(vocab, unk_id=0, byte_fallback=True))
    t.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace(Regex(r'\d+'), '0')])
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(HAN), 'isolated'),
                                               pre_tokenizers.Metaspace(prepend_scheme='always')])
    return t


def meaningful(ids, first_byte):
    """Without the unknown piece, the bare space, and the bytes of characters that are no letters."""
    if max(ids, default=0) < first_byte:
        return [i for i in ids if i > 1]
    out, at = [], 0
    while at < len(ids):
        end = at
        while end < len(ids) and ids[end] >= first_byte:
            end += 1
        if end == at:
            out += ids[at:at + 1] if ids[at] > 1 else []
            at += 1
            continue
        letters = ''.join(LETTERS.findall(bytes(i - first_byte for i in ids[at:end]).decode()))
        out += [first_byte + byte for byte in letters.encode()]
        at = end
    return out


def piece_tensors(vocab):
    """`pieces`, `piece_ends`, `piece_scores` from the vocabulary list of tokenizer.json (scores already rounded). Those that
    stand for bytes are empty, so that no text spells them."""
    raw = [b'' if p in BYTES else p.encode() for p, _ in vocab]
    scores = np.array([s for _, s in vocab], np.float64) * SCORE_UNIT
    assert (scores == np.rint(scores)).all() and np.abs(scores).max() < 32767, 'scores must be rounded first'
    return {'pieces': np.frombuffer(b''.join(raw), np.uint8), 'piece_ends': np.cumsum([len(r) for r in raw]).astype(np.uint32),
            'piece_scores': scores.astype(np.int16)}


def round_scores(tokenizer_json):
    """Round the scores of a tokenizer.json (parsed) in place, so that integer arithmetic reproduces the segmentation."""
    for entry in tokenizer_json['model']['vocab']:
        entry[1] = max(-32665, round(entry[1] * SCORE_UNIT)) / SCORE_UNIT
    return tokenizer_json


def whole_words(tokenizer, vocab):
    """True for each piece "▁word" whose own text the tokenizer segments into exactly that one piece."""
    ids = [i for i, (p, _) in enumerate(vocab) if len(p) > 1 and p[0] == '▁']
    out = np.zeros(len(vocab), bool)
    for i, e in zip(ids, tokenizer.encode_batch([vocab[i][0][1:] for i in ids])):
        out[i] = e.ids == [i]
    return out


def quantise(matrix):
    """int8 with one f16 scale a row."""
    scale = (np.abs(matrix).max(1) / 127 + 1e-12).astype(np.float16)
    scale[scale == 0] = np.float16(1e-7)
    return np.clip(np.rint(matrix / scale.astype(np.float32)[:, None]), -127, 127).astype(np.int8), scale
