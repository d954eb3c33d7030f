"""What transformers and sentence-transformers compute from the tiny encoders, one text or pair at a time."""

import numpy
import torch
from sentence_transformers import CrossEncoder, SentenceTransformer
from transformers import AutoModel, AutoModelForSequenceClassification

import golden
import texts
from embedding_golden import normalised
from reranker_golden import load

TEXTS = [*texts.MAILS, *texts.LABELS, *texts.ODD_TEXTS, texts.LONG_MAIL]


@torch.inference_mode()
def states(model, ids, types):
    """What leaves the embeddings and every layer, [layers + 1][tokens][hidden]."""
    given = {"input_ids": torch.tensor([ids]), "token_type_ids": torch.tensor([types])}
    return torch.stack(model(**given, output_hidden_states=True).hidden_states)[:, 0]


def embeddings(folder, model, tokenizer):
    network = load(folder, AutoModel)
    reference = SentenceTransformer(str(folder), device="cpu")
    assert reference.max_seq_length == model.longest
    cases = []
    for text in TEXTS:
        encoded = tokenizer.encode(text)
        out = states(network, encoded.ids, encoded.type_ids)[-1]
        vector = normalised(out[0] if model.pooling == "cls" else out.mean(dim=0))
        assert numpy.allclose(reference.encode(text), vector.numpy(), atol=2e-6), text
        cases.append({"text": text, "ids": encoded.ids, "vector": vector})
    short = tokenizer.encode("Hi Anna, yes!")
    rest = {"hidden_ids": short.ids, "hidden_states": states(network, short.ids, short.type_ids)}
    return {"model": model.name, "pooling": model.pooling, "max_length": model.longest, "cases": cases, **rest}


def pairs():
    made = [(mail, label) for at, mail in enumerate(texts.MAILS) for label in (texts.LABELS[at], texts.LABELS[-1])]
    made += [(odd, texts.LABELS[0]) for odd in texts.ODD_TEXTS] + [(texts.MAILS[0], odd) for odd in texts.ODD_TEXTS]
    return made + [(texts.LONG_MAIL, texts.LABELS[5])]


@torch.inference_mode()
def scores(folder, model, tokenizer):
    network = load(folder, AutoModelForSequenceClassification)
    reference = CrossEncoder(str(folder), device="cpu")
    cases = []
    for query, document in pairs():
        encoded = tokenizer.encode(query, document)
        given = {"input_ids": torch.tensor([encoded.ids]), "token_type_ids": torch.tensor([encoded.type_ids])}
        logit = network(**given).logits[0, 0]
        theirs = reference.predict((query, document), activation_fn=torch.nn.Identity())
        # They cut the longer of the two, here only the mail is cut: the same unless the label is long.
        if len(tokenizer.encode(document, add_special_tokens=False).ids) < model.longest // 2 - 2:
            assert abs(theirs - logit.item()) < 1e-5, (query, document)
        said = {"query": query, "document": document, "ids": encoded.ids, "type_ids": encoded.type_ids}
        cases.append({**said, "logit": logit})
    spread = sorted(case["logit"].item() for case in cases)
    print(f"{model.name}: logits from {spread[0]:.2f} over {spread[len(spread) // 2]:.2f} to {spread[-1]:.2f}")
    return {"model": model.name, "max_length": model.longest, "cases": cases}


def write(root, model, tokenizer):
    tokenizer.enable_truncation(model.longest, strategy="longest_first" if model.pooling else "only_first")
    content = (embeddings if model.pooling else scores)(root / model.name, model, tokenizer)
    golden.write(root / "golden" / f"{model.name}.json", content)
