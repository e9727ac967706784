"""What an inspection says of code whose arguments have no floating-point dtype."""

import pytest
import torch

from harness.adapters.door import Door
from harness.adapters.players import FunctionAdapter
from harness.inspection import Inspection, load_catalogue

KNOWN = load_catalogue()


def from_one(positions, width, base=10000.0):
    angles = (positions[..., None].float() + 1) / base ** (torch.arange(0, width, 2).float() / width)
    return torch.stack((angles.sin(), angles.cos()), -1).flatten(-2)[..., :width]


def in_halves(positions, width, base=10000.0):
    angles = positions[..., None].float() / base ** (torch.arange(0, width, 2).float() / width)
    return torch.cat((angles.sin(), angles.cos()), -1)[..., :width]


@pytest.mark.parametrize(("function", "name"), [(from_one, "positions_from_one"), (in_halves, "variant=halves")])
def test_a_mistake_in_code_in_float32_is_named_where_only_whole_numbers_go_in(function, name):
    """Its numbers are float32 numbers, off from the edited reference's by roundings of float32."""
    door = Door("theirs", {"sinusoidal_positions": FunctionAdapter(function)}, KNOWN.contracts)
    inspection = Inspection(KNOWN, door, seed=2)
    verdicts = [inspection.judge("sinusoidal_positions", claim) for claim in KNOWN.claims_of("sinusoidal_positions")]
    findings = {finding for verdict in verdicts if verdict.failing for finding in verdict.finding}
    assert findings == {f"sinusoidal_positions.{name}"}
