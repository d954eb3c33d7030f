"""What transformers computes from the tiny rerankers, one prompt at a time, without padding, in float32."""

import copy

import torch
from transformers import AutoModelForCausalLM

import byte_bpe
import golden
import texts

# Of as many tokens each, since a digit is a token.
EQUAL_DOCUMENTS = ["order 2024", "order 1718", "order 9000", "order 4711"]


def load(folder, kind=AutoModelForCausalLM):
    """The model with its weights widened to float32; a weight too many or too few is an error."""
    model, told = kind.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    wrong = {key: value for key, value in told.items() if value}
    assert not wrong, f"{folder.name}: {wrong}"
    return model.eval()


def cases():
    """Instruct, query (the mail) and document (the label) of every prompt, and which belong to which batch."""
    made = []
    for at, mail in enumerate(texts.MAILS):
        documents = [texts.LABELS[(at + step * 5) % len(texts.LABELS)] for step in range(2)]
        made += [(texts.INSTRUCTS[at % len(texts.INSTRUCTS)], mail, document) for document in documents]
    made += [(texts.INSTRUCTS[1], texts.MAILS[0], label) for label in texts.LABELS]
    made += [(texts.INSTRUCTS[1], odd, texts.LABELS[at]) for at, odd in enumerate(texts.ODD_TEXTS)]
    made += [(texts.INSTRUCTS[0], texts.MAILS[1], odd) for odd in texts.ODD_TEXTS]
    made.append((texts.INSTRUCTS[1], texts.LONG_MAIL, texts.LABELS[4]))
    first = len(made)
    made += [(texts.INSTRUCTS[1], texts.MAILS[2], document) for document in EQUAL_DOCUMENTS]
    return made, {"different": list(range(first)), "equal": list(range(first, len(made)))}


class Judge:
    """Scores prompts as the model card does."""

    def __init__(self, model, tokenizer):
        self.model, self.exact = model, copy.deepcopy(model).double()
        self.encode = lambda text: tokenizer.encode(text, add_special_tokens=False).ids
        self.prefix, self.suffix = self.encode(texts.PREFIX), self.encode(texts.SUFFIX)
        (self.yes,), (self.no,) = self.encode("yes"), self.encode("no")

    @torch.inference_mode()
    def score(self, ids):
        yes, no = self.model(torch.tensor([ids])).logits[0, -1, [self.yes, self.no]]
        exact = self.exact(torch.tensor([ids])).logits[0, -1]
        # From the float32 logits, but in double precision.
        chance = torch.sigmoid(yes.double() - no.double()).item()
        said = {"logit_yes": yes, "logit_no": no, "p_yes": chance}
        return {**said, "exact_yes": exact[self.yes].item(), "exact_no": exact[self.no].item()}

    def case(self, instruct, query, document):
        body = texts.body(instruct, query, document)
        ids = self.encode(body)
        said = {"instruct": instruct, "query": query, "document": document}
        prompt = texts.PREFIX + body + texts.SUFFIX
        assert self.encode(prompt) == self.prefix + ids + self.suffix, "the parts do not make the whole"
        return {**said, "prompt": prompt, "body_ids": ids, **self.score(self.prefix + ids + self.suffix)}


@torch.inference_mode()
def hidden_states(model, ids):
    """What leaves the embedding, every layer and the last norm; [layers + 2][tokens][hidden].

    Hooks, since `output_hidden_states` of transformers gives the last layer's only after the norm.
    """
    trunk = model.model if hasattr(model, "lm_head") else model
    seen = []
    keep = lambda _module, _given, out: seen.append(out[0] if isinstance(out, tuple) else out)
    hooks = [part.register_forward_hook(keep) for part in (trunk.embed_tokens, *trunk.layers, trunk.norm)]
    model(torch.tensor([ids]))
    for hook in hooks:
        hook.remove()
    return torch.stack([state[0] for state in seen])


def write(root, checkpoint, tokenizer, model=None, name=None, read=None):
    """Writes golden/NAME.json; of a GGUF file with what was `read` and without what the other file says."""
    model = model or load(root / checkpoint.name)
    judge = Judge(model, tokenizer)
    made, batches = cases()
    scored = [judge.case(*case) for case in made]
    equal = {len(scored[at]["body_ids"]) for at in batches["equal"]}
    assert len(equal) == 1, f"the batch of equal lengths has {equal}"
    chances = sorted(case["p_yes"] for case in scored)
    middle = chances[len(chances) // 2]
    print(f"{name or checkpoint.name}: P(yes) from {chances[0]:.3f} over {middle:.3f} to {chances[-1]:.3f}")
    if read:
        for case in scored:
            del case["prompt"], case["body_ids"]
    short = golden.synthetic(5, byte_bpe.TEXT_TOKENS)
    synthetic = [
        {"length": length, **judge.score(golden.synthetic(length, byte_bpe.TEXT_TOKENS))}
        for length in golden.SYNTHETIC_LENGTHS
    ]
    content = {
        "model": name or checkpoint.name,
        "yes_id": judge.yes,
        "no_id": judge.no,
        "prefix": texts.PREFIX,
        "suffix": texts.SUFFIX,
        "prefix_ids": judge.prefix,
        "suffix_ids": judge.suffix,
        "batches": batches,
        "cases": scored,
        "synthetic_text_tokens": byte_bpe.TEXT_TOKENS,
        "synthetic": synthetic,
    }
    if read:
        content |= {"tensors": read}
    else:
        content |= {"hidden_ids": short, "hidden_states": hidden_states(model, short)}
    golden.write(root / "golden" / f"{name or checkpoint.name}.json", content)
