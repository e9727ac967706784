"""Causal attention whose weights are products of features, so that the past is one matrix."""

import torch
from torch import Tensor


def linear_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """out_t = f(q_t) S_t / (f(q_t) . z_t) with S_t the sum of f(k_s)^T v_s and z_t that of f(k_s), over s <= t.

    q, k [..., T, K], v [..., T, Kv] -> [..., T, Kv]; the leading axes (batch, heads) are the same in all three.  f(x)
    is elu(x) + 1, which is positive.  Position t sees positions 0..t; there is no scale.
    Raises RuntimeError (from torch) when the sizes do not meet.
    Source: Katharopoulos et al. 2020, sections 3.2 to 3.4, equations 7 and 16 to 20.
    """
    queries = features(q)
    keys = features(k)
    products = keys.unsqueeze(-1) * v.unsqueeze(-2)  # [..., T, K, Kv]
    states = torch.cumsum(products, dim=-3)
    totals = torch.cumsum(keys, dim=-2)  # [..., T, K]
    numerator = (queries.unsqueeze(-2) @ states).squeeze(-2)  # [..., T, Kv]
    denominator = (queries * totals).sum(-1, keepdim=True)
    return numerator / denominator


def features(x: Tensor) -> Tensor:
    """elu(x) + 1: x + 1 above 0, exp(x) below."""
    below = torch.exp(x.clamp(max=0))
    above = x + 1
    return torch.where(x > 0, above, below)
