"""Llama and its relatives: the whole model, one layer of it, and weights to start from."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from reference_model.config import LlamaConfig
from reference_model.grouped_query_attention import grouped_query_attention
from reference_model.linear import linear
from reference_model.mlp import mlp
from reference_model.rms_norm import rms_norm
from reference_model.swiglu import swiglu
from reference_model.token_embedding import token_embedding

ATTENTION = (
    *("query_weight", "key_weight", "value_weight", "out_weight"),
    *("query_bias", "key_bias", "value_bias", "out_bias", "q_norm_weight", "k_norm_weight", "sinks"),
)
"""What `grouped_query_attention` takes of a layer's weights; the first four are always there."""


def llama(ids: Tensor, weights: Mapping[str, Any], config: Any, attention_mask: Tensor | None = None) -> Tensor:
    """Ids to the logits of the next id.  ids int [B, T] -> logits [B, T, V]

    h_0 = W_e[ids];  h_l = llama_block(h_(l-1));  logits = norm(h_L) W_head^T.  Positions are told by rotation alone.
    weights: token_embedding [V, D], blocks (a list of what `llama_block` takes), final_norm_weight [D] (ones where it
    is missing), head_weight [V, D] (where it is missing, the head is tied to the embedding).
    config: anything with vocab_size, heads, layers and, optionally, kv_heads (heads otherwise), head_size (D / H),
    rope_base (10000), window (every position) and norm_eps (1e-5).
    attention_mask [B, T]: True where an id is real, False where it is padding.
    Raises ValueError when the blocks are not config.layers many, IndexError for an id outside the vocabulary.
    Source: Touvron et al. 2023, section 2.2; meta-llama/llama llama/model.py `Transformer`.
    """
    if len(weights["blocks"]) != config.layers:
        raise ValueError(f"weights hold {len(weights['blocks'])} blocks, but the config has {config.layers} layers")
    eps = getattr(config, "norm_eps", 1e-5)
    rope_base = getattr(config, "rope_base", 10000.0)
    window = getattr(config, "window", None)
    kv_heads = getattr(config, "kv_heads", None) or config.heads
    size = getattr(config, "head_size", None)
    head_weight = weights.get("head_weight")
    full_every = None  # of how many layers one sees every position whatever the window; Gemma 2: 2, Gemma 3: 6
    local_base = None  # Gemma 3: 10000 in layers that see the window alone
    embedding_scale = 1.0  # Gemma: the root of the width
    softcap = None  # Gemma 2: 30

    tokens = token_embedding(ids, weights["token_embedding"])  # [B, T, D]
    stream = tokens * embedding_scale
    for index, layer_weights in enumerate(weights["blocks"]):
        is_local = full_every is None or (index + 1) % full_every != 0
        sees = window if is_local else None
        base = local_base if is_local and local_base is not None else rope_base
        stream = llama_block(stream, layer_weights, config.heads, kv_heads, base, sees, eps, size, attention_mask)
    normed = norm(stream, weights.get("final_norm_weight"), eps)
    head = weights["token_embedding"] if head_weight is None else head_weight
    logits = linear(normed, head)  # [B, T, V]
    return logits if softcap is None else softcap * torch.tanh(logits / softcap)


