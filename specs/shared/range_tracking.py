"""Claims about the range that fake quantization tracks in training mode: a moving average over batches."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from hypothesis import strategies as st

from harness.core.case import Call, Case
from harness.core.claim import About, Trial, Violation, claim
from harness.strategies.tensors import make, seeds
from specs.shared.fake_quantize import EVAL, RANGE, ROUNDING, TRAIN, building, forwarding, gradient_of
from specs.shared.quantization import within

SIZES_AND_OFFSETS = (
    ((1.0, 0.2), (5.0, -1.0), (0.3, 0.1)),
    ((2.0, 0.0), (0.5, 3.0), (4.0, 0.0)),
    ((1.0, -4.0), (2.0, 4.0), (1.5, 0.0)),
)
"""Scale and offset of three batches; some batches lie on one side of 0."""


@st.composite
def tracking_cases(draw: st.DrawFn) -> Case:
    """Three batches of different scales in training."""
    momentum = draw(st.sampled_from((0.1, 0.3, 0.01, 0.9)))
    kinds = draw(st.sampled_from(SIZES_AND_OFFSETS))
    batches = [make("normal", (7, 3), draw(seeds)) * size + offset for size, offset in kinds]
    calls = (building(8, False, momentum), TRAIN, *map(forwarding, batches))
    return Case(calls, {}, f"three batches, momentum {momentum:g}")


Range = tuple[float, float]


def tracked(batches: Sequence[torch.Tensor], weight: float = 1.0) -> list[Range]:
    """The ranges after these batches: the first batch sets the range, and each later one enters with this weight.

    Two ranges are right: that of the batches as they are, and that of the batches with 0 added to each of them.
    """
    found = []
    for most, least in ((float("inf"), float("-inf")), (0.0, 0.0)):
        seen = [(min(float(batch.min()), most), max(float(batch.max()), least)) for batch in batches]
        low, high = seen[0]
        for other_low, other_high in seen[1:]:
            low, high = low + weight * (other_low - low), high + weight * (other_high - high)
        found.append((low, high))
    return found


def range_after(trial: Trial, *calls: Call) -> Range:
    """The result of range() after these calls, on a layer as the case builds it."""
    found = trial.run(Case((trial.case.calls[0], *calls, RANGE))).value
    try:
        low, high = (float(value) for value in found)
    except (TypeError, ValueError):
        raise Violation("range() must return two numbers: the low end and the high end") from None
    return low, high


def check_range(trial: Trial, calls: Sequence[Call], expected: list[Range], what: str) -> None:
    """After these calls the range is one of the expected ones, or the first of them widened to contain 0."""
    found = range_after(trial, *calls)
    low, high = expected[0]
    size = max(abs(low), abs(high), high - low)
    ranges = [*expected, (min(low, 0.0), max(high, 0.0))]
    for end in (0, 1):
        error = min(abs(found[end] - right[end]) for right in ranges) / (1e-5 * size)
        if not error <= 1:
            worst = f"{found[0]:.6g} .. {found[1]:.6g}, expected {low:.6g} .. {high:.6g}"
            raise Violation(what, worst=worst, error=error)
        trial.note_error(error)


def batches_of(trial: Trial) -> list[torch.Tensor]:
    """The batches of a script, in order."""
    return [call.arguments["x"] for call in trial.case.calls if call.method == "forward"]


def weight_of(trial: Trial) -> float:
    """The weight of a new batch in the moving average: the momentum, or one minus it where that is declared."""
    momentum: float = trial.case.calls[0].arguments["momentum"]
    return 1 - momentum if trial.has_form("momentum_is_kept") else momentum


@claim(
    "the first batch sets the range",
    broken_by="range_starts_at_zero",
    cases=tracking_cases,
    max_cases=6,
    aliases=("the_first_batch_sets_the_range",),
)
def first_batch_sets_the_range(trial: Trial) -> None:
    first = batches_of(trial)[0]
    what = "after the first batch the range is not that batch's minimum and maximum"
    check_range(trial, [TRAIN, forwarding(first)], tracked([first]), what)


@claim(
    "the range is an exponential moving average with the given momentum",
    broken_by="range_of_the_last_batch",
    cases=tracking_cases,
    max_cases=6,
    aliases=("the_range_is_a_moving_average",),
)
def range_is_a_moving_average(trial: Trial) -> None:
    batches = batches_of(trial)
    what = "over three batches the range is not a moving average with this momentum"
    check_range(trial, [TRAIN, *map(forwarding, batches)], tracked(batches, weight_of(trial)), what)


@claim(
    "a repeated batch does not move the range, and the effect of an outlier decays",
    broken_by="range_never_shrinks",
    cases=tracking_cases,
    max_cases=4,
    aliases=("the_range_neither_collapses_nor_explodes",),
)
def range_stays_stable(trial: Trial) -> None:
    first = batches_of(trial)[0]
    what = "repeating one batch twelve times moves the range"
    check_range(trial, [TRAIN, *map(forwarding, [first] * 12)], tracked([first]), what)
    batches = [first, 1e3 * first, *[first] * 8]
    what = "the effect of one batch of outliers on the range does not decay"
    check_range(trial, [TRAIN, *map(forwarding, batches)], tracked(batches, weight_of(trial)), what)


@claim(
    "in evaluation mode the range is frozen, and it is the range used",
    broken_by="observes_in_evaluation",
    cases=tracking_cases,
    max_cases=6,
    aliases=("in_evaluation_the_range_stands_still",),
)
def range_is_frozen_in_evaluation(trial: Trial) -> None:
    """With a batch far outside the range."""
    first, second, _ = batches_of(trial)
    far = 100.0 * second
    calls = [TRAIN, forwarding(first), EVAL, forwarding(far)]
    check_range(trial, calls, tracked([first]), "in evaluation mode the range moves")
    out = trial.run(Case((trial.case.calls[0], *calls))).value.double()
    low, high = min(float(first.min()), 0.0), max(float(first.max()), 0.0)
    allowed, step = torch.full_like(out, ROUNDING * (high - low)), (high - low) / 255
    what = "in evaluation mode the output does not use the tracked range"
    trial.note_error(within(out, far.clamp(low, high), allowed, what, step))


@claim(
    "back in training mode the range is tracked again",
    broken_by="train_freezes_the_range",
    cases=tracking_cases,
    max_cases=6,
    aliases=("training_again_it_follows_again",),
)
def range_tracks_again_in_training(trial: Trial) -> None:
    """The batches in evaluation mode, after each of two in training mode, leave the range as it is."""
    first, second, third = batches_of(trial)
    calls = [TRAIN, forwarding(first), EVAL, forwarding(third), TRAIN, forwarding(second), EVAL, forwarding(third)]
    what = "back in training mode the range is not tracked"
    check_range(trial, calls, tracked([first, second], weight_of(trial)), what)


@claim(
    "training continues from a loaded range",
    broken_by="loaded_range_overwritten",
    cases=tracking_cases,
    max_cases=6,
    aliases=("a_loaded_range_is_followed_on",),
)
def tracking_continues_from_loaded_range(trial: Trial) -> None:
    """As in a resumed run."""
    first, second, _ = batches_of(trial)
    load = Call("load", {"low": float(first.min()), "high": float(first.max())})
    what = "after load() tracking does not continue from the loaded range"
    check_range(trial, [load, TRAIN, forwarding(second)], tracked([first, second], weight_of(trial)), what)


@claim(
    "no gradient flows through the range",
    broken_by="range_not_detached",
    cases=tracking_cases,
    max_cases=6,
    about=frozenset({About.GRADIENT}),
)
def no_gradient_through_the_range(trial: Trial) -> None:
    """In training mode, with a batch well inside the range that an earlier one has set.

    The gradient is the identity even for the smallest and the largest number of the batch, which move the range; and
    the earlier batch has no gradient.
    """
    if weight_of(trial) > 0.5:
        trial.not_applicable()
    wide, narrow = torch.linspace(-4.0, 5.0, 9, dtype=torch.float64), make("normal", (11,), trial.seed).clamp(-1.0, 1.0)
    case = Case((trial.case.calls[0], TRAIN, forwarding(wide), forwarding(narrow)))
    found, cotangent = gradient_of(trial, case, "x@3")
    allowed = 1e-5 * cotangent.abs() + 1e-12
    what = "in training mode the gradient of x also flows through the range; detach the observed range"
    trial.note_error(within(found, cotangent, allowed, what))
    earlier = trial.run(case, gradients=True).gradients.get("x")
    if earlier is not None and bool((earlier != 0).any()):
        raise Violation("an earlier batch receives a gradient through the range; detach the observed range")
