"""The feed-forward half of a block."""

from torch import Tensor

from reference_model.gelu import gelu
from reference_model.linear import linear


def mlp(x: Tensor, up_weight: Tensor, up_bias: Tensor | None, down_weight: Tensor, down_bias: Tensor | None) -> Tensor:
    """down(gelu(up(x))), each position on its own.  x [..., D] -> [..., D]

    up_weight [F, D], up_bias [F] or None, down_weight [D, F], down_bias [D] or None; F = 4 D in GPT-2.
    Raises RuntimeError (from torch) when the widths do not meet.
    Source: Vaswani et al. 2017, section 3.3, equation 2, with GELU for ReLU; openai/gpt-2 src/model.py `mlp`.
    """
    hidden = linear(x, up_weight, up_bias)  # [..., F]
    activated = gelu(hidden)
    return linear(activated, down_weight, down_bias)  # [..., D]
