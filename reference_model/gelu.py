"""The activation of GPT-2."""

import math

import torch
from torch import Tensor


def gelu(x: Tensor) -> Tensor:
    """GELU, tanh form: 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).  [...] -> [...]

    Hendrycks & Gimpel 2016, section 2; openai/gpt-2 src/model.py `gelu`.
    Not the erf form: the two differ by up to 4.7e-4.  Raises nothing of its own.
    Beyond 10 the tanh is 1 in every precision; the cube stops there, for in float16 it would overflow at 41.
    """
    cube = x.clamp(-10.0, 10.0) ** 3
    inner = math.sqrt(2.0 / math.pi) * (x + 0.044715 * cube)
    gate = 0.5 * (1.0 + torch.tanh(inner))
    return x * gate
