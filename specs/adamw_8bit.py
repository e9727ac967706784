"""AdamW whose moments are kept in eight bits.

Its codes are its own choice (a dynamic map, evenly spaced ones). So its numbers are compared with the exact ones within
the error that any 8-bit quantizer of blocks may make, which follows from the exact moments of every step.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from harness.core.case import Call
from harness.core.claim import NotSupported, Trial, Violation, claim
from harness.core.contract import Contract
from harness.core.measurement import Measure, Measurement
from reference_model.adamw import adamw
from reference_model.adamw_8bit import adamw_8bit
from specs.shared.adam import (
    ended,
    groups_keep_their_own_settings,
    parameter_without_gradient_is_unchanged,
    resuming_changes_nothing,
    rounding,
    state_bytes,
    step_without_gradient_keeps_state,
)
from specs.shared.adamw_8bit_cases import (
    cases,
    cases_with_gaps,
    grouped_cases,
    half_idle_cases,
    large_cases,
    longer_cases,
    outlier_cases,
    wide_cases,
)
from specs.shared.eight_bit_moments import STORED_ERROR, WIDEST_BLOCK, exact_and_bound, within
from specs.shared.optimizers import CALLS, OPTIONAL_METHODS, dialects, gradients_of, stepping, with_calls
from specs.workloads import optimizers as workloads

STATE_BYTES = 3.0
"""Bytes per parameter that two moments of one byte each, scales and tables may take together; two float16 take four."""
LARGEST_BIAS = 0.04
"""The mean error of a whole tensor, as a fraction of the largest that a number may have. Rounding to nearest leaves at
most 0.0025, rounding down at least 0.10 (32 cases of 8 seeds)."""
NAMES = ("AdamW8bit", "adamw_8bit", "AdamW8Bit", "adamw8bit", "AdamW8", "Adam8bit", "QuantizedAdamW", "BlockwiseAdamW")


# claims --------------------------------------------------------------------------------------------------------------


@claim(
    "the trajectory stays as close to the 32-bit optimizer as eight bits allow",
    broken_by="block_scales_ignored",
    cases=longer_cases,
    max_cases=6,
    aliases=("trajectory_is_within_the_bound",),
)
def trajectory_within_the_8_bit_bound(trial: Trial) -> None:
    exact, bounds = exact_and_bound(trial)
    trial.note_error(within(ended(trial), exact, bounds, rounding(trial, trial.case), "after these steps"))


@claim(
    "the first step matches the 32-bit optimizer",
    broken_by="parameters_quantized_too",
    aliases=("first_step_is_adamw_s",),
)
def first_step_matches_adamw(trial: Trial) -> None:
    """No moment was stored before it, so the bound is that of one step."""
    one = with_calls(trial.case, *trial.case.calls[:2])
    found = ended(trial, one)
    run = adamw(**one.calls[0].arguments)
    exact = run.step(gradients_of(one)[0])
    lr = max(group["lr"] for group in run.groups)
    bounds = [
        torch.full_like(param, 8 * STORED_ERROR * lr) for param in exact
    ]  # roots of 0.5**2 under a largest of 1.4**2
    trial.note_error(within(found, exact, bounds, rounding(trial, one), "after one step"))


@claim(
    "rounding errors average to zero over many numbers",
    broken_by="rounded_down",
    cases=longer_cases,
    max_cases=4,
    aliases=("rounding_cancels",),
)
def rounding_is_unbiased(trial: Trial) -> None:
    """Of thousands of numbers as many end too high as too low, and as many steps are too long as too short."""
    build, steps = trial.case.calls[0].arguments, len(trial.case.calls) - 1
    exact, bounds = exact_and_bound(trial)
    found, expected, bound = ended(trial)[0], exact[0], bounds[0]
    error = found.double() - expected
    decayed = build["params"][0] * (1 - build["lr"] * build["weight_decay"]) ** steps
    for what, sign in (("too high", torch.ones_like(error)), ("too far", (expected - decayed).sign())):
        bias = float((error * sign).mean() / bound.mean())
        if not abs(bias) <= LARGEST_BIAS:
            raise Violation(
                f"8-bit rounding is biased ({what} on average, or the opposite): codes are not rounded to nearest",
                worst=f"the mean error is {bias:.3g} of the largest error allowed per number",
                error=abs(bias) / LARGEST_BIAS,
            )
        trial.note_error(abs(bias) / LARGEST_BIAS)


@claim(
    "an entry whose gradient is always 0 moves only by weight decay",
    broken_by="no_code_for_zero",
    cases=half_idle_cases,
    max_cases=5,
    aliases=("idle_numbers_never_move",),
)
def idle_entries_never_move(trial: Trial) -> None:
    """Without weight decay it does not move at all: 0 has a code of its own."""
    build = trial.case.calls[0].arguments
    before, after = trial.case.cast(trial.dtype).calls[0].arguments["params"], ended(trial)
    decayed = (1 - build["lr"] * build["weight_decay"]) ** len(gradients_of(trial.case))
    for place, (param, found) in enumerate(zip(before, after, strict=True)):
        idle = torch.arange(param.numel()).view(param.shape) % 3 == 1
        expected = param.double()[idle] * decayed
        bound = 0.0 if build["weight_decay"] == 0 else rounding(trial, trial.case)
        trial.close(found.double()[idle], expected, bound, f"entries whose gradient is always 0, parameter {place},")


@claim(
    "an outlier affects the accuracy of its own block only",
    broken_by="one_scale_for_all",
    cases=outlier_cases,
    max_cases=4,
    aliases=("outliers_stay_in_their_block",),
)
def outliers_affect_only_their_block(trial: Trial) -> None:
    exact, bounds = exact_and_bound(trial, outliers=True)
    found = [param.reshape(-1)[WIDEST_BLOCK:] for param in ended(trial)]
    cut = [[tensor.reshape(-1)[WIDEST_BLOCK:] for tensor in tensors] for tensors in (exact, bounds)]
    trial.note_error(within(found, cut[0], cut[1], rounding(trial, trial.case), "outside the block of an outlier"))


@claim(
    "a gradient stored transposed gives the same step",
    broken_by="gradient_read_in_memory_order",
    cases=wide_cases,
    max_cases=3,
    aliases=("layout_of_gradients_does_not_matter",),
)
def independent_of_gradient_layout(trial: Trial) -> None:
    """A transposed gradient that is not contiguous gives the step of its contiguous copy."""
    transposed = [
        stepping([g.transpose(0, 1).contiguous().transpose(0, 1) for g in grads]) for grads in gradients_of(trial.case)
    ]
    here, there = ended(trial), ended(trial, with_calls(trial.case, trial.case.calls[0], *transposed))
    bound = rounding(trial, trial.case)
    for i, (a, b) in enumerate(zip(here, there, strict=True)):
        trial.close(b, a, bound, f"with gradients stored transposed, parameter {i},")


@claim(
    "a new learning rate takes effect at the next step",
    broken_by="lr_cached_across_steps",
    cases=longer_cases,
    max_cases=3,
    aliases=("new_rate_counts_at_once",),
)
def new_learning_rate_takes_effect(trial: Trial) -> None:
    """With a rate of 0 it neither steps nor decays."""
    *before, last = trial.case.calls
    stopped = with_calls(trial.case, *before, Call("set_lr", {"lr": 0.0}), last)
    outputs = trial.run(stopped).outputs
    for i, (a, b) in enumerate(zip(outputs[-1], outputs[-3], strict=True)):
        trial.close(a, b, 0.0, f"with a learning rate of 0, parameter {i},")


@claim(
    "its state takes little more than two bytes per parameter",
    broken_by="moments_not_quantized",
    cases=large_cases,
    max_cases=1,
    aliases=("state_is_small",),
)
def state_takes_two_bytes_per_parameter(trial: Trial) -> None:
    each = trial.run(dtype=torch.float32, weigh=True).facts.get("bytes")
    if each is None:
        raise NotSupported("the memory it holds cannot be measured")
    numbers = trial.case.calls[0].arguments["params"][0].numel()
    state = (each - 4 * numbers) / numbers
    if state > STATE_BYTES:
        message = f"its state takes {state:.2f} bytes per parameter; two 8-bit moments take 2"
        raise Violation(message, error=state / STATE_BYTES)
    trial.note_error(state / STATE_BYTES)


def memory_saved(trial: Trial) -> Measurement | None:
    """Compared with the two float32 moments of AdamW."""
    fact = state_bytes(trial)
    assert fact.value is not None
    saved = 100 * (1 - fact.value / 8)
    total = 100 * (8 - fact.value) / 16
    text = (
        f"its state takes {saved:.1f} % less than AdamW's 8 bytes per parameter. The popular 75 % is of the state "
        f"alone, of large tensors: parameters, gradients and state together take {total:.1f} % less, and activations "
        "come on top"
    )
    return Measurement(text, fact.how, saved, "%")


CONTRACT = Contract(
    name="adamw_8bit",
    meaning="AdamW with both moments stored as 8-bit codes, with one scale per block.",
    calls=CALLS,
    reference=adamw_8bit,
    cases=cases,
    differentiable=False,
    half_precision=False,
    agrees=False,
    parts=("adamw",),
    order=95,
    case_count=6,
    optional_methods=OPTIONAL_METHODS,
    dialects=dialects(*NAMES),
    measures=(
        Measure("state_bytes", "bytes of optimizer state per parameter", state_bytes, large_cases),
        Measure("memory_saved", "memory saved compared with 32-bit state", memory_saved, large_cases),
    ),
    sources=("Dettmers et al. 2022 (8-bit optimizers), sections 2 and 3", "bitsandbytes AdamW8bit"),
    workloads=workloads.ADAMW_8BIT,
    claims=(
        first_step_matches_adamw,
        trajectory_within_the_8_bit_bound,
        rounding_is_unbiased,
        idle_entries_never_move,
        outliers_affect_only_their_block,
        independent_of_gradient_layout,
        replace(
            groups_keep_their_own_settings, broken_by="settings_of_the_first_group", cases=grouped_cases, max_cases=3
        ),
        replace(
            parameter_without_gradient_is_unchanged,
            broken_by="missing_gradient_is_zero",
            cases=cases_with_gaps,
            max_cases=4,
        ),
        replace(
            step_without_gradient_keeps_state, broken_by="missing_gradient_is_zero", cases=cases_with_gaps, max_cases=3
        ),
        replace(resuming_changes_nothing, broken_by="scales_not_saved", cases=longer_cases, max_cases=3),
        new_learning_rate_takes_effect,
        state_takes_two_bytes_per_parameter,
    ),
)
