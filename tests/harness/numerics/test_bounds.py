"""Bounds where the reference overflows: what is known of the other elements still counts."""

import copy
import math
import pickle

import pytest
import torch

from harness.core.case import Case
from harness.core.implementation import Answer
from harness.numerics.bounds import PartialBound, accepts_everything, joined_bound, worked_out
from harness.numerics.compare import compare
from harness.numerics.tolerance import tolerances

INF, NAN = math.inf, math.nan


def square(case: Case) -> Answer:
    return Answer((case.arguments["x"] * case.arguments["x"],))


def in_float16(*x: float) -> tuple[Answer, Answer]:
    return tolerances(square, Case.of({"x": torch.tensor(x, dtype=torch.float64)}), torch.float16)


def test_a_wrong_number_beside_one_that_overflows_fails() -> None:
    """300 * 300 exceeds float16; 3 * 3 does not, and 12 is wrong whatever stands beside it."""
    exact, bound = in_float16(3.0, 300.0)
    for right in ([9.0, INF], [9.0, NAN], [9.0, 6e4]):
        assert compare(torch.tensor(right), exact.value, bound.value).fine
    for wrong in ([12.0, INF], [INF, INF], [NAN, 6e4]):
        found = compare(torch.tensor(wrong), exact.value, bound.value)
        assert found.ratio > 1 and found.where.startswith("out[0]")
    assert not accepts_everything(bound.outputs)


def test_the_bound_of_the_others_is_as_tight_as_without_the_overflow() -> None:
    """It follows from the finite elements: the largest number among them is 9."""
    beside = worked_out(in_float16(3.0, 2.0, 300.0)[1].value)
    assert isinstance(beside, PartialBound) and beside.limit < 0.1
    assert beside.unknown.tolist() == [False, False, True]


def test_where_every_element_overflows_nothing_is_judged() -> None:
    bound = in_float16(300.0, 400.0)[1]
    assert bound.value == INF and not isinstance(worked_out(bound.value), PartialBound)
    assert accepts_everything(bound.outputs) and not accepts_everything((INF, None)) and not accepts_everything(())


def test_a_number_next_to_the_largest_one_may_overflow() -> None:
    """255.9 ** 2 is 65,485, less than one rounding below the largest float16 number."""
    exact, bound = in_float16(3.0, 255.9)
    assert compare(torch.tensor([9.0, INF]), exact.value, bound.value).fine
    assert not compare(torch.tensor([INF, 65485.0]), exact.value, bound.value).fine


def test_an_infinite_gradient_excuses_no_other() -> None:
    """The floor of a gradient's bound is relative to its finite elements."""

    def reference(case: Case) -> Answer:
        return Answer((case.arguments["x"],), {"x": torch.tensor([INF, 1.0, NAN], dtype=torch.float64)})

    exact, bound = tolerances(reference, Case.of({"x": torch.ones(3, dtype=torch.float64)}), torch.float64)
    assert compare(exact.gradients["x"], exact.gradients["x"].clone(), bound.gradients["x"]).fine
    wrong = torch.tensor([INF, 1.5, NAN], dtype=torch.float64)
    assert compare(wrong, exact.gradients["x"], bound.gradients["x"]).ratio > 1e6


@pytest.mark.parametrize("again", [copy.deepcopy, lambda bound: pickle.loads(pickle.dumps(bound))])
def test_multiples_and_copies_of_a_bound_keep_what_is_unknown(again) -> None:
    bound = again(2 * PartialBound(0.25, torch.tensor([True, False])))
    assert bound.limit == 0.5 and bound.unknown.tolist() == [True, False] and bound == INF


def test_the_bound_of_joined_chunks_knows_where_one_of_them_overflowed() -> None:
    chunks = [torch.zeros(1, 2), torch.zeros(1, 1)]
    partial = PartialBound(0.5, torch.tensor([[True, False]]))
    joined = joined_bound([partial, 0.25], chunks, 1)
    assert isinstance(joined, PartialBound) and joined.limit == 0.5
    assert joined.unknown.tolist() == [[True, False, False]]
    whole = joined_bound([INF, 0.25], chunks, 1)
    assert isinstance(whole, PartialBound) and whole.limit == 0.25 and whole.unknown.tolist() == [[True, True, False]]
    assert joined_bound([0.5, 0.25], chunks, 1) == 0.5 and joined_bound([INF, INF], chunks, 1) == INF
