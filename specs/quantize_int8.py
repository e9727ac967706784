"""Quantization to eight bits, with a scale per tensor, slice or block.

A quantizer may round ties either way, keep its scale as it likes (any shape and dtype, or a reciprocal) and multiply
where another divides: its codes need not be the reference's. It promises how far off a number comes back. Whatever its
quantize() returns is handed on to its own dequantize().
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import Call, Case
from harness.core.claim import NotSupported, Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature
from harness.core.measurement import Measure, Measurement
from harness.core.values import Earlier
from harness.strategies.shapes import distinct_sizes
from harness.strategies.tensors import make, seeds, tensors
from reference_model.quantization import quantize_int8
from specs.shared.quantization import dtypes, floating, within
from specs.workloads import tools as workloads

LOOK_UP = 5e-5
"""Relative to the largest number of a block: what may be lost by finding codes in a table, or by working in float32."""

BUILD = Call("build", {})


# cases ---------------------------------------------------------------------------------------------------------------


def round_trip(
    x: torch.Tensor, axis: int | None, block: int | None, symmetric: bool, family: str, **sizes: int
) -> Case:
    """build, quantize, dequantize: what the first returned goes into the second as it is."""
    return Case((BUILD, quantizing(x, axis, block, symmetric), dequantizing(block)), sizes, family)


def quantizing(x: torch.Tensor, axis: int | None, block: int | None, symmetric: bool) -> Call:
    return Call("quantize", {"x": x, "axis": axis, "block": block, "symmetric": symmetric})


def dequantizing(block: int | None, back: int = 0) -> Call:
    parts = {name: Earlier("quantize", entry, back) for entry, name in enumerate(("q", "scale", "zero"))}
    return Call("dequantize", {**parts, "block": block})


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
        family += ", of many sizes"
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
    """What float16 can say, down to numbers whose scale it cannot."""
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


# what is allowed -----------------------------------------------------------------------------------------------------


def given(case: Case) -> dict[str, Any]:
    """The arguments of the last quantize()."""
    return next(dict(c.arguments) for c in reversed(case.calls) if c.method == "quantize")


def changed(case: Case, **arguments: Any) -> Case:
    """The same case with other arguments of quantize(); dequantize() is told the same block."""
    asked = {**given(case), **arguments}
    return replace(case, calls=(BUILD, quantizing(**asked), dequantizing(asked["block"])))


def groups(x: torch.Tensor, axis: int | None, block: int | None) -> torch.Tensor:
    """The number of the group that each element of x shares a scale with, in the shape of x."""
    if block is not None:
        return (torch.arange(x.numel()) // block).reshape(x.shape)
    if axis is None:
        return torch.zeros(x.shape, dtype=torch.int64)
    others = [size for i, size in enumerate(x.shape) if i != axis % x.dim()]
    return torch.arange(math.prod(others)).reshape(others).unsqueeze(axis % x.dim()).expand(x.shape)


class Allowed:
    """Per element of x: the largest number of its group, one step between codes, and how far off it may come back.

    Symmetric: codes -127..127 reach over +-absmax, so a step is absmax / 127. Otherwise 256 codes reach from the
    smallest to the largest number, the range widened to hold 0: 255 steps. The error is half a step, plus what a table
    look-up or float32 may cost, plus the rounding of a 16-bit result and its smallest positive number.
    """

    def __init__(self, case: Case, dtype: torch.dtype, out: torch.Tensor) -> None:
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

    def same(self) -> torch.Tensor:
        """How far apart two results may be that are made of the same codes: rounding, in float32 at the most."""
        return 1e-6 * self.largest + 1e-300


def came_back(trial: Trial, case: Case | None = None, *, fresh: bool = False, **options: Any) -> torch.Tensor:
    """What dequantize() made of it, checked to be a number for each element of x."""
    case = case or trial.case
    return _checked(trial.run(case, fresh=fresh, **options).value, case)


def _checked(out: Any, case: Case) -> torch.Tensor:
    return floating(out, given(case)["x"].shape)


# claims --------------------------------------------------------------------------------------------------------------


@claim(
    "every number is dequantized to within half a step of its group",
    broken_by="rounding_forgotten",
    aliases=("error_is_within_the_bound",),
)
def error_within_half_a_step(trial: Trial) -> None:
    worst = 0.0
    for dtype in dtypes(trial):
        out = came_back(trial, dtype=dtype)
        allowed = Allowed(trial.case, dtype, out)
        half = "largest number / 254" if given(trial.case)["symmetric"] else "range / 510"
        what = f"a number is dequantized with an error above half a step ({half} of its group)"
        worst = max(worst, within(out, allowed.x, allowed.error, what))
    trial.note_error(worst)


@claim("every number has one int8 code", broken_by="unsigned_codes", max_cases=20)
def codes_are_int8(trial: Trial) -> None:
    codes = codes_of(trial.run().outputs[1], trial.case)
    if codes.dtype != torch.int8:
        raise Violation(f"q is {codes.dtype}; it must be torch.int8")


def codes_of(parts: Any, case: Case) -> torch.Tensor:
    """The codes among what quantize() returned, one for each number."""
    if not isinstance(parts, (list, tuple)) or len(parts) != 3:
        raise Violation(f"quantize() must return (q, scale, zero); it returns a {type(parts).__name__}")
    q, shape = parts[0], given(case)["x"].shape
    if not torch.is_tensor(q) or q.shape != shape:
        found = f"{q.dtype} {list(q.shape)}" if torch.is_tensor(q) else f"a {type(q).__name__}"
        raise Violation(f"q is {found}; it must be torch.int8 {list(shape)}")
    return q


@claim(
    "zero is dequantized to exactly zero",
    broken_by="zero_point_not_integer",
    max_cases=30,
    aliases=("zero_comes_back_exactly",),
)
def zero_is_exact(trial: Trial) -> None:
    """Padding, masks and ReLUs are full of zeros; 0 must have a code, whatever the range."""
    x = given(trial.case)["x"].clone()
    zeros = torch.zeros(x.numel(), dtype=torch.bool)
    zeros[1::3] = True
    zeros = zeros.reshape(x.shape)
    case = changed(trial.case, x=torch.where(zeros, torch.zeros_like(x), x))
    for dtype in dtypes(trial):
        out = came_back(trial, case, dtype=dtype)
        if bool((out[zeros] != 0).any()):
            wrong = out[zeros][out[zeros] != 0]
            raise Violation("zero is not dequantized to zero", worst=f"0 is dequantized to {float(wrong[0]):.6g}")


@claim(
    "within a group a larger number is never dequantized to a smaller one",
    broken_by="sign_lost",
    max_cases=30,
    aliases=("order_is_kept",),
)
def monotonic(trial: Trial) -> None:
    """Of two numbers in one group the larger never comes back smaller."""
    out = came_back(trial).double().reshape(-1)
    allowed = Allowed(trial.case, trial.dtype, came_back(trial))
    x, index, same = allowed.x.reshape(-1), allowed.index.reshape(-1), allowed.same().reshape(-1)
    together = index[:, None] == index
    wrong = together & (x[:, None] < x - same) & (out[:, None] > out + same)
    if bool(wrong.any()):
        i, j = wrong.nonzero()[0].tolist()
        small, large, first, second = (f"{float(t[k]):.6g}" for t, k in ((x, i), (x, j), (out, i), (out, j)))
        worst = f"{small} < {large} become {first} > {second}"
        raise Violation("of two numbers the larger is dequantized to the smaller", worst=worst)


@claim(
    "quantizing the dequantized numbers again gives the same numbers",
    broken_by="scale_twice",
    max_cases=30,
    aliases=("quantizing_again_changes_nothing",),
)
def idempotent(trial: Trial) -> None:
    """What came back lies on codes, so it has those codes again. Where rounding moved the ends of an affine range (a
    tie), the group has another scale the second time and says nothing."""
    first = came_back(trial)
    again = changed(trial.case, x=first.to(trial.dtype))
    before, after = Allowed(trial.case, trial.dtype, first), Allowed(again, trial.dtype, first)
    steady = (after.step - before.step).abs() <= 1e-3 * before.step
    if not given(trial.case)["symmetric"] and not bool(steady.any()):
        trial.not_applicable()
    second = came_back(trial, again)
    keep = torch.ones_like(steady) if given(trial.case)["symmetric"] else steady
    allowed = 4 * before.same() + before.largest * (4 * torch.finfo(second.dtype).eps)
    what = "quantizing the dequantized numbers again changes them"
    trial.note_error(within(second[keep], first[keep], allowed[keep], what))


@claim(
    "in symmetric mode the codes of -x are the negated codes of x",
    broken_by="rounded_down",
    max_cases=30,
    aliases=("sign_is_symmetric",),
)
def odd_in_symmetric_mode(trial: Trial) -> None:
    """Symmetric mode: -x has the negative codes of x, except half-way between two codes, where either is right."""
    if not given(trial.case)["symmetric"]:
        trial.not_applicable()
    plus = codes_of(trial.run().outputs[1], trial.case)
    minus = codes_of(trial.run(changed(trial.case, x=-given(trial.case)["x"])).outputs[1], trial.case)
    allowed = Allowed(trial.case, trial.dtype, came_back(trial))
    place = (allowed.x / allowed.step.clamp(min=1e-300)).abs()
    tie = (place - place.floor() - 0.5).abs() < 0.02
    wrong = ~tie & (plus.long() != -minus.long()) & (allowed.step > 0)
    if bool(wrong.any()):
        at = int(wrong.reshape(-1).nonzero()[0])
        both = [int(codes.reshape(-1)[at]) for codes in (plus, minus)]
        worst = f"x = {float(allowed.x.reshape(-1)[at]):.6g} has code {both[0]}, -x has {both[1]}"
        raise Violation("in symmetric mode the codes of -x are not the negated codes of x", worst=worst)


@claim(
    "the largest and smallest numbers do not wrap around",
    broken_by="not_clamped",
    cases=extreme_cases,
    aliases=("ends_do_not_wrap",),
)
def no_wraparound_at_the_range_ends(trial: Trial) -> None:
    """The largest and smallest numbers come back with their sign and size, cut to whole steps (where no tie runs a
    part) and as they are, half-way between two codes."""
    asked, worst = given(trial.case), 0.0
    step = Allowed(trial.case, trial.dtype, asked["x"]).step
    for case in (changed(trial.case, x=(asked["x"] / step).trunc() * step), trial.case):
        for dtype in dtypes(trial):
            out = came_back(trial, case, dtype=dtype)
            allowed = Allowed(case, dtype, out)
            what = "at the ends of the range, an error exceeds half a step"
            worst = max(worst, within(out, allowed.x, allowed.error, what))
    trial.note_error(worst)


@claim(
    "an outlier affects only its own slice or block",
    broken_by="one_scale_for_all",
    max_cases=30,
    aliases=("outliers_stay_in_their_group",),
)
def outliers_affect_only_their_group(trial: Trial) -> None:
    asked = given(trial.case)
    x, index = asked["x"], groups(asked["x"], asked["axis"], asked["block"])
    if int(index.max()) == 0:
        trial.not_applicable()
    mark = int(index.reshape(-1)[trial.seed % x.numel()])
    first = (index == mark).reshape(-1).nonzero()[0].item()
    spoiled = x.clone()
    spoiled.view(-1)[first] = -1e3 * (1 + float(x.abs().max()))
    plain = came_back(trial)
    others = index != mark
    found = came_back(trial, changed(trial.case, x=spoiled))
    allowed = Allowed(trial.case, trial.dtype, plain).same()
    what = "an outlier changes the numbers of another slice or block"
    trial.note_error(within(found[others], plain[others], allowed[others], what))


@claim(
    "a slice or block of zeros is dequantized to zeros",
    broken_by="zero_guard_replaces_all_scales",
    max_cases=30,
    aliases=("empty_groups_give_zeros",),
)
def all_zero_groups_give_zeros(trial: Trial) -> None:
    """A slice or block of nothing but zeros comes back as zeros, never NaN, and the others beside it as they must."""
    asked = given(trial.case)
    index = groups(asked["x"], asked["axis"], asked["block"])
    empty = index == index.reshape(-1)[-1]
    case = changed(trial.case, x=torch.where(empty, torch.zeros_like(asked["x"]), asked["x"]))
    worst = 0.0
    for dtype in dtypes(trial):
        out = came_back(trial, case, dtype=dtype)
        if not bool((out[empty] == 0).all()):
            found = f"0 is dequantized to {float(out[empty].reshape(-1)[0]):.6g}"
            raise Violation("a slice or block of zeros is not dequantized to zeros", worst=found)
        allowed = Allowed(case, dtype, out)
        what = "with a slice or block of zeros, an error elsewhere exceeds half a step"
        worst = max(worst, within(out, allowed.x, allowed.error, what))
    trial.note_error(worst)


@claim(
    "magnitudes from 1e-30 to 1e30 are quantized as accurately",
    broken_by="scale_in_float16",
    cases=size_cases,
    max_cases=30,
    aliases=("every_size_is_kept",),
)
def handles_any_magnitude(trial: Trial) -> None:
    """Largest numbers from 1e-30 to 1e30 in float32 and float64; in 16 bit what fits. Nothing is flushed to zero."""
    worst = 0.0
    for dtype in (*dtypes(trial), torch.float16):
        size = float(given(trial.case)["x"].abs().max())
        if dtype == torch.float16 and not 5e-7 <= size <= 6e4:
            continue
        answer = trial.attempt(dtype=dtype) if dtype == torch.float16 else trial.run(dtype=dtype)
        if answer.crash is not None:
            continue
        out = _checked(answer.value, trial.case)
        allowed = Allowed(trial.case, dtype, out)
        name = str(dtype).removeprefix("torch.")
        what = f"in {name}, with a largest number of {size:.0e}, an error exceeds half a step"
        worst = max(worst, within(out, allowed.x, allowed.error, what))
    trial.note_error(worst)


@claim(
    "it rounds to nearest: the mean rounding error is zero",
    broken_by="rounded_down",
    cases=even_cases,
    max_cases=6,
    aliases=("rounds_to_the_nearest",),
)
def rounds_to_nearest(trial: Trial) -> None:
    """Over numbers spread evenly, the mean error is 0.00 of a step, towards zero and away from it, up and down. Exact:
    correct rounding, whatever it does with ties, leaves below 0.01; truncation leaves 0.5."""
    out = came_back(trial)
    allowed = Allowed(trial.case, trial.dtype, out)
    lost = (allowed.x - out.double()) / allowed.step
    middle = 0.0 if given(trial.case)["symmetric"] else float(allowed.x.min() + allowed.x.max()) / 2
    ways = (
        ("too low", "too high", torch.ones_like(lost)),
        ("too near to zero", "too far from zero", allowed.x.sign()),
        ("too near to the middle of the range", "too far from the middle of the range", (allowed.x - middle).sign()),
    )
    for less, more, sign in ways:
        mean = float((lost * sign).mean())
        if not abs(mean) <= 0.05:
            way = less if mean > 0 else more
            found = f"numbers are {abs(mean):.2f} of a step {way} on average: they are truncated, not rounded"
            raise Violation(found, error=abs(mean) / 0.05)


@claim(
    "each slice along the axis has its own scale",
    broken_by="one_scale_per_axis_index",
    max_cases=30,
    aliases=("slices_are_quantized_alone",),
)
def slices_are_independent(trial: Trial) -> None:
    """A slice along the axis gives alone what it gives among the others; and axis -1 is the last axis."""
    asked = given(trial.case)
    x, axis = asked["x"], asked["axis"]
    if axis is None or x.dim() < 2:
        trial.not_applicable()
    plain = came_back(trial)
    allowed = Allowed(trial.case, trial.dtype, plain).same()
    worst = 0.0
    for other in (i for i in range(x.dim()) if i != axis % x.dim()):
        for place in {0, x.shape[other] - 1}:
            piece = (slice(None),) * other + (slice(place, place + 1),)
            alone = came_back(trial, changed(trial.case, x=x[piece].contiguous()))
            what = f"a slice along axis {axis} alone gives other numbers than among other slices"
            worst = max(worst, within(alone, plain[piece], allowed[piece], what))
    turned = came_back(trial, changed(trial.case, axis=axis - x.dim() if axis >= 0 else axis + x.dim()))
    what = "a negative axis gives other numbers than the same axis counted from the front"
    trial.note_error(worst)
    trial.note_error(within(turned, plain, allowed, what))


@claim(
    "each block has its own scale, a short last block too",
    broken_by="last_block_padded_with_ones",
    cases=block_cases,
    max_cases=30,
    aliases=("blocks_are_quantized_alone",),
)
def blocks_are_independent(trial: Trial) -> None:
    """The first and the last, shorter block give alone what they give among the others."""
    asked = given(trial.case)
    x, block = asked["x"].reshape(-1), asked["block"]
    plain = came_back(trial)
    last = (x.numel() - 1) // block * block
    worst = 0.0
    for dtype in dtypes(trial):
        whole = came_back(trial, dtype=dtype)
        allowed = Allowed(trial.case, dtype, whole)
        what = "with a short last block, an error exceeds half a step"
        worst = max(worst, within(whole, allowed.x, allowed.error, what))
    same = Allowed(trial.case, trial.dtype, plain).same().reshape(-1)
    for start in {0, last}:
        piece = slice(start, start + block)
        alone, among = came_back(trial, changed(trial.case, x=x[piece])), plain.reshape(-1)[piece]
        what = "a block alone gives other numbers than among other blocks"
        worst = max(worst, within(alone, among, same[piece], what))
    trial.note_error(worst)


@claim(
    "transposed, strided and expanded inputs give the same numbers",
    broken_by="blocks_in_memory_order",
    max_cases=20,
    aliases=("layout_does_not_matter",),
)
def independent_of_memory_layout(trial: Trial) -> None:
    """Transposed, strided and expanded inputs; blocks run in the order of the numbers, not of the memory."""
    x = given(trial.case)["x"]
    plain = came_back(trial)
    same = Allowed(trial.case, trial.dtype, plain).same()
    wide = x.new_zeros((*x.shape[:-1], 2 * x.shape[-1]))
    wide[..., ::2] = x
    spaced = came_back(trial, changed(trial.case, x=wide[..., ::2]))
    worst = within(spaced, plain, same, "with x as every second element of a larger tensor, the numbers differ")
    if x.dim() > 1:
        turned = came_back(trial, changed(trial.case, x=x.transpose(0, 1).contiguous().transpose(0, 1)))
        worst = max(worst, within(turned, plain, same, "with x stored transposed, the numbers differ"))
    rows = x[:1].expand(x.shape)
    laid_out = came_back(trial, changed(trial.case, x=rows.contiguous()))
    same = same + 1e-6 * float(x.abs().max())
    expanded = came_back(trial, changed(trial.case, x=rows))
    trial.note_error(worst)
    trial.note_error(within(expanded, laid_out, same, "with x expanded from one row, the numbers differ"))


@claim(
    "bfloat16 and float16 inputs are dequantized to within half a step",
    broken_by="computed_in_half_precision",
    cases=half_cases,
    max_cases=20,
    aliases=("half_precision_is_kept",),
)
def accurate_in_half_precision(trial: Trial) -> None:
    """bfloat16 and float16 numbers, within the same half step plus the rounding of the result."""
    worst, refused = 0.0, []
    for dtype in (torch.bfloat16, torch.float16):
        if not bool(torch.isfinite(given(trial.case)["x"].to(dtype)).all()):
            continue
        answer = trial.attempt(dtype=dtype)
        if answer.crash is not None:
            refused.append(f"{str(dtype).removeprefix('torch.')} ({answer.crash.error})")
            continue
        out = _checked(answer.value, trial.case)
        allowed = Allowed(trial.case, dtype, out)
        what = f"in {dtype}, an error exceeds half a step"
        worst = max(worst, within(out, allowed.x, allowed.error, what))
    if refused:
        raise NotSupported("it does not run in " + " or ".join(refused))
    trial.note_error(worst)


@claim(
    "a NaN or infinity is refused, or affects only its own group",
    broken_by="nan_spreads_to_all_blocks",
    max_cases=20,
    aliases=("a_nan_stays_in_its_group",),
)
def nan_affects_only_its_group(trial: Trial) -> None:
    """One NaN or infinity is refused with an error, or spoils its own slice or block alone."""
    asked = given(trial.case)
    x, index = asked["x"], groups(asked["x"], asked["axis"], asked["block"])
    if int(index.max()) == 0:
        trial.not_applicable()
    plain, worst = came_back(trial), 0.0
    allowed = Allowed(trial.case, trial.dtype, plain).same()
    for bad in (math.nan, math.inf, -math.inf):
        spoiled = x.clone()
        spoiled.view(-1)[0] = bad
        case = changed(trial.case, x=spoiled)
        answer = trial.attempt(case)
        if answer.crash is None:
            others = index != index.reshape(-1)[0]
            out = _checked(answer.value, case)
            what = f"one {bad} changes the numbers of another slice or block"
            worst = max(worst, within(out[others], plain[others], allowed[others], what))
    trial.note_error(worst)


@claim(
    "dequantize uses only its arguments",
    broken_by="scale_cached_across_calls",
    max_cases=20,
    aliases=("nothing_is_kept_between_calls",),
)
def no_state_between_calls(trial: Trial) -> None:
    """dequantize() uses the scale it is given, whatever was quantized before or after, and by which object."""
    asked = given(trial.case)
    call, back = quantizing(**asked), dequantizing(asked["block"])
    other = quantizing(**{**asked, "x": 3.0 * asked["x"].flip(0) + 1.0})
    plain = came_back(trial)
    allowed = Allowed(trial.case, trial.dtype, plain).same()
    scripts = {
        "after another tensor was quantized": (BUILD, other, call, back),
        "with another tensor quantized in between": (BUILD, call, other, dequantizing(asked["block"], back=1)),
        "by a new object": (BUILD, call, BUILD, back),
    }
    worst = 0.0
    for what, calls in scripts.items():
        out = _checked(trial.run(replace(trial.case, calls=calls)).value, trial.case)
        worst = max(worst, within(out, plain, allowed, f"{what}, dequantize() gives other numbers"))
    trial.note_error(worst)


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
            answer = trial.attempt(Case((BUILD, quantizing(x, axis, block, True))), dtype=torch.float32, weigh=True)
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


CONTRACT = Contract(
    name="quantize_int8",
    meaning="Int8 quantization with one scale per tensor, slice or block; the error is at most half a step.",
    calls={
        "build": Signature((), "the quantizer"),
        "quantize": Signature(
            (
                Argument("x", "float[...]"),
                Argument("axis", "integer", "setting", optional=True),
                Argument("block", "integer", "setting", optional=True),
                Argument("symmetric", "flag", "setting", optional=True, default=True),
            ),
            "(q: int8[...], scale, zero)",
        ),
        "dequantize": Signature(
            (
                Argument("q", "int8[...]"),
                Argument("scale", "float[...]"),
                Argument("zero", "int[...]"),
                Argument("block", "integer", "setting", optional=True),
            ),
            "float[...]",
        ),
    },
    reference=quantize_int8,
    cases=cases,
    differentiable=False,
    half_precision=False,
    agrees=False,
    order=90,
    headline=True,
    measures=(Measure("memory", "bits per number, scales and zero points included", memory),),
    sources=("Dettmers et al. 2022 (LLM.int8()), section 2.1", "Dettmers et al. 2022 (8-bit optimizers), section 2.1"),
    workloads=workloads.INT8,
    claims=(
        error_within_half_a_step,
        codes_are_int8,
        zero_is_exact,
        monotonic,
        idempotent,
        odd_in_symmetric_mode,
        no_wraparound_at_the_range_ends,
        outliers_affect_only_their_group,
        all_zero_groups_give_zeros,
        handles_any_magnitude,
        rounds_to_nearest,
        slices_are_independent,
        blocks_are_independent,
        independent_of_memory_layout,
        accurate_in_half_precision,
        nan_affects_only_its_group,
        no_state_between_calls,
    ),
)
