"""Which case tells most of a wrong line."""

from __future__ import annotations

import torch

from harness.core.case import Call, Case
from harness.localisation.quality import quality


def case(x: torch.Tensor) -> Case:
    sizes = dict(zip(("batch", "time", "width"), x.shape, strict=True))
    return Case((Call("call", {"x": x}),), dimensions=sizes)


def test_many_numbers_tell_more_than_two_that_are_unlike() -> None:
    """In ``[0, 1]`` the variance is the mean, whatever it is divided by."""
    few = case(torch.tensor([[[0.0, 1.0]], [[2.0, 3.0]], [[4.0, 5.0]]], dtype=torch.float64))
    many = case(torch.randint(-3, 4, (2, 6, 8), generator=torch.Generator().manual_seed(0)).double())
    assert quality(many) > quality(few)
    equal = case(torch.full((2, 6, 8), 1.5, dtype=torch.float64))
    assert quality(many) > quality(equal)
