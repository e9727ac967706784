"""Attention with linear biases: positions as a penalty on distance."""

import math

import torch
from torch import Tensor


def alibi(n_heads: int, time: int) -> Tensor:
    """-slope (t - s) to add to the score of query t with key s, head by head; 0 for later keys, which the causal mask
    hides.  -> [H, T, T]: head, query, key

    A constant in a row of scores changes nothing in its softmax: slope s alone, without t, is the same bias.
    Raises ValueError for less than one head.
    Source: Press et al. 2022, section 3; ofirpress/attention_with_linear_biases fairseq/models/transformer.py
    `get_slopes`.
    """
    slopes = torch.tensor(alibi_slopes(n_heads))
    place = torch.arange(time)
    distance = place.unsqueeze(1) - place  # [T, T]: row = query, column = key
    behind = distance.clamp(min=0)
    penalty = slopes.reshape(-1, 1, 1) * behind
    return -penalty


def alibi_slopes(n_heads: int) -> list[float]:
    """2^(-8/H), 2^(-16/H), ..., 2^-8 for H heads, a power of two: start and ratio are the same.

    For another number: the slopes of the power of two below, P, then every other one of those of 2 P.
    """
    if n_heads < 1:
        raise ValueError(f"there are slopes for at least one head, not for {n_heads}")
    below = 2 ** math.floor(math.log2(n_heads))
    ratio = 2.0 ** (-8.0 / below)
    slopes = [ratio ** (head + 1) for head in range(below)]
    finer = math.sqrt(ratio)
    between = [finer ** (2 * head + 1) for head in range(n_heads - below)]
    return slopes + between
