"""What the sheets of the quantizers share: the form of an output, and how far off it is."""

from __future__ import annotations

import math
from typing import Any

import torch

from harness.core.claim import Trial, Violation


def floating(out: Any, shape: torch.Size | tuple[int, ...], what: str = "dequantize()") -> torch.Tensor:
    """The output, which must be floating-point numbers of this shape."""
    if not torch.is_tensor(out) or not out.is_floating_point() or tuple(out.shape) != tuple(shape):
        found = f"{out.dtype} {list(out.shape)}" if torch.is_tensor(out) else f"a {type(out).__name__}"
        raise Violation(f"{what} returns {found}; it must return a floating-point tensor {list(shape)}")
    return out


def within(
    out: torch.Tensor, expected: torch.Tensor, allowed: torch.Tensor, what: str, unavoidable: torch.Tensor | float = 0.0
) -> float:
    """The largest error beyond what is unavoidable, in units of what is allowed there.

    Raises Violation, with the worst element, where that is above 1.
    """
    if not out.numel():
        return 0.0
    error = ((out.double() - expected.double()).abs() - unavoidable).clamp(min=0) / allowed
    error = torch.where(torch.isfinite(out), error, torch.full_like(error, math.inf))
    worst = int(error.argmax())
    ratio = float(error.reshape(-1)[worst])
    if ratio <= 1:
        return ratio
    place = [int(i) for i in torch.unravel_index(torch.tensor(worst), out.shape)] if out.dim() else []
    whole = allowed + unavoidable
    numbers = [float(t.reshape(-1)[worst]) for t in (out, expected, whole)]
    found = f"x{place}: got {numbers[0]:.6g}, expected {numbers[1]:.6g} within {numbers[2]:.2g}"
    raise Violation(what, worst=found, error=ratio)


def dtypes(trial: Trial) -> list[torch.dtype]:
    """The precisions that a bound is checked in: the working precision, and float32."""
    return list(dict.fromkeys((trial.dtype, torch.float32)))
