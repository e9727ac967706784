"""A diagonal linear recurrence, channel by channel."""

import torch
from torch import Tensor


def state_space(x: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """h_t = a h_(t-1) + b x_t from h = 0 on, y_t = the sum of c h_t over the states.  x [B, T, D] -> [B, T, D]

    a, b and c [D, N]: every channel has N states of its own.  It is stable where abs(a) < 1.  The same as a causal
    convolution of each channel with the kernel 1, a, a^2, ... times b c, summed over the states.
    Raises RuntimeError (from torch) when the sizes do not meet.
    Source: Gu and Dao 2023, section 2, equations 2 and 3 (discretised, without selection); Gupta et al. 2022
    (diagonal).
    """
    driven = x.unsqueeze(-1) * b  # [B, T, D, N]
    state = torch.zeros_like(driven[:, 0])  # [B, D, N]
    states = []
    for entering in driven.unbind(1):
        state = a * state + entering
        states.append(state)
    history = torch.stack(states, 1)  # [B, T, D, N]
    return (history * c).sum(-1)
