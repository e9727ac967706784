"""Round trips of 4-bit quantization: cases, published codebooks, and how far off a number may be dequantized."""

from __future__ import annotations

from dataclasses import replace

import torch
from hypothesis import strategies as st

from harness.core.case import Call, Case
from harness.core.claim import NotSupported, Trial, Violation
from harness.core.measurement import Measurement
from harness.core.values import Earlier
from harness.strategies.tensors import make, seeds, tensors
from specs.shared.quantization import within
from specs.shared.quantizers import BUILD, Bound, Quantizer, given

_TO_ZERO = (-1.0, -0.6961928, -0.52507305, -0.3949175, -0.28444138, -0.18477343, -0.09105004, 0.0)
_ABOVE_ZERO = (0.0795803, 0.1609302, 0.2461123, 0.33791524, 0.44070983, 0.562617, 0.72295684, 1.0)
NF4 = torch.tensor([*_TO_ZERO, *_ABOVE_ZERO], dtype=torch.float64)
FP4 = (0.0, 0.0625 / 12, 1 / 6, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 1.0)
E2M1 = (0.0, 1 / 12, *FP4[2:])

DOUBLE, SINGLE_NUMBER = 1.05, 1.25
"""Quantized scales may cost this much more over all numbers, and of the bound of a single one: its block's scale may be
off by a thirtieth of itself, where the 8-bit code is a float of three bits."""
SCALE_OFF = 0.02
"""By how much of the largest scale a quantized one may be off: eight even bits lose 0.4 %, the dynamic map of
bitsandbytes 0.6 % and more in its widest gap. A block of one small number beside large ones shows it."""
LOOK_UP = 1e-4
"""Relative to the largest number of a block: what a codebook of four digits loses, and computing in float32."""
BLOCKS = (64, 32, 64, 128)
"""Sizes that released kernels have; most are 64."""


def calls(*, x: torch.Tensor, block: int, kind: str, double: bool, back: int = 0) -> tuple[Call, Call]:
    parts = {name: Earlier("quantize", entry, back) for entry, name in enumerate(("packed", "scale"))}
    return (
        Call("quantize", {"x": x, "block": block, "kind": kind, "double": double}),
        Call("dequantize", {**parts, "shape": tuple(x.shape), "block": block, "kind": kind}),
    )


def codebook(trial: Trial, kind: str) -> torch.Tensor:
    """The numbers of the codes; the smallest of fp4 as declared."""
    if kind == "nf4":
        return NF4
    positive = torch.tensor(E2M1 if trial.has_form("e2m1") else FP4, dtype=torch.float64)
    return torch.cat([positive, -positive])


