"""Scores become weights that sum to one."""

import torch
from torch import Tensor


def softmax(x: Tensor, dim: int = -1) -> Tensor:
    """exp(x_i) / sum_j exp(x_j) along `dim`, computed from x - max(x).  [...] -> [...]

    The shift changes nothing (softmax is shift invariant) and keeps exp from overflowing.  The gradient does not go
    through the maximum, where it would cancel.  -inf gets weight 0; a slice of nothing but -inf is nan, as in
    torch.softmax: no key to attend to is the caller's mistake.
    Raises IndexError when x has no such `dim`.
    Source: Goodfellow et al. 2016, section 4.1; openai/gpt-2 src/model.py `softmax`.
    """
    highest = x.amax(dim, keepdim=True).detach()
    shifted = x - highest
    exponential = torch.exp(shifted)
    total = exponential.sum(dim, keepdim=True)
    return exponential / total
