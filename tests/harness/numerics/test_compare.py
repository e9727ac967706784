"""Comparing values: what is close, what is infinitely far, and what the message names."""

import math

import pytest
import torch

from harness.core.case import Case
from harness.core.implementation import Answer
from harness.numerics.compare import compare
from harness.numerics.tolerance import tolerances

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize("actual", [torch.tensor([INF, 1.0]), torch.tensor([NAN, 1.0]), torch.tensor([5.0, 1.0])])
def test_a_bound_of_inf_accepts_every_number(actual: torch.Tensor) -> None:
    """inf / inf was nan, and nan is not within a tolerance; shapes and kinds still count."""
    found = compare(actual, torch.tensor([7e4, 1.0]), INF)
    assert found.ratio == 0.0 and found.fine
    assert compare(torch.ones(3), torch.ones(2), INF).ratio == INF
    assert compare(None, torch.ones(2), INF).ratio == INF


def test_no_other_bound_accepts_an_infinite_error() -> None:
    """However large the tolerance: an infinity or nan where a number was expected is infinitely far."""
    for wrong in (INF, -INF, NAN):
        assert compare(torch.tensor([wrong]), torch.tensor([1.0]), 1e300).ratio == INF
        assert compare(wrong, 1.0, 1e300).ratio == INF
    assert compare(torch.tensor([1.0]), torch.tensor([2.0]), NAN).ratio == INF


@pytest.mark.parametrize("value", [INF, -INF, NAN, 2.0])
def test_equal_numbers_are_close_whatever_they_are(value: float) -> None:
    """Plain numbers as well as tensors; inf - inf is nan, and both being infinite is no error."""
    assert compare(value, value, 1e-12).ratio == 0.0
    assert compare(torch.tensor([value]), torch.tensor([value]), 0.0).ratio == 0.0


def test_a_plain_number_beyond_float64_is_infinitely_far() -> None:
    """Python's integers are longer than float64; that must not end in an OverflowError of ours."""
    assert compare(10**400, 1.0, 1e-6).ratio == INF
    assert compare(1.0, 1.5, INF).ratio == 0.0


@pytest.mark.parametrize("overflow", [lambda x: x * x, lambda x: x * x / (x * x)])
def test_code_that_overflows_where_the_reference_does_is_right(overflow) -> None:
    """300 * 300 exceeds float16: to infinity, or to nan where two infinities are divided."""

    def reference(case: Case) -> Answer:
        return Answer((overflow(case.arguments["x"]),))

    case = Case.of({"x": torch.tensor([1.0, 2.0, 300.0], dtype=torch.float64)})
    exact, bound = tolerances(reference, case, torch.float16)
    own = reference(case.cast(torch.float16))
    assert not bool(torch.isfinite(own.value).all()) and bound.value == INF
    assert compare(own.value, exact.value, bound.value).fine
    small = Case.of({"x": torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)})
    exact, bound = tolerances(reference, small, torch.float16)
    assert compare(torch.full((3,), INF), exact.value, bound.value).ratio == INF


def test_lists_name_where_they_differ() -> None:
    """By entry for lists of anything, with both lengths where tensors are missing."""
    assert compare(["a", "b"], ["a", "b", "c"], None).where.endswith("(they part at entry 2)")
    assert compare([torch.ones(1)], [torch.ones(1), torch.ones(1)], 0.1).where == "out has 1 entries, expected 2"
    assert compare([1.0, 2.0], [1.0, 2.5], [0.1, 0.1]).ratio == pytest.approx(5)
    assert compare({"k": 1}, {"k": 1, "v": 2}, None).ratio == INF
    assert compare(3, [3], None).where.startswith("out is a int")
