"""Tolerances: correct code stays well inside, wrong code far outside, zeros never pass."""

import numpy
import pytest
import torch

from harness.core.case import Case
from harness.core.implementation import Answer
from harness.numerics.compare import compare
from harness.numerics.noise import is_rounding_noise
from harness.numerics.tolerance import perturbed, tolerances
from harness.strategies.tensors import FAMILIES, make


def play_with(function):
    return lambda case: Answer((function(**case.arguments),))


def normalise(x):
    centred = x - x.mean(-1, keepdim=True)
    return centred / torch.sqrt((centred**2).mean(-1, keepdim=True) + 1e-5)


def normalise_otherwise(x):
    variance, mean = torch.var_mean(x, -1, keepdim=True, unbiased=False)
    return (x - mean) * torch.rsqrt(variance + 1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_another_order_of_evaluation_is_inside(family: str, dtype: torch.dtype) -> None:
    """A layer norm by rsqrt stays within the tolerance for every family of inputs."""
    for seed in range(20):
        case = Case.of({"x": make(family, (3, 7), seed)})
        exact, tolerance = tolerances(play_with(normalise), case, dtype)
        assert compare(normalise_otherwise(case.cast(dtype).arguments["x"]), exact.value, tolerance.value).ratio < 1


def test_a_small_mistake_is_far_outside_in_float64() -> None:
    """An epsilon of 1e-6 for 1e-5 hides in float32 at ordinary inputs and stands out in float64."""

    def wrong(x):
        centred = x - x.mean(-1, keepdim=True)
        return centred / torch.sqrt((centred**2).mean(-1, keepdim=True) + 1e-6)

    case = Case.of({"x": make("normal", (3, 7), 0)})
    exact, tolerance = tolerances(play_with(normalise), case, torch.float64)
    assert compare(wrong(case.arguments["x"]), exact.value, tolerance.value).ratio > 1e5


def test_zeros_never_pass() -> None:
    """However small the expected values, zeros are not near them."""
    case = Case.of({"x": 1e-9 * make("normal", (3, 7), 0)})
    for dtype in (torch.float64, torch.float32):
        exact, tolerance = tolerances(play_with(lambda x: 3 * x), case, dtype)
        assert compare(torch.zeros(3, 7), exact.value, tolerance.value).ratio > 1e3


def test_the_worst_element_is_named_not_the_first() -> None:
    """The place, what came and what was due; infinities and shapes say so."""
    expected = torch.tensor([[0.0, 1.0], [2.0, 3.0]])
    found = compare(expected + torch.tensor([[0.1, 0.0], [0.0, 0.5]]), expected, 0.01)
    assert found.where == "out[1, 1] = 3.5, expected 3" and found.ratio == pytest.approx(50)
    near = torch.tensor([2.0, 3.0000000001], dtype=torch.float64)
    assert compare(near, near.round(), 1e-15).where == "out[1] = 3.0000000001, expected 3"
    assert compare(torch.zeros(2), expected, 1.0).where == "out has shape [2], expected [2, 2]"
    assert compare(None, expected, 1.0).where.endswith("is a `return` missing?")
    assert compare(torch.full((2, 2), float("nan")), expected, 1e9).ratio == float("inf")
    assert compare(torch.tensor([float("inf")]), torch.tensor([float("inf")]), 0.0).fine


def test_ids_and_texts_are_compared_exactly() -> None:
    """Lists of ids say where they part; numbers of another kind do not pass."""
    assert compare([1, 2, 3], [1, 2, 3], None).fine
    assert compare([1, 9], [1, 2, 3], None).where.endswith("they part at position 1: 9, expected 2")
    assert compare([1, 2], [1, 2, 3], None).where.endswith("they part at position 2: the end, expected 3")
    assert "holds a float" in compare([1.0, 2], [1, 2], None).where
    assert compare("a\xe9", "ae\u0301", None).where.endswith("they part at character 1: U+00E9, expected U+0065")


class Handed:
    """What a quantizer hands from one of its calls to another."""

    def __init__(self) -> None:
        self.scale = torch.ones(2)


def test_arrays_and_objects_of_theirs_are_compared_as_far_as_they_can_be() -> None:
    """Arrays like tensors; an object, which only its maker can read, by its type."""
    array = numpy.arange(3.0)
    assert compare((array, "nf4"), (array.copy(), "nf4"), None).fine
    assert not compare((array + 1, "nf4"), (array, "nf4"), None).fine
    assert compare(("a", Handed()), ("a", Handed()), None).fine
    assert "is a list" in compare([1.0], Handed(), None).where


def test_rounding_noise_is_told_from_a_mistake() -> None:
    """Code that computes in float32 inside errs anew for inputs a few units away; a wrong constant errs the same."""
    case = Case.of({"x": make("normal", (4, 9), 3)})

    def error_of(function):
        return lambda c: function(c.arguments["x"]) - normalise(c.arguments["x"])

    assert is_rounding_noise(error_of(lambda x: normalise(x.float()).double()), case)
    assert not is_rounding_noise(error_of(lambda x: normalise(x) * (1 + 1e-7)), case)


def test_a_perturbation_is_one_unit_of_rounding() -> None:
    """Every number moves by exactly one epsilon relative to itself; ids do not move."""
    case = Case.of({"x": make("normal", (5,), 1), "ids": torch.arange(3)})
    moved = perturbed(case, 1e-6, 4)
    change = (moved.arguments["x"] / case.arguments["x"] - 1).abs()
    assert torch.allclose(change, torch.full((5,), 1e-6, dtype=torch.float64), rtol=1e-6, atol=0)
    assert torch.equal(moved.arguments["ids"], case.arguments["ids"])


def test_a_miss_carries_a_map_of_the_errors_around_the_worst_element() -> None:
    """In units of the tolerance, over the last two axes, cut where it is large; what agrees carries none."""
    expected = torch.zeros(2, 30, 3, dtype=torch.float64)
    actual = expected.clone()
    actual[1, 2, 0], actual[1, 0, 1], actual[0, 0, 0] = 5.0, 0.5, 0.25
    found = compare(actual, expected, 0.5)
    assert found.ratio == 10 and found.where.startswith("out[1, 2, 0] = 5")
    assert (
        len(found.error_map) == 24 and found.error_map[2] == (10.0, 0.0, 0.0) and found.error_map[0] == (0.0, 1.0, 0.0)
    )
    assert compare(torch.tensor([1.0]), torch.tensor([3.0]), 0.5).error_map == ((4.0,),)
    assert compare(actual, actual.clone(), 0.5).error_map == () and compare(actual, expected, 50.0).error_map == ()
    assert compare(torch.tensor([float("inf")]), torch.tensor([1.0]), 1.0).error_map == ((1e30,),)
