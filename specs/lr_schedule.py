"""The learning rate over a training run: warm-up, half a cosine, the floor.

Every claim runs the same landmarks of a run, so that its outputs distinguish mistakes.
"""

from __future__ import annotations

import itertools
import math

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature
from reference_model.lr_schedule import lr_schedule
from specs.naming.cs336 import CS336_SCHEDULES
from specs.naming.schedules import FLOOR, PEAK, STEP, TOTAL, WARMUP
from specs.shared.schedule_forms import DECAY_SHARE, PLATEAUS, SCHEDULE, SHAPES, WARM_UPS, WITHOUT_END

PRECISION = 1e-6
"""Relative to the peak. A schedule in float32 loses 4e-7 at most (a few roundings of numbers up to pi); every known
mistake is a thousand times larger."""


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Warm-ups of few or many steps, with and without a floor, at any step of the run or after it."""
    warmup = draw(st.sampled_from((4, 10, 7, 2, 25)))
    total = warmup + draw(st.sampled_from((10, 21, 40, 6)))
    step = draw(st.one_of(st.integers(0, total + 5), st.just(warmup), st.just(total)))
    peak = draw(st.sampled_from((1.0, 6e-4, 0.3, 3e-3)))
    floor = draw(st.sampled_from((0.1, 0.25, 0.0))) * peak
    return run(step, warmup, total, peak, floor)


@st.composite
def without_warmup(draw: st.DrawFn) -> Case:
    """There is no warm-up: the peak is at step 0."""
    peak = draw(st.sampled_from((1.0, 6e-4, 0.3)))
    return run(0, 0, draw(st.sampled_from((10, 7, 30))), peak, draw(st.sampled_from((0.1, 0.0))) * peak)


@st.composite
def nothing_but_warmup(draw: st.DrawFn) -> Case:
    """There is no decay: the warm-up is the whole run."""
    total, peak = draw(st.sampled_from((5, 10, 1))), draw(st.sampled_from((1.0, 6e-4, 0.3)))
    return run(total, total, total, peak, draw(st.sampled_from((0.1, 0.0))) * peak)


def run(step: int, warmup: int, total: int, peak: float, floor: float) -> Case:
    arguments = {"step": step, "warmup": warmup, "total": total, "peak": peak, "floor": floor}
    return Case.of(arguments, family=f"step {step} of {warmup} + {total - warmup}")


# what came back ------------------------------------------------------------------------------------------------------


class Rates:
    """The rates of the case's run. ``at`` gives that of any step; the landmarks are always run."""

    def __init__(self, trial: Trial) -> None:
        self.trial, a = trial, trial.case.arguments
        self.warmup, self.total, self.peak, self.floor = (a[name] for name in ("warmup", "total", "peak", "floor"))
        w, t = self.warmup, self.total
        self.marks = sorted({0, 1, w // 2, max(0, w - 1), w, w + 1, w + (t - w) // 3, w + 2 * (t - w) // 3, t - 1, t})
        self.after = (t + 1, t + 2, t + (t - w), 2 * t + 1, 3 * t)
        for step in (*self.marks, *self.after):
            self.at(step)

    def at(self, step: int) -> float:
        rate = self.trial.run(self.trial.case.changed(step=step)).value
        if not torch.is_tensor(rate) or rate.shape != ():
            raise Violation("the learning rate of a step must be one number")
        return float(rate)

    def expected(self, step: int) -> float:
        return float(self.trial.expect(self.trial.case.changed(step=step)).value)

    def is_close(self, actual: float, expected: float, what: str) -> None:
        found, due = (torch.tensor(rate, dtype=torch.float64) for rate in (actual, expected))
        self.trial.close(found, due, PRECISION * self.peak, what)


# claims --------------------------------------------------------------------------------------------------------------


@claim("during warm-up the rate is peak * step / warmup (or the declared variant)", broken_by="warm_up_from_the_floor")
def warms_up_from_zero(trial: Trial) -> None:
    rates = Rates(trial)
    steps = [step for step in rates.marks if step < rates.warmup]
    for s in steps:
        rates.is_close(rates.at(s), rates.expected(s), f"the rate of step {s}, in warm-up,")


@claim("the rate rises linearly during warm-up", broken_by="warm_up_squared", aliases=("warms_up_evenly",))
def warmup_is_linear(trial: Trial) -> None:
    """Each step of warm-up adds the same amount, the last one too."""
    rates = Rates(trial)
    if rates.warmup < 3:
        trial.not_applicable()
    first = rates.at(1) - rates.at(0)
    later = [rates.at(step + 1) - rates.at(step) for step in range(1, rates.warmup - 1)]
    for more in later:
        rates.is_close(more, first, "the increase per warm-up step")


@claim("at the end of warm-up the rate is exactly the peak, and it is never higher", broken_by="progress_from_zero")
def reaches_the_peak(trial: Trial) -> None:
    rates = Rates(trial)
    steps = (*rates.marks, *rates.after)
    highest, peak = max(rates.at(step) for step in steps), rates.peak
    if trial.has_form("wsd_of_total") and rates.expected(rates.warmup) < peak:
        trial.not_applicable()  # its fall begins in the warm-up
    rates.is_close(rates.at(rates.warmup), peak, f"the rate of step {rates.warmup}, where warm-up ends,")
    rates.is_close(highest, peak, "the highest rate")


@claim("after warm-up the rate follows half a cosine (or the declared form)", broken_by="quarter_cosine")
def follows_the_cosine(trial: Trial) -> None:
    rates = Rates(trial)
    steps = [step for step in rates.marks if rates.warmup < step < rates.total]
    for s in steps:
        rates.is_close(rates.at(s), rates.expected(s), f"the rate of step {s}, in the decay,")


@claim("the decay is point-symmetric about its middle", broken_by="quarter_cosine", aliases=("is_point_symmetric",))
def decay_is_point_symmetric(trial: Trial) -> None:
    """The distance below the peak n steps after warm-up equals that above the floor n steps before the end."""
    if trial.has_form(*PLATEAUS, *WITHOUT_END):
        trial.not_applicable()
    rates = Rates(trial)
    for steps in range((rates.total - rates.warmup) // 2 + 1):
        both = rates.at(rates.warmup + steps) + rates.at(rates.total - steps)
        what = f"the sum of the rates {steps} steps after warm-up and {steps} steps before the end"
        rates.is_close(both, rates.peak + rates.floor, what)


@claim("at the last step the rate is the floor", broken_by="warm_up_left_in_the_length")
def ends_at_the_floor(trial: Trial) -> None:
    if trial.has_form(*WITHOUT_END):
        trial.not_applicable()
    rates = Rates(trial)
    rates.is_close(rates.at(rates.total), rates.floor, f"the rate of step {rates.total}, the last,")
    short = trial.case.changed(total=rates.warmup + 1, step=rates.warmup + 1)
    found, due = float(trial.run(short).value), float(trial.expect(short).value)
    rates.is_close(found, due, "where the decay takes one step, the rate at its end")


@claim("after the last step the rate stays at the floor", broken_by="rises_again")
def stays_at_the_floor(trial: Trial) -> None:
    if trial.has_form(*WITHOUT_END):
        trial.not_applicable()
    rates = Rates(trial)
    for s in rates.after:
        rates.is_close(rates.at(s), rates.floor, f"the rate of step {s}, after the end,")


@claim("after warm-up the rate never rises", broken_by="back_to_the_peak")
def never_rises_after_warmup(trial: Trial) -> None:
    rates = Rates(trial)
    steps = [step for step in (*rates.marks, *rates.after) if step >= rates.warmup]
    for before, after in itertools.pairwise(steps):
        if rates.at(after) > rates.at(before) + PRECISION * rates.peak:
            raise Violation(
                f"the rate rises from {rates.at(before):g} at step {before} to {rates.at(after):g} at step {after}"
            )


@claim("the rate does not jump at the end of warm-up or at the end of the decay", broken_by="decays_to_zero")
def has_no_jumps(trial: Trial) -> None:
    """No step changes the rate by more than a warm-up step or the steepest part of the decay."""
    rates = Rates(trial)
    steepest = math.pi / 2 * (rates.peak - rates.floor) / (rates.total - rates.warmup)
    steps = (0, rates.warmup - 1, rates.warmup, rates.total - 1, rates.total, rates.total + 1)
    if trial.has_form(SCHEDULE):
        steepest = max(abs(rates.expected(step + 1) - rates.expected(step)) for step in steps)
    most = max(rates.peak / rates.warmup, steepest) + PRECISION * rates.peak
    for step in steps:
        if abs(rates.at(step + 1) - rates.at(step)) > most:
            raise Violation(
                f"the rate jumps from {rates.at(step):g} at step {step} to {rates.at(step + 1):g} at the next step"
            )


@claim(
    "without warm-up the first step is at the peak",
    broken_by="no_warm_up_divides_by_zero",
    cases=without_warmup,
    max_cases=6,
)
def begins_at_the_peak_without_warmup(trial: Trial) -> None:
    if trial.has_form("inverse_square_root"):  # its fall is measured in steps of warm-up
        trial.not_applicable()
    rates = Rates(trial)
    rates.is_close(rates.at(0), rates.peak, "without warm-up, the rate of step 0")
    for s in (*rates.marks, *rates.after):
        rates.is_close(rates.at(s), rates.expected(s), f"without warm-up, the rate of step {s}")


@claim(
    "warm-up may last the whole run",
    broken_by="no_decay_divides_by_zero",
    cases=nothing_but_warmup,
    max_cases=6,
    aliases=("warmup_may_be_all",),
)
def warmup_may_be_the_whole_run(trial: Trial) -> None:
    """Step ``total`` ends both warm-up and decay: the peak and the floor are both correct."""
    rates = Rates(trial)
    steps = [step for step in (*rates.marks, *rates.after) if step < rates.total or step > rates.total + 1]
    for s in steps:
        rates.is_close(rates.at(s), rates.expected(s), f"with warm-up as the whole run, the rate of step {s}")
    last = rates.at(rates.total)
    nearer = min((rates.peak, rates.floor), key=lambda end: abs(last - end))
    rates.is_close(last, nearer, "with warm-up as the whole run, the rate at its end")


CONTRACT = Contract(
    name="lr_schedule",
    meaning="Learning rate schedule: linear warm-up to the peak, then half a cosine down to the floor.",
    calls={
        "call": Signature(
            (
                Argument("step", "int", aliases=STEP),
                Argument("warmup", "int", role="setting", aliases=WARMUP),
                Argument("total", "int", role="setting", aliases=TOTAL),
                Argument("peak", "float", role="setting", aliases=PEAK),
                Argument("floor", "float", role="setting", optional=True, aliases=FLOOR, default=0.0),
            ),
            "float",
        )
    },
    reference=lr_schedule,
    cases=cases,
    differentiable=False,
    agrees=False,
    dialects=CS336_SCHEDULES,
    variants=(*SHAPES, *WARM_UPS),
    numbers=(DECAY_SHARE,),
    order=78,
    case_count=10,
    sources=(
        "Loshchilov & Hutter 2017, equation 5",
        "Vaswani et al. 2017, section 5.3",
        "transformers get_cosine_schedule_with_warmup",
    ),
    claims=(
        warms_up_from_zero,
        warmup_is_linear,
        reaches_the_peak,
        follows_the_cosine,
        decay_is_point_symmetric,
        ends_at_the_floor,
        stays_at_the_floor,
        never_rises_after_warmup,
        has_no_jumps,
        begins_at_the_peak_without_warmup,
        warmup_may_be_the_whole_run,
    ),
)
