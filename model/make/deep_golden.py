"""Reference values for deep: the tokens of Hugging Face tokenizers, and the vectors of the f32 graph of the shipped weights.

usage: deep_golden.py WORK MODEL BACKGROUND OUT      WORK as for deep.py, MODEL the shipped file, BACKGROUND the texts that
                                                   are embedded: seventeen of each of twelve languages

Writes safetensors: vectors [texts, width] of length 1 before any mean is taken off, tokens of all texts one after another, and
where those of each text end."""
import json
import sys

import numpy as np
from tokenizers import Tokenizer

import artefact
from deep import PROMPT
from e5 import Encoder

LANGUAGES = ('en', 'zh', 'de', 'fr', 'es', 'pt', 'it', 'nl', 'ru', 'ja', 'ar', 'ko')
EACH = 17


def shipped_tokenizer(work, tensors):
    """That of the package with the pieces and scores of the shipped file."""
    raw, ends = tensors['pieces'].tobytes(), [0, *tensors['piece_ends'].tolist()]
    scores = (tensors['piece_scores'] / artefact.SCORE_UNIT).tolist()
    # An empty piece is none that text can spell; the library wants all pieces to differ.
    vocab = [[raw[a:b].decode() or f'<{at}>', score] for at, (a, b, score) in enumerate(zip(ends, ends[1:], scores))]
    made = json.load(open(work + '/e5_tokenizer.json', encoding='utf8'))
    made['model']['vocab'], made['added_tokens'] = vocab, []
    return Tokenizer.from_str(json.dumps(made))


def encoder_of(work, model, graph='e5_int8.onnx'):
    """The graph of e5.py with the tables of the shipped file."""
    tensors, _ = artefact.load(model)
    encoder = Encoder(work, graph)
    encoder.tokenizer = shipped_tokenizer(work, tensors)
    encoder.tokenizer.enable_truncation(encoder.max_tokens)
    codes, centroids = (tensors['embeddings.word_embeddings.' + name] for name in ('codes', 'centroids'))
    encoder.words = np.concatenate([own[code].astype(np.float32) for own, code in zip(centroids, codes.T)], 1)
    kind = tensors['embeddings.token_type_embeddings.weight']
    encoder.positions = tensors['embeddings.position_embeddings.weight'].astype(np.float32) + kind
    return encoder


def main(work, model, background, out):
    encoder = encoder_of(work, model, 'e5_f32.onnx')
    known = json.load(open(background, encoding='utf8'))
    texts = [PROMPT + text for language in LANGUAGES for text in known[language]['texts'][:EACH]]
    ids = [found.ids for found in encoder.tokenizer.encode_batch(texts)]
    artefact.save(out, {'vectors': encoder.embed(texts), 'tokens': np.concatenate(ids).astype(np.uint32),
                        'ends': np.cumsum([len(i) for i in ids]).astype(np.uint32)}, {'languages': ','.join(LANGUAGES)})
    print(len(texts), 'texts')


if __name__ == '__main__':
    main(*sys.argv[1:5])
