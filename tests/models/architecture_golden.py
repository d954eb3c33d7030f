"""What transformers computes from the models of architectures.py, and its pipeline for zero-shot classification."""

import numpy
import torch
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer, pipeline

import golden
import texts
from embedding_golden import normalised
from reranker_golden import load

TEMPLATE = "This email is about {}."
CANDIDATES = ["invoice", "meeting", "личное", "system alert", "🎉 party & fun :-)"]
# Without blanks around them, which byte-level tokenizers read and mailsort cuts off.
TEXTS = [text.strip() for text in [*texts.MAILS, *texts.LABELS, *texts.ODD_TEXTS, texts.LONG_MAIL]]
MAILS = [text.strip() for text in [*texts.MAILS, texts.ODD_TEXTS[2], texts.ODD_TEXTS[5], texts.LONG_MAIL]]


def given(model, encoded):
    """What a model of this kind takes of an encoding."""
    types = {"token_type_ids": torch.tensor([encoded.type_ids])} if model.config.get("type_vocab_size") == 2 else {}
    return {"input_ids": torch.tensor([encoded.ids]), **types}


@torch.inference_mode()
def embeddings(folder, model, tokenizer):
    tokenizer.enable_truncation(model.longest)
    network = load(folder, AutoModel)
    reference = SentenceTransformer(str(folder), device="cpu", model_kwargs={"attn_implementation": "eager"})
    assert reference.max_seq_length == model.longest
    cases = []
    for text in TEXTS:
        encoded = tokenizer.encode(text)
        out = network(**given(model, encoded)).last_hidden_state[0]
        vector = normalised(out[0] if model.pooling == "cls" else out.mean(dim=0))
        assert numpy.allclose(reference.encode(text), vector.numpy(), atol=2e-6), text
        cases.append({"text": text, "ids": encoded.ids, "vector": vector})
    return {"model": model.name, "pooling": model.pooling, "max_length": model.longest, "cases": cases}


def scores(zero_shot, mail, many):
    said = zero_shot(mail, CANDIDATES, hypothesis_template=TEMPLATE, multi_label=many)
    by_label = dict(zip(said["labels"], said["scores"]))
    return [by_label[label] for label in CANDIDATES]


@torch.inference_mode()
def entailments(folder, model, tokenizer):
    tokenizer.enable_truncation(model.longest, strategy="only_first")
    network = load(folder, AutoModelForSequenceClassification)
    theirs = AutoTokenizer.from_pretrained(folder)
    zero_shot = pipeline("zero-shot-classification", model=network, tokenizer=theirs, device="cpu")
    cases = []
    for mail in MAILS:
        pairs = [tokenizer.encode(mail, TEMPLATE.format(label)) for label in CANDIDATES]
        assert theirs(mail, TEMPLATE.format(CANDIDATES[0]), truncation="only_first")["input_ids"] == pairs[0].ids, mail
        logits = torch.stack([network(**given(model, pair)).logits[0] for pair in pairs])
        single, several = (scores(zero_shot, mail, many) for many in (False, True))
        at = zero_shot.entailment_id
        assert numpy.allclose(torch.softmax(logits[:, at], 0).numpy(), single, atol=1e-6), mail
        # The pipeline takes the first class for the contradiction, or the last where the first is the entailment.
        both = logits[:, [-1 if at == 0 else 0, at]]
        assert numpy.allclose(torch.softmax(both, 1)[:, 1].numpy(), several, atol=1e-6), mail
        cases.append({"text": mail, "ids": pairs[0].ids, "logits": logits, "single": single, "multi": several})
    spread = sorted(score for case in cases for score in case["multi"])
    print(f"{model.name}: entailment from {spread[0]:.3f} over {spread[len(spread) // 2]:.3f} to {spread[-1]:.3f}")
    said = {"model": model.name, "max_length": model.longest, "classes": model.classes}
    return {**said, "template": TEMPLATE, "labels": CANDIDATES, "cases": cases}


def write(root, model, tokenizer):
    made = (entailments if model.classes else embeddings)(root / model.name, model, tokenizer)
    golden.write(root / "golden" / f"{model.name}.json", made)
