"""Attention of given queries to given keys."""

import math

import torch
from torch import Tensor

from reference_model.softmax import softmax


def scaled_dot_product_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """softmax(q k^T / sqrt(K)) v, over the keys that the mask allows.

    q [..., T, K], k [..., S, K], v [..., S, Kv] -> [..., T, Kv]

    T queries, S keys of size K with values of size Kv; the leading axes (batch, heads) are the same in all three.
    mask [..., T, S] or [T, S], boolean: True where the query may attend to the key; None allows all.  A query that may
    attend to nothing gets zeros, and no gradient flows from it.
    Raises RuntimeError (from torch) when the sizes do not meet.
    Source: Vaswani et al. 2017, section 3.2.1, equation 1; the mask as in torch.nn.functional of this name.
    """
    scale = 1.0 / math.sqrt(q.shape[-1])
    products = q @ k.transpose(-2, -1)  # [..., T, S]: row = query, column = key
    scores = products * scale
    hidden = torch.zeros_like(scores, dtype=torch.bool) if mask is None else ~mask
    masked = scores.masked_fill(hidden, float("-inf"))
    idle = hidden.all(-1, keepdim=True)  # [..., T, 1]: queries that may attend to nothing
    filled = masked.masked_fill(idle, 0.0)
    weights = softmax(filled, dim=-1)
    used = weights.masked_fill(idle, 0.0)
    return used @ v  # [..., T, Kv]
