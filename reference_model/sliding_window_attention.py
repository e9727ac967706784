"""Causal self-attention to the last few positions."""

import math

import torch
from torch import Tensor

from reference_model.linear import linear
from reference_model.softmax import softmax


def sliding_window_attention(
    x: Tensor,
    qkv_weight: Tensor,
    qkv_bias: Tensor | None,
    out_weight: Tensor,
    out_bias: Tensor | None,
    n_heads: int,
    window: int,
) -> Tensor:
    """Attention in which position t sees positions t - window + 1 .. t: the last `window`, itself included.

    x [B, T, D] -> [B, T, D]; weights as in attention: qkv_weight [3D, D] holds the rows of q, then k, then v.  A window
    of T or more is full causal attention.
    Raises ValueError when n_heads does not divide the width, or for a window below 1.
    Source: Beltagy et al. 2020, section 3.1 (sliding window, to one side); Jiang et al. 2023, section 2.
    """
    batch, time, width = x.shape
    if n_heads < 1 or width % n_heads != 0:
        raise ValueError(f"width {width} is not divisible by {n_heads} heads")
    if window < 1:
        raise ValueError(f"a window of {window} positions holds not even the position itself")
    head_size = width // n_heads

    qkv = linear(x, qkv_weight, qkv_bias)
    q, k, v = qkv.split(width, dim=-1)
    q = q.reshape(batch, time, n_heads, head_size).transpose(1, 2)  # [B, H, T, K]
    k = k.reshape(batch, time, n_heads, head_size).transpose(1, 2)
    v = v.reshape(batch, time, n_heads, head_size).transpose(1, 2)

    scale = 1.0 / math.sqrt(head_size)
    scores = q @ k.transpose(-2, -1) * scale  # [B, H, T, T]: row = query, column = key
    everywhere = torch.ones(time, time, dtype=torch.bool, device=x.device)
    future = everywhere.triu(diagonal=1)
    past = everywhere.tril(diagonal=-window)  # True where the key is `window` positions or more before the query
    hidden = future | past
    masked = scores.masked_fill(hidden, float("-inf"))
    weights = softmax(masked, dim=-1)
    mixed = weights @ v
    together = mixed.transpose(1, 2)
    merged = together.reshape(batch, time, width)
    return linear(merged, out_weight, out_bias)
