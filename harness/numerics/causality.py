"""Whether outputs depend on the past only, tested by running a case whose later inputs were changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from harness.core.case import Case, is_float
from harness.core.claim import NotSupported, Trial, Violation
from harness.core.contract import Causal

SIZE = 10.0
"""Standard deviation of what a position is replaced by: ten times an ordinary input, so that any dependence shows."""

LONG, OFTEN = 40, 4
"""Positions of a longer sequence, and one of how many cases is lengthened: a mask of blocks or of a share of the
positions, or a table that is too short, is wrong only there."""
STARTS = (1, 17)
"""From where on a longer sequence is changed, besides a place that differs from case to case."""


def causal_form(trial: Trial) -> Causal:
    """Where time stands in the inputs and the output of the trial's component, which must state it."""
    form: Causal | None = trial.contract.causal
    assert form is not None, f"{trial.contract.name} does not state that it is causal"
    return form


def length(trial: Trial) -> int:
    """The number of positions of the trial's case. Raises NotApplicable for one position, which has no future."""
    name, axis = next(iter(causal_form(trial).inputs.items()))
    time = int(trial.case.arguments[name].shape[axis])
    if time < 2:
        trial.not_applicable()
    return time


def tensor_output(trial: Trial, case: Case | None = None) -> torch.Tensor:
    """The implementation's output, with the shape of the reference's. Raises Violation where it has another form."""
    value, expected = trial.run(case).value, trial.expect(case).value
    if not torch.is_tensor(value):
        raise Violation(f"out is a {type(value).__name__}; expected a tensor")
    if value.shape != expected.shape:
        raise Violation(f"out has shape {list(value.shape)}; expected shape {list(expected.shape)}")
    found: torch.Tensor = value
    return found


def bound(trial: Trial, *cases: Case | None) -> Any:
    """The tolerance for comparing runs of these cases with each other, in the unit of the output: the sum of their
    tolerances."""
    return sum(trial.spread_of_value(case) for case in cases)


def changed_at(trial: Trial, at: int) -> Case:
    """The trial's case with every causal input replaced at position ``at`` alone.

    Floating-point inputs get normal values of standard deviation 10, ids the next id of the vocabulary.
    """
    form, generator = causal_form(trial), trial.random()
    changed = {}
    for name, axis in form.inputs.items():
        value = trial.case.arguments[name].clone()
        there = value.select(axis, at)
        if is_float(value):
            there.copy_(SIZE * torch.randn(there.shape, generator=generator, dtype=torch.float64))
        else:
            there.copy_((there + 1) % trial.case.dimensions[form.vocabulary])
        changed[name] = value
    return trial.case.changed(**changed)


def check_long_future_is_ignored(trial: Trial) -> None:
    """The same for a sequence of ``LONG`` positions, all of them changed from some place on, in one case of ``OFTEN``.

    Only where one floating-point input has positions, and the implementation takes so many.
    """
    form = causal_form(trial)
    (name, along), *others = form.inputs.items()
    value = trial.case.arguments[name]
    if others or not is_float(value) or trial.seed % OFTEN or not value.shape[along]:
        return
    times = -(-LONG // value.shape[along])
    value = torch.cat([value] * times, along).narrow(along, 0, LONG).clone()
    long = replace(trial.case.changed(**{name: value}), dimensions={**trial.case.dimensions, "time": LONG})
    try:
        if trial.attempt(long).crash is not None or trial.expect(long).crash is not None:
            return
    except NotSupported:
        return
    for at in sorted({*STARTS, 1 + trial.seed % (LONG - 1)}):
        changed = value.clone()
        later = changed.narrow(along, at, LONG - at)
        later.copy_(SIZE * torch.randn(later.shape, generator=trial.random(), dtype=torch.float64))
        _compare_before(trial, at, long, long.changed(**{name: changed}), f"from position {at} on")


def check_future_is_ignored(trial: Trial) -> None:
    """Raises Violation where an output before a changed position moves: the last position and one in between."""
    time = length(trial)
    for at in sorted({time - 1, 1 + trial.seed % (time - 1)}):
        _compare_before(trial, at, None, changed_at(trial, at), f"position {at}")
    check_long_future_is_ignored(trial)


def _compare_before(trial: Trial, at: int, case: Case | None, changed: Case, what: str) -> None:
    """Raises Violation where the outputs before a position differ between both cases."""
    axis = causal_form(trial).output
    before = tensor_output(trial, case).narrow(axis, 0, at)
    after = tensor_output(trial, changed).narrow(axis, 0, at)
    try:
        trial.close(after, before, bound(trial, case, changed), f"with {what} changed, out")
    except Violation as violation:
        moved = (after.double() - before.double()).abs().movedim(axis, 0).flatten(1).amax(1)
        seen_by = int(moved.nan_to_num(float("inf"), float("inf")).argmax())
        saw = what if case is None else f"a position {what}"
        message = f"position {seen_by} saw {saw}, which comes after it"
        raise Violation(message, worst=violation.worst, error=violation.error) from None
