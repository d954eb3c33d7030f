"""What transformers computes from the tiny embedding model, and sentence-transformers must agree with."""

import numpy
import torch
from sentence_transformers import SentenceTransformer
from transformers import AutoModel

import byte_bpe
import golden
import texts
from reranker_golden import hidden_states, load

DIMS = 32


def normalised(vector):
    return vector / torch.linalg.vector_norm(vector)


@torch.inference_mode()
def last(model, ids):
    return model(torch.tensor([ids])).last_hidden_state[0, -1]


def write(root, checkpoint, tokenizer, model=None, name=None, read=None):
    """Writes golden/NAME.json; of a GGUF file with what was `read` and without what the other file says."""
    reference = None if model else SentenceTransformer(str(root / checkpoint.name), device="cpu")
    model = model or load(root / checkpoint.name, AutoModel)
    asked = [("query", f"Instruct: {texts.TASK}\nQuery:{text}", text) for text in texts.EMBEDDED_QUERIES]
    asked += [("document", text, text) for text in [*texts.EMBEDDED_DOCUMENTS, texts.LONG_MAIL]]
    cases = []
    for kind, whole, text in asked:
        ids = tokenizer.encode(whole).ids
        assert ids[-1] == byte_bpe.TEXT_TOKENS, "no <|endoftext|> at the end"
        vector = last(model, ids)
        case = {"kind": kind, "text": text, "input": whole, "ids": ids, "vector": normalised(vector)}
        case[f"vector_{DIMS}"] = normalised(vector[:DIMS])
        if reference:
            theirs = reference.encode(whole, prompt="")
            assert numpy.allclose(theirs, case["vector"].numpy(), atol=2e-6), whole
        if read:
            del case["input"], case["ids"], case[f"vector_{DIMS}"]
        cases.append(case)
    synthetic = []
    for length in golden.SYNTHETIC_LENGTHS:
        ids = [*golden.synthetic(length - 1, byte_bpe.TEXT_TOKENS), byte_bpe.TEXT_TOKENS]
        synthetic.append({"length": length, "vector": normalised(last(model, ids))})
    content = {
        "model": name or checkpoint.name,
        "task": texts.TASK,
        "end_id": byte_bpe.TEXT_TOKENS,
        "dims": DIMS,
        "cases": cases,
        "synthetic_text_tokens": byte_bpe.TEXT_TOKENS,
        "synthetic": synthetic,
    }
    if read:
        content |= {"tensors": read}
    else:
        short = golden.synthetic(5, byte_bpe.TEXT_TOKENS)
        content |= {"hidden_ids": short, "hidden_states": hidden_states(model, short)}
    golden.write(root / "golden" / f"{name or checkpoint.name}.json", content)
