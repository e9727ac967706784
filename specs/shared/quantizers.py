"""What the sheets of int8 and 4-bit quantization share: the script of their cases, and checks of what comes back."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from harness.core.case import Call, Case
from harness.core.claim import NotSupported, Trial, Violation
from specs.shared.quantization import dtypes, floating, within

BUILD = Call("build", {})


class Bound:
    """For each element of x: its group, the largest absolute value there, and how far off it may be dequantized.

    ``error`` is what is allowed beyond ``unavoidable``: the distance to the nearest number that has a code, where that
    is known. All have the shape of x.
    """

    x: torch.Tensor
    index: torch.Tensor
    largest: torch.Tensor
    error: torch.Tensor
    unavoidable: torch.Tensor | float = 0.0

    def same(self) -> torch.Tensor:
        """The largest difference of two results that are made of the same codes: rounding, in float32 at the most."""
        return 1e-6 * self.largest + 1e-300


Calls = Callable[..., tuple[Call, Call]]
"""Makes the calls of quantize() and dequantize() with these arguments; ``back``: how many quantize() calls ago."""


def given(case: Case) -> dict[str, Any]:
    """The arguments of the last quantize()."""
    return next(dict(call.arguments) for call in reversed(case.calls) if call.method == "quantize")


class Quantizer:
    """The round trips of one kind of quantizer, and the checks that all kinds share.

    ``calls`` makes the script; ``bound(trial, case, dtype, out)`` says how far off a number may be; ``group`` names
    what shares a scale; ``miss`` says what is wrong with a number that is too far off.
    """

    def __init__(
        self, calls: Calls, bound: Callable[[Trial, Case, torch.dtype, torch.Tensor], Bound], *, group: str, miss: str
    ) -> None:
        self.calls, self.bound, self.group, self.miss = calls, bound, group, miss

    def case(self, family: str, sizes: dict[str, int] | None = None, **arguments: Any) -> Case:
        """build, quantize, dequantize: what the first returned is passed to the second as it is."""
        return Case((BUILD, *self.calls(**arguments)), sizes or {}, family)

    def changed(self, case: Case, **arguments: Any) -> Case:
        """The same case with other arguments of quantize(), and of dequantize() where it has them too."""
        return replace(case, calls=(BUILD, *self.calls(**{**given(case), **arguments})))

    def run(self, trial: Trial, case: Case | None = None, **options: Any) -> torch.Tensor:
        """What dequantize() returned, checked to be a number for each element of x."""
        case = case or trial.case
        return self.checked(trial.run(case, **options).value, case)

    def checked(self, out: Any, case: Case) -> torch.Tensor:
        return floating(out, given(case)["x"].shape)

    def bound_of(self, trial: Trial, case: Case | None = None) -> Bound:
        """The bound in the working precision."""
        return self.bound(trial, case or trial.case, trial.dtype, self.run(trial, case))

    # checks ----------------------------------------------------------------------------------------------------------

    def check_error(self, trial: Trial, case: Case | None = None, what: str = "") -> None:
        """Every number is dequantized to within its bound, in the working precision and in float32."""
        case = case or trial.case
        for dtype in dtypes(trial):
            self.check_output(trial, case, dtype, self.run(trial, case, dtype=dtype), what)

    def check_output(self, trial: Trial, case: Case, dtype: torch.dtype, out: torch.Tensor, what: str = "") -> None:
        bound = self.bound(trial, case, dtype, out)
        message = f"{what}, {self.miss}" if what else self.miss
        trial.note_error(within(out, bound.x, bound.error, message, bound.unavoidable))

    def check_zeros(self, trial: Trial) -> None:
        """A zero among other numbers is dequantized to exactly zero."""
        x = given(trial.case)["x"]
        mixed = x.reshape(-1).clone()
        mixed[1::3] = 0.0
        case = self.changed(trial.case, x=mixed.reshape(x.shape))
        for dtype in dtypes(trial):
            self.check_exact_zeros(self.run(trial, case, dtype=dtype).reshape(-1)[mixed == 0], "zero is")

    def check_groups_of_zeros(self, trial: Trial) -> None:
        """The last group holds nothing but zeros: they come back exactly, never as NaN, and the others as usual."""
        x, empty = given(trial.case)["x"], self.bound_of(trial).index
        empty = empty == empty.reshape(-1)[-1]
        case = self.changed(trial.case, x=torch.where(empty, torch.zeros_like(x), x))
        for dtype in dtypes(trial):
            out = self.run(trial, case, dtype=dtype)
            self.check_exact_zeros(out[empty], f"a {self.group} of zeros is", "zeros")
            self.check_output(trial, case, dtype, out, f"beside a {self.group} of zeros")

    @staticmethod
    def check_exact_zeros(out: torch.Tensor, what: str, expected: str = "zero") -> None:
        wrong = out[~(out == 0)]
        if wrong.numel():
            worst = f"0 is dequantized to {float(wrong[0]):.6g}"
            raise Violation(f"{what} not dequantized to {expected}", worst=worst)

    def check_order(self, trial: Trial) -> None:
        """Of two numbers in one group the larger is never dequantized to the smaller."""
        back = self.run(trial).double().reshape(-1)
        bound = self.bound_of(trial)
        x, index, same = bound.x.reshape(-1), bound.index.reshape(-1), bound.same().reshape(-1)
        wrong = (index[:, None] == index) & (x[:, None] < x - same) & (back[:, None] > back + same)
        if bool(wrong.any()):
            i, j = wrong.nonzero()[0].tolist()
            small, large, first, second = (f"{float(t[k]):.6g}" for t, k in ((x, i), (x, j), (back, i), (back, j)))
            worst = f"{small} < {large} become {first} > {second}"
            raise Violation("of two numbers the larger is dequantized to the smaller", worst=worst)

    def check_outliers(self, trial: Trial) -> None:
        """One element is made very large: no number of another group changes."""
        x, bound = given(trial.case)["x"], self.bound_of(trial)
        index = bound.index.reshape(-1)
        if int(index.max()) == 0:
            trial.not_applicable()
        place = trial.seed % x.numel()
        spoiled = x.reshape(-1).clone()
        spoiled[place] = -1e3 * (1 + float(x.abs().max()))
        found = self.run(trial, self.changed(trial.case, x=spoiled.reshape(x.shape)))
        what = f"an outlier changes the numbers of another {self.group}"
        self.check_same(trial, found, self.run(trial), bound, what, bound.index != index[place])

    def check_bad_numbers(self, trial: Trial) -> None:
        """One NaN or infinity is refused with an error, or spoils its own group alone."""
        x, plain, bound = given(trial.case)["x"], self.run(trial), self.bound_of(trial)
        if int(bound.index.max()) == 0:
            trial.not_applicable()
        for bad in (math.nan, math.inf, -math.inf):
            spoiled = x.reshape(-1).clone()
            spoiled[0] = bad
            case = self.changed(trial.case, x=spoiled.reshape(x.shape))
            answer = trial.attempt(case)
            if answer.crash is None:
                out = self.checked(answer.value, case)
                what = f"one {bad} changes the numbers of another {self.group}"
                self.check_same(trial, out, plain, bound, what, bound.index != bound.index.reshape(-1)[0])

    def check_same(
        self,
        trial: Trial,
        out: torch.Tensor,
        plain: torch.Tensor,
        bound: Bound,
        what: str,
        where: torch.Tensor | slice | tuple[slice, ...] = slice(None),
    ) -> None:
        """Two results that are made of the same codes."""
        trial.note_error(within(out[where], plain[where], bound.same()[where], what))

    def check_blocks(self, trial: Trial) -> None:
        """The first and the last, shorter block alone give what they give among the others."""
        asked = given(trial.case)
        x, block = asked["x"].reshape(-1), asked["block"]
        self.check_error(trial, what="with a short last block")
        plain, same = self.run(trial).reshape(-1), self.bound_of(trial).same().reshape(-1)
        for start in sorted({0, (x.numel() - 1) // block * block}):
            piece = slice(start, start + block)
            alone = self.run(trial, self.changed(trial.case, x=x[piece]))
            what = "a block alone gives other numbers than among other blocks"
            trial.note_error(within(alone, plain[piece], same[piece], what))

    def check_memory_layout(self, trial: Trial) -> None:
        """Strided, transposed and expanded inputs give what contiguous ones give."""
        x = given(trial.case)["x"]
        plain, bound = self.run(trial), self.bound_of(trial)
        if x.shape[-1] > 1:
            wide = x.new_zeros((*x.shape[:-1], 2 * x.shape[-1]))
            wide[..., ::2] = x
            spaced = self.run(trial, self.changed(trial.case, x=wide[..., ::2]))
            what = "with x as every second element of a larger tensor, the numbers differ"
            self.check_same(trial, spaced, plain, bound, what)
        if x.dim() > 1:
            transposed = self.changed(trial.case, x=x.transpose(0, 1).contiguous().transpose(0, 1))
            what = "with x stored transposed, the numbers differ"
            self.check_same(trial, self.run(trial, transposed), plain, bound, what)
        rows = x[:1].expand(x.shape)
        laid_out, expanded = (self.run(trial, self.changed(trial.case, x=y)) for y in (rows.contiguous(), rows))
        same = bound.same() + 1e-6 * float(x.abs().max())
        what = "with x expanded from one row, the numbers differ"
        trial.note_error(within(expanded, laid_out, same, what))

    def check_half_precision(self, trial: Trial, roundings: int) -> None:
        """bfloat16 and float16, up to so many further roundings of the dtype; where float16 can hold the numbers."""
        refused = []
        for dtype in (torch.bfloat16, torch.float16):
            if not bool(torch.isfinite(given(trial.case)["x"].to(dtype)).all()):
                continue
            answer = trial.attempt(dtype=dtype)
            if answer.crash is not None:
                refused.append(f"{str(dtype).removeprefix('torch.')} ({answer.crash.error})")
                continue
            out = self.checked(answer.value, trial.case)
            bound = self.bound(trial, trial.case, dtype, out)
            allowed = bound.error + roundings * torch.finfo(dtype).eps * bound.largest
            trial.note_error(within(out, bound.x, allowed, f"in {dtype}, {self.miss}", bound.unavoidable))
        if refused:
            raise NotSupported("it does not run in " + " or ".join(refused))

    def check_no_state(self, trial: Trial) -> None:
        """dequantize() uses its arguments alone, whatever was quantized before or after, and by which object."""
        asked = given(trial.case)
        quantize, dequantize = self.calls(**asked)
        other, _ = self.calls(**{**asked, "x": 3.0 * asked["x"].flip(0) + 1.0})
        _, earlier = self.calls(**asked, back=1)
        scripts = {
            "after another tensor was quantized": (BUILD, other, quantize, dequantize),
            "with another tensor quantized in between": (BUILD, quantize, other, earlier),
            "by a new object": (BUILD, quantize, BUILD, dequantize),
            "the second time": (BUILD, quantize, dequantize, dequantize),
        }
        plain, bound = self.run(trial), self.bound_of(trial)
        for what, calls in scripts.items():
            out = self.run(trial, replace(trial.case, calls=calls))
            self.check_same(trial, out, plain, bound, f"{what}, dequantize() gives other numbers")
