"""Causal multi-head self-attention."""

import math

import torch
from torch import Tensor

from reference_model.linear import linear
from reference_model.softmax import softmax


def attention(
    x: Tensor,
    qkv_weight: Tensor,
    qkv_bias: Tensor | None,
    out_weight: Tensor,
    out_bias: Tensor | None,
    n_heads: int,
    attention_mask: Tensor | None = None,
) -> Tensor:
    """softmax(Q K^T / sqrt(K) + causal mask) V per head, heads joined, then projected.  x [B, T, D] -> [B, T, D]

    qkv_weight [3D, D] holds the rows of q, then k, then v; out_weight is [D, D]; biases [3D] and [D], or None.
    attention_mask [B, T] is True, or 1, where a position is real, and False where it is padding: see `without_padding`.
    B batch, T time, D width, H heads, K = D / H head size.  Position t sees positions 0..t.
    Raises ValueError when n_heads does not divide the width.
    Source: Vaswani et al. 2017, sections 3.2.1 (equation 1), 3.2.2 and 3.2.3; openai/gpt-2 src/model.py `attn`.
    """
    batch, time, width = x.shape
    if n_heads < 1 or width % n_heads != 0:
        raise ValueError(f"width {width} is not divisible by {n_heads} heads")
    head_size = width // n_heads

    qkv = linear(x, qkv_weight, qkv_bias)  # [B, T, 3D]
    q, k, v = qkv.split(width, dim=-1)  # each [B, T, D]
    q = q.reshape(batch, time, n_heads, head_size)  # [B, T, H, K]
    k = k.reshape(batch, time, n_heads, head_size)
    v = v.reshape(batch, time, n_heads, head_size)
    q = q.transpose(1, 2)  # [B, H, T, K]
    k = k.transpose(1, 2)
    v = v.transpose(1, 2)

    scale = 1.0 / math.sqrt(head_size)
    products = q @ k.transpose(-2, -1)  # [B, H, T, T]: row = query, column = key
    scores = products * scale
    everywhere = torch.ones(time, time, dtype=torch.bool, device=x.device)
    future = everywhere.triu(diagonal=1)  # [T, T]: True where the key comes after the query
    masked = scores.masked_fill(future, float("-inf"))
    if attention_mask is not None:
        masked = without_padding(masked, attention_mask)
    weights = softmax(masked, dim=-1)
    mixed = weights @ v  # [B, H, T, K]

    together = mixed.transpose(1, 2)  # [B, T, H, K]
    merged = together.reshape(batch, time, width)  # [B, T, D]
    return linear(merged, out_weight, out_bias)


def without_padding(scores: Tensor, attention_mask: Tensor) -> Tensor:
    """Scores [B, H, T, S] with -inf at the keys that are padding.  attention_mask [B, S]

    A query that has no key left (padding before the text) attends evenly to all: a number, of no use to anybody.
    Source: huggingface/transformers (attention_mask, 1 for what is real).
    """
    real = attention_mask.bool()  # [B, S]
    hidden = ~real[:, None, None, :]
    kept = scores.masked_fill(hidden, float("-inf"))
    idle = kept.isinf().all(-1, keepdim=True)  # [B, H, T, 1]: queries that may attend to nothing
    return kept.masked_fill(idle, 0.0)
