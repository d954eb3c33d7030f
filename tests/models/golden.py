"""How expected values are written: floats as short as float32 allows, one case a line, so that a diff can be read."""

import json

import numpy


def plain(value):
    """The value in Python's own types; float32 survives nine digits."""
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if hasattr(value, "detach"):
        return plain(value.detach().float().numpy())
    if isinstance(value, numpy.ndarray):
        return plain(value.tolist())
    if isinstance(value, numpy.generic):
        return plain(value.item())
    return float(f"{value:.9g}") if isinstance(value, float) else value


def write(path, golden):
    dump = lambda value: json.dumps(value, ensure_ascii=False)
    fields = []
    for key, value in plain(golden).items():
        if isinstance(value, list) and value and isinstance(value[0], (dict, list)):
            value = "[\n" + ",\n".join("  " + dump(entry) for entry in value) + "\n ]"
        else:
            value = dump(value)
        fields.append(f" {dump(key)}: {value}")
    path.parent.mkdir(exist_ok=True)
    path.write_text("{\n" + ",\n".join(fields) + "\n}\n", "utf-8")


SYNTHETIC_LENGTHS = [1, 2, 17, 257, 1000, 4000]


def synthetic(length, text_tokens):
    """Token ids by formula, none of them an added token: x0 = length, x = (x * 1103515245 + 12345) mod 2^31 for each
    token, and its id is (x div 65536) mod text_tokens."""
    ids, x = [], length
    for _ in range(length):
        x = (x * 1103515245 + 12345) % 2**31
        ids.append((x >> 16) % text_tokens)
    return ids
