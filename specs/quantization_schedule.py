"""How many bits numbers are quantized to, step by step of a training run.

Where a boundary falls between two steps, either of them may be the first of the next width: rounding down, rounding up
and comparing fractions are all right. Where it falls on a step, that step is the first.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from harness.core.claim import Trial, Violation, claim
from harness.core.contract import Argument, Contract, Dialect, Signature, Variant
from harness.core.implementation import CrashKind
from harness.core.mistake import Edit
from reference_model.quantization_schedule import quantization_schedule
from specs.shared.quantization_schedule_cases import (
    USUAL,
    Widths,
    as_width,
    cases,
    configured,
    on_a_step,
    runs_of_no_steps,
    widths_of,
)

ZERO_DIVISION = "ZeroDivisionError"


# claims --------------------------------------------------------------------------------------------------------------


@claim(
    "training starts at the first bit width",
    broken_by="starts_at_low_precision",
    aliases=("begins_with_the_first_width",),
)
def starts_at_the_first_bit_width(trial: Trial) -> None:
    widths = Widths(trial)
    widths.expect(widths.first, "the first step")


@claim("training ends at the last bit width", broken_by="never_switches", aliases=("ends_with_the_last_width",))
def ends_at_the_last_bit_width(trial: Trial) -> None:
    widths = Widths(trial)
    widths.expect(widths.steps[-1], "the last step")


@claim(
    "the step on a boundary has the next bit width, and the step before it the previous one",
    broken_by="switches_one_step_too_late",
    cases=on_a_step,
    max_cases=8,
)
def switches_at_the_boundary(trial: Trial) -> None:
    """The step before a boundary has the old width, the step on it the new one."""
    widths = Widths(trial)
    for earliest, latest in widths.places:
        for step, what in ((earliest - 1, "the last step before the boundary"), (latest, "the step on the boundary")):
            if step in widths.steps:
                widths.expect(step, what)


@claim(
    "every step has the bit width configured for its part of training",
    broken_by="bits_ignored",
    cases=configured,
    max_cases=8,
    aliases=("every_step_has_its_width",),
)
def every_step_has_its_bit_width(trial: Trial) -> None:
    widths = Widths(trial)
    for step in widths.steps:
        widths.expect(step, f"step {step}")


@claim(
    "every step has one of the configured bit widths",
    broken_by="bits_interpolated",
    aliases=("only_widths_that_were_asked_for",),
)
def only_configured_bit_widths(trial: Trial) -> None:
    widths = Widths(trial)
    for step in (*widths.steps, *widths.after):
        if widths.at(step) not in widths.bits:
            raise Violation(
                f"step {step} of {widths.total} has {widths.at(step)} bits; only {list(widths.bits)} are configured"
            )


@claim("the bit width never rises during training", broken_by="low_precision_for_one_step", aliases=("never_widens",))
def bit_width_never_rises(trial: Trial) -> None:
    widths = Widths(trial)
    for before, after in itertools.pairwise((*widths.steps, *widths.after[:2])):
        if widths.at(after) > widths.at(before):
            raise Violation(
                f"the bit width rises from {widths.at(before)} at step {before} to {widths.at(after)} at step {after}"
            )


@claim(
    "the bit width changes exactly once per boundary",
    broken_by="one_switch_only",
    cases=configured,
    max_cases=8,
    aliases=("switches_once_per_level",),
)
def switches_once_per_boundary(trial: Trial) -> None:
    """As many changes in a run as boundaries, where every width has a step of its own."""
    widths = Widths(trial)
    changes = [b for a, b in itertools.pairwise(widths.steps) if widths.at(a) != widths.at(b)]
    if len(changes) != len(widths.places):
        where = f" (at {', '.join(map(str, changes))})" if changes else ""
        wanted = len(widths.places)
        raise Violation(f"the bit width changes {len(changes)} times in {widths.total} steps{where}; expected {wanted}")


@claim(
    "after the last step the bit width stays the last one",
    broken_by="first_width_after_the_end",
    aliases=("stays_after_the_end",),
)
def constant_after_the_end(trial: Trial) -> None:
    widths = Widths(trial)
    for step in widths.after:
        widths.expect(step, f"step {step}, after the end,")


@claim(
    "a longer run switches at the same fraction of training",
    broken_by="boundary_at_a_fixed_step",
    max_cases=6,
    aliases=("depends_on_the_share_alone",),
)
def depends_on_the_fraction_only(trial: Trial) -> None:
    """A run twice or ten times as long switches at the same fraction of it."""
    widths = Widths(trial)
    sure = [step for step in widths.steps if len(widths.allowed(step)) == 1]
    for times in (2, 10):
        longer = trial.case.changed(total_steps=times * widths.total)
        there = [widths.first + times * (step - widths.first) for step in sure]
        for step, place, found in zip(sure, there, widths_of(trial, longer, there), strict=True):
            if found not in widths.allowed(step):
                right = f"it must have {widths.allowed(step).pop()} as step {step} of {widths.total}"
                raise Violation(f"step {place} of {times * widths.total} has {found} bits; {right}")


@claim(
    "a resumed run has the bit widths of an uninterrupted one",
    broken_by="resumed_run_counts_from_zero",
    max_cases=6,
    aliases=("a_resumed_run_goes_on_where_it_stopped",),
)
def resuming_changes_nothing(trial: Trial) -> None:
    """Called from any step on, twice, and backwards, it gives the widths of an uninterrupted run."""
    widths = Widths(trial)
    wanted = {step: widths.allowed(step) for step in widths.steps}
    orders = [list(widths.steps)[start:] for start in {0, widths.total // 4, widths.total // 2, widths.total - 1}]
    orders += [list(widths.steps)[::-1], [step for step in widths.steps for _ in range(2)]]
    for order in orders:
        for step, found in zip(order, widths_of(trial, trial.case, order, fresh=True), strict=True):
            if found not in wanted[step]:
                right = " or ".join(map(str, sorted(wanted[step])))
                asked = f"when steps are queried from {order[0]} on, step {step} of {widths.total}"
                raise Violation(f"{asked} has {found} bits; it must have {right}")


@claim(
    "a run of zero steps gives a configured bit width or is refused, without a division by zero",
    broken_by="zero_steps_divide_by_zero",
    cases=runs_of_no_steps,
    max_cases=4,
    aliases=("a_run_of_no_steps_is_defined",),
)
def zero_steps_is_defined(trial: Trial) -> None:
    """One of the widths, or an error with a reason; a division by zero is not one."""
    answer = trial.attempt()
    if answer.crash is not None and answer.crash.kind == CrashKind.RAISED and answer.crash.error != ZERO_DIVISION:
        return
    found = as_width(trial.run().value)
    if found not in USUAL["bits"]:
        raise Violation(f"for a run of zero steps it returns {found} bits; only {list(USUAL['bits'])} are configured")


# how it is called ----------------------------------------------------------------------------------------------------


def _fixed(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {"step": arguments["step"], "total_steps": arguments["total_steps"]}


TWO_FIXED_LEVELS = Dialect(
    "code with two fixed widths", "quantization_schedule", ("step", "total_steps"), _fixed, lacks=("boundaries", "bits")
)
"""All other arguments must have a default: shares or widths under other names cannot be filled in."""


CONTRACT = Contract(
    name="quantization_schedule",
    meaning="Bit width over training: 16 bits for the first 40 % of steps, then 8, or as configured.",
    calls={
        "call": Signature(
            (
                Argument("step", "int"),
                Argument("total_steps", "int", role="setting"),
                Argument(
                    "boundaries",
                    "list of shares of training",
                    role="setting",
                    optional=True,
                    default=USUAL["boundaries"],
                ),
                Argument("bits", "list of widths, one more", role="setting", optional=True, default=USUAL["bits"]),
            ),
            "float",
        )
    },
    reference=quantization_schedule,
    cases=cases,
    differentiable=False,
    agrees=False,
    dialects=(TWO_FIXED_LEVELS,),
    variants=(
        Variant(
            "steps_from_one",
            "Your steps count from 1 (or the comparison with the boundary is <= where < belongs): declare it if they "
            "do.",
            (Edit(quantization_schedule, "if step >= begin:", "if step > begin:"),),
        ),
    ),
    order=96,
    case_count=12,
    sources=(
        "DeepSpeed, Mixture of Quantization (16 bits first, then 8 by a schedule); compression's schedule_offset",
        "torchtune fake_quant_after_n_steps",
        "Jacob et al. 2018, section 3.1 (quantization is delayed until training has settled)",
    ),
    claims=(
        starts_at_the_first_bit_width,
        ends_at_the_last_bit_width,
        switches_at_the_boundary,
        every_step_has_its_bit_width,
        only_configured_bit_widths,
        bit_width_never_rises,
        switches_once_per_boundary,
        constant_after_the_end,
        depends_on_the_fraction_only,
        resuming_changes_nothing,
        zero_steps_is_defined,
    ),
)
