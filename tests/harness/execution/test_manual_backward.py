"""Hand-written backward functions are called by parameter names; their results are read by name or order."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from typing import Any

import pytest

from harness.core.contract import Argument, Contract, Signature
from harness.execution.manual_backward import ManualBackward

X, WEIGHT = Argument("x", "float[n]"), Argument("weight", "float[n]", "parameter", aliases=("gamma", "g"))
BIAS = Argument("bias", "float[n]", "parameter", optional=True, aliases=("beta",))
EPS = Argument("eps", "float", "setting", optional=True, default=1e-5)
CONTRACT = Contract("norm", "", {"call": Signature((X, WEIGHT, BIAS, EPS), "float[n]")}, lambda: None, lambda: None)
GIVEN = {"x": "X", "weight": "W", "bias": "B", "eps": 0.1}
LABELS = {("x",): "x", ("weight",): "weight", ("bias",): "bias"}


def called(function: Callable[..., Any], returned: Any = "OUT") -> dict[str, Any]:
    """The gradients that come of it."""
    return ManualBackward(function, CONTRACT).gradients("call", GIVEN, returned, ["G"], LABELS, {})


@pytest.mark.parametrize(
    ("function", "expected", "returned"),
    [
        (
            lambda grad_output, x, weight, bias, eps: (grad_output, x, weight, bias, eps),
            ("G", "X", "W", "B", 0.1),
            "OUT",
        ),
        (lambda x, weight, dout: (dout, x, weight), ("G", "X", "W"), "OUT"),
        (lambda x, g, beta, grad: (grad, x, g, beta), ("G", "X", "W", "B"), "OUT"),
        (lambda dy, out, gamma: (dy, out, gamma), ("G", "OUT", "W"), "OUT"),
        (lambda upstream, a, b: (upstream, a, b), ("G", "X", "W"), "OUT"),
        (lambda mystery, x: (mystery, x), ("G", "X"), "OUT"),
        (lambda dout, cache: (dout, cache), ("G", "KEPT"), ("OUT", "KEPT")),
        (lambda dout, stuff: (dout, stuff), ("G", "KEPT"), ("OUT", "KEPT")),
        (lambda dout, x, mean, rstd: (dout, x, mean, rstd), ("G", "X", "M", "R"), ("OUT", "M", "R")),
        (lambda dout, ctx, y: (dout, ctx, y), ("G", ("M", "R"), "OUT"), ("OUT", "M", "R")),
        (lambda g, /, *, weight, cache=None: (g, weight, cache), ("G", "W", None), "OUT"),
        (lambda dout, **rest: (dout, sorted(rest)), ("G", ["bias", "eps", "weight", "x"]), "OUT"),
    ],
)
def test_arguments_by_name_then_by_order(function: Callable[..., Any], expected: Any, returned: Any) -> None:
    """The incoming gradient stands anywhere; what the component kept goes to what nothing else fits."""
    seen = []
    called(lambda_like(function, seen), returned)
    assert seen == [expected]


def lambda_like(function: Callable[..., Any], seen: list[Any]) -> Callable[..., Any]:
    """A function with the same signature that notes what it was given."""
    import functools

    @functools.wraps(function)
    def noting(*given: Any, **named: Any) -> Any:
        seen.append(function(*given, **named))
        return "gradient of x"

    return noting


@pytest.mark.parametrize(
    "result",
    [
        (1, 2, 3),
        [1, 2, 3],
        (1, 2, 3, None),
        {"x": 1, "weight": 2, "bias": 3},
        {"dx": 1, "dgamma": 2, "dbeta": 3},
        {"grad_x": 1, "weight_grad": 2, "d_bias": 3},
        namedtuple("Grads", "x weight bias")(1, 2, 3),
    ],
    ids=str,
)
def test_results_by_order_or_by_name(result: Any) -> None:
    """A tuple may hold one for every argument."""
    assert called(lambda dout: result) == {"x": 1, "weight": 2, "bias": 3}


def test_one_gradient_is_the_first_arguments() -> None:
    """The others have none."""
    assert called(lambda dout: 1) == {"x": 1, "weight": None, "bias": None}


def test_nested_weights_by_name() -> None:
    """Under the name of the record, flat beside the input, or dotted."""
    fields = (Argument("a", "float[n]", "parameter"), Argument("layers", "list[n]", "parameter", fields=(WEIGHT,)))
    weights = Argument("weights", "weights", "parameter", fields=fields)
    contract = Contract("net", "", {"call": Signature((X, weights), "float[n]")}, lambda: None, lambda: None)
    labels = {("x",): "x", ("weights", "a"): "wa", ("weights", "layers", 0, "weight"): "w0"}
    results = (
        (1, {"a": 2, "layers": [{"weight": 3}]}),
        {"dx": 1, "dweights": {"da": 2, "layers": [{"dgamma": 3}]}},
        {"x": 1, "grads": {"a": 2, "layers": [{"weight": 3}]}},
        {"x": 1, "a": 2, "layers": [{"weight": 3}]},
        {"x": 1, "weights.a": 2, "weights.layers.0.weight": 3},
    )
    for result in results:
        by_hand = ManualBackward(lambda dout, given=result: given, contract)
        assert by_hand.gradients("call", {"x": 0, "weights": {}}, "OUT", ["G"], labels, {}) == {
            "x": 1,
            "wa": 2,
            "w0": 3,
        }


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda dout, cache: 1, r"let norm return \(out, cache\)"),
        (lambda dout, a, b, c, d, e: 1, "nothing is known to pass as e"),
        (lambda: 1, "the incoming gradient"),
        (lambda dout: [].append(dout), "missing"),
        (lambda dout: (1, 2), "gradients of x, weight, bias: a tuple in this order"),
        (lambda dout: {"foo": 1}, "a dictionary of foo"),
    ],
)
def test_what_does_not_fit_says_what_was_expected(function: Callable[..., Any], message: str) -> None:
    """A complete text."""
    with pytest.raises(TypeError, match=message):
        called(function)


def test_helpers_of_an_autograd_function_do_not_fit() -> None:
    """In torch nothing is kept: ``norm_backward(ctx, grad)`` is somebody's own business, autograd judges it."""
    assert not ManualBackward(lambda ctx, grad: None, CONTRACT).fits()
    assert not ManualBackward(lambda grad, q, k: None, CONTRACT).fits()
    assert ManualBackward(lambda grad, x: None, CONTRACT).fits()
    assert ManualBackward(lambda grad, a, b, c: None, CONTRACT).fits()
