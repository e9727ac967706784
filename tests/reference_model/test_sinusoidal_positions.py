"""reference_model/sinusoidal_positions.py against the paper's formula, BART's table in transformers, and what the
paper says of it."""

import math

import pytest
import torch

from reference_model import sinusoidal_positions


@pytest.mark.parametrize("width", [2, 6, 7])
@pytest.mark.parametrize("base", [10000.0, 30.0])
def test_equals_the_formula(width, base):
    """PE(p, 2i) = sin(p / base^(2i/D)), PE(p, 2i+1) = cos of the same, number by number."""
    places = [0, 1, 2, 100, 4999]
    out = sinusoidal_positions(torch.tensor(places), width, base)
    assert out.shape == (5, width) and out.dtype == torch.float32
    for row, place in zip(out.tolist(), places, strict=True):
        for j, value in enumerate(row):
            angle = place / base ** ((j - j % 2) / width)
            assert abs(value - (math.cos(angle) if j % 2 else math.sin(angle))) <= 2.0**-24


def test_equals_transformers():
    """Its sinusoidal table (sines first, then cosines) holds the same numbers in another order."""
    marian = pytest.importorskip("transformers.models.marian.modeling_marian")
    table = marian.MarianSinusoidalPositionalEmbedding(40, 8)
    weight = table.create_weight() if hasattr(table, "create_weight") else table._init_weight() or table.weight
    weight = table.weight if weight is None else weight
    out = sinusoidal_positions(torch.arange(40), 8)
    assert (torch.cat((out[:, 0::2], out[:, 1::2]), -1) - weight.detach()).abs().max() <= 1e-6


def test_a_shift_is_one_rotation_for_all_positions():
    """PE(p + k) is a linear function of PE(p), the same for every p: the reason that the paper gives for the form."""
    here, there = (sinusoidal_positions(torch.arange(start, start + 30), 8).double() for start in (0, 13))
    blocks = []
    for i in range(4):
        angle = 13 / 10000 ** (2 * i / 8)
        blocks.append(
            torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], dtype=torch.float64)
        )
    assert (here @ torch.block_diag(*blocks) - there).abs().max() <= 2.0**-22


def test_products_depend_on_the_distance():
    """The Gram matrix has equal numbers along each diagonal."""
    out = sinusoidal_positions(torch.arange(50), 16).double()
    products = out @ out.T
    assert (products[1:, 1:] - products[:-1, :-1]).abs().max() <= 1e-5


def test_rows_of_a_batch():
    """[B, T] gives what its rows give."""
    positions = torch.tensor([[0, 1, 2], [7, 8, 9]])
    out = sinusoidal_positions(positions, 6)
    assert torch.equal(out[1], sinusoidal_positions(positions[1], 6)) and out.shape == (2, 3, 6)


def test_refuses_positions_that_are_no_integers():
    """Places are counted."""
    with pytest.raises(TypeError, match="integers"):
        sinusoidal_positions(torch.tensor([0.5]), 4)
