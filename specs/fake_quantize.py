"""Fake quantization: rounds in the forward pass, passes the gradient straight through, and tracks its range.

The implementation decides where exactly the codes lie (0 must be one of them), how ties round, and whether a number
half a step beyond the last code is inside. So no claim depends on numbers within a step of the ends.
"""

from __future__ import annotations

import torch

from harness.core.case import Case
from harness.core.claim import About, Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature, Variant
from harness.core.mistake import Edit
from reference_model.fake_quantize import fake_quantize
from specs.shared.fake_quantize import (
    EVAL,
    ROUNDING,
    TRAIN,
    Grid,
    cases,
    even_cases,
    forwarding,
    gradient_of,
    invalid_cases,
    rounded,
    x_of,
)
from specs.shared.quantization import dtypes, within
from specs.shared.range_tracking import (
    first_batch_sets_the_range,
    no_gradient_through_the_range,
    range_is_a_moving_average,
    range_is_frozen_in_evaluation,
    range_stays_stable,
    range_tracks_again_in_training,
    tracking_cases,
    tracking_continues_from_loaded_range,
)


@claim(
    "inside the range the error is at most half a step",
    broken_by="rounded_down",
    aliases=("inside_it_is_half_a_step_off",),
)
def error_within_half_a_step(trial: Trial) -> None:
    grid = Grid(trial.case)
    for dtype in dtypes(trial):
        out, x = rounded(trial, dtype), x_of(trial.case).to(dtype).double()
        inside = (x >= grid.low) & (x <= grid.high)
        steps = torch.where(grid.well_inside(x), 0.5 * grid.step, grid.step)[inside]
        allowed = torch.full_like(steps, ROUNDING * grid.width)
        what = f"inside the range the error exceeds half a step ({grid.bits} bits)"
        trial.note_error(within(out[inside], x[inside], allowed, what, steps))


@claim(
    "a number outside the range is clipped to the nearer end",
    broken_by="not_clamped",
    aliases=("outside_it_is_clipped",),
)
def clips_outside_the_range(trial: Trial) -> None:
    grid = Grid(trial.case)
    for dtype in dtypes(trial):
        out, x = rounded(trial, dtype), x_of(trial.case).to(dtype).double()
        outside = (x < grid.low) | (x > grid.high)
        ends = x.clamp(grid.low, grid.high)
        allowed = torch.full_like(x, ROUNDING * grid.width)
        what = "a number outside the range is not clipped to the nearer end"
        trial.note_error(within(out[outside], ends[outside], allowed[outside], what, grid.step))


@claim(
    "there are 2^bits output levels, evenly spaced",
    broken_by="always_eight_bits",
    cases=even_cases,
    max_cases=8,
    aliases=("there_are_as_many_values_as_codes",),
)
def number_and_spacing_of_levels(trial: Trial) -> None:
    """At most 2^bits and at least 2^bits - 3 different values, all the same distance apart."""
    grid = Grid(trial.case)
    values = rounded(trial).double().reshape(-1).sort().values
    gaps = values.diff()
    gaps = gaps[gaps > 10 * ROUNDING * grid.width]
    count, most = len(gaps) + 1, 2**grid.bits
    if not most - 3 <= count <= most:
        raise Violation(f"the output takes {count} different values over the range; {grid.bits} bits have {most} codes")
    uneven = float((gaps.max() - gaps.min()) / (4 * ROUNDING * grid.width))
    if not uneven <= 1:
        worst = f"neighbours are {float(gaps.min()):.6g} to {float(gaps.max()):.6g} apart"
        raise Violation("the output levels are not evenly spaced", worst=worst, error=uneven)
    trial.note_error(uneven)


@claim("zero stays exactly zero", broken_by="zero_point_not_integer", max_cases=16)
def zero_is_exact(trial: Trial) -> None:
    """Padding and the outputs of ReLU are zeros."""
    for dtype in dtypes(trial):
        out = rounded(trial, dtype, trial.case.changed(x=torch.zeros(3, dtype=torch.float64)))
        if bool((out.abs() > ROUNDING * 1e-2 * Grid(trial.case).width).any()):
            raise Violation("zero is not mapped to zero", worst=f"0 becomes {float(out[0]):.6g}")


@claim(
    "quantizing the output again does not change it",
    broken_by="noise_for_rounding",
    max_cases=16,
    aliases=("rounding_again_changes_nothing",),
)
def idempotent(trial: Trial) -> None:
    once = rounded(trial)
    again = rounded(trial, case=trial.case.changed(x=once.to(torch.float64)))
    allowed = torch.full_like(once.double(), 4 * ROUNDING * Grid(trial.case).width)
    trial.note_error(within(again, once, allowed, "quantizing the output again changes it"))


@claim(
    "in symmetric mode -x gives -out",
    broken_by="rounded_down",
    cases=even_cases,
    max_cases=8,
    aliases=("negative_numbers_mirror_positive_ones",),
)
def odd_in_symmetric_mode(trial: Trial) -> None:
    """Except half-way between two codes, and within a step of the ends."""
    grid = Grid(trial.case)
    if not grid.symmetric:
        trial.not_applicable()
    x, out = x_of(trial.case), rounded(trial).double()
    mirrored = rounded(trial, case=trial.case.changed(x=-x)).double()
    difference = (out + mirrored).abs()
    inside = grid.well_inside(x)
    allowed = torch.full_like(out, grid.step + ROUNDING * grid.width)
    ties = float(((difference > 4 * ROUNDING * grid.width) & inside).double().mean())
    if ties > 0.05:
        raise Violation("in symmetric mode -x does not give -out", worst=f"{ties:.0%} of the numbers differ")
    trial.note_error(within(-mirrored[inside], out[inside], allowed[inside], "in symmetric mode -x does not give -out"))


