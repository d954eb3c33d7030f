"""Tiny random Qwen3 checkpoints in the files and under the names of the released ones."""

import json
from dataclasses import dataclass

import numpy
import torch
from safetensors.torch import save_file

import byte_bpe

VOCABULARY = byte_bpe.TEXT_TOKENS + len(byte_bpe.ADDED)


@dataclass
class Checkpoint:
    """A model to make. `spread` scales the head, so that P(yes) reaches from near 0 to near 1."""

    name: str
    seed: int
    dtype: torch.dtype
    embedding: bool = False
    tied: bool = True
    shards: int = 1
    nested_rope: bool = False
    layers: int = 2
    hidden: int = 64
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 32
    intermediate: int = 96
    theta: float = 1e6
    spread: float = 1.0
    vocabulary: int = VOCABULARY

    @property
    def end_of_text(self):
        return self.vocabulary - len(byte_bpe.ADDED)

    @property
    def end_of_turn(self):
        return self.end_of_text + 2


RERANKER = Checkpoint("tiny-reranker", 8, torch.float32, spread=0.62)
RERANKER_F16 = Checkpoint("tiny-reranker-f16", 8, torch.float16, spread=0.62)
UNTIED = Checkpoint(
    "tiny-reranker-untied",
    2,
    torch.bfloat16,
    tied=False,
    shards=3,
    nested_rope=True,
    layers=3,
    theta=5e5,
    spread=0.8,
)
EMBEDDING = Checkpoint("tiny-embedding", 3, torch.float32, embedding=True)
WIDE = Checkpoint("tiny-wide", 5, torch.bfloat16, layers=1, hidden=256, head_dim=64, intermediate=256, spread=0.6)


def configuration(model):
    """What config.json holds."""
    rope = {"rope_scaling": None, "rope_theta": int(model.theta)}
    if model.nested_rope:
        rope = {"rope_parameters": {"rope_theta": model.theta, "rope_type": "default"}}
    return {
        "architectures": ["Qwen3ForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": model.end_of_text,
        "eos_token_id": model.end_of_text if model.embedding else model.end_of_turn,
        "head_dim": model.head_dim,
        "hidden_act": "silu",
        "hidden_size": model.hidden,
        "initializer_range": 0.02,
        "intermediate_size": model.intermediate,
        "max_position_embeddings": 32768 if model.embedding else 40960,
        "max_window_layers": model.layers,
        "model_type": "qwen3",
        "num_attention_heads": model.heads,
        "num_hidden_layers": model.layers,
        "num_key_value_heads": model.kv_heads,
        "rms_norm_eps": 1e-6,
        **rope,
        "sliding_window": None,
        "tie_word_embeddings": model.tied,
        "torch_dtype": str(model.dtype).removeprefix("torch."),
        "transformers_version": "4.51.0",
        "use_cache": True,
        "use_sliding_window": False,
        "vocab_size": model.vocabulary,
    }


def parts(model):
    """Name and shape of every weight, and its gain, or where it is a norm its middle."""
    hidden, head_dim = model.hidden, model.head_dim
    rows, kv_rows = model.heads * head_dim, model.kv_heads * head_dim
    yield "model.embed_tokens.weight", (model.vocabulary, hidden), 3.0
    for at in range(model.layers):
        layer = f"model.layers.{at}."
        yield layer + "input_layernorm.weight", (hidden,), 1.0
        # Above 1, so that attention looks at few positions and does not average the prompt away.
        yield layer + "self_attn.q_norm.weight", (head_dim,), 1.2
        yield layer + "self_attn.k_norm.weight", (head_dim,), 1.2
        yield layer + "self_attn.q_proj.weight", (rows, hidden), 1.0
        yield layer + "self_attn.k_proj.weight", (kv_rows, hidden), 1.0
        yield layer + "self_attn.v_proj.weight", (kv_rows, hidden), 1.0
        yield layer + "self_attn.o_proj.weight", (hidden, rows), 1.5
        yield layer + "post_attention_layernorm.weight", (hidden,), 1.0
        yield layer + "mlp.gate_proj.weight", (model.intermediate, hidden), 1.0
        yield layer + "mlp.up_proj.weight", (model.intermediate, hidden), 1.0
        yield layer + "mlp.down_proj.weight", (hidden, model.intermediate), 1.5
    yield "model.norm.weight", (hidden,), model.spread
    if not model.tied:
        yield "lm_head.weight", (model.vocabulary, hidden), 3.0


def weights(model):
    """All weights by their names in the file, rounded to the dtype of the checkpoint.

    RandomState's streams never change between versions of NumPy, so neither do these.
    """
    random = numpy.random.RandomState(model.seed)
    made = {}
    for name, shape, scale in parts(model):
        array = random.standard_normal(shape)
        array = scale + 0.25 * array if len(shape) == 1 else array * scale / numpy.sqrt(shape[1])
        name = name.removeprefix("model.") if model.embedding else name
        made[name] = torch.from_numpy(array.astype(numpy.float32)).to(model.dtype)
    return made


def save(path, tensors):
    save_file(tensors, path, metadata={"format": "pt"})
    path.chmod(0o644)


def write_weights(folder, tensors, shards):
    """One file, or several of about the same number of tensors with the index that says where each one is."""
    if shards == 1:
        save(folder / "model.safetensors", tensors)
        return
    place = {name: at * shards // len(tensors) + 1 for at, name in enumerate(tensors)}
    files = {name: f"model-{shard:05}-of-{shards:05}.safetensors" for name, shard in place.items()}
    for file in sorted(set(files.values())):
        part = {name: tensor for name, tensor in tensors.items() if files[name] == file}
        save(folder / file, part)
    size = sum(tensor.nbytes for tensor in tensors.values())
    write_json(folder / "model.safetensors.index.json", {"metadata": {"total_size": size}, "weight_map": files})


def write_json(path, content):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", "utf-8")


def write(root, model):
    """Writes the whole folder and returns its tokenizer."""
    folder = root / model.name
    folder.mkdir(exist_ok=True)
    write_json(folder / "config.json", configuration(model))
    write_weights(folder, weights(model), model.shards)
    if model.embedding:
        write_pooling(folder, model.hidden, "lasttoken")
        write_prompts(folder)
    return byte_bpe.write(folder, model.embedding)


def write_pooling(folder, hidden, mode):
    """What a model says to sentence-transformers: pool the last layer by `mode`, then normalise."""
    steps = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    modules = [
        {"idx": at, "name": str(at), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for at, (path, kind) in enumerate(steps)
    ]
    modes = ["cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken"]
    pooling = {f"pooling_mode_{known}": known == mode for known in modes}
    write_json(folder / "modules.json", modules)
    pooling = {"word_embedding_dimension": hidden, **pooling, "include_prompt": True}
    write_json(folder / "1_Pooling" / "config.json", pooling)


def write_prompts(folder):
    """The prompts of the released embedding models."""
    instruct = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"
    prompts = {"prompts": {"query": instruct, "document": ""}, "default_prompt_name": None}
    write_json(folder / "config_sentence_transformers.json", {**prompts, "similarity_fn_name": "cosine"})
