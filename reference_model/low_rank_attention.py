"""Attention to a few mixtures of the positions in place of all of them."""

import math

from torch import Tensor

from reference_model.softmax import softmax


def low_rank_attention(q: Tensor, k: Tensor, v: Tensor, key_projection: Tensor, value_projection: Tensor) -> Tensor:
    """softmax(q (E k)^T / sqrt(K)) (F v): keys and values are projected along time, from T positions to R.

    q and k [..., T, K], v [..., T, Kv], key_projection E and value_projection F [R, T] -> [..., T, Kv]; the leading
    axes (batch, heads) share E and F.  Every query sees all positions through them: there is no causal form.
    Raises RuntimeError (from torch) when the sizes do not meet.
    Source: Wang et al. 2020 (Linformer), section 4, equation 7.
    """
    keys = key_projection @ k  # [..., R, K]
    values = value_projection @ v  # [..., R, Kv]
    scale = 1.0 / math.sqrt(q.shape[-1])
    scores = q @ keys.transpose(-2, -1) * scale  # [..., T, R]
    weights = softmax(scores, dim=-1)
    return weights @ values
