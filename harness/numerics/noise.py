"""Whether an error is rounding inside a float32 computation, or smooth, as a mistake's is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from harness.core.case import Case, is_float
from harness.core.tree import Path
from harness.numerics.tolerance import EPSILON


def is_rounding_noise(errors: Callable[[Case], Any], case: Case, seed: int = 11) -> bool:
    """Whether an error is rounding rather than meaning: it does not survive a move of the inputs by a few float32
    units.

    A mistake's error is a smooth function of the inputs and hardly changes (relative 1e-4 at most); rounding inside a
    float32 computation is a new one each time (relative change about 1). Used to tell code that upcasts or downcasts
    to float32 inside on purpose from code that computes something else. The moves are of 20 to 60 units at random:
    after a whole number of units, small integers would round as they did before.
    """
    here = errors(case)
    if not torch.is_tensor(here) or not bool(torch.isfinite(here).all()):
        return False
    size = float(here.norm())
    if size == 0:
        return False
    for attempt in range(2):
        there = errors(_nearby(case, 40 * EPSILON[torch.float32], seed + attempt))
        if not torch.is_tensor(there) or there.shape != here.shape:
            return False
        if float((there - here).norm()) < 0.1 * max(size, float(there.norm())):
            return False
    return True


def _nearby(case: Case, epsilon: float, seed: int) -> Case:
    """Every floating-point argument moved by about ``epsilon`` relative to itself, no two by the same amount."""
    generator = torch.Generator().manual_seed(seed)

    def move(_: Path, leaf: Any) -> Any:
        if not is_float(leaf):
            return leaf
        return leaf * (
            1 + epsilon * (0.5 + torch.rand(leaf.shape, generator=generator, dtype=torch.float64)).to(leaf.dtype)
        )

    return case.mapped(move)
