"""What an inspection says of code that works in float32 where the numbers that go in do not say so."""

import pytest
import torch

from harness.core.record import Status
from harness.execution.executor import Executor
from harness.execution.functions import FunctionAdapter
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection

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
    executor = Executor("theirs", {"sinusoidal_positions": FunctionAdapter(function)}, KNOWN.contracts)
    inspection = Inspection(KNOWN, executor, seed=2)
    verdicts = [inspection.judge("sinusoidal_positions", claim) for claim in KNOWN.claims_of("sinusoidal_positions")]
    findings = {finding for verdict in verdicts if verdict.failing for finding in verdict.finding}
    assert findings == {f"sinusoidal_positions.{name}"}


def rotate_half(x, positions, base=10000.0):
    """As in transformers, tables in float32."""
    angles = positions.float()[..., None] / base ** (torch.arange(0, x.shape[-1], 2).float() / x.shape[-1])
    angles = torch.cat((angles, angles), -1)
    angles = angles.unsqueeze(1) if positions.dim() > 1 else angles
    first, second = x.chunk(2, -1)
    return x * angles.cos().to(x.dtype) + torch.cat((-second, first), -1) * angles.sin().to(x.dtype)


def side_by_side(x, positions, base=10000.0):
    """The same with neighbours, and right."""
    halves = x.unflatten(-1, (-1, 2)).transpose(-1, -2).flatten(-2)
    return rotate_half(halves, positions, base).unflatten(-1, (2, -1)).transpose(-1, -2).flatten(-2)


@pytest.mark.parametrize(
    ("function", "variants", "expected"),
    [
        (rotate_half, {}, {"rope.variant=halves"}),
        (rotate_half, {"rope": "halves"}, set()),
        (side_by_side, {}, set()),
        (side_by_side, {"rope": "halves"}, None),
        (lambda x, positions, base=10000.0: side_by_side(x, positions + 1, base), {}, {"rope.positions_from_one"}),
    ],
)
def test_layouts_of_rope_are_told_apart_by_name_though_the_tables_are_float32(function, variants, expected):
    """A float32 table is no mistake, and hides none; a layout that was declared must be the one that is there."""
    executor = Executor("theirs", {"rope": FunctionAdapter(function)}, KNOWN.contracts)
    inspection = Inspection(KNOWN, executor, seed=2, cases=10, variants=variants)
    verdicts = [inspection.judge("rope", claim) for claim in KNOWN.claims_of("rope")]
    failing = [verdict for verdict in verdicts if verdict.failing]
    assert bool(failing) == (expected != set())
    if expected is not None:
        assert {finding for verdict in failing for finding in verdict.finding} == expected


def test_a_crash_that_nothing_explains_is_looked_for_once(monkeypatch):
    """The same error in every claim of a component: the search would cost its whole time each time."""

    def broken(x, dim):
        raise OverflowError("no such place")

    inspection = Inspection(
        KNOWN, Executor("theirs", {"softmax": FunctionAdapter(broken)}, KNOWN.contracts), seed=2, cases=4
    )
    searched = []
    explain = inspection.explain
    monkeypatch.setattr(
        inspection, "explain", lambda *a: searched.append(a) or explain(*a)
    )  # with evidence: two arguments
    verdicts = [inspection.judge("softmax", claim) for claim in KNOWN.claims_of("softmax")]
    assert sum(v.status == Status.CRASHED for v in verdicts) > 5 and sum(len(a) == 2 for a in searched) == 1
