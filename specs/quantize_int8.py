"""Quantization to eight bits, with a scale per tensor, slice or block.

A quantizer may round ties either way, keep its scale as it likes (any shape and dtype, or a reciprocal) and multiply
where another divides: its codes need not be the reference's. It promises how far off a number comes back. Whatever its
quantize() returns is passed to its own dequantize().
"""

from __future__ import annotations

import torch

from harness.core.claim import Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature
from harness.core.measurement import Measure
from reference_model.quantization import quantize_int8
from specs.shared import int8
from specs.shared.int8 import INT8, StepBound, check_idempotence, codes_of
from specs.shared.quantization import dtypes, within
from specs.shared.quantizer_classes import QUANTIZERS
from specs.shared.quantizers import given
from specs.workloads import quantizers as workloads


@claim(
    "every number is dequantized to within half a step of its group",
    broken_by="rounding_forgotten",
    aliases=("error_is_within_the_bound",),
)
def error_within_half_a_step(trial: Trial) -> None:
    half = "largest number / 254" if given(trial.case)["symmetric"] else "range / 510"
    what = f"a number is dequantized with an error above half a step ({half} of its group)"
    for dtype in dtypes(trial):
        out = INT8.run(trial, dtype=dtype)
        bound = StepBound(trial, trial.case, dtype, out)
        trial.note_error(within(out, bound.x, bound.error, what))


@claim("every number has one int8 code", broken_by="unsigned_codes", max_cases=20)
def codes_are_int8(trial: Trial) -> None:
    codes = codes_of(trial.run().outputs[1], trial.case)
    if codes.dtype != torch.int8:
        raise Violation(f"q is {codes.dtype}; it must be torch.int8")


@claim(
    "zero is dequantized to exactly zero",
    broken_by="zero_point_not_integer",
    max_cases=30,
    aliases=("zero_comes_back_exactly",),
)
def zero_is_exact(trial: Trial) -> None:
    """Padding, masks and ReLUs are full of zeros; 0 must have a code, whatever the range."""
    INT8.check_zeros(trial)


@claim(
    "within a group a larger number is never dequantized to a smaller one",
    broken_by="sign_lost",
    max_cases=30,
    aliases=("order_is_kept",),
)
def monotonic(trial: Trial) -> None:
    INT8.check_order(trial)


@claim(
    "quantizing the dequantized numbers again gives the same numbers",
    broken_by="scale_twice",
    max_cases=30,
    aliases=("quantizing_again_changes_nothing",),
)
def idempotent(trial: Trial) -> None:
    """Dequantized numbers lie on codes, so they get the same codes again. Where rounding moved the ends of an affine
    range (a tie), the group has another scale the second time and is left out."""
    check_idempotence(trial)


@claim(
    "in symmetric mode the codes of -x are the negated codes of x",
    broken_by="rounded_down",
    max_cases=30,
    aliases=("sign_is_symmetric",),
)
def odd_in_symmetric_mode(trial: Trial) -> None:
    """Half-way between two codes either is right."""
    if not given(trial.case)["symmetric"]:
        trial.not_applicable()
    negated = INT8.changed(trial.case, x=-given(trial.case)["x"])
    plus, minus = (codes_of(trial.run(case).outputs[1], trial.case) for case in (trial.case, negated))
    bound = StepBound(trial, trial.case, trial.dtype, INT8.run(trial))
    place = (bound.x / bound.step.clamp(min=1e-300)).abs()
    tie = (place - place.floor() - 0.5).abs() < 0.02
    wrong = ~tie & (plus.long() != -minus.long()) & (bound.step > 0)
    if bool(wrong.any()):
        x, code, code_of_negated = (float(t[wrong][0]) for t in (bound.x, plus, minus))
        worst = f"x = {x:.6g} has code {code:.0f}, -x has {code_of_negated:.0f}"
        raise Violation("in symmetric mode the codes of -x are not the negated codes of x", worst=worst)


@claim(
    "the largest and smallest numbers do not wrap around",
    broken_by="not_clamped",
    cases=int8.extreme_cases,
    aliases=("ends_do_not_wrap",),
)
def no_wraparound_at_the_range_ends(trial: Trial) -> None:
    """The largest and smallest numbers come back with their sign and size: cut to whole steps (where no tie matters)
    and as they are, half-way between two codes."""
    x = given(trial.case)["x"]
    step = StepBound(trial, trial.case, trial.dtype, x).step
    for case in (INT8.changed(trial.case, x=(x / step).trunc() * step), trial.case):
        INT8.check_error(trial, case, "at the ends of the range")


@claim(
    "an outlier affects only its own slice or block",
    broken_by="one_scale_for_all",
    max_cases=30,
    aliases=("outliers_stay_in_their_group",),
)
def outliers_affect_only_their_group(trial: Trial) -> None:
    INT8.check_outliers(trial)


@claim(
    "a slice or block of zeros is dequantized to zeros",
    broken_by="zero_guard_replaces_all_scales",
    max_cases=30,
    aliases=("empty_groups_give_zeros",),
)
def all_zero_groups_give_zeros(trial: Trial) -> None:
    INT8.check_groups_of_zeros(trial)


