"""Right blocks and whole models that differ in how they get there; none of them may fail a claim."""

import importlib.util
import math
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint


def _beside(name):
    """The file of variants of that name in this folder."""
    spec = importlib.util.spec_from_file_location(f"_plumbline_{name}", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


layers, attentions, embeddings = _beside("layer_variants"), _beside("attention_variants"), _beside("embedding_variants")

ATTENTION = ("qkv_weight", "qkv_bias", "out_weight", "out_bias")
MLP = ("up_weight", "up_bias", "down_weight", "down_bias")


def _of(weights, names):
    return [weights.get(name) for name in names]


def _block(norm, attention, mlp):
    """A pre-norm block from these parts."""

    def block(x, weights, n_heads, eps=1e-5):
        w = weights
        normed = norm(x, w["norm_1_weight"], w.get("norm_1_bias"), eps)
        x = x + attention(normed, *_of(w, ATTENTION), n_heads)
        return x + mlp(norm(x, w["norm_2_weight"], w.get("norm_2_bias"), eps), *_of(w, MLP))

    return block


# blocks --------------------------------------------------------------------------------------------------------------

block_of_torch = _block(layers.norm_of_torch, attentions.fused_and_causal, layers.mlp_of_torch)
block_by_einsum = _block(layers.norm_by_einsum, attentions.heads_in_the_einsum, layers.mlp_by_einsum)
block_by_hand = _block(layers.norm_by_pow, attentions.masked_by_subtracting_1e10, layers.mlp_by_addmm)
block_with_its_own_backwards = _block(
    layers.norm_with_its_own_backward, attentions.with_its_own_backward, layers.mlp_with_its_own_backward
)
block_with_norms_in_float32 = _block(layers.norm_upcast, attentions.query_scaled_first, layers.mlp_of_torch)
block_with_softmax_in_float32 = _block(layers.norm_by_var_mean, attentions.softmax_in_float32, layers.mlp_of_torch)
block_of_float32_only = _block(layers.norm_of_float32_only, attentions.of_float32_only, layers.mlp_of_float32_only)
block_in_pieces = _block(layers.norm_by_welford, attentions.in_blocks_of_keys, layers.mlp_in_chunks_of_the_hidden_axis)
block_checkpointed_inside = _block(layers.norm_module, attentions.checkpointed, layers.mlp_checkpointed)


def block_checkpointed(x, weights, n_heads, eps=1e-5):
    return checkpoint(block_of_torch, x, weights, n_heads, eps, use_reentrant=False)


def block_without_an_eps(x, weights, n_heads):
    return block_by_hand(x, weights, n_heads, 1e-5)


def block_time_first(x, weights, n_heads, eps=1e-5):
    """[T, B, D] inside, a transposed view comes back."""

    def attention(turned, *rest):
        return attentions.time_first(turned.transpose(0, 1), *rest).transpose(0, 1)

    turned = x.transpose(0, 1).contiguous()
    return _block(layers.norm_by_rsqrt, attention, layers.mlp_of_torch)(turned, weights, n_heads, eps).transpose(0, 1)


def block_row_by_row(x, weights, n_heads, eps=1e-5):
    return torch.cat([block_by_hand(row, weights, n_heads, eps) for row in x.split(1)])


def block_upcast(x, weights, n_heads, eps=1e-5):
    """Always in float32 inside."""
    wide = {name: None if value is None else value.float() for name, value in weights.items()}
    return block_of_torch(x.float(), wide, n_heads, eps).to(x.dtype)


def block_summed_by_addmm(x, weights, n_heads, eps=1e-5):
    """The residual stream is what the last product of each sublayer is added to."""
    w = weights
    size = attentions._head_size(x, n_heads)
    normed = layers.norm_by_addcmul(x, w["norm_1_weight"], w.get("norm_1_bias"), eps)
    qkv = functional.linear(normed, w["qkv_weight"], w.get("qkv_bias")).view(*x.shape[:2], 3, n_heads, size)
    mixed = attentions._mixture(*qkv.permute(2, 0, 3, 1, 4)).transpose(1, 2).reshape(-1, x.shape[-1])
    stream = torch.addmm(x.reshape(-1, x.shape[-1]), mixed, w["out_weight"].t())
    stream = stream if w.get("out_bias") is None else stream + w["out_bias"]
    normed = layers.norm_by_addcmul(stream, w["norm_2_weight"], w.get("norm_2_bias"), eps)
    hidden = layers.gelu_of_torch(functional.linear(normed, w["up_weight"], w.get("up_bias")))
    stream = torch.addmm(stream, hidden, w["down_weight"].t())
    return (stream if w.get("down_bias") is None else stream + w["down_bias"]).view(x.shape)


class _Layer(nn.Module):
    """A block as a module; its tensors are handed in for each call."""

    def __init__(self, width, hidden, eps):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width, eps=eps), nn.LayerNorm(width, eps=eps)
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU("tanh"), nn.Linear(hidden, width))

    def forward(self, x, n_heads):
        q, k, v = (t.unflatten(-1, (n_heads, -1)).transpose(1, 2) for t in self.c_attn(self.ln_1(x)).chunk(3, -1))
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
        x = x + self.c_proj(mixed)
        return x + self.mlp(self.ln_2(x))


