"""Which gradients are wrong over a deck, and how, in one sentence."""

from __future__ import annotations

from typing import Any

import torch

from harness.core.case import Case
from harness.core.contract import Argument, Contract, Signature
from harness.core.implementation import Answer, Request
from harness.numerics.gradient_relations import ComparedCall, in_words

QKV = Argument("weight", "float[n, width]", "parameter", slices={"q": (), "k": ()})
CONTRACT = Contract(
    "f", "", {"call": Signature((Argument("x", "float[batch, n]"), QKV), "float[batch, n]")}, lambda: None, lambda: None
)


def right(request: Request) -> Answer:
    """x with a weight whose gradient has 4 rows; of one position alone where that is asked for."""
    generator = torch.Generator().manual_seed(request.gradients or 0)
    x: Any = request.case.arguments["x"]
    incoming = torch.randn(x.shape, generator=generator, dtype=torch.float32).to(x.dtype)
    if request.output_part is not None:
        _, start, stop = request.output_part
        keep = torch.zeros(len(x), 1, dtype=x.dtype)
        keep[start:stop] = 1
        incoming = incoming * keep
    return Answer((x,), {"x": 2 * incoming, "weight": incoming.mT @ x, "ids": None})


def told(change: Any) -> str:
    """What is said where each right answer is changed."""
    runs = []
    for seed in range(4):
        x = torch.randn(3 + seed % 2, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        request = Request("f", Case.of({"x": x, "weight": x.new_ones(4, 4)}, batch=len(x)), gradients=seed + 1)
        exact = right(request)
        answer = Answer(
            exact.outputs, {n: change(n, g, x) if g is not None else None for n, g in exact.gradients.items()}
        )
        runs.append(ComparedCall(request, answer, exact, Answer((1e-12,), {"x": 1e-12, "weight": 1e-12})))
    return in_words(CONTRACT, runs, right)


def test_the_argument_is_named_and_the_right_ones_too() -> None:
    """Nothing is said where nothing is wrong."""
    assert told(lambda name, g, x: g) == ""
    assert (
        told(lambda name, g, x: 3 * g if name == "x" else g)
        == "the gradient of x is 3 times the expected value; that of weight is right"
    )
    assert told(lambda name, g, x: g.sin()) == ("the gradient of x is wrong; the gradient of weight is wrong")


def test_a_part_and_a_batch_that_is_not_summed() -> None:
    """With what the contract and the reference say."""
    part = told(lambda name, g, x: torch.cat([g[:2], -g[2:]]) if name == "weight" else g)
    assert part == "the gradient of weight is right but for its part k, which has the wrong sign; that of x is right"
    first = told(lambda name, g, x: _first_row(g, x) if name == "weight" else g)
    assert first == "the gradient of weight counts the first entry along axis 0 of the output alone; that of x is right"


def _first_row(gradient: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """What the first row of x alone gives: solved from the sum, since the incoming gradient is not at hand."""
    incoming_t = gradient @ torch.linalg.pinv(x)
    return incoming_t[:, :1] @ x[:1]
