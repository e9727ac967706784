"""What to do about errors that newcomers meet, where the error's own text does not say it."""

from __future__ import annotations

import re

import torch

NO_GPU = "there is no GPU here: compute where the argument is (device=x.device), without .cuda() or .to('cuda')"
HINTS = (
    (r"not compiled with CUDA|No CUDA GPUs|Found no NVIDIA|CUDA driver|Invalid device|CUDA is not available", NO_GPU),
    (
        r"modified by an inplace operation|leaf Variable that requires grad is being used in an in-place",
        "something is changed in place (+=, x[...] =, .copy_, .add_): make a new tensor instead",
    ),
    (r"Can't call numpy\(\) on Tensor that requires grad", "stay with torch: numpy keeps no gradients"),
    (r"can't convert cuda:\d+ device type tensor to numpy", "stay with torch: numpy keeps no gradients"),
    (
        r"expected (m1 and m2|scalar type|mat1 and mat2).* same dtype|expected scalar type (Float|Double)",
        "give every tensor that you make the dtype of x (dtype=x.dtype)",
    ),
    (r"Expected all tensors to be on the same device", "make every tensor where x is (device=x.device)"),
)
"""(text of the error, what to do)."""


def hint(message: str) -> str:
    """What to do about an error with this text, or an empty text."""
    for pattern, advice in HINTS:
        if re.search(pattern, message) and not (advice is NO_GPU and torch.cuda.is_available()):
            return advice
    return ""
