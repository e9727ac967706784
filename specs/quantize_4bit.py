"""Quantization to four bits: the codes of a book, in blocks with the largest absolute value as their scale.

A quantizer may number its codes as it likes, keep its scales as it likes (any shape, dtype or object) and refuse blocks that
no kernel has. It promises that every number comes back as the nearest of the book's sixteen, that two codes fill a byte, and
which of two comes first, because stored weights depend on it.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import Call, Case
from harness.core.claim import NotSupported, Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature, Variant
from harness.core.measurement import Measure, Measurement
from harness.core.mistake import Edit
from harness.core.values import Earlier
from harness.strategies.tensors import make, seeds, tensors
from reference_model.quantize_4bit import code_book, pack, quantize_4bit, unpack
from specs.shared.quantization import dtypes, floating, within
from specs.workloads import tools as workloads

_NF4 = (
    -1.0,
    -0.6961928,
    -0.52507305,
    -0.3949175,
    -0.28444138,
    -0.18477343,
    -0.09105004,
    0.0,
    0.0795803,
    0.1609302,
    0.2461123,
    0.33791524,
    0.44070983,
    0.562617,
    0.72295684,
    1.0,
)
_FP4 = (0.0, 0.0625 / 12, 1 / 6, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 1.0)
_E2M1 = (0.0, 1 / 12, *_FP4[2:])

LOOK_UP = 1e-4
"""Relative to the largest number of a block: what a book written down with four digits loses, and float32 on the way."""
DOUBLE, SINGLE_NUMBER = 1.05, 1.25
"""Quantized scales may cost this much more over all numbers, and of the bound of a single one: its block's scale may be off by
a thirtieth of itself, where the 8-bit code is a float of three bits."""
SCALE_OFF = 0.02
"""By how much of the largest scale a quantized one may be off: eight even bits lose 0.4 %, the dynamic map of bitsandbytes 0.6 %
and more in its widest gap. A block of one small number beside large ones shows it."""
BLOCKS = (64, 32, 64, 128)
"""Sizes that released kernels have; most are 64."""

BUILD = Call("build", {})


# cases ---------------------------------------------------------------------------------------------------------------


def round_trip(x: torch.Tensor, block: int, kind: str, double: bool, family: str) -> Case:
    """build, quantize, dequantize: what the first returned goes into the second as it is."""
    return Case((BUILD, quantizing(x, block, kind, double), dequantizing(x, block, kind)), {}, family)


def quantizing(x: torch.Tensor, block: int, kind: str, double: bool) -> Call:
    return Call("quantize", {"x": x, "block": block, "kind": kind, "double": double})


def dequantizing(x: torch.Tensor, block: int, kind: str, back: int = 0) -> Call:
    parts = {name: Earlier("quantize", entry, back) for entry, name in enumerate(("packed", "scale"))}
    return Call("dequantize", {**parts, "shape": tuple(x.shape), "block": block, "kind": kind})


kinds = st.sampled_from(("nf4", "fp4"))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A few numbers or a few blocks, of any length, odd ones too; blocks differ in size by powers of ten in one half."""
    block = draw(st.sampled_from(BLOCKS))
    shape = draw(
        st.sampled_from(((3,), (5, 7), (2, 3, 5), (1,), (11, 13), (129,), (2, 64), (33,), (4, 49), (2, 2, 51)))
    )
    x, family = draw(tensors(shape))
    if draw(st.booleans()) and x.numel() > block:
        x = (x.reshape(-1) * 10.0 ** (torch.arange(x.numel()) // block - 1.0)).reshape(shape)
        family += ", blocks of many sizes"
    return round_trip(x, block, draw(kinds), False, family)


@st.composite
def short_block_cases(draw: st.DrawFn) -> Case:
    """The last block is short, of an odd or even length."""
    block = draw(st.sampled_from((32, 64)))
    count = block * draw(st.integers(1, 3)) + draw(st.integers(1, block - 1))
    x = make(draw(st.sampled_from(("normal", "wide", "heavy tails"))), (count,), draw(seeds))
    return round_trip(x, block, draw(kinds), False, "a short last block")


@st.composite
def size_cases(draw: st.DrawFn) -> Case:
    """The largest number from 1e-30 to 1e30."""
    x = make("wide", (3, 33), draw(seeds))
    x = x / x.abs().amax() * 10.0 ** draw(st.sampled_from((-6, -4, -12, -20, -30, 4, 8, 30)))
    return round_trip(x, draw(st.sampled_from((64, 32))), draw(kinds), False, "of one size")


@st.composite
def half_cases(draw: st.DrawFn) -> Case:
    """What float16 can say, down to numbers whose scale it barely can."""
    x = make(draw(st.sampled_from(("normal", "wide", "small integers"))), (3, 35), draw(seeds))
    x = x * draw(st.sampled_from((1e-6, 1.0, 1e-6, 1e3)))
    return round_trip(x, draw(st.sampled_from((64, 32))), draw(kinds), False, "16 bit")


@st.composite
def large_block_cases(draw: st.DrawFn) -> Case:
    """Every block size of released kernels, and a length that is no multiple."""
    block = draw(st.sampled_from((4096, 1024, 2048, 256, 512, 32, 64, 128)))
    return round_trip(make("normal", (block + 35,), draw(seeds)), block, draw(kinds), False, f"blocks of {block}")


@st.composite
def weight_cases(draw: st.DrawFn) -> Case:
    """A weight as models have it: normal, and many blocks. Their scales are of one size, as double quantization assumes."""
    size = 10.0 ** draw(st.sampled_from((-2, 0, -5, 5)))
    x = size * make("normal", (draw(st.sampled_from((300, 129))), 65), draw(seeds))
    return round_trip(x, draw(st.sampled_from((64, 32))), draw(kinds), True, "a normal weight")


@st.composite
def invalid_cases(draw: st.DrawFn) -> Case:
    """A book that is not there, or a block of nothing."""
    x = make("normal", (3, 5), draw(seeds))
    kind = draw(st.sampled_from(("nf5", "nf4", "int5")))
    asked = quantizing(x, 0 if kind == "nf4" else 64, kind, False)
    return Case((BUILD, asked), {}, "a block of 0" if kind == "nf4" else f"the unknown kind {kind!r}")


# what is allowed -----------------------------------------------------------------------------------------------------


def given(case: Case) -> dict[str, Any]:
    """The arguments of the last quantize()."""
    return next(dict(c.arguments) for c in reversed(case.calls) if c.method == "quantize")


def changed(case: Case, **arguments: Any) -> Case:
    """The same case with other arguments of quantize(); dequantize() is told the same."""
    asked = {**given(case), **arguments}
    return replace(case, calls=(BUILD, quantizing(**asked), dequantizing(asked["x"], asked["block"], asked["kind"])))


def book(trial: Trial, kind: str) -> torch.Tensor:
    """The numbers of the codes; of fp4 the smallest as declared."""
    if kind == "nf4":
        return torch.tensor(_NF4, dtype=torch.float64)
    sizes = torch.tensor(_E2M1 if trial.variant == "e2m1" else _FP4, dtype=torch.float64)
    return torch.cat([sizes, -sizes])


class Allowed:
    """Per element of x: the largest number of its block, where its nearest codes lie, and how far off it may come back.

    Unavoidable is the distance to the nearest number of the book times the largest of the block; lost may be what a book in
    float32 or of four digits costs, the rounding of a 16-bit result and its smallest positive number.
    """

    def __init__(self, trial: Trial, case: Case, dtype: torch.dtype, out: torch.Tensor) -> None:
        asked = given(case)
        self.x = asked["x"].to(dtype).double()
        self.index = (torch.arange(self.x.numel()) // asked["block"]).reshape(self.x.shape)
        flat, where = self.x.abs().reshape(-1), self.index.reshape(-1)
        largest = torch.zeros(int(where.max()) + 1, dtype=torch.float64).scatter_reduce(0, where, flat, "amax")
        self.largest = largest[self.index]
        numbers = book(trial, asked["kind"]) * self.largest[..., None]
        limits = torch.finfo(out.dtype)
        loss = LOOK_UP + (2 * limits.eps if limits.bits == 16 else 0.0)
        self.loss = loss * self.largest + limits.smallest_normal * limits.eps
        self.nearest = (self.x[..., None] - numbers).abs().amin(-1)
        self.off_the_book = (out.double()[..., None] - numbers).abs().amin(-1)

    def same(self) -> torch.Tensor:
        """How far apart two results may be that are made of the same codes: rounding, in float32 at the most."""
        return 1e-6 * self.largest + 1e-300


def came_back(trial: Trial, case: Case | None = None, **options: Any) -> torch.Tensor:
    """What dequantize() made of it, checked to be a number for each element of x."""
    case = case or trial.case
    return floating(trial.run(case, **options).value, given(case)["x"].shape)


def packed_of(trial: Trial, case: Case | None = None) -> torch.Tensor:
    """The bytes that quantize() returned, in a row."""
    case = case or trial.case
    parts = trial.run(case).outputs[1]
    if not isinstance(parts, (list, tuple)) or len(parts) < 2:
        raise Violation(f"quantize() must return (packed, scale); it returns a {type(parts).__name__}")
    packed = parts[0]
    if not torch.is_tensor(packed) or packed.is_floating_point() or packed.dtype.itemsize != 1:
        found = f"{packed.dtype} {list(packed.shape)}" if torch.is_tensor(packed) else f"a {type(packed).__name__}"
        raise Violation(f"packed is {found}; it must be torch.uint8, two codes per byte")
    return packed.reshape(-1).view(torch.uint8)


# claims --------------------------------------------------------------------------------------------------------------


@claim(
    "every number is dequantized to the nearest codebook value times its block's absolute maximum",
    broken_by="evenly_spaced_codes",
    aliases=("comes_back_as_the_nearest_code",),
)
def rounds_to_the_nearest_code(trial: Trial) -> None:
    """Nothing nearer than the nearest either: what comes back is a number of the book."""
    worst = 0.0
    for dtype in dtypes(trial):
        out = came_back(trial, dtype=dtype)
        allowed = Allowed(trial, trial.case, dtype, out)
        kind = given(trial.case)["kind"]
        what = f"a number is not dequantized to the nearest {kind} code times its block's absolute maximum"
        worst = max(worst, within(out, allowed.x, allowed.loss, what, allowed.nearest))
        away = torch.zeros_like(allowed.x)
        what = f"a dequantized number is not in the {kind} codebook times its block's absolute maximum"
        worst = max(worst, within(allowed.off_the_book, away, allowed.loss, what))
    trial.note_error(worst)


@claim(
    "two codes share a byte; an odd last code takes a byte of its own",
    broken_by="one_code_per_byte",
    max_cases=12,
    aliases=("two_codes_fill_a_byte",),
)
def two_codes_per_byte(trial: Trial) -> None:
    count, found = given(trial.case)["x"].numel(), packed_of(trial).numel()
    if found != (count + 1) // 2:
        raise Violation(
            f"packed holds {found} bytes for {count} numbers; expected {(count + 1) // 2}, two codes per byte"
        )


@claim(
    "the first of two codes is in the high nibble of their byte",
    broken_by="halves_of_the_tensor_packed_together",
    max_cases=6,
    aliases=("first_of_two_is_in_the_high_half",),
)
def first_code_in_the_high_nibble(trial: Trial) -> None:
    """Number 2 i alone changes the high half of byte i, number 2 i + 1 the low half. Says nothing of how codes are numbered."""
    asked = given(trial.case)
    x = torch.ones(asked["x"].numel() + 2, dtype=torch.float64)
    before = packed_of(trial, changed(trial.case, x=x)).long()
    low_first = trial.variant == "low_half_first"
    for place in sorted({0, 1, x.numel() // 2, x.numel() // 2 + 1, x.numel() - 2}):
        turned = x.clone()
        turned[place] = -1.0
        moved = packed_of(trial, changed(trial.case, x=turned)).long() ^ before
        if place == x.numel() - 1 and x.numel() % 2:
            moved[-1] &= 0x0F if low_first else 0xF0
        high = (place % 2 == 0) != low_first
        changed_bytes = moved.nonzero().reshape(-1).tolist()
        half = 0x0F if high else 0xF0
        if changed_bytes != [place // 2]:
            raise Violation(
                f"number {place} is in byte {changed_bytes}; expected byte {place // 2}: consecutive pairs share a byte"
            )
        if int(moved[place // 2]) & half:
            where, due = ("low", "high") if high else ("high", "low")
            declare = (
                "" if low_first else "; if this is intended, declare it: --impl-variant=quantize_4bit=low_half_first"
            )
            raise Violation(
                f"number {place} is in the {where} nibble of its byte; it must be in the {due} nibble{declare}"
            )


@claim(
    "zero is dequantized to exactly zero",
    broken_by="evenly_spaced_codes",
    max_cases=12,
    aliases=("zero_comes_back_exactly",),
)
def zero_is_exact(trial: Trial) -> None:
    """Padding and masks are full of zeros; both books have one."""
    x = given(trial.case)["x"].clone()
    x.view(-1)[1::3] = 0.0
    case = changed(trial.case, x=x)
    for dtype in dtypes(trial):
        wrong = came_back(trial, case, dtype=dtype)[x == 0]
        if bool((wrong != 0).any()):
            worst = f"0 is dequantized to {float(wrong[wrong != 0][0]):.6g}"
            raise Violation("zero is not dequantized to zero", worst=worst)


@claim(
    "a block of zeros is dequantized to zeros",
    broken_by="scale_without_guard",
    max_cases=12,
    aliases=("empty_blocks_give_zeros",),
)
def all_zero_blocks_give_zeros(trial: Trial) -> None:
    """A block of nothing but zeros comes back as zeros, never NaN, and the others beside it as they must."""
    asked = given(trial.case)
    x = asked["x"].reshape(-1).clone()
    x[(x.numel() - 1) // asked["block"] * asked["block"] :] = 0.0
    case = changed(trial.case, x=x.reshape(asked["x"].shape))
    worst = 0.0
    for dtype in dtypes(trial):
        out = came_back(trial, case, dtype=dtype)
        allowed = Allowed(trial, case, dtype, out)
        what = "with a block of zeros, a number is not dequantized to the nearest code"
        worst = max(worst, within(out, allowed.x, allowed.loss, what, allowed.nearest))
    trial.note_error(worst)


@claim(
    "within a block a larger number is never dequantized to a smaller one",
    broken_by="fp4_bits_read_as_an_integer",
    max_cases=16,
    aliases=("order_is_kept",),
)
def monotonic(trial: Trial) -> None:
    """Of two numbers in one block the larger never comes back smaller."""
    out = came_back(trial)
    allowed = Allowed(trial, trial.case, trial.dtype, out)
    x, back = allowed.x.reshape(-1), out.double().reshape(-1)
    index, same = allowed.index.reshape(-1), allowed.same().reshape(-1)
    wrong = (index[:, None] == index) & (x[:, None] < x - same) & (back[:, None] > back + same)
    if bool(wrong.any()):
        i, j = wrong.nonzero()[0].tolist()
        small, large, first, second = (f"{float(t[k]):.6g}" for t, k in ((x, i), (x, j), (back, i), (back, j)))
        raise Violation(
            "of two numbers the larger is dequantized to the smaller",
            worst=f"{small} < {large} become {first} > {second}",
        )


@claim(
    "quantizing the dequantized numbers again gives the same numbers",
    broken_by="scale_twice",
    max_cases=12,
    aliases=("quantizing_again_changes_nothing",),
)
def idempotent(trial: Trial) -> None:
    """What came back lies on codes, and the largest of a block on the code 1 or -1: it has those codes again."""
    first = came_back(trial)
    second = came_back(trial, changed(trial.case, x=first.to(trial.dtype)))
    before = Allowed(trial, trial.case, trial.dtype, first)
    allowed = before.loss + 4 * before.same()
    trial.note_error(within(second, first, allowed, "quantizing the dequantized numbers again changes them"))


@claim(
    "an outlier affects only its own block",
    broken_by="one_scale_for_all",
    max_cases=16,
    aliases=("outliers_stay_in_their_block",),
)
def outliers_affect_only_their_block(trial: Trial) -> None:
    asked = given(trial.case)
    x, block = asked["x"], asked["block"]
    if x.numel() <= block:
        trial.not_applicable()
    spoiled = x.clone()
    place = trial.seed % x.numel()
    spoiled.view(-1)[place] = -1e3 * (1 + float(x.abs().max()))
    plain = came_back(trial)
    allowed = Allowed(trial, trial.case, trial.dtype, plain)
    others = allowed.index != place // block
    found = came_back(trial, changed(trial.case, x=spoiled))
    trial.note_error(
        within(
            found[others],
            plain[others],
            allowed.same()[others],
            "an outlier changes the numbers of another block",
        )
    )


@claim(
    "each block has its own scale, a short last block too",
    broken_by="last_block_dropped",
    cases=short_block_cases,
    max_cases=10,
    aliases=("blocks_are_quantized_alone",),
)
def blocks_are_independent(trial: Trial) -> None:
    """The first and the last, shorter block give alone what they give among the others."""
    asked = given(trial.case)
    x, block = asked["x"].reshape(-1), asked["block"]
    plain = came_back(trial).reshape(-1)
    allowed = Allowed(trial, trial.case, trial.dtype, came_back(trial))
    what = "with a short last block, a number is not dequantized to the nearest code"
    worst = within(plain, allowed.x.reshape(-1), allowed.loss.reshape(-1), what, allowed.nearest.reshape(-1))
    for start in (0, (x.numel() - 1) // block * block):
        piece = slice(start, start + block)
        alone = came_back(trial, changed(trial.case, x=x[piece]))
        what = "a block alone gives other numbers than among other blocks"
        worst = max(worst, within(alone, plain[piece], allowed.same().reshape(-1)[piece], what))
    trial.note_error(worst)


@claim(
    "magnitudes from 1e-30 to 1e30 are quantized as accurately",
    broken_by="scale_in_float16",
    cases=size_cases,
    max_cases=10,
    aliases=("every_size_is_kept",),
)
def handles_any_magnitude(trial: Trial) -> None:
    """Largest numbers from 1e-30 to 1e30 in float32 and float64. Nothing is flushed to zero."""
    worst = 0.0
    for dtype in dtypes(trial):
        out = came_back(trial, dtype=dtype)
        allowed = Allowed(trial, trial.case, dtype, out)
        size = float(given(trial.case)["x"].abs().max())
        what = f"with a largest number of {size:.0e}, a number is not dequantized to the nearest code"
        worst = max(worst, within(out, allowed.x, allowed.loss, what, allowed.nearest))
    trial.note_error(worst)


@claim(
    "every number gets its nearest code at block sizes from 32 to 4096",
    broken_by="packed_byte_not_cleared",
    cases=large_block_cases,
    max_cases=8,
    aliases=("every_block_size_is_as_good",),
)
def accurate_at_every_block_size(trial: Trial) -> None:
    worst, block = 0.0, given(trial.case)["block"]
    for dtype in dtypes(trial):
        out = came_back(trial, dtype=dtype)
        allowed = Allowed(trial, trial.case, dtype, out)
        what = f"in blocks of {block}, a number is not dequantized to the nearest code"
        worst = max(worst, within(out, allowed.x, allowed.loss, what, allowed.nearest))
    trial.note_error(worst)


@claim(
    "transposed, strided and expanded inputs give the same numbers",
    broken_by="blocks_in_memory_order",
    max_cases=10,
    aliases=("layout_does_not_matter",),
)
def independent_of_memory_layout(trial: Trial) -> None:
    """Transposed, strided and expanded inputs; blocks run in the order of the numbers, not of the memory."""
    x = given(trial.case)["x"]
    plain = came_back(trial)
    same = Allowed(trial, trial.case, trial.dtype, plain).same()
    worst = 0.0
    if x.shape[-1] > 1:
        wide = x.new_zeros((*x.shape[:-1], 2 * x.shape[-1]))
        wide[..., ::2] = x
        spaced = came_back(trial, changed(trial.case, x=wide[..., ::2]))
        worst = within(spaced, plain, same, "with x as every second element of a larger tensor, the numbers differ")
    if x.dim() > 1:
        turned = came_back(trial, changed(trial.case, x=x.transpose(0, 1).contiguous().transpose(0, 1)))
        worst = max(worst, within(turned, plain, same, "with x stored transposed, the numbers differ"))
        rows = x[:1].expand(x.shape)
        laid_out = came_back(trial, changed(trial.case, x=rows.contiguous()))
        expanded = came_back(trial, changed(trial.case, x=rows))
        same = same + 1e-6 * float(x.abs().max())
        worst = max(worst, within(expanded, laid_out, same, "with x expanded from one row, the numbers differ"))
    trial.note_error(worst)


@claim(
    "bfloat16 and float16 inputs are dequantized as accurately, up to two roundings",
    broken_by="reciprocal_in_half_precision",
    cases=half_cases,
    max_cases=10,
    aliases=("half_precision_is_kept",),
)
def accurate_in_half_precision(trial: Trial) -> None:
    """bfloat16 and float16 numbers, within the nearest code plus two roundings of that dtype."""
    worst, refused = 0.0, []
    for dtype in (torch.bfloat16, torch.float16):
        answer = trial.attempt(dtype=dtype)
        if answer.crash is not None:
            refused.append(f"{str(dtype).removeprefix('torch.')} ({answer.crash.error})")
            continue
        out = floating(answer.value, given(trial.case)["x"].shape)
        allowed = Allowed(trial, trial.case, dtype, out)
        bound = allowed.loss + 2 * torch.finfo(dtype).eps * allowed.largest
        what = f"in {dtype}, a number is not dequantized to the nearest code"
        worst = max(worst, within(out, allowed.x, bound, what, allowed.nearest))
    if refused:
        raise NotSupported("it does not run in " + " or ".join(refused))
    trial.note_error(worst)


@claim(
    "a NaN or infinity is refused, or affects only its own block",
    broken_by="nan_spreads_to_all_blocks",
    max_cases=16,
    aliases=("a_nan_stays_in_its_block",),
)
def nan_affects_only_its_block(trial: Trial) -> None:
    """One NaN or infinity is refused with an error, or spoils its own block alone."""
    asked = given(trial.case)
    x = asked["x"]
    if x.numel() <= asked["block"]:
        trial.not_applicable()
    plain, worst = came_back(trial), 0.0
    allowed = Allowed(trial, trial.case, trial.dtype, plain)
    others = allowed.index != 0
    for bad in (math.nan, math.inf, -math.inf):
        spoiled = x.clone()
        spoiled.view(-1)[0] = bad
        answer = trial.attempt(changed(trial.case, x=spoiled))
        if answer.crash is None:
            out = floating(answer.value, x.shape)
            what = f"one {bad} changes the numbers of another block"
            worst = max(worst, within(out[others], plain[others], allowed.same()[others], what))
    trial.note_error(worst)


@claim(
    "dequantize uses only its arguments and does not modify them",
    broken_by="scale_cached_across_calls",
    max_cases=10,
    aliases=("nothing_is_kept_between_calls",),
)
def no_state_between_calls(trial: Trial) -> None:
    """dequantize() uses what it is given and leaves it as it was, whatever was quantized before or after, by whichever object."""
    asked = given(trial.case)
    x, block, kind = asked["x"], asked["block"], asked["kind"]
    call, back = quantizing(**asked), dequantizing(x, block, kind)
    other = quantizing(**{**asked, "x": 3.0 * x.flip(0) + 1.0})
    plain = came_back(trial)
    allowed = Allowed(trial, trial.case, trial.dtype, plain).same()
    scripts = {
        "after another tensor was quantized": (BUILD, other, call, back),
        "with another tensor quantized in between": (BUILD, call, other, dequantizing(x, block, kind, back=1)),
        "by a new object": (BUILD, call, BUILD, back),
        "the second time": (BUILD, call, back, back),
    }
    worst = 0.0
    for what, calls in scripts.items():
        out = floating(trial.run(replace(trial.case, calls=calls)).value, x.shape)
        worst = max(worst, within(out, plain, allowed, f"{what}, dequantize() gives other numbers"))
    trial.note_error(worst)


@claim(
    "double quantization raises the error to at most 1.05 times that of plain scales",
    broken_by="scale_mean_not_added_back",
    cases=weight_cases,
    max_cases=6,
)
def double_quantization_costs_little(trial: Trial) -> None:
    """Over a normal weight the error, as root of the mean square, is at most 1.05 times that of plain scales; no number is far
    off; and dequantizing a second time gives the same (the scales are not restored in place)."""
    asked = given(trial.case)
    x, block, kind = asked["x"], asked["block"], asked["kind"]
    answer = trial.run(replace(trial.case, calls=(*trial.case.calls, dequantizing(x, block, kind))))
    out, again = (floating(value, x.shape) for value in answer.outputs[-2:])
    plain = came_back(trial, changed(trial.case, double=False))
    exact = Allowed(trial, trial.case, trial.dtype, out)
    within(again, out, exact.same(), "with double quantization, dequantizing a second time gives other numbers")
    bound = book(trial, kind).sort().values.diff().amax() / 2 * exact.largest
    what = f"with double quantization, an error exceeds {SINGLE_NUMBER} times half the widest codebook gap"
    worst = within(out, exact.x, SINGLE_NUMBER * bound + SCALE_OFF * exact.largest.amax(), what)
    lost, usual = (float((value.double() - exact.x).pow(2).mean().sqrt()) for value in (out, plain))
    if not lost <= DOUBLE * usual:
        found = (
            f"with double quantization the error is {lost / usual:.3f} times that of plain scales; allowed: {DOUBLE}"
        )
        raise Violation(found, error=(lost / usual - 1) / (DOUBLE - 1))
    trial.note_error(worst)
    trial.note_error((lost / usual - 1) / (DOUBLE - 1))


@claim(
    "double quantization takes less memory than plain scales",
    broken_by="double_ignored",
    cases=weight_cases,
    max_cases=1,
)
def double_quantization_saves_memory(trial: Trial) -> None:
    """What quantize() returns for a large weight is smaller with double quantization than without."""
    x = make("normal", (64 * 1024,), 7)
    double, plain = (returned_bytes(trial, x, 64, "nf4", way) for way in (True, False))
    if not double < plain:
        raise Violation(f"with double quantization 65,536 numbers take {double:,.0f} bytes, without it {plain:,.0f}")


def returned_bytes(trial: Trial, x: torch.Tensor, block: int, kind: str, double: bool) -> float:
    case = Case((BUILD, quantizing(x, block, kind, double)))
    facts = trial.run(case, dtype=torch.float32, weigh=True).facts
    if "bytes of quantize()" not in facts:
        raise NotSupported("the memory of what it returns cannot be measured")
    return facts["bytes of quantize()"]


def memory(trial: Trial) -> Measurement:
    """Bits per number, everything that quantize() returns counted, for a weight of 65,536 numbers in float32."""
    x, bits = make("normal", (64 * 1024,), 7), {}
    for block in (64, 128):
        for double in (False, True):
            case = Case((BUILD, quantizing(x, block, "nf4", double)))
            answer = trial.attempt(case, dtype=torch.float32, weigh=True)
            if answer.crash is None:
                label = f"blocks of {block}" + (", double quantization" if double else "")
                bits[label] = 8 * answer.facts["bytes of quantize()"] / x.numel()
    best = min(bits, key=lambda label: bits[label])
    usual = bits.get("blocks of 64", bits[best])
    return Measurement(
        sentence=f"A number takes {usual:.3f} bits in blocks of 64; {bits[best]:.3f} at best ({best}).",
        how="total memory of what quantize() returns for 65,536 normal float32 numbers",
        value=usual,
        unit="bits per number",
        series=bits,
    )


CONTRACT = Contract(
    name="quantize_4bit",
    meaning="4-bit quantization with the NF4 or FP4 codebook: two codes per byte and one scale per block.",
    calls={
        "build": Signature((), "the quantizer"),
        "quantize": Signature(
            (
                Argument("x", "float[...]"),
                Argument("block", "integer", "setting", optional=True, default=64),
                Argument("kind", "text", "setting", optional=True, default="nf4"),
                Argument("double", "flag", "setting", optional=True, default=False),
            ),
            "(packed: uint8[ceil(numel / 2)], scale)",
        ),
        "dequantize": Signature(
            (
                Argument("packed", "uint8[...]"),
                Argument("scale", "what quantize() returned"),
                Argument("shape", "the shape of x", "setting"),
                Argument("block", "integer", "setting", optional=True, default=64),
                Argument("kind", "text", "setting", optional=True, default="nf4"),
            ),
            "float[...]",
        ),
    },
    reference=quantize_4bit,
    cases=cases,
    invalid=invalid_cases,
    differentiable=False,
    half_precision=False,
    agrees=False,
    order=91,
    headline=True,
    case_count=24,
    variants=(
        Variant(
            "low_half_first",
            "You put the first of two numbers in the low half of a byte, as ggml and many kernels do; bitsandbytes has it in the high.",
            (
                Edit(pack, "packed = first * 16 + second", "packed = second * 16 + first"),
                Edit(unpack, "pairs = torch.stack([first, second], -1)", "pairs = torch.stack([second, first], -1)"),
            ),
        ),
        Variant(
            "e2m1",
            "Your smallest FP4 number is 1/12 of the largest, as in the E2M1 format; bitsandbytes has 1/192.",
            (Edit(code_book, "smallest = 0.0625", "smallest = 1.0"),),
        ),
    ),
    measures=(Measure("memory", "bits per number, scales included", memory),),
    sources=(
        "Dettmers et al. 2023 (QLoRA), section 3 and appendix E",
        "bitsandbytes functional.py quantize_4bit, dequantize_4bit",
    ),
    workloads=workloads.NF4_BLOCKS,
    claims=(
        rounds_to_the_nearest_code,
        two_codes_per_byte,
        first_code_in_the_high_nibble,
        zero_is_exact,
        all_zero_blocks_give_zeros,
        monotonic,
        idempotent,
        outliers_affect_only_their_block,
        blocks_are_independent,
        handles_any_magnitude,
        accurate_at_every_block_size,
        independent_of_memory_layout,
        accurate_in_half_precision,
        nan_affects_only_its_block,
        no_state_between_calls,
        double_quantization_costs_little,
        double_quantization_saves_memory,
    ),
)
