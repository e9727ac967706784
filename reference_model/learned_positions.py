"""Places become vectors."""

import torch
from torch import Tensor


def learned_positions(positions: Tensor, weight: Tensor) -> Tensor:
    """Row weight[position] for every position.  positions int [T] or [B, T], weight [C, D] -> [T, D] or [B, T, D]

    There is nothing to look up beyond the trained context C, so a position there is refused, never wrapped or clamped.
    Raises IndexError naming the first position below 0 or from C on, TypeError when the positions are not integers.
    Source: Radford et al. 2018, section 3.1, equation 2 (W_p); openai/gpt-2 src/model.py (`wpe`, `positions_for`).
    """
    if positions.dtype.is_floating_point or positions.dtype.is_complex or positions.dtype == torch.bool:
        raise TypeError(f"positions must be integers, not {positions.dtype}")
    context = weight.shape[0]
    rows = positions.long()
    beyond = (rows < 0) | (rows >= context)
    if beyond.any():
        where = beyond.nonzero()[0].tolist()
        raise IndexError(f"position {rows[beyond][0].item()} at positions{where} is outside 0..{context - 1}")
    return weight[rows]