@claim(
    "magnitudes from 1e-30 to 1e30 are quantized as accurately",
    broken_by="scale_in_float16",
    cases=int8.size_cases,
    max_cases=30,
    aliases=("every_size_is_kept",),
)
def handles_any_magnitude(trial: Trial) -> None:
    """Largest numbers from 1e-30 to 1e30 in float32 and float64; in 16 bit what fits. Nothing is flushed to zero."""
    size = float(given(trial.case)["x"].abs().max())
    INT8.check_error(trial, what=f"with a largest number of {size:.0e}")
    if 5e-7 <= size <= 6e4:
        answer = trial.attempt(dtype=torch.float16)
        if answer.crash is None:
            out = INT8.checked(answer.value, trial.case)
            what = f"in float16, with a largest number of {size:.0e}"
            INT8.check_output(trial, trial.case, torch.float16, out, what)


@claim(
    "it rounds to nearest: the mean rounding error is zero",
    broken_by="rounded_down",
    cases=int8.even_cases,
    max_cases=6,
    aliases=("rounds_to_the_nearest",),
)
def rounds_to_nearest(trial: Trial) -> None:
    int8.check_mean_error(trial)


@claim(
    "each slice along the axis has its own scale",
    broken_by="one_scale_per_axis_index",
    max_cases=30,
    aliases=("slices_are_quantized_alone",),
)
def slices_are_independent(trial: Trial) -> None:
    """A slice alone gives what it gives among the others; and axis -1 is the last axis."""
    x, axis = given(trial.case)["x"], given(trial.case)["axis"]
    if axis is None or x.dim() < 2:
        trial.not_applicable()
    plain, bound = INT8.run(trial), INT8.bound_of(trial)
    for other in (i for i in range(x.dim()) if i != axis % x.dim()):
        for place in {0, x.shape[other] - 1}:
            piece = (slice(None),) * other + (slice(place, place + 1),)
            alone = INT8.run(trial, INT8.changed(trial.case, x=x[piece].contiguous()))
            what = f"a slice along axis {axis} alone gives other numbers than among other slices"
            trial.note_error(within(alone, plain[piece], bound.same()[piece], what))
    other_sign = axis - x.dim() if axis >= 0 else axis + x.dim()
    counted_from_the_other_end = INT8.run(trial, INT8.changed(trial.case, axis=other_sign))
    what = "a negative axis gives other numbers than the same axis counted from the front"
    INT8.check_same(trial, counted_from_the_other_end, plain, bound, what)


@claim(
    "each block has its own scale, a short last block too",
    broken_by="last_block_padded_with_ones",
    cases=int8.block_cases,
    max_cases=30,
    aliases=("blocks_are_quantized_alone",),
)
def blocks_are_independent(trial: Trial) -> None:
    INT8.check_blocks(trial)


@claim(
    "transposed, strided and expanded inputs give the same numbers",
    broken_by="blocks_in_memory_order",
    max_cases=20,
    aliases=("layout_does_not_matter",),
)
def independent_of_memory_layout(trial: Trial) -> None:
    """Blocks run in the order of the numbers, not of the memory."""
    INT8.check_memory_layout(trial)


@claim(
    "bfloat16 and float16 inputs are dequantized to within half a step",
    broken_by="computed_in_half_precision",
    cases=int8.half_cases,
    max_cases=20,
    aliases=("half_precision_is_kept",),
)
def accurate_in_half_precision(trial: Trial) -> None:
    INT8.check_half_precision(trial, roundings=0)


@claim(
    "a NaN or infinity is refused, or affects only its own group",
    broken_by="nan_spreads_to_all_blocks",
    max_cases=20,
    aliases=("a_nan_stays_in_its_group",),
)
def nan_affects_only_its_group(trial: Trial) -> None:
    INT8.check_bad_numbers(trial)


@claim(
    "dequantize uses only its arguments",
    broken_by="scale_cached_across_calls",
    max_cases=20,
    aliases=("nothing_is_kept_between_calls",),
)
def no_state_between_calls(trial: Trial) -> None:
    INT8.check_no_state(trial)


CONTRACT = Contract(
    name="quantize_int8",
    meaning="Int8 quantization with one scale per tensor, slice or block; the error is at most half a step.",
    calls={
        "build": Signature((), "the quantizer"),
        "quantize": Signature(
            (
                Argument("x", "float[...]"),
                Argument("axis", "int", "setting", optional=True),
                Argument("block", "int", "setting", optional=True),
                Argument("symmetric", "bool", "setting", optional=True, default=True),
            ),
            "(q: int8[...], scale, zero)",
        ),
        "dequantize": Signature(
            (
                Argument("q", "int8[...]"),
                Argument("scale", "float[...]"),
                Argument("zero", "int[...]"),
                Argument("block", "int", "setting", optional=True),
            ),
            "float[...]",
        ),
    },
    reference=quantize_int8,
    cases=int8.cases,
    differentiable=False,
    half_precision=False,
    agrees=False,
    dialects=QUANTIZERS,
    order=90,
    headline=True,
    measures=(Measure("memory", "bits per number, scales and zero points included", int8.memory),),
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
