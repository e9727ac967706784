"""Parameters of one shape are told apart by what the module computes, at whatever scale the case is."""

from __future__ import annotations

import pytest
import torch
from hypothesis import strategies as st
from torch import nn

from harness.core.case import Case
from harness.core.contract import Argument, Contract, Signature
from harness.core.declaration import Declaration
from harness.modules.found_class import FoundModule
from harness.modules.parameter_map import Confidence

PARAMETERS = (
    Argument("gate_weight", "float[width, width]", "parameter"),
    Argument("value_weight", "float[width, width]", "parameter"),
)


def gated(x, gate_weight, value_weight):
    """What the contract asks for: not symmetric in its two weights, at any scale."""
    centred = x - x.mean(-1, keepdim=True)
    return torch.relu(centred @ gate_weight.T) + 2 * (centred @ value_weight.T)


def contract(weight_scale: float, input_scale: float, offset: float) -> Contract:
    """The same component on cases of one scale. ``offset``: the mean of x, which cancels."""

    @st.composite
    def cases(draw):
        generator = torch.Generator().manual_seed(draw(st.integers(0, 10**6)))

        def numbers(*shape, scale):
            return scale * torch.randn(*shape, generator=generator, dtype=torch.float64)

        x = numbers(4, 3, scale=input_scale) + offset
        weights = {a.name: numbers(3, 3, scale=weight_scale) for a in PARAMETERS}
        return Case.of({"x": x, **weights}, rows=4, width=3)

    signature = Signature((Argument("x", "float[rows, width]"), *PARAMETERS), "float[rows, width]")
    return Contract("gated", "", {"call": signature}, reference=gated, cases=cases)


class Swapped(nn.Module):
    """Right, with its weights made in the other order and named so that nothing tells."""

    def __init__(self, width):
        super().__init__()
        self.a, self.b = (nn.Linear(width, width, bias=False) for _ in range(2))

    def forward(self, x):
        centred = x - x.sum(-1, keepdim=True) / x.shape[-1]
        return 2 * self.a(centred) + torch.relu(self.b(centred))


class InFloat32(Swapped):
    """The same, computed in float32 inside, as code does that upcasts from 16 bit."""

    def forward(self, x):
        centred = (x - x.mean(-1, keepdim=True)).float()
        value, gate = centred @ self.a.weight.float().T, torch.relu(centred @ self.b.weight.float().T)
        return (gate + 2 * value).to(x.dtype)


class Wrong(Swapped):
    """No order makes this right."""

    def forward(self, x):
        return self.a(x) - torch.relu(self.b(x))


class Symmetric(Swapped):
    """Every order gives the same numbers."""

    def forward(self, x):
        return 0 * self.a(x) * self.b(x)


def matched(kind: type, of: Contract) -> dict[str, tuple[str, str]]:
    adapter = FoundModule(Declaration(of.name, lambda config: kind(config.width)), of, kind, "found")
    return {row.name: (row.parameter, row.confidence) for row in adapter.rows()}


SCALES = [
    pytest.param(1.0, 1.0, 0.0, id="ordinary"),
    pytest.param(1e-5, 1e-4, 0.0, id="tiny: a fixed tolerance lets every order agree"),
    pytest.param(1e6, 1e3, 0.0, id="huge"),
    pytest.param(1.0, 1.0, 1e4, id="cancellation"),
]


@pytest.mark.parametrize(("weight_scale", "input_scale", "offset"), SCALES)
@pytest.mark.parametrize("kind", [Swapped, InFloat32])
def test_the_right_order_is_found_at_every_scale(kind, weight_scale, input_scale, offset):
    rows = matched(kind, contract(weight_scale, input_scale, offset))
    assert rows == {"gate_weight": ("b.weight", "sure"), "value_weight": ("a.weight", "sure")}


@pytest.mark.parametrize(("weight_scale", "input_scale", "offset"), SCALES)
def test_a_wrong_module_keeps_the_order_it_has(weight_scale, input_scale, offset):
    """At a tiny scale too, where everything is near zero."""
    rows = matched(Wrong, contract(weight_scale, input_scale, offset))
    assert rows == {"gate_weight": ("a.weight", "guessed"), "value_weight": ("b.weight", "guessed")}


def test_where_every_order_agrees_it_stays_a_guess():
    """The reference of this contract is zero, and so is the module: that says nothing of the order."""
    of = contract(1.0, 1.0, 0.0)
    zero = Contract(of.name, "", of.calls, reference=lambda x, gate_weight, value_weight: 0 * x, cases=of.cases)
    assert {confidence for _, confidence in matched(Symmetric, zero).values()} == {Confidence.GUESSED.value}
