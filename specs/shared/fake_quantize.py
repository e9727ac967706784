"""Fake quantization: its scripts, the range that it must track, and the grid of its codes."""

from __future__ import annotations

import torch
from hypothesis import strategies as st

from harness.core.case import Call, Case
from harness.core.claim import Trial, Violation
from harness.strategies.shapes import distinct_sizes
from harness.strategies.tensors import tensors
from specs.shared.quantization import floating

ROUNDING = 1e-5
"""Relative to the range: scales in float32, a division and a product. A mistake moves numbers by whole steps, of at
least 1/255 of the range."""


TRAIN, EVAL, RANGE = Call("train", {}), Call("eval", {}), Call("range", {})


def building(bits: int, symmetric: bool, momentum: float = 0.1) -> Call:
    """The call that builds the layer."""
    return Call("build", {"bits": bits, "momentum": momentum, "symmetric": symmetric})


def forwarding(x: torch.Tensor) -> Call:
    """The call that passes a batch through the layer."""
    return Call("forward", {"x": x})


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Evaluation with a loaded range that contains 0; numbers inside it and, in most cases, outside."""
    sizes = draw(distinct_sizes(batch=(1, 3), time=(1, 5), width=(2, 9)))
    x, family = draw(tensors(tuple(sizes.values())[-draw(st.integers(1, 3)) :]))
    size = float(x.abs().max()) or 1.0
    low, high = draw(st.sampled_from(((-0.5, 1.0), (-1.0, 0.25), (-0.9, 0.2), (0.0, 0.75), (-0.6, 0.0), (-1.3, 2.0))))
    bits, symmetric = draw(st.sampled_from((8, 4, 3, 8))), draw(st.sampled_from((False, True)))
    load = Call("load", {"low": low * size, "high": high * size})
    return Case((building(bits, symmetric), load, EVAL, forwarding(x)), sizes, f"{family}, {bits} bits")


@st.composite
def even_cases(draw: st.DrawFn) -> Case:
    """Closely spaced numbers over a range and beyond both of its ends."""
    low, high = draw(st.sampled_from(((-3.0, 0.8), (-0.5, 1.0), (-1.2, 0.3))))
    bits, symmetric = draw(st.sampled_from((3, 4, 8, 5))), draw(st.sampled_from((True, False)))
    end = 2.0 * max(-low, high)
    x = torch.linspace(-end, end, 3001, dtype=torch.float64)
    load = Call("load", {"low": low, "high": high})
    return Case((building(bits, symmetric), load, EVAL, forwarding(x)), {}, f"evenly spread, {bits} bits")


@st.composite
def invalid_cases(draw: st.DrawFn) -> Case:
    """One bit, which leaves no code besides 0 in symmetric mode, or none at all."""
    bits = draw(st.sampled_from((0, 1, -8)))
    return Case((building(bits, draw(st.booleans())),), {}, f"{bits} bits")


def x_of(case: Case) -> torch.Tensor:
    """The last batch of a script."""
    x: torch.Tensor = case.arguments["x"]
    return x


class Grid:
    """The loaded range, extended to both sides of 0 in symmetric mode, and the largest step between its codes."""

    def __init__(self, case: Case) -> None:
        build, load = case.calls[0].arguments, case.calls[1].arguments
        self.bits: int = build["bits"]
        self.symmetric: bool = build["symmetric"]
        self.low: float = load["low"]
        self.high: float = load["high"]
        if self.symmetric:
            self.high = max(-self.low, self.high)
            self.low = -self.high
        codes = 2**self.bits - (2 if self.symmetric else 1)
        self.width = self.high - self.low
        self.step: float = self.width / codes

    def well_inside(self, x: torch.Tensor) -> torch.Tensor:
        """More than one step from both ends."""
        return (x > self.low + 1.01 * self.step) & (x < self.high - 1.01 * self.step)

    def well_outside(self, x: torch.Tensor) -> torch.Tensor:
        """Beyond one more code, which signed integers have, and beyond the numbers that are rounded to it."""
        return (x < self.low - 1.51 * self.step) | (x > self.high + 1.51 * self.step)


def rounded(trial: Trial, dtype: torch.dtype | None = None, case: Case | None = None) -> torch.Tensor:
    """The output of the layer for this case, checked to be a floating-point tensor of the shape of x."""
    case = case or trial.case
    return floating(trial.run(case, dtype=dtype or trial.dtype).value, x_of(case).shape, "forward()")


def gradient_of(trial: Trial, case: Case, name: str = "x") -> tuple[torch.Tensor, torch.Tensor]:
    """The gradient with respect to x, and the cotangent of the output."""
    answer = trial.run(case, gradients=True)
    found = answer.gradients.get(name)
    if found is None:
        raise Violation("no gradient reaches x: rounding has none; use a straight-through estimator")
    return found.double(), trial.cotangent(answer.value)
