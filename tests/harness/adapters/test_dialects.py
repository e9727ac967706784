"""Functions under a project's own names are recognised by their arguments, and called as that project calls them."""

from __future__ import annotations

import numpy
import pytest
import torch

from harness.adapters.dialects import spoken
from harness.adapters.door import Door
from harness.core.case import Case
from harness.core.claim import NotOffered
from harness.core.contract import Argument, Contract, Dialect, Signature
from harness.core.subject import Request
from harness.domains.tensors import tensors


def scaled(x, weight, power=1):
    return x * weight**power


def dialect(**options) -> Dialect:
    return Dialect(
        "a course", "run_scale", ("gain", "inputs"), lambda a: {"gain": a["weight"], "inputs": a["x"]}, **options
    )


def contract(*dialects: Dialect) -> Contract:
    call = Signature(
        (
            Argument("x", "float[batch, width]"),
            Argument("weight", "float[width]", role="parameter"),
            Argument("power", "integer", role="setting", optional=True, default=1),
        ),
        "float[batch, width]",
    )
    return Contract("scale", "Scales.", {"call": call}, scaled, lambda: tensors((2, 3)), dialects=dialects)


X, GAIN = torch.arange(6.0, dtype=torch.float64).reshape(2, 3), torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)


def played(function, one: Dialect, power: int = 1, gradients: int | None = None):
    whole = contract(one)
    adapter = spoken(whole, {"run_scale": function}.get)
    assert adapter is not None
    case = Case.of({"x": X, "weight": GAIN, "power": power})
    return Door("theirs", {"scale": adapter}, {"scale": whole}).play(Request("scale", case, gradients=gradients))


def test_it_is_recognised_by_its_arguments_alone():
    """Another function of that name, or one that has arguments of ours beside, is not it."""
    whole = contract(dialect())
    assert spoken(whole, {"run_scale": lambda gain, inputs: inputs}.get) is not None
    assert spoken(whole, {"run_scale": lambda gain, inputs, extra=1: inputs}.get) is not None
    assert spoken(whole, {"run_scale": lambda a, b: a}.get) is None
    assert spoken(whole, {"run_scale": lambda gain, inputs, power: inputs}.get) is None
    assert spoken(whole, {"run_scale": 3}.get) is None and spoken(whole, {}.get) is None


def test_it_is_called_with_its_own_arguments():
    assert torch.equal(played(lambda gain, inputs: inputs * gain, dialect()).value, X * GAIN)


def test_a_setting_it_has_no_place_for_is_not_offered():
    """The default is what it does anyway."""
    crash = played(lambda gain, inputs: inputs * gain, dialect(), power=2).crash
    assert crash is not None and crash.kind == "not offered" and "power" in crash.message


@pytest.mark.parametrize("kind", ["torch", "numpy"])
def test_one_sequence_at_a_time(kind):
    """What comes back row by row is put together in its own library."""
    shapes = []

    def run_scale(gain, inputs):
        shapes.append(tuple(inputs.shape))
        return inputs * gain if kind == "torch" else numpy.asarray(inputs) * numpy.asarray(gain)

    value = played(run_scale, dialect(one_by_one=("x",))).value
    assert shapes == [(3,), (3,)]
    assert torch.equal(torch.as_tensor(value), X * GAIN)


def test_weights_that_are_copied_into_a_module_promise_no_gradient():
    """Where they are used as they are, gradients are judged."""

    def copies(gain, inputs):
        layer = torch.nn.Parameter(gain.detach().clone())
        return inputs * layer

    crash = played(copies, dialect(), gradients=1).crash
    assert crash is not None and crash.kind == "not offered" and "copies" in crash.message
    assert torch.is_tensor(played(lambda gain, inputs: inputs * gain, dialect(), gradients=1).gradients["weight"])


def test_building_modules_disturbs_nothing():
    def builds(gain, inputs):
        torch.randn(3)
        return inputs * gain

    assert played(builds, dialect()).effects == ()


def test_a_dialect_may_decline_a_case():
    def only_small(a):
        raise NotOffered("not this one")

    refusing = Dialect("a course", "run_scale", ("gain", "inputs"), only_small)
    crash = played(lambda gain, inputs: inputs, refusing).crash
    assert crash is not None and crash.kind == "not offered"
