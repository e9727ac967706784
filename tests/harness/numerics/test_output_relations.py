"""A relation between two gradients is told where it holds in every case, and not where it holds in one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from harness.numerics.output_relations import Sighting, relation

SIZES = ((2, 4), (3, 5), (1, 6), (4, 7))


def seen(change: Callable[[torch.Tensor, dict[str, int]], torch.Tensor], square: bool = False) -> list[Sighting]:
    """Four cases, the gradient changed in each."""
    generator, found = torch.Generator().manual_seed(1), []
    for batch, width in SIZES:
        expected = torch.randn(width if square else batch, width, generator=generator, dtype=torch.float64)
        sizes = {"batch": batch, "width": width}
        value = torch.randn(expected.shape, generator=generator, dtype=torch.float64)
        found.append(Sighting(change(expected, sizes), expected, 1e-13, value, sizes, {}, {"is that of y": value}))
    return found


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda g, s: g, ""),
        (lambda g, s: 0 * g, "is zero"),
        (lambda g, s: -g, "has the wrong sign"),
        (lambda g, s: g / 2, "is 0.5 times the expected value"),
        (lambda g, s: g / s["batch"], "is divided by batch (a mean where a sum belongs?)"),
        (lambda g, s: g * s["width"] ** 0.5, "is multiplied by the root of width"),
        (lambda g, s: g / (s["batch"] * s["width"]), "is divided by batch x width (a mean where a sum belongs?)"),
        (lambda g, s: g * (s["width"] / s["batch"]) ** 0.5, "is multiplied by the root of width / batch"),
        (
            lambda g, s: g + g.sum(-1, keepdim=True),
            "is off by one number in each row of its last axis: a mean or a sum over that axis is missing",
        ),
        (
            lambda g, s: g.expand(3, *g.shape) / 3,
            "lacks the sum over its leading axes: it has shape [3, 2, 4] where [2, 4] is due",
        ),
        (lambda g, s: g[None], "lacks the sum over its leading axes: it has shape [1, 2, 4] where [2, 4] is due"),
        (lambda g, s: g.sin(), ""),
        (lambda g, s: g / 2 if s["batch"] != 3 else g, ""),
        (lambda g, s: g.new_zeros(3), "has shape [3] where [2, 4] is due"),
    ],
)
def test_one_relation_for_every_case(
    change: Callable[[torch.Tensor, dict[str, int]], torch.Tensor], words: str
) -> None:
    """Constants, sizes, sums, shapes; nothing where one case speaks against it."""
    assert relation(seen(change)) == words


def test_transposed_and_exchanged_and_off_by_the_argument() -> None:
    """What other tensors give."""
    assert relation(seen(lambda g, s: g.T, square=True)) == "is transposed"
    assert relation(seen(lambda g, s: g.T)) == "is transposed"
    others = [Sighting(s.value, s.expected, s.tolerance, None, s.sizes, {}, s.others) for s in seen(lambda g, s: g)]
    assert relation(others) == "is that of y"
    moved = [Sighting(s.expected + 2 * s.value, s.expected, 1e-13, s.value) for s in seen(lambda g, s: g)]
    assert relation(moved).startswith("is off by a multiple of the argument in each row")


def test_rows_that_are_named_twice() -> None:
    """Only they are wrong."""
    ids, found = torch.tensor([[0, 2, 2, 1]]), []
    for seed in (0, 1):
        expected = torch.randn(4, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        actual = expected.clone()
        actual[2] -= 1.0 + torch.arange(3)
        found.append(Sighting(actual, expected, 1e-13, ids={"ids": ids}))
    assert relation(found).startswith("is wrong in the rows that ids names more than once")


def test_the_part_that_is_wrong_is_named() -> None:
    """Of a tensor that is stacked from equal parts."""
    found = []
    for seed in (0, 1):
        expected = torch.randn(6, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        found.append(Sighting(torch.cat([expected[:4], 3 * expected[4:]]), expected, 1e-13))
    assert relation(found, ("q", "k", "v")) == "is right but for its part v, which is 3 times the expected value"


def test_a_single_number_is_no_evidence() -> None:
    """Any number is a multiple of any other; and of a gradient that must vanish nothing is read."""
    one = Sighting(torch.tensor([2.0]), torch.tensor([1.0]), 1e-13)
    assert relation([one]) == ""
    nothing = torch.full((20,), 1e-17, dtype=torch.float64)
    noise = torch.linspace(-1, 2, 20, dtype=torch.float64).sin()
    assert relation([Sighting(noise * 1e-3, nothing, 1e-13)] * 2) == ""
