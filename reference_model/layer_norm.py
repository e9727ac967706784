"""Layer normalisation."""

import torch
from torch import Tensor


def layer_norm(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """(x - mean) / sqrt(variance + eps) * weight + bias over the last axis.  x [..., D], weight, bias [D] -> [..., D]

    The variance is the biased one (divided by D) and is taken in a second pass over the centred values, so that a
    large mean does not swallow it.  eps stands inside the root.  float16 and bfloat16 are normalised in float32 and
    rounded once, at the end.  A weight or bias of None is left out.  Raises nothing of its own.
    Source: Ba et al. 2016, section 3, equations 3 and 4; openai/gpt-2 src/model.py `norm`.
    """
    is_half = x.dtype in (torch.float16, torch.bfloat16)
    wide = x.to(torch.float32) if is_half else x
    mean = wide.mean(-1, keepdim=True)
    centred = wide - mean
    variance = (centred ** 2).mean(-1, keepdim=True)
    deviation = torch.sqrt(variance + eps)
    normalised = centred / deviation
    scaled = normalised if weight is None else normalised * weight
    shifted = scaled if bias is None else scaled + bias
    return shifted.to(x.dtype)
