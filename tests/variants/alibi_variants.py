"""Right linear biases that differ in what softmax does not see, and in how they get there; none of them may fail a
claim."""

import math

import torch
from torch import nn


def slopes_by_recursion(n):
    """As the paper's code has it."""

    def powers(n):
        start = 2 ** (-(2 ** -(math.log2(n) - 3)))
        return [start * start**i for i in range(n)]

    if math.log2(n).is_integer():
        return powers(n)
    closest = 2 ** math.floor(math.log2(n))
    return powers(closest) + slopes_by_recursion(2 * closest)[0::2][: n - closest]


def slopes_by_powers(n):
    """As Bloom has it."""
    closest = 2 ** math.floor(math.log2(n))
    base = torch.tensor(2 ** (-(2 ** -(math.log2(closest) - 3))), dtype=torch.float32)
    slopes = torch.pow(base, torch.arange(1, 1 + closest, dtype=torch.int32))
    if closest != n:
        extra = torch.tensor(2 ** (-(2 ** -(math.log2(2 * closest) - 3))), dtype=torch.float32)
        more = torch.arange(1, 1 + 2 * min(closest, n - closest), 2, dtype=torch.int32)
        slopes = torch.cat([slopes, torch.pow(extra, more)])
    return slopes


def alibi_of_the_paper(n_heads, time):
    """One row for all queries: the slope times the place of the key."""
    return torch.tensor(slopes_by_recursion(n_heads)).view(-1, 1, 1) * torch.arange(time).view(1, 1, -1)


def alibi_of_both_sides(n_heads, time):
    """Distance to both sides; a causal mask hides one of them."""
    place = torch.arange(time)
    return -slopes_by_powers(n_heads)[:, None, None] * (place[None, :] - place[:, None]).abs()


def alibi_with_the_mask(n_heads, time):
    """The causal mask is part of it."""
    bias = alibi_of_both_sides(n_heads, time)
    return bias + torch.full((time, time), float("-inf")).triu(1)


def alibi_with_a_batch_axis(n_heads, time):
    distance = torch.arange(time)[None, :] - torch.arange(time)[:, None]
    return (torch.tensor(slopes_by_recursion(n_heads))[:, None, None] * distance).unsqueeze(0)


def alibi_in_float64(n_heads, time):
    slopes = torch.tensor(slopes_by_recursion(n_heads), dtype=torch.float64)
    return torch.einsum("h,ts->hts", slopes, (torch.arange(time) - torch.arange(time)[:, None] + 1).double())


def alibi_from_the_last_row(n_heads, time):
    """Counted backwards from the last key: a constant in each row more."""
    return (slopes_by_powers(n_heads)[:, None, None] * torch.arange(1 - time, 1)).expand(n_heads, time, time)


class Bias(nn.Module):
    """A buffer that grows, and is cut at both ends."""

    def __init__(self, heads):
        super().__init__()
        self.register_buffer("slopes", slopes_by_powers(heads).view(-1, 1, 1), persistent=False)
        self.register_buffer("bias", torch.zeros(heads, 0, 0), persistent=False)

    def forward(self, length):
        if self.bias.shape[-1] < length:
            place = torch.arange(length)
            self.bias = -self.slopes * (place[:, None] - place).clamp(min=0)
        return self.bias[:, :length, :length]


MODULES = {}


def alibi_kept(n_heads, time):
    return MODULES.setdefault(n_heads, Bias(n_heads))(time)


_ALL = (
    alibi_of_the_paper,
    alibi_of_both_sides,
    alibi_with_the_mask,
    alibi_with_a_batch_axis,
    alibi_in_float64,
    alibi_from_the_last_row,
    alibi_kept,
)

VARIANTS = {function.__name__.replace("_", " "): {"alibi": function} for function in _ALL}