def block_as_a_module(x, weights, n_heads, eps=1e-5):
    """A bias that is left out is a bias of zeros."""
    names = {
        "ln_1": "norm_1",
        "c_attn": "qkv",
        "c_proj": "out",
        "ln_2": "norm_2",
        "mlp.0": "up",
        "mlp.2": "down",
    }
    tensors = {}
    for ours, theirs in names.items():
        weight, bias = weights[f"{theirs}_weight"], weights.get(f"{theirs}_bias")
        tensors[f"{ours}.weight"] = weight
        tensors[f"{ours}.bias"] = weight.new_zeros(weight.shape[0]) if bias is None else bias
    attentions._head_size(x, n_heads)
    with torch.device("meta"):
        layer = _Layer(x.shape[-1], weights["up_weight"].shape[0], eps)
    return torch.func.functional_call(layer, tensors, (x, n_heads))


def block_of_transformer_encoder(x, weights, n_heads, eps=1e-5):
    """torch.nn.TransformerEncoderLayer with norm_first and a causal mask."""
    names = {
        "self_attn.in_proj_weight": "qkv_weight",
        "self_attn.in_proj_bias": "qkv_bias",
        "self_attn.out_proj.weight": "out_weight",
        "self_attn.out_proj.bias": "out_bias",
        "linear1.weight": "up_weight",
        "linear1.bias": "up_bias",
        "linear2.weight": "down_weight",
        "linear2.bias": "down_bias",
        "norm1.weight": "norm_1_weight",
        "norm1.bias": "norm_1_bias",
        "norm2.weight": "norm_2_weight",
        "norm2.bias": "norm_2_bias",
    }
    attentions._head_size(x, n_heads)
    tensors = {}
    for theirs, ours in names.items():
        value = weights.get(ours)
        tensors[theirs] = x.new_zeros(weights[ours.replace("bias", "weight")].shape[0]) if value is None else value
    layer = nn.TransformerEncoderLayer(
        x.shape[-1],
        n_heads,
        weights["up_weight"].shape[0],
        dropout=0.0,
        activation=layers.gelu_of_torch,
        batch_first=True,
        norm_first=True,
        layer_norm_eps=eps,
        device="meta",
    )
    mask = torch.full((x.shape[1],) * 2, -math.inf, dtype=x.dtype).triu(1)
    return torch.func.functional_call(layer, tensors, (x,), {"src_mask": mask})


# whole models --------------------------------------------------------------------------------------------------------


def _head_of(stream, weights):
    return functional.linear(stream, weights["token_embedding"])


def _eps(config):
    return getattr(config, "norm_eps", 1e-5)


def _checked(ids, weights, config):
    if ids.shape[-1] > config.context:
        raise ValueError(f"{ids.shape[-1]} ids do not fit into a context of {config.context}")
    if bool(((ids < 0) | (ids >= config.vocab_size)).any()):
        raise IndexError("an id is outside the vocabulary")


def _model(block, norm, embed=embeddings.by_functional_embedding, head=_head_of):
    """A GPT-2 from these parts."""

    def gpt2(ids, weights, config):
        _checked(ids, weights, config)
        positions = torch.arange(ids.shape[1])
        stream = embed(ids, weights["token_embedding"]) + embed(positions, weights["position_embedding"])
        for layer in weights["blocks"]:
            stream = block(stream, layer, config.heads, _eps(config))
        normed = norm(stream, weights["final_norm_weight"], weights.get("final_norm_bias"), _eps(config))
        return head(normed, weights)

    return gpt2


gpt2_of_torch = _model(block_of_torch, layers.norm_of_torch)
gpt2_by_hand = _model(block_by_hand, layers.norm_by_rsqrt, embeddings.by_indexing)
gpt2_by_einsum = _model(
    block_by_einsum,
    layers.norm_by_einsum,
    embeddings.by_comparison_and_einsum,
    lambda stream, weights: torch.einsum("btd,vd->btv", stream, weights["token_embedding"]),
)
gpt2_with_its_own_backwards = _model(
    block_with_its_own_backwards, layers.norm_with_its_own_backward, embeddings.by_an_own_backward
)
gpt2_with_one_hot_products = _model(block_in_pieces, layers.norm_by_welford, embeddings.by_one_hot_product)
gpt2_with_norms_in_float32 = _model(block_with_norms_in_float32, layers.norm_upcast)
gpt2_of_float32_only = _model(block_of_float32_only, layers.norm_of_float32_only)
gpt2_checkpointed = _model(block_checkpointed, layers.norm_of_torch)
gpt2_of_modules = _model(block_as_a_module, layers.norm_module, embeddings.by_a_module)


