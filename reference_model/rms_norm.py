"""Root mean square normalisation."""

import torch
from torch import Tensor


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight over the last axis.  x [..., D], weight [D] -> [..., D]

    The mean is not removed, and nothing is added.  eps stands inside the root.  float16 and bfloat16 are normalised in
    float32 and rounded once, at the end.  Raises RuntimeError (from torch) when the widths do not meet.
    Source: Zhang & Sennrich 2019, section 3, equation 4; meta-llama/llama llama/model.py `RMSNorm`.
    """
    is_half = x.dtype in (torch.float16, torch.bfloat16)
    wide = x.to(torch.float32) if is_half else x
    mean_square = (wide**2).mean(-1, keepdim=True)
    root = torch.sqrt(mean_square + eps)
    normalised = wide / root
    scaled = normalised * weight
    return scaled.to(x.dtype)
