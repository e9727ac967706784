"""Causal self-attention in which several query heads share one key and value head."""

import math

import torch
from torch import Tensor

from reference_model.attention import without_padding
from reference_model.linear import linear
from reference_model.rms_norm import rms_norm
from reference_model.rotary import rotate
from reference_model.softmax import softmax


def grouped_query_attention(
    x: Tensor,
    query_weight: Tensor,
    key_weight: Tensor,
    value_weight: Tensor,
    out_weight: Tensor,
    n_heads: int,
    n_kv_heads: int,
    query_bias: Tensor | None = None,
    key_bias: Tensor | None = None,
    value_bias: Tensor | None = None,
    out_bias: Tensor | None = None,
    q_norm_weight: Tensor | None = None,
    k_norm_weight: Tensor | None = None,
    sinks: Tensor | None = None,
    positions: str = "none",
    rope_base: float = 10000.0,
    window: int | None = None,
    eps: float = 1e-5,
    head_size: int | None = None,
    attention_mask: Tensor | None = None,
) -> Tensor:
    """Attention of H query heads to G key-value heads: head h uses group h // (H / G).  x [B, T, D] -> [B, T, D]

    query_weight [H K, D], key_weight and value_weight [G K, D], out_weight [D, H K]; K is the head size, D / H unless
    `head_size` says otherwise.  G = H is multi-head attention, G = 1 is multi-query attention.  Position t sees
    positions 0..t, or the last `window` of them.
    Optional: biases [H K], [G K], [G K] and [D]; gains of the norm of queries and keys, per head [K] or over all heads
    together [H K] and [G K]; sinks [H], scores of a key that has no value.  `positions`: "none", "rotary" (pairs of
    neighbours are rotated) or "rotary_halves" (feature i with feature i + K/2).
    attention_mask [B, T]: True where a position is real, as `attention` takes it.
    Raises ValueError when n_heads does not divide the queries, n_kv_heads the heads, or a head to rotate is odd.
    Source: Ainslie et al. 2023, section 2.2; meta-llama/llama llama/model.py `Attention` and `repeat_kv`;
    Dehghani et al. 2023, section 2 (norm of queries and keys); Gemma Team 2024, section 2 (soft cap).
    """
    batch, time, _ = x.shape
    width = query_weight.shape[0]
    if n_heads < 1 or width % n_heads != 0 or head_size not in (None, width // n_heads):
        raise ValueError(f"width {width} is not divisible by {n_heads} heads")
    if n_kv_heads < 1 or n_heads % n_kv_heads != 0:
        raise ValueError(f"{n_heads} heads are not divisible into {n_kv_heads} groups")
    head_size = width // n_heads
    shared_by = n_heads // n_kv_heads
    layout = positions
    base = rope_base
    span = window
    softcap = None  # Gemma 2: 50

    q = linear(x, query_weight, query_bias)  # [B, T, H K]
    k = linear(x, key_weight, key_bias)  # [B, T, G K]
    v = linear(x, value_weight, value_bias)
    q = q.reshape(batch, time, n_heads, head_size)
    k = k.reshape(batch, time, n_kv_heads, head_size)
    v = v.reshape(batch, time, n_kv_heads, head_size)
    q = norm_of_heads(q, q_norm_weight, eps)
    k = norm_of_heads(k, k_norm_weight, eps)
    q = q.transpose(1, 2)  # [B, H, T, K]
    k = k.transpose(1, 2)  # [B, G, T, K]
    v = v.transpose(1, 2)
    turned_q = rotate(q, layout, base)
    turned_k = rotate(k, layout, base)
    keys = turned_k.repeat_interleave(shared_by, dim=1)  # [B, H, T, K]: each group as often as heads share it
    values = v.repeat_interleave(shared_by, dim=1)

    scale = 1.0 / math.sqrt(head_size)
    scores = turned_q @ keys.transpose(-2, -1) * scale  # [B, H, T, T]
    capped = scores if softcap is None else softcap * torch.tanh(scores / softcap)
    everywhere = torch.ones(time, time, dtype=torch.bool, device=x.device)
    future = everywhere.triu(diagonal=1)
    hidden = future if span is None else future | everywhere.tril(diagonal=-span)
    masked = capped.masked_fill(hidden, float("-inf"))
    if attention_mask is not None:
        masked = without_padding(masked, attention_mask)
    weights = softmax(masked, dim=-1) if sinks is None else softmax_beside(masked, sinks)
    mixed = weights @ values  # [B, H, T, K]
    together = mixed.transpose(1, 2)
    merged = together.reshape(batch, time, width)
    return linear(merged, out_weight, out_bias)


def norm_of_heads(heads: Tensor, weight: Tensor | None, eps: float) -> Tensor:
    """rms_norm of each head (weight [K]), or of all heads together (weight [H K]); as it is without a weight.

    heads [B, T, H, K] -> [B, T, H, K].  Source: Dehghani et al. 2023, section 2; OLMo 2 (over all heads together).
    """
    if weight is None:
        return heads
    if weight.shape[0] == heads.shape[-1]:
        return rms_norm(heads, weight, eps)
    together = rms_norm(heads.flatten(-2), weight, eps)
    return together.reshape(heads.shape)


def softmax_beside(masked: Tensor, sinks: Tensor) -> Tensor:
    """softmax over the keys and one more, of score sinks[h], whose weight is dropped.  [B, H, T, S] -> [B, H, T, S]

    Source: openai/gpt-oss gpt_oss/torch/model.py `sdpa`.
    """
    column = sinks.reshape(-1, 1, 1).expand(*masked.shape[:-1], 1)
    joined = torch.cat((masked, column), dim=-1)
    weights = softmax(joined, dim=-1)
    return weights[..., :-1]