class CodebookBound(Bound):
    """What cannot be avoided is the distance to the nearest number of the codebook, times the largest of the block.

    Beyond it: what a codebook in float32 or of four digits loses, the rounding of a 16-bit result, and its smallest
    positive number. ``off_the_book``: how far the result is from the nearest number of the codebook.
    """

    def __init__(self, trial: Trial, case: Case, dtype: torch.dtype, out: torch.Tensor) -> None:
        asked = given(case)
        self.x = asked["x"].to(dtype).double()
        self.index = (torch.arange(self.x.numel()) // asked["block"]).reshape(self.x.shape)
        flat, where = self.x.abs().reshape(-1), self.index.reshape(-1)
        largest = torch.zeros(int(where.max()) + 1, dtype=torch.float64).scatter_reduce(0, where, flat, "amax")
        self.largest = largest[self.index]
        numbers = codebook(trial, asked["kind"]) * self.largest[..., None]
        limits = torch.finfo(out.dtype)
        loss = LOOK_UP + (2 * limits.eps if limits.bits == 16 else 0.0)
        self.error = loss * self.largest + limits.smallest_normal * limits.eps
        self.unavoidable = (self.x[..., None] - numbers).abs().amin(-1)
        self.off_the_book = (out.double()[..., None] - numbers).abs().amin(-1)


FOUR_BIT = Quantizer(calls, CodebookBound, group="block", miss="a number is not dequantized to the nearest code")


def packed_of(trial: Trial, case: Case | None = None) -> torch.Tensor:
    """The bytes that quantize() returned, in a row."""
    parts = trial.run(case or trial.case).outputs[1]
    if not isinstance(parts, (list, tuple)) or len(parts) < 2:
        raise Violation(f"quantize() must return (packed, scale); it returns a {type(parts).__name__}")
    packed = parts[0]
    if not torch.is_tensor(packed) or packed.is_floating_point() or packed.dtype.itemsize != 1:
        found = f"{packed.dtype} {list(packed.shape)}" if torch.is_tensor(packed) else f"a {type(packed).__name__}"
        raise Violation(f"packed is {found}; it must be torch.uint8, two codes per byte")
    return packed.reshape(-1).view(torch.uint8)


# cases ---------------------------------------------------------------------------------------------------------------


def round_trip(x: torch.Tensor, block: int, kind: str, family: str, double: bool = False) -> Case:
    return FOUR_BIT.case(family, x=x, block=block, kind=kind, double=double)


kinds = st.sampled_from(("nf4", "fp4"))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A few numbers or a few blocks, of any length, odd ones too. In one half the blocks differ by powers of ten."""
    block = draw(st.sampled_from(BLOCKS))
    shape = draw(
        st.sampled_from(((3,), (5, 7), (2, 3, 5), (1,), (11, 13), (129,), (2, 64), (33,), (4, 49), (2, 2, 51)))
    )
    x, family = draw(tensors(shape))
    if draw(st.booleans()) and x.numel() > block:
        x = (x.reshape(-1) * 10.0 ** (torch.arange(x.numel()) // block - 1.0)).reshape(shape)
        family += ", blocks of many magnitudes"
    return round_trip(x, block, draw(kinds), family)


@st.composite
def short_block_cases(draw: st.DrawFn) -> Case:
    """The last block is short, of an odd or even length."""
    block = draw(st.sampled_from((32, 64)))
    count = block * draw(st.integers(1, 3)) + draw(st.integers(1, block - 1))
    x = make(draw(st.sampled_from(("normal", "wide", "heavy tails"))), (count,), draw(seeds))
    return round_trip(x, block, draw(kinds), "a short last block")


@st.composite
def size_cases(draw: st.DrawFn) -> Case:
    """The largest number from 1e-30 to 1e30."""
    x = make("wide", (3, 33), draw(seeds))
    x = x / x.abs().amax() * 10.0 ** draw(st.sampled_from((-6, -4, -12, -20, -30, 4, 8, 30)))
    return round_trip(x, draw(st.sampled_from((64, 32))), draw(kinds), "of one size")


@st.composite
def half_cases(draw: st.DrawFn) -> Case:
    """What float16 can hold, down to numbers whose scale it barely can."""
    x = make(draw(st.sampled_from(("normal", "wide", "small integers"))), (3, 35), draw(seeds))
    x = x * draw(st.sampled_from((1e-6, 1.0, 1e-6, 1e3)))
    return round_trip(x, draw(st.sampled_from((64, 32))), draw(kinds), "16 bit")


@st.composite
def large_block_cases(draw: st.DrawFn) -> Case:
    """Every block size of released kernels, and a length that is not a multiple of it."""
    block = draw(st.sampled_from((4096, 1024, 2048, 256, 512, 32, 64, 128)))
    return round_trip(make("normal", (block + 35,), draw(seeds)), block, draw(kinds), f"blocks of {block}")


@st.composite
def weight_cases(draw: st.DrawFn) -> Case:
    """A normal weight of many blocks. Their scales are of one magnitude, as double quantization assumes."""
    size = 10.0 ** draw(st.sampled_from((-2, 0, -5, 5)))
    x = size * make("normal", (draw(st.sampled_from((300, 129))), 65), draw(seeds))
    return round_trip(x, draw(st.sampled_from((64, 32))), draw(kinds), "a normal weight", double=True)


@st.composite
def invalid_cases(draw: st.DrawFn) -> Case:
    """An unknown codebook, or a block size of 0."""
    x = make("normal", (3, 5), draw(seeds))
    kind = draw(st.sampled_from(("nf5", "nf4", "int5")))
    asked, _ = calls(x=x, block=0 if kind == "nf4" else 64, kind=kind, double=False)
    return Case((BUILD, asked), {}, "a block of 0" if kind == "nf4" else f"the unknown kind {kind!r}")


# checks --------------------------------------------------------------------------------------------------------------


def check_order_of_nibbles(trial: Trial) -> None:
    """Number 2 i alone changes the high half of byte i, number 2 i + 1 the low half; codes may have any order."""
    x = torch.ones(given(trial.case)["x"].numel() + 2, dtype=torch.float64)
    before = packed_of(trial, FOUR_BIT.changed(trial.case, x=x)).long()
    low_first = trial.has_form("low_half_first")
    for place in sorted({0, 1, x.numel() // 2, x.numel() // 2 + 1, x.numel() - 2}):
        negated = x.clone()
        negated[place] = -1.0
        difference = packed_of(trial, FOUR_BIT.changed(trial.case, x=negated)).long() ^ before
        if place == x.numel() - 1 and x.numel() % 2:
            difference[-1] &= 0x0F if low_first else 0xF0  # the other half of an odd last byte is free
        due, other, other_bits = ("high", "low", 0x0F) if (place % 2 == 0) != low_first else ("low", "high", 0xF0)
        found = difference.nonzero().reshape(-1).tolist()
        if found != [place // 2]:
            expected = f"byte {place // 2}: consecutive pairs share a byte"
            raise Violation(f"number {place} is in byte {found}; expected {expected}")
        if int(difference[place // 2]) & other_bits:
            declare = "if this is intended, declare it: --impl-variant=quantize_4bit=low_half_first"
            found_in = f"number {place} is in the {other} nibble of its byte; it must be in the {due} nibble"
            raise Violation(found_in if low_first else f"{found_in}; {declare}")


def check_error_of_double_quantization(trial: Trial) -> None:
    """Root mean square error beside plain scales; no single number is far off, and dequantizing a second time gives the
    same: the scales are not restored in place."""
    answer = trial.run(replace(trial.case, calls=(*trial.case.calls, trial.case.calls[-1])))
    out, again = (FOUR_BIT.checked(value, trial.case) for value in answer.outputs[-2:])
    plain = FOUR_BIT.run(trial, FOUR_BIT.changed(trial.case, double=False))
    exact = CodebookBound(trial, trial.case, trial.dtype, out)
    within(again, out, exact.same(), "with double quantization, dequantizing a second time gives other numbers")
    bound = codebook(trial, given(trial.case)["kind"]).sort().values.diff().amax() / 2 * exact.largest
    what = f"with double quantization, an error exceeds {SINGLE_NUMBER} times half the widest codebook gap"
    trial.note_error(within(out, exact.x, SINGLE_NUMBER * bound + SCALE_OFF * exact.largest.amax(), what))
    lost, usual = (float((value.double() - exact.x).pow(2).mean().sqrt()) for value in (out, plain))
    ratio, error = lost / usual, (lost / usual - 1) / (DOUBLE - 1)
    if not ratio <= DOUBLE:
        what = f"with double quantization the error is {ratio:.3f} times that of plain scales; allowed: {DOUBLE}"
        raise Violation(what, error=error)
    trial.note_error(error)


def quantized(x: torch.Tensor, block: int, double: bool) -> Case:
    """build and quantize alone."""
    return Case(FOUR_BIT.case("", x=x, block=block, kind="nf4", double=double).calls[:-1])


def returned_bytes(trial: Trial, x: torch.Tensor, double: bool) -> float:
    """The memory of all that quantize() returns."""
    facts = trial.run(quantized(x, 64, double), dtype=torch.float32, weigh=True).facts
    if "bytes of quantize()" not in facts:
        raise NotSupported("the memory of what it returns cannot be measured")
    return facts["bytes of quantize()"]


def memory(trial: Trial) -> Measurement:
    """Bits per number, everything that quantize() returns counted, for a weight of 65,536 numbers in float32."""
    x, bits = make("normal", (64 * 1024,), 7), {}
    for block in (64, 128):
        for double in (False, True):
            answer = trial.attempt(quantized(x, block, double), dtype=torch.float32, weigh=True)
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
