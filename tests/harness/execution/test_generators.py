"""The state of the random generators: what changed it is seen, and it is brought back, however cheaply it is read."""

import random
from collections.abc import Callable

import numpy
import pytest
import torch

from harness.core.implementation import EffectKind
from harness.execution import generators
from harness.execution.generators import Generators, seed_all


def drawn() -> tuple[float, float, float, float]:
    """The next numbers of all generators, a normal one of numpy's among them."""
    return float(torch.rand(())), float(numpy.random.normal()), float(numpy.random.rand()), random.random()


@pytest.mark.parametrize("kept", [0, 1], ids=["no normal number is kept", "a normal number is kept"])
@pytest.mark.parametrize("between", [lambda: None, drawn, lambda: numpy.random.seed(5)])
@pytest.mark.parametrize("published", [True, False], ids=["by memory", "by state"])
def test_all_are_as_before(
    kept: int, between: Callable[[], object], published: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not published:
        monkeypatch.setattr(generators, "_address", lambda: 0)
    torch.manual_seed(1)
    numpy.random.seed(2)
    random.seed(3)
    for _ in range(kept):
        numpy.random.normal()
    before = Generators.now()
    expected = drawn()
    before.restore()
    for _ in range(2):  # the second time what numpy told is known
        before = Generators.now()
        start = seed_all()
        between()
        before.restore(start)
        again = Generators.now()
        assert drawn() == expected
        again.restore()


@pytest.mark.parametrize("published", [True, False], ids=["by memory", "by state"])
@pytest.mark.parametrize("draw", [torch.rand, numpy.random.normal, numpy.random.rand, random.random])
def test_a_draw_is_seen(draw: Callable[..., object], published: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not published:
        monkeypatch.setattr(generators, "_address", lambda: 0)
    start = seed_all()
    assert not start.changed()
    draw(1) if draw is torch.rand else draw()
    assert [effect.kind for effect in start.changed()] == [EffectKind.GENERATOR]


def test_the_same_numbers_come_every_time() -> None:
    seed_all()
    first = drawn()
    seed_all()
    assert drawn() == first


def test_another_generator_of_numpys_is_told_by_its_state() -> None:
    ours = numpy.random.get_bit_generator()
    try:
        numpy.random.set_bit_generator(numpy.random.PCG64(1))
        assert not Generators.now().memory
    finally:
        numpy.random.set_bit_generator(ours)
