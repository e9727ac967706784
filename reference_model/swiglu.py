"""The gated feed-forward half of a block."""

import torch
from torch import Tensor

from reference_model.linear import linear


def swiglu(x: Tensor, gate_weight: Tensor, up_weight: Tensor, down_weight: Tensor) -> Tensor:
    """down(silu(gate(x)) * up(x)), each position on its own, without biases.  x [..., D] -> [..., D]

    gate_weight and up_weight [F, D], down_weight [D, F]: w1, w3 and w2 of Llama, in this order.  silu(a) is
    a sigmoid(a).  Raises RuntimeError (from torch) when the widths do not meet.
    Source: Shazeer 2020, section 2, equation 6; meta-llama/llama llama/model.py `FeedForward`.
    """
    gate = linear(x, gate_weight)  # [..., F]
    up = linear(x, up_weight)
    activated = gate * torch.sigmoid(gate)
    hidden = activated * up
    return linear(hidden, down_weight)  # [..., D]
