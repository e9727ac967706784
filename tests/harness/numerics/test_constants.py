"""A constant in float32 is told from a mistake by direction and size."""

import math

import pytest
import torch

from harness.numerics.constants import UNIT, explained_by_constants

X = torch.linspace(-4, 4, 41, dtype=torch.float64)


def gelu(root: float = 1.0, cubic: float = 1.0) -> torch.Tensor:
    return 0.5 * X * (1 + torch.tanh(root * math.sqrt(2 / math.pi) * (X + cubic * 0.044715 * X**3)))


DIRECTIONS = [gelu(root=1 + UNIT) - gelu(), gelu(cubic=1 + UNIT) - gelu()]
TOLERANCE = 1e-14


@pytest.mark.parametrize("units", [(0.4, 0.0), (0.0, -1.0), (1.7, -0.9), (-3.5, 3.5)])
def test_a_few_units_of_any_constant_are_explained(units):
    """Two constants, each off by its own few float32 units."""
    off = gelu(1 + units[0] * UNIT, 1 + units[1] * UNIT)
    assert explained_by_constants(off - gelu(), DIRECTIONS, TOLERANCE)


@pytest.mark.parametrize(
    "wrong",
    [
        gelu(root=0.79788 / math.sqrt(2 / math.pi)),  # five digits of the constant
        gelu(root=1 + 6 * UNIT),
        gelu() + 1e-8,
        gelu() * (1 + UNIT),
        gelu() + 1e-8 * X**2,
    ],
    ids=["five digits", "six units", "shifted", "scaled", "bent"],
)
def test_more_or_another_direction_is_not(wrong):
    """A mistake of the same size is off in another direction, or by more."""
    assert not explained_by_constants(wrong - gelu(), DIRECTIONS, TOLERANCE)


def test_no_direction_explains_nothing():
    assert not explained_by_constants(X * 1e-9, [], TOLERANCE)
    assert not explained_by_constants(X * 1e-9, [torch.zeros_like(X)], TOLERANCE)
    assert not explained_by_constants(X * math.nan, DIRECTIONS, TOLERANCE)
