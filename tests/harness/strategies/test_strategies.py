"""Drawn inputs: distinct sizes, forced repeats, small readable shrinks."""

import torch
from hypothesis import find, given, settings
from hypothesis import strategies as st

from harness.strategies.shapes import distinct_sizes
from harness.strategies.tensors import FAMILIES, make, tensors, token_ids


@given(distinct_sizes(batch=(1, 3), time=(1, 4), width=(2, 5), heads=(1, 6)))
@settings(deadline=None)
def test_no_two_sizes_above_one_coincide(sizes) -> None:
    """Whatever is drawn, sizes differ unless they are one."""
    above = [n for n in sizes.values() if n > 1]
    assert len(above) == len(set(above))


@given(st.integers(2, 9).flatmap(lambda n: token_ids((2, n), 50)))
@settings(deadline=None)
def test_an_id_is_repeated_in_every_batch(ids: torch.Tensor) -> None:
    """A lost accumulation in an embedding's gradient shows only on repeats."""
    assert ids.unique().numel() < ids.numel()
    assert int(ids.min()) >= 0 and int(ids.max()) < 50


def test_a_tensor_shrinks_to_simple_values() -> None:
    """The smallest tensor with a non-zero element is made of small whole numbers."""
    smallest, family = find(tensors((2, 2)), lambda drawn: bool((drawn[0] != 0).any()))
    assert family == "counting"
    assert torch.equal(smallest, smallest.round()) and float(smallest.abs().max()) <= 6


def test_families_are_reproducible_and_finite() -> None:
    """The same family, shape and seed give the same finite float64 numbers; one-dimensional and empty shapes work."""
    for family in FAMILIES:
        one, two = make(family, (3, 4), 7), make(family, (3, 4), 7)
        assert torch.equal(one, two) and one.dtype == torch.float64 and bool(torch.isfinite(one).all())
        assert make(family, (5,), 1).shape == (5,)
