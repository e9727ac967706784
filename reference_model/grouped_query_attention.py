"""Causal self-attention in which several query heads share one key and value head."""

import math

import torch
from torch import Tensor

from reference_model.linear import linear
from reference_model.softmax import softmax


def grouped_query_attention(
    x: Tensor,
    query_weight: Tensor,
    key_weight: Tensor,
    value_weight: Tensor,
    out_weight: Tensor,
    n_heads: int,
    n_kv_heads: int,
) -> Tensor:
    """Attention of H query heads to G key-value heads: head h uses group h // (H / G).  x [B, T, D] -> [B, T, D]

    query_weight [D, D], key_weight and value_weight [G K, D], out_weight [D, D], without biases; K = D / H is the head
    size.  G = H is multi-head attention, G = 1 is multi-query attention.  Position t sees positions 0..t.
    Raises ValueError when n_heads does not divide the width, or n_kv_heads the heads.
    Source: Ainslie et al. 2023, section 2.2; meta-llama/llama llama/model.py `Attention` and `repeat_kv`.
    """
    batch, time, width = x.shape
    if n_heads < 1 or width % n_heads != 0:
        raise ValueError(f"width {width} is not divisible by {n_heads} heads")
    if n_kv_heads < 1 or n_heads % n_kv_heads != 0:
        raise ValueError(f"{n_heads} heads are not divisible into {n_kv_heads} groups")
    head_size = width // n_heads
    shared_by = n_heads // n_kv_heads

    q = linear(x, query_weight)  # [B, T, D]
    k = linear(x, key_weight)  # [B, T, G K]
    v = linear(x, value_weight)
    q = q.reshape(batch, time, n_heads, head_size)
    k = k.reshape(batch, time, n_kv_heads, head_size)
    v = v.reshape(batch, time, n_kv_heads, head_size)
    q = q.transpose(1, 2)  # [B, H, T, K]
    k = k.transpose(1, 2)  # [B, G, T, K]
    v = v.transpose(1, 2)
    keys = k.repeat_interleave(shared_by, dim=1)  # [B, H, T, K]: each group as often as heads share it
    values = v.repeat_interleave(shared_by, dim=1)

    scale = 1.0 / math.sqrt(head_size)
    scores = q @ keys.transpose(-2, -1) * scale  # [B, H, T, T]
    everywhere = torch.ones(time, time, dtype=torch.bool, device=x.device)
    future = everywhere.triu(diagonal=1)
    masked = scores.masked_fill(future, float("-inf"))
    weights = softmax(masked, dim=-1)
    mixed = weights @ values  # [B, H, T, K]
    together = mixed.transpose(1, 2)
    merged = together.reshape(batch, time, width)
    return linear(merged, out_weight)
