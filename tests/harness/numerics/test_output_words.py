"""How a wrong output is related to the right one is told where it holds in every case."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from harness.core.case import Case
from harness.core.contract import Argument, Contract, Signature
from harness.core.implementation import Answer, Request
from harness.numerics.gradient_relations import ComparedCall
from harness.numerics.output_words import output_in_words
from harness.strategies.tensors import tensors

CONTRACT = Contract(
    "model",
    "A model.",
    {"call": Signature((Argument("x", "float[...]"),), "float[batch, time, vocab]")},
    lambda x: x,
    lambda: tensors((2, 3)),
)


def told(change: Callable[[torch.Tensor], torch.Tensor]) -> str:
    """Three cases, the output changed in each."""
    generator, runs = torch.Generator().manual_seed(1), []
    for sizes in ((1, 1, 4), (2, 3, 5), (1, 4, 7)):
        right = torch.randn(sizes, generator=generator, dtype=torch.float64)
        request = Request("model", Case.of({"x": right}))
        runs.append(ComparedCall(request, Answer((change(right),)), Answer((right,)), Answer((1e-13,))))
    return output_in_words(CONTRACT, runs)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda out: out, ""),
        (lambda out: out / 2, "the output is 0.5 times the expected value"),
        (lambda out: -out, "the output has the wrong sign"),
        (lambda out: out.roll(1, -1), "the output is the expected one moved by one place along axis vocab"),
        (lambda out: out.roll(-1, -2), "the output is the expected one moved back by one place along axis time"),
        (lambda out: out.flip(-1), "the output is the expected one back to front along axis vocab"),
        (lambda out: out[..., :-1], ""),
        (lambda out: out.sin(), ""),
    ],
)
def test_a_relation_that_holds_in_every_case_is_told(change: Callable[..., torch.Tensor], words: str) -> None:
    assert told(change) == words


def test_nothing_is_told_of_what_is_no_tensor_or_no_answer() -> None:
    request, right = Request("model", Case.of({"x": torch.ones(2, 9)})), Answer((torch.ones(2, 9),))
    runs = [ComparedCall(request, Answer(("text",)), right, Answer((1e-13,)))]
    assert output_in_words(CONTRACT, runs) == ""