def gpt2_with_a_copied_head(ids, weights, config):
    """The head is a copy of the embedding, made in this very call; both uses still reach one tensor's gradient."""
    copied = weights["token_embedding"].clone()
    return _model(block_of_torch, layers.norm_of_torch, head=lambda x, _: functional.linear(x, copied))(
        ids, weights, config
    )


def gpt2_with_sliced_positions(ids, weights, config):
    """The first rows of the position table by slicing; rows of the batch with positions of their own."""
    _checked(ids, weights, config)
    batch, time = ids.shape
    places = weights["position_embedding"][None, :time].expand(batch, -1, -1)
    stream = functional.embedding(ids, weights["token_embedding"]).add(places)
    for layer in weights["blocks"]:
        stream = block_time_first(stream, layer, config.heads, _eps(config))
    normed = layers.norm_by_var_mean(stream, weights["final_norm_weight"], weights.get("final_norm_bias"), _eps(config))
    return normed @ weights["token_embedding"].T


MASK = torch.ones(64, 64, dtype=torch.bool).tril()
"""The mask for the longest context, made once; every call takes its corner."""


def _attention_with_the_mask_sliced(x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads):
    size, time = attentions._head_size(x, n_heads), x.shape[1]
    qkv = functional.linear(x, qkv_weight, qkv_bias).split(x.shape[-1], dim=2)
    q, k, v = (part.view(*x.shape[:2], n_heads, size).transpose(1, 2) for part in qkv)
    scores = (q @ k.mT) * (1.0 / math.sqrt(size))
    weights = scores.masked_fill(~MASK[:time, :time], -math.inf).softmax(-1)
    return functional.linear((weights @ v).transpose(1, 2).reshape(x.shape), out_weight, out_bias)


gpt2_with_one_mask_for_all = _model(
    _block(layers.norm_by_rsqrt, _attention_with_the_mask_sliced, layers.mlp_of_torch), layers.norm_by_rsqrt
)


def gpt2_upcast(ids, weights, config):
    """Always in float32 inside."""

    def wide(value):
        return None if value is None else value.float()

    blocks = [{name: wide(value) for name, value in layer.items()} for layer in weights["blocks"]]
    rest = {name: wide(value) for name, value in weights.items() if name != "blocks"}
    return gpt2_of_torch(ids, {**rest, "blocks": blocks}, config).to(weights["token_embedding"].dtype)


def gpt2_row_by_row(ids, weights, config):
    return torch.cat([gpt2_by_hand(row, weights, config) for row in ids.split(1)])


def gpt2_with_the_head_in_chunks(ids, weights, config):
    """A few positions at a time go through the final norm and the head, as long sequences need it."""

    def head(stream, weights):
        return torch.cat([piece @ weights["token_embedding"].mT for piece in stream.split(2, dim=1)], dim=1)

    return _model(block_summed_by_addmm, layers.norm_by_addcmul, head=head)(ids, weights, config)


def gpt2_id_by_id(ids, weights, config):
    """With a cache of keys and values: each id goes through all layers before the next one."""
    _checked(ids, weights, config)
    cache = [([], []) for _ in weights["blocks"]]
    logits = []
    for t in range(ids.shape[1]):
        stream = weights["token_embedding"][ids[:, t]] + weights["position_embedding"][t]
        for w, (keys, values) in zip(weights["blocks"], cache, strict=True):
            normed = layers.norm_by_pow(stream, w["norm_1_weight"], w.get("norm_1_bias"), _eps(config))
            qkv = functional.linear(normed, w["qkv_weight"], w.get("qkv_bias"))
            q, k, v = (part.unflatten(-1, (config.heads, -1)) for part in qkv.chunk(3, -1))
            keys.append(k)
            values.append(v)
            scores = torch.einsum("bhk,sbhk->bhs", q, torch.stack(keys)) / math.sqrt(q.shape[-1])
            mixed = torch.einsum("bhs,sbhk->bhk", scores.softmax(-1), torch.stack(values)).flatten(1)
            stream = stream + functional.linear(mixed, w["out_weight"], w.get("out_bias"))
            normed = layers.norm_by_pow(stream, w["norm_2_weight"], w.get("norm_2_bias"), _eps(config))
            stream = stream + layers.mlp_of_torch(normed, *_of(w, MLP))
        normed = layers.norm_by_pow(stream, weights["final_norm_weight"], weights.get("final_norm_bias"), _eps(config))
        logits.append(normed @ weights["token_embedding"].mT)
    return torch.stack(logits, 1)


_BLOCKS = {name: value for name, value in list(globals().items()) if name.startswith("block_") and callable(value)}
_MODELS = {name: value for name, value in list(globals().items()) if name.startswith("gpt2_") and callable(value)}
VARIANTS = {name.replace("_", " "): {"block": function} for name, function in _BLOCKS.items()} | {
    name.replace("_", " "): {"gpt2": function} for name, function in _MODELS.items()
}