def llama_block(
    x: Tensor,
    weights: Mapping[str, Any],
    n_heads: int,
    n_kv_heads: int,
    rope_base: float = 10000.0,
    window: int | None = None,
    eps: float = 1e-5,
    head_size: int | None = None,
    attention_mask: Tensor | None = None,
) -> Tensor:
    """x + attention(norm_1(x)), then + feed_forward(norm_2(.)): pre-norm.  x [B, T, D] -> [B, T, D]

    weights: norm_1_weight [D], norm_2_weight [D] (ones where missing); query_weight [H K, D], key_weight and
    value_weight [G K, D], out_weight [D, H K], and optionally their biases, q_norm_weight, k_norm_weight and sinks, see
    `grouped_query_attention`; gate_weight and up_weight [F, D], down_weight [D, F] (without a gate: `mlp`);
    optionally post_norm_1_weight and post_norm_2_weight [D], norms of what is added to the stream (Gemma 2).
    Raises KeyError when a weight that is not optional is missing, ValueError as `grouped_query_attention` does.
    Source: Touvron et al. 2023, section 2.2; meta-llama/llama llama/model.py `TransformerBlock`.
    """
    heads: dict[str, Any]
    sizes: dict[str, Any]
    settings: dict[str, Any]
    heads = {name: weights[name] if name in ATTENTION[:4] else weights.get(name) for name in ATTENTION}
    sizes = {"n_heads": n_heads, "n_kv_heads": n_kv_heads, "head_size": head_size, "attention_mask": attention_mask}
    settings = {"positions": "rotary_halves", "rope_base": rope_base, "window": window, "eps": eps}
    norm_1_weight, norm_2_weight = weights.get("norm_1_weight"), weights.get("norm_2_weight")
    post_norm_1_weight, post_norm_2_weight = weights.get("post_norm_1_weight"), weights.get("post_norm_2_weight")

    normed_1 = norm(x, norm_1_weight, eps)
    attended = grouped_query_attention(normed_1, **heads, **sizes, **settings)
    first = attended if post_norm_1_weight is None else norm(attended, post_norm_1_weight, eps)
    middle = x + first
    normed_2 = norm(middle, norm_2_weight, eps)
    thought = feed_forward(normed_2, weights)
    second = thought if post_norm_2_weight is None else norm(thought, post_norm_2_weight, eps)
    return middle + second


def feed_forward(x: Tensor, weights: Mapping[str, Any]) -> Tensor:
    """`swiglu`, or `mlp` without biases where there is no gate_weight.  x [B, T, D] -> [B, T, D]"""
    if weights.get("gate_weight") is None:
        return mlp(x, weights["up_weight"], None, weights["down_weight"], None)
    return swiglu(x, weights["gate_weight"], weights["up_weight"], weights["down_weight"])


def norm(x: Tensor, weight: Tensor | None, eps: float) -> Tensor:
    """`rms_norm`, whose gain is one where there is no weight.  x [B, T, D] -> [B, T, D]"""
    gain = x.new_ones(x.shape[-1]) if weight is None else weight
    return rms_norm(x, gain, eps)


def initialise_llama(
    config: LlamaConfig, generator: torch.Generator | None = None, dtype: torch.dtype = torch.float32
) -> dict[str, Any]:
    """Fresh weights as `llama` takes them, with a head of its own: N(0, 0.02^2), gains 1.

    The two projections that write to the residual stream are N(0, (0.02 / sqrt(2 L))^2), for there are 2 L of them.
    Every number is drawn in float32 and then rounded to `dtype`.
    Source: as `initialise` of GPT-2; Touvron et al. 2023 do not state theirs.
    """
    small, heads, groups = 0.02 / math.sqrt(2 * config.layers), config.heads * config.head_size, config.kv_heads
    keys, width, hidden = groups * config.head_size, config.width, config.hidden

    def normal(rows: int, columns: int, std: float = 0.02) -> Tensor:
        return (torch.randn(rows, columns, generator=generator, dtype=torch.float32) * std).to(dtype)

    def layer() -> dict[str, Tensor]:
        return {
            "norm_1_weight": torch.ones(width, dtype=dtype),
            "query_weight": normal(heads, width),
            "key_weight": normal(keys, width),
            "value_weight": normal(keys, width),
            "out_weight": normal(width, heads, small),
            "norm_2_weight": torch.ones(width, dtype=dtype),
            "gate_weight": normal(hidden, width),
            "up_weight": normal(hidden, width),
            "down_weight": normal(width, hidden, small),
        }

    table, head = normal(config.vocab_size, width), normal(config.vocab_size, width)
    blocks = [layer() for _ in range(config.layers)]
    gains = torch.ones(width, dtype=dtype)
    return {"token_embedding": table, "blocks": blocks, "final_norm_weight": gains, "head_weight": head}
