"""Ids become vectors."""

import torch
from torch import Tensor


def token_embedding(ids: Tensor, weight: Tensor) -> Tensor:
    """Row weight[id] for every id.  ids int [...], weight [V, D] -> [..., D]

    The same as one_hot(ids) @ weight: the gradient of a row is the sum over all places where its id stands.
    Raises IndexError naming the first id below 0 or from V on, TypeError when the ids are not integers.
    Source: Radford et al. 2018, section 3.1, equation 2 (W_e); openai/gpt-2 src/model.py (`wte`).
    """
    if ids.dtype.is_floating_point or ids.dtype.is_complex or ids.dtype == torch.bool:
        raise TypeError(f"token ids must be integers, not {ids.dtype}")
    size = weight.shape[0]
    rows = ids.long()
    outside = (rows < 0) | (rows >= size)
    if outside.any():
        where = outside.nonzero()[0].tolist()
        raise IndexError(f"token id {rows[outside][0].item()} at ids{where} is outside 0..{size - 1}")
    return weight[rows]