@claim(
    "inside the range the gradient is passed straight through",
    broken_by="straight_through_gradient_missing",
    aliases=("gradient_is_the_identity_inside",),
    about=frozenset({About.GRADIENT}),
)
def straight_through_gradient_inside(trial: Trial) -> None:
    found, cotangent = gradient_of(trial, trial.case)
    inside = Grid(trial.case).well_inside(x_of(trial.case))
    if not bool(inside.any()):
        trial.not_applicable()
    allowed = 1e-5 * cotangent.abs() + 1e-12
    what = "inside the range the gradient is not straight-through"
    trial.note_error(within(found[inside], cotangent[inside], allowed[inside], what))


@claim(
    "outside the range the gradient is zero, or passed through where declared",
    broken_by="gradient_stopped_below_range_only",
    cases=even_cases,
    max_cases=6,
    about=frozenset({About.GRADIENT}),
)
def gradient_is_zero_outside(trial: Trial) -> None:
    found, cotangent = gradient_of(trial, trial.case)
    outside = Grid(trial.case).well_outside(x_of(trial.case))
    if not bool(outside.any()):
        trial.not_applicable()
    passes = trial.has_form("passes_everything")
    expected = cotangent if passes else torch.zeros_like(cotangent)
    allowed = 1e-5 * cotangent.abs() + 1e-12
    what = f"outside the range the gradient is not {'passed through' if passes else '0'}"
    trial.note_error(within(found[outside], expected[outside], allowed[outside], what))


@claim(
    "a batch of zeros gives zeros, not NaN",
    broken_by="scale_without_guard",
    cases=tracking_cases,
    max_cases=3,
    aliases=("nothing_but_zeros_gives_zeros",),
)
def all_zeros_give_zeros(trial: Trial) -> None:
    zeros = torch.zeros(4, 3, dtype=torch.float64)
    for calls in ((TRAIN, forwarding(zeros)), (TRAIN, forwarding(zeros), EVAL, forwarding(zeros))):
        out = trial.run(Case((trial.case.calls[0], *calls))).value
        if not bool((out == 0).all()):
            raise Violation("a batch of zeros does not give zeros", worst=f"0 becomes {float(out.reshape(-1)[0])}")


CONTRACT = Contract(
    name="fake_quantize",
    meaning="Fake quantization: rounds to the levels of a tracked range, with a straight-through gradient inside it.",
    calls={
        "build": Signature(
            (
                Argument("bits", "int", "setting", optional=True, default=8),
                Argument("momentum", "float", "setting", optional=True, default=0.1),
                Argument("symmetric", "bool", "setting", optional=True, default=False),
            ),
            "the layer",
        ),
        "load": Signature((Argument("low", "float", "setting"), Argument("high", "float", "setting")), "nothing"),
        "forward": Signature((Argument("x", "float[...]"),), "float[...]"),
        "range": Signature((), "(low, high)"),
        "train": Signature((), "nothing"),
        "eval": Signature((), "nothing"),
    },
    optional_methods=frozenset({"range"}),
    reference=fake_quantize,
    cases=cases,
    invalid=invalid_cases,
    agrees=False,
    half_precision=False,
    order=94,
    case_count=24,
    variants=(
        Variant(
            "passes_everything",
            "Your gradient is passed straight through outside the range too: the plain estimator. "
            "Clipped numbers then drift further out.",
            (Edit(fake_quantize.forward, "passed = torch.where(inside, x, x.detach())", "passed = x"),),
        ),
        Variant(
            "momentum_is_kept",
            "Your momentum is the weight of the old range; here it is the weight of the new one.",
            (
                Edit(
                    fake_quantize.observe,
                    "self.low = self.low + self.momentum * (low - self.low)",
                    "self.low = low + self.momentum * (self.low - low)",
                ),
                Edit(
                    fake_quantize.observe,
                    "self.high = self.high + self.momentum * (high - self.high)",
                    "self.high = high + self.momentum * (self.high - high)",
                ),
            ),
        ),
    ),
    sources=(
        "Bengio et al. 2013, section 4",
        "Jacob et al. 2018, sections 3 and 3.1",
        "torch.ao.quantization.FakeQuantize",
    ),
    claims=(
        error_within_half_a_step,
        clips_outside_the_range,
        number_and_spacing_of_levels,
        zero_is_exact,
        idempotent,
        odd_in_symmetric_mode,
        straight_through_gradient_inside,
        gradient_is_zero_outside,
        first_batch_sets_the_range,
        range_is_a_moving_average,
        range_stays_stable,
        range_is_frozen_in_evaluation,
        range_tracks_again_in_training,
        tracking_continues_from_loaded_range,
        no_gradient_through_the_range,
        all_zeros_give_zeros,
    ),
)
