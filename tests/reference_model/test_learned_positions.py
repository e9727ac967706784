"""reference_model/learned_positions.py against torch."""

import pytest
import torch

from reference_model import learned_positions

TABLE = torch.randn(9, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("positions", [[0, 1, 2], [6, 7, 8], [[0, 1], [3, 4], [7, 8]]])
def test_equals_torch(positions):
    """Rows of the table, for one sequence, one that continues, and one row of positions per batch row."""
    positions = torch.tensor(positions)
    assert torch.equal(learned_positions(positions, TABLE), torch.nn.functional.embedding(positions, TABLE))


@pytest.mark.parametrize("bad", [-1, 9, 18])
def test_names_the_position_beyond_the_context(bad):
    """No position is wrapped or clamped."""
    with pytest.raises(IndexError, match=rf"position {bad} at positions\[2\] is outside 0\.\.8"):
        learned_positions(torch.tensor([0, 8, bad]), TABLE)


def test_refuses_positions_that_are_not_integers():
    """A float position has no row."""
    with pytest.raises(TypeError, match="positions must be integers"):
        learned_positions(torch.zeros(3), TABLE)


def test_gradient_reaches_the_rows_used():
    """Used rows get the cotangent, the others nothing."""
    table = TABLE.clone().requires_grad_()
    learned_positions(torch.tensor([[2, 3], [3, 4]]), table).sum().backward()
    assert table.grad.sum(1).tolist() == [0, 0, 4, 8, 4, 0, 0, 0, 0]
