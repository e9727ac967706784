"""Right implementations of sinusoidal_positions that differ in how they get there; none of them may fail a claim."""

import math

import numpy as np
import torch
from torch import nn

TABLE = 4096


def by_an_exponential(positions, width, base=10000.0):
    """The form of most tutorials: exp of a multiple of log(base), written into every second column."""
    table = torch.zeros(len(positions), width)
    slope = torch.exp(torch.arange(0, width, 2).float() * (-math.log(base) / width))
    table[:, 0::2] = torch.sin(positions.unsqueeze(1) * slope)
    table[:, 1::2] = torch.cos(positions.unsqueeze(1) * slope)[:, : width // 2]
    return table


def by_powers_in_float32(positions, width, base=10000.0):
    angles = positions[..., None].float() / base ** (torch.arange(0, width, 2).float() / width)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)[..., :width]


def _table(width, base):
    place, feature = torch.arange(TABLE).float()[:, None], torch.arange(width)
    angles = place * torch.pow(torch.tensor(float(base)), -2.0 * (feature // 2) / width)
    return torch.where(feature % 2 == 0, torch.sin(angles), torch.cos(angles))


def rows_of_a_table(positions, width, base=10000.0):
    """Past its end there is nothing to look up."""
    return _table(width, base)[positions]


class _Frozen(nn.Module):
    def __init__(self, width, base):
        super().__init__()
        self.register_buffer("table", _table(width, base), persistent=False)

    def forward(self, positions):
        return nn.functional.embedding(positions, self.table)


def as_a_module(positions, width, base=10000.0):
    return _Frozen(width, base)(positions)


_TABLES = {}


def kept_table(positions, width, base=10000.0):
    """Kept per width and base, grown where a longer one is asked for."""
    need, key = int(positions.max()) + 1, (width, base)
    if key not in _TABLES or len(_TABLES[key]) < need:
        _TABLES[key] = by_powers_in_float32(torch.arange(need), width, base)
    return _TABLES[key][positions]


def by_loops(positions, width, base=10000.0):
    rows = []
    for position in positions.tolist():
        angles = [position / base ** (2 * (j // 2) / width) for j in range(width)]
        rows.append([math.sin(a) if j % 2 == 0 else math.cos(a) for j, a in enumerate(angles)])
    return torch.tensor(rows)


def by_numpy(positions, width, base=10000.0):
    angles = positions.numpy()[..., None] / np.power(base, 2 * (np.arange(width) // 2) / width)
    angles[..., 0::2], angles[..., 1::2] = np.sin(angles[..., 0::2]), np.cos(angles[..., 1::2])
    return torch.from_numpy(angles).float()


def cosines_as_shifted_sines(positions, width, base=10000.0):
    angles = positions[..., None].double() * base ** -(torch.arange(width).double() // 2 * 2 / width)
    return torch.sin(angles + torch.arange(width) % 2 * math.pi / 2).float()


def by_polar(positions, width, base=10000.0):
    """Pairs as complex numbers on the circle; an odd width is refused."""
    if width % 2:
        raise ValueError(f"width must be even, not {width}")
    angles = torch.outer(positions.double(), base ** -(torch.arange(0, width, 2).double() / width))
    return torch.view_as_real(torch.polar(torch.ones_like(angles), angles)).flip(-1).flatten(-2).float()


def padded_with_a_zero(positions, width, base=10000.0):
    """An odd width is that below it and a zero."""
    even = by_powers_in_float32(positions, width // 2 * 2, base)
    return nn.functional.pad(even, (0, width % 2))


_ALL = (
    by_an_exponential,
    by_powers_in_float32,
    rows_of_a_table,
    as_a_module,
    kept_table,
    by_loops,
    by_numpy,
    cosines_as_shifted_sines,
    by_polar,
    padded_with_a_zero,
)

VARIANTS = {function.__name__.replace("_", " "): {"sinusoidal_positions": function} for function in _ALL}
