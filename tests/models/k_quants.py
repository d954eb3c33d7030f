"""Q4_K and Q6_K blocks of 256 values, which the `gguf` package reads but does not write.

The layout is the one its `quants.py` unpacks. Scales are plain minimum and maximum, without llama.cpp's search.
"""

import gguf
import numpy

BLOCK = 256


def rounded(values, highest, lowest=0):
    return numpy.clip(numpy.rint(values), lowest, highest).astype(numpy.int32)


def ratio(over, under):
    return numpy.divide(over, under, out=numpy.zeros_like(over), where=under != 0)


def half(values):
    """What float16 keeps of them: the values that a reader will multiply by."""
    return values.astype(numpy.float16).astype(numpy.float32)


def joined(rows, *parts):
    """The bytes of all blocks, a row of the matrix each row."""
    as_bytes = [numpy.ascontiguousarray(part).view(numpy.uint8).reshape(len(part), -1) for part in parts]
    return numpy.hstack(as_bytes).reshape(rows, -1)


def q4_k(array):
    """value = d * scale * q - dmin * minimum: q of 4 bits, and scale and minimum of 6 bits for each 32 values."""
    blocks = array.reshape(-1, BLOCK // 32, 32)
    least = -numpy.minimum(blocks.min(axis=2), 0)
    steps = (blocks.max(axis=2) + least) / 15
    d, dmin = (half(part.max(axis=1, keepdims=True) / 63) for part in (steps, least))
    scale, minimum = rounded(ratio(steps, d + 0 * steps), 63), rounded(ratio(least, dmin + 0 * least), 63)
    step, offset = (d * scale)[..., None], (dmin * minimum)[..., None]
    q = rounded(ratio(blocks + offset, step + 0 * blocks), 15).reshape(-1, 4, 2, 32)
    low = scale[:, :4] | (scale[:, 4:] >> 4 << 6)
    middle = minimum[:, :4] | (minimum[:, 4:] >> 4 << 6)
    high = (scale[:, 4:] & 15) | ((minimum[:, 4:] & 15) << 4)
    packed = numpy.hstack([low, middle, high]).astype(numpy.uint8)
    quants = (q[:, :, 0] | (q[:, :, 1] << 4)).astype(numpy.uint8)
    halves = (part.astype(numpy.float16) for part in (d, dmin))
    return joined(len(array), *halves, packed, quants)


def q6_k(array):
    """value = d * scale * (q - 32): q of 6 bits, and a signed scale of 8 bits for each 16 values."""
    blocks = array.reshape(-1, BLOCK // 16, 16)
    steps = numpy.abs(blocks).max(axis=2) / 31
    d = half(steps.max(axis=1, keepdims=True) / 127)
    scale = rounded(ratio(steps, d + 0 * steps), 127)
    step = (d * scale)[..., None]
    q = rounded(ratio(blocks, step + 0 * blocks), 31, -32) + 32
    # Two halves of 128 values, each in four runs of 32.
    q = q.reshape(-1, 2, 4, 32)
    low = (q[:, :, 0:2] & 15) | ((q[:, :, 2:4] & 15) << 4)
    high = sum((q[:, :, run] >> 4) << (2 * run) for run in range(4))
    quants = (part.astype(numpy.uint8) for part in (low, high))
    return joined(len(array), *quants, scale.astype(numpy.int8), d.astype(numpy.float16))


QUANTISE = {gguf.GGMLQuantizationType.Q4_K: q4_k, gguf.GGMLQuantizationType.Q6_K: q6_k}
