"""GGUF files of the tiny models, with the names that llama.cpp's convert_hf_to_gguf.py gives to Qwen3's parts."""

import re

import gguf
import numpy
import torch
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

import byte_bpe
import k_quants
import qwen3
import texts

TYPES = gguf.GGMLQuantizationType
NAMES = {
    "embed_tokens": "token_embd",
    "norm": "output_norm",
    "input_layernorm": "attn_norm",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
# Q4_K_M keeps more bits of these, in every layer of so small a model.
FINER = re.compile(r"(token_embd|^output|cls\.output|attn_v|ffn_down)\.weight$")
HEAD = "cls.output.weight"
TEMPLATE = texts.PREFIX + texts.body(texts.DEFAULT_INSTRUCT, "{query}", "{document}") + texts.SUFFIX


def gguf_name(name):
    """`model.layers.0.mlp.up_proj.weight` is `blk.0.ffn_up.weight` here."""
    layer, part = re.fullmatch(r"(?:model\.)?(?:layers\.(\d+)\.)?(.+)\.weight", name).groups()
    return (f"blk.{layer}." if layer else "") + NAMES[part] + ".weight"


def tensors(model, yes_no, with_head):
    """The tensors as the converter orders and names them. A reranker keeps two rows of its head and no other."""
    made = {}
    for name, tensor in qwen3.weights(model).items():
        array = tensor.float().numpy()
        head = name == "lm_head.weight" or (model.tied and name.endswith("embed_tokens.weight"))
        if head and with_head:
            made[HEAD] = array[yes_no]
        if name != "lm_head.weight":
            made[gguf_name(name)] = array
        elif not with_head:
            made["output.weight"] = array
    return made


def kind_of(name, kind):
    """What one tensor of a file is in; norms are float32 in every file."""
    if name.endswith("_norm.weight"):
        return TYPES.F32
    return TYPES.Q6_K if kind == TYPES.Q4_K and FINER.search(name) else kind


def stored(name, array, kind):
    """One tensor as the file holds it, and in what."""
    kind = kind_of(name, kind)
    if kind == TYPES.F32:
        return array, kind
    if kind in k_quants.QUANTISE:
        return k_quants.QUANTISE[kind](array), kind
    return gguf.quants.quantize(array, kind), kind


def add_parameters(writer, model, file_type):
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name(model.name)
    writer.add_block_count(model.layers)
    writer.add_context_length(qwen3.configuration(model)["max_position_embeddings"])
    writer.add_embedding_length(model.hidden)
    writer.add_feed_forward_length(model.intermediate)
    writer.add_head_count(model.heads)
    writer.add_head_count_kv(model.kv_heads)
    writer.add_rope_freq_base(model.theta)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_key_length(model.head_dim)
    writer.add_value_length(model.head_dim)
    writer.add_file_type(file_type)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def add_tokenizer(writer, model, described):
    """The tokenizer that `described`, the content of its tokenizer.json, says."""
    vocabulary = described["model"]["vocab"]
    normal = sorted(vocabulary, key=vocabulary.get)
    # What looks like <|this|> is control to llama.cpp, whatever its `special` flag says.
    control = lambda token: token.startswith("<|") and token.endswith("|>")
    kinds = [gguf.TokenType.CONTROL if control(token) else gguf.TokenType.USER_DEFINED for token in byte_bpe.ADDED]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(normal + byte_bpe.ADDED)
    writer.add_token_types([gguf.TokenType.NORMAL] * len(normal) + kinds)
    writer.add_token_merges([" ".join(pair) for pair in described["model"]["merges"]])
    writer.add_eos_token_id(model.end_of_text if model.embedding else model.end_of_turn)
    writer.add_pad_token_id(model.end_of_text)
    writer.add_bos_token_id(model.end_of_text)
    writer.add_add_bos_token(False)
    if model.embedding:
        writer.add_eot_token_id(model.end_of_turn)
        writer.add_add_eos_token(True)


def begun(path, model, file_type, described, with_head):
    """A file with all its metadata and no tensors yet."""
    writer = gguf.GGUFWriter(path, "qwen3")
    add_parameters(writer, model, file_type)
    if model.embedding:
        writer.add_pooling_type(gguf.PoolingType.LAST)
    elif with_head:
        writer.add_pooling_type(gguf.PoolingType.RANK)
        writer.add_classifier_output_labels(["yes", "no"])
    add_tokenizer(writer, model, described)
    if with_head and not model.embedding:
        writer.add_chat_template([{"name": "rerank", "template": TEMPLATE}])
    return writer


def write(path, model, kind, file_type, yes_no, with_head=True):
    """Writes one file. Without `with_head` it is what converters before the summer of 2025 made of a reranker."""
    writer = begun(path, model, file_type, byte_bpe.described(model.embedding), with_head)
    for name, array in tensors(model, yes_no, with_head and not model.embedding).items():
        data, data_kind = stored(name, array, kind)
        writer.add_tensor(name, data, raw_dtype=data_kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def dequantised(path):
    """Every tensor of the file as float32, by the `gguf` package, and what the file calls its type."""
    reader = gguf.GGUFReader(path)
    array = lambda tensor: gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(numpy.float32)
    shaped = lambda tensor: array(tensor).reshape([int(size) for size in reversed(tensor.shape)])
    return {tensor.name: (tensor.tensor_type.name, shaped(tensor)) for tensor in reader.tensors}


def samples(read):
    """A few numbers of each tensor, enough to tell that it was read as the package reads it."""
    return [
        {
            "name": name,
            "type": kind,
            "shape": list(array.shape),
            "sum": array.sum(dtype=numpy.float64).item(),
            "sum_of_squares": numpy.square(array, dtype=numpy.float64).sum().item(),
            "first": array.flatten()[:8],
            "last": array.flatten()[-8:],
        }
        for name, (kind, array) in read.items()
    ]


def loaded(folder, read, yes_no):
    """transformers' model with the weights of the file; `folder` has its config.json."""
    arrays = {name: torch.from_numpy(array.copy()) for name, (_, array) in read.items()}
    head = arrays.pop(HEAD, None)
    config = AutoConfig.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32)
    # A head of its own, so that nothing but the two rows of the file can answer.
    config.tie_word_embeddings = False
    model = (AutoModel if head is None else AutoModelForCausalLM).from_config(config)
    state = {}
    for name in model.state_dict():
        if name == "lm_head.weight":
            state[name] = torch.zeros(config.vocab_size, config.hidden_size)
            state[name][yes_no] = head
        else:
            state[name] = arrays.pop(gguf_name(name))
    assert not arrays, f"left over: {list(arrays)}"
    model.load_state_dict(state, strict=True)
    return model.float().eval()
