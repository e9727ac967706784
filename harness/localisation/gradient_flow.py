"""Where gradients end that must go on: the values are right, and an operation passes no gradient (a detach, no_grad).

The experiment: gradients are let through there, and all gradients are right then.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.core.marked_line import Mark, MarkedLine
from harness.core.steps import Replacement, Step
from harness.localisation.experiment import Experiment
from harness.localisation.marking import line_at


def gradient_lines(experiment: Experiment) -> tuple[MarkedLine, ...]:
    """The line at which gradients end; none where letting them through there makes them no better.

    Raises OutOfTime.
    """
    steps = experiment.own.steps
    ends = [n for n, step in enumerate(steps) if step.reads_gradient and _stops(step)]
    for chosen in _choices(experiment, ends):
        sites = dict.fromkeys(steps[n].site for n in chosen)
        answer = experiment.answer([Replacement(site, attached=True) for site in sites])
        if experiment.sample.is_met_by(answer, gradients=True):
            return (line_at(steps[min(chosen)].place, Mark.GRADIENT),)
    return ()


def _choices(experiment: Experiment, ends: list[int]) -> Iterator[list[int]]:
    """Each operation at which gradients end; then each with all that is made of it without gradients (no_grad)."""
    for n in ends:
        yield [n]
    for n in ends:
        within = {n}
        for later in range(n + 1, len(experiment.own.steps)):
            if not within.isdisjoint(experiment.own.before(later)) and _stops(experiment.own.steps[later]):
                within.add(later)
        if len(within) > 1:
            yield sorted(within)


def _stops(step: Step) -> bool:
    """Whether an operation gives numbers without a gradient."""
    floats = [grows for value, grows in zip(step.values, step.grows, strict=True) if _is_float(value)]
    return bool(floats) and not any(floats)


def _is_float(value: object) -> bool:
    return bool(getattr(value, "is_floating_point", lambda: False)())
