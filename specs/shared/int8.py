"""Round trips of int8 quantization: cases, and how far off a number may be dequantized."""

from __future__ import annotations

import math
from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import Call, Case
from harness.core.claim import NotSupported, Trial, Violation
from harness.core.measurement import Measurement
from harness.core.values import Earlier
from harness.strategies.shapes import distinct_sizes
from harness.strategies.tensors import make, seeds, tensors
from specs.shared.quantization import within
from specs.shared.quantizers import Bound, Quantizer, given

LOOK_UP = 5e-5
"""Relative to the largest number of a group: what is lost by finding codes in a table, or by computing in float32."""


def calls(*, x: torch.Tensor, axis: int | None, block: int | None, symmetric: bool, back: int = 0) -> tuple[Call, Call]:
    parts = {name: Earlier("quantize", entry, back) for entry, name in enumerate(("q", "scale", "zero"))}
    return (
        Call("quantize", {"x": x, "axis": axis, "block": block, "symmetric": symmetric}),
        Call("dequantize", {**parts, "block": block}),
    )


def groups(x: torch.Tensor, axis: int | None, block: int | None) -> torch.Tensor:
    """The number of the group that each element of x shares a scale with, in the shape of x."""
    if block is not None:
        return (torch.arange(x.numel()) // block).reshape(x.shape)
    if axis is None:
        return torch.zeros(x.shape, dtype=torch.int64)
    others = [size for i, size in enumerate(x.shape) if i != axis % x.dim()]
    return torch.arange(math.prod(others)).reshape(others).unsqueeze(axis % x.dim()).expand(x.shape)


class StepBound(Bound):
    """Half a step between codes, plus what a table look-up or float32 may cost.

    Symmetric: codes -127..127 reach over +-absmax, so a step is absmax / 127. Otherwise 256 codes reach from the
    smallest to the largest number, the range widened to hold 0: 255 steps. The rounding of a 16-bit result and its
    smallest positive number are added.
    """

    def __init__(self, trial: Trial, case: Case, dtype: torch.dtype, out: torch.Tensor) -> None:
        asked = given(case)
        self.x = asked["x"].to(dtype).double()
        self.index = groups(self.x, asked["axis"], asked["block"])
        flat, count = self.x.reshape(-1), int(self.index.max()) + 1
        zeros, where = torch.zeros(count, dtype=torch.float64), self.index.reshape(-1)
        low, high = (zeros.scatter_reduce(0, where, flat, way, include_self=True) for way in ("amin", "amax"))
        spread = torch.maximum(high, -low) / 127 if asked["symmetric"] else (high - low) / 255
        self.step, self.largest = spread[self.index], torch.maximum(high, -low)[self.index]
        limits = torch.finfo(out.dtype)
        loss = LOOK_UP + (limits.eps if limits.bits == 16 else 0.0)
        self.error = self.step / 2 + loss * self.largest + limits.smallest_normal * limits.eps


INT8 = Quantizer(calls, StepBound, group="slice or block", miss="an error exceeds half a step")


def codes_of(parts: Any, case: Case) -> torch.Tensor:
    """The codes among what quantize() returned, one for each number."""
    if not isinstance(parts, (list, tuple)) or len(parts) != 3:
        raise Violation(f"quantize() must return (q, scale, zero); it returns a {type(parts).__name__}")
    q, shape = parts[0], given(case)["x"].shape
    if not torch.is_tensor(q) or q.shape != shape:
        found = f"{q.dtype} {list(q.shape)}" if torch.is_tensor(q) else f"a {type(q).__name__}"
        raise Violation(f"q is {found}; it must be torch.int8 {list(shape)}")
    return q


# cases ---------------------------------------------------------------------------------------------------------------


def round_trip(
    x: torch.Tensor, axis: int | None, block: int | None, symmetric: bool, family: str, **sizes: int
) -> Case:
    return INT8.case(family, sizes, x=x, axis=axis, block=block, symmetric=symmetric)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Per tensor, per slice along each axis (counted from either end) and in blocks that need not divide the length.

    In half of them the numbers differ by powers of ten along one axis: a scale shared too widely shows there.
    """
    sizes = draw(distinct_sizes(batch=(1, 3), time=(1, 5), width=(2, 9)))
    axes = draw(st.integers(1, 3))
    shape = tuple(sizes.values())[-axes:]
    x, family = draw(tensors(shape))
    if draw(st.booleans()):
        along = draw(st.integers(0, axes - 1))
        steps = [-1 if i == along else 1 for i in range(axes)]
        x = x * (10.0 ** torch.linspace(2, -2, shape[along], dtype=torch.float64)).reshape(steps)
        family += ", of many magnitudes"
    axis, block = draw(ways(shape))
    return round_trip(x, axis, block, draw(st.sampled_from((True, False))), family, **sizes)


@st.composite
def ways(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple[int | None, int | None]:
    """(axis, block) for a tensor of this shape: neither, one, or the other."""
    way = draw(st.sampled_from(("tensor", "axis", "block", "axis", "block")))
    axis = draw(st.integers(-len(shape), len(shape) - 1)) if way == "axis" else None
    block = draw(st.sampled_from((4, 3, 7, math.prod(shape), math.prod(shape) + 3, 1))) if way == "block" else None
    return axis, block


@st.composite
def block_cases(draw: st.DrawFn) -> Case:
    """Blocks that do not divide the length: the last one is short."""
    block = draw(st.sampled_from((4, 3, 5, 8)))
    count = block * draw(st.integers(0, 3)) + draw(st.integers(1, block - 1))
    x = make(draw(st.sampled_from(("normal", "wide", "tiny spread"))), (count,), draw(seeds))
    if draw(st.booleans()):
        x = x.abs() * draw(st.sampled_from((-1.0, 1.0)))
    if count % 2 == 0 and draw(st.booleans()):
        x = x.reshape(2, -1)
    return round_trip(x, None, block, draw(st.sampled_from((True, False))), "a short last block")


@st.composite
def extreme_cases(draw: st.DrawFn) -> Case:
    """One step is exactly 1 (or a power of two): the ends of the range, and numbers half-way between two codes."""
    symmetric, unit = draw(st.sampled_from((True, False))), draw(st.sampled_from((1.0, 0.125, 64.0)))
    halves = make("normal", (9,), draw(seeds)).mul(60).round() / 2
    if symmetric:
        ends = draw(st.sampled_from(([-127.0], [127.0], [-127.0, 127.0], [-127.0, 126.5], [-126.5, 127.0])))
    else:
        low = draw(st.sampled_from((99.5, 99.0, 100.5, 127.5, 0.5, 254.5, 128.0, 0.0, 255.0)))
        ends, halves = [-low, 255.0 - low], halves.clamp(-low, 255.0 - low)
    x = torch.cat([torch.tensor(ends, dtype=torch.float64), halves]) * unit
    if draw(st.booleans()):
        x = x.flip(0)
    return round_trip(x, draw(st.sampled_from((None, 0))), None, symmetric, "ends of the range and halves")


@st.composite
def size_cases(draw: st.DrawFn) -> Case:
    """The largest number from 1e-30 to 1e30."""
    x = make("wide", (2, 11), draw(seeds))
    x = x / x.abs().amax() * 10.0 ** draw(st.sampled_from((-6, -4, -12, -20, -30, 4, 8, 30)))
    axis, block = draw(st.sampled_from(((None, None), (-1, None), (None, 8))))
    return round_trip(x, axis, block, draw(st.sampled_from((True, False))), "of one size")


@st.composite
def half_cases(draw: st.DrawFn) -> Case:
    """What float16 can hold, down to numbers whose scale it cannot."""
    x = make(draw(st.sampled_from(("normal", "wide", "small integers"))), (3, 10), draw(seeds))
    axis, block = draw(ways((3, 10)))
    x = x * draw(st.sampled_from((1.0, 1e-6, 1e3, 1e-4)))
    return round_trip(x, axis, block, draw(st.sampled_from((True, False))), "16 bit")


@st.composite
def even_cases(draw: st.DrawFn) -> Case:
    """Numbers spread evenly over the range, so that what rounding loses cancels on average."""
    symmetric = draw(st.sampled_from((True, False)))
    low = -1.0 if symmetric else -draw(st.sampled_from((1.0, 0.3, 0.0, 0.7)))
    x = torch.linspace(low, 1.0, 1009, dtype=torch.float64)
    return round_trip(x, None, None, symmetric, "evenly spread")


# checks and measurements ---------------------------------------------------------------------------------------------


def check_mean_error(trial: Trial) -> None:
    """Over numbers spread evenly. Exact: correct rounding, whatever it does with ties, leaves a mean error below 0.01
    of a step; truncation leaves 0.5, down or up, towards zero or away from it."""
    out = INT8.run(trial)
    bound = StepBound(trial, trial.case, trial.dtype, out)
    lost = (bound.x - out.double()) / bound.step
    middle = 0.0 if given(trial.case)["symmetric"] else float(bound.x.min() + bound.x.max()) / 2
    ways = (
        ("too low", "too high", torch.ones_like(lost)),
        ("too near to zero", "too far from zero", bound.x.sign()),
        ("too near to the middle of the range", "too far from the middle of the range", (bound.x - middle).sign()),
    )
    for less, more, sign in ways:
        mean = float((lost * sign).mean())
        if not abs(mean) <= 0.05:
            way = less if mean > 0 else more
            found = f"numbers are {abs(mean):.2f} of a step {way} on average: they are truncated, not rounded"
            raise Violation(found, error=abs(mean) / 0.05)


def quantized(x: torch.Tensor, axis: int | None, block: int | None) -> Case:
    """build and quantize alone, in symmetric mode."""
    return Case(round_trip(x, axis, block, True, "").calls[:-1])


def memory(trial: Trial) -> Measurement | None:
    """Bits per number, everything that quantize() returns counted, for a float32 weight of 256 x 512."""
    x, bits = make("normal", (256, 512), 7), {}
    ways: dict[str, tuple[int | None, int | None]] = {
        "the whole tensor": (None, None),
        "rows of 512": (-1, None),
        "blocks of 64": (None, 64),
        "blocks of 256": (None, 256),
    }
    for label, (axis, block) in ways.items():
        try:
            answer = trial.attempt(quantized(x, axis, block), dtype=torch.float32, weigh=True)
        except NotSupported:
            continue
        if answer.crash is None and "bytes of quantize()" in answer.facts:
            bits[label] = 8 * answer.facts["bytes of quantize()"] / x.numel()
    if not bits:
        return None
    usual = "rows of 512" if "rows of 512" in bits else next(iter(bits))
    return Measurement(
        sentence=f"A number takes {bits[usual]:.3f} bits with a scale for {usual}, {bits[usual] / 32:.1%} of float32.",
        how="total memory of what quantize() returns for 256 x 512 normal float32 numbers in symmetric mode",
        value=bits[usual],
        unit="bits per number",
        series=bits,
    )


def check_idempotence(trial: Trial) -> None:
    """The codes of dequantized numbers; groups whose scale moved by the rounding of a range end are left out."""
    symmetric, first = given(trial.case)["symmetric"], INT8.run(trial)
    again = INT8.changed(trial.case, x=first.to(trial.dtype))
    before, after = StepBound(trial, trial.case, trial.dtype, first), StepBound(trial, again, trial.dtype, first)
    steady = (after.step - before.step).abs() <= 1e-3 * before.step
    if not symmetric and not bool(steady.any()):
        trial.not_applicable()
    second = INT8.run(trial, again)
    keep = torch.ones_like(steady) if symmetric else steady
    allowed = 4 * before.same() + before.largest * (4 * torch.finfo(second.dtype).eps)
    what = "quantizing the dequantized numbers again changes them"
    trial.note_error(within(second[keep], first[keep], allowed[keep], what))
