"""Which case tells most: sizes that differ, so that a layout is told by them, and numbers that do not repeat."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from harness.core.case import Case, is_float
from harness.core.tree import leaves
from harness.localisation.experiment import Sample

USUAL = (0.05, 20.0)
"""Numbers of this size on the average; with smaller or larger ones a wrong step may change next to nothing."""
PLAIN = 1.5
"""Powers of ten by which an error may be smaller than the values and still be plain."""
MANY = 8
"""Different numbers in a tensor that are enough."""
LARGE = 20_000
"""Numbers in the arguments of a case that take long."""


def best_first(samples: Sequence[Sample]) -> list[Sample]:
    """The samples, those first that tell most."""
    return sorted(samples, key=lambda sample: quality(sample.request.case) + told_by_error(sample), reverse=True)


def told_by_error(sample: Sample) -> float:
    """How plainly an answer is wrong, 0 or less: an error of a millionth may be lost among others."""
    worst = 0.0
    pairs = zip(leaves(list(sample.answer.outputs)), leaves(list(sample.right.outputs)), strict=False)
    for (_, mine), (_, wanted) in pairs:
        if is_float(mine) and is_float(wanted) and mine.shape == wanted.shape and mine.numel():
            gap = torch.nan_to_num((mine - wanted).abs().double()).max()
            worst = max(worst, float(gap / torch.nan_to_num(wanted.abs().double()).max().clamp(min=1e-30)))
        else:
            worst = 1.0
    return min(0.0, math.log10(max(worst, 1e-12)) + PLAIN)


def quality(case: Case) -> float:
    """How much a case tells, the more the better."""
    tensors = [tensor for _, tensor in case.tensors()]
    sizes = [size for tensor in tensors for size in tensor.shape]
    named = list(case.dimensions.values()) or sizes
    ones = sum(size == 1 for size in named)
    equal = len(named) - len(set(named))
    numbers = [_variety(tensor) for tensor in tensors if is_float(tensor) and tensor.numel() > 1]
    variety = min(numbers, default=1.0)
    total = sum(tensor.numel() for tensor in tensors)
    return 4.0 * variety - 3.0 * ones - equal - (2.0 if total > LARGE else 0.0) - total / 100_000


def _variety(tensor: torch.Tensor) -> float:
    """How unlike each other its numbers are, and how many: of two numbers, one may be the other's half by chance. 0
    where they are of no usual size."""
    flat = tensor.detach().reshape(-1).double()
    size = float(flat.square().mean().sqrt())
    if not USUAL[0] <= size <= USUAL[1]:
        return 0.0
    different = int(flat.unique().numel())
    return min(different / MANY, 1.0) * (1 + different / flat.numel()) / 2
