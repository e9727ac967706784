"""What somebody's code computes in: float64, or float32 where float64 is refused or not reached."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from harness.core.case import Case, is_float
from harness.core.claim import Trial
from harness.core.contract import Contract
from harness.core.implementation import Answer, CrashKind
from harness.core.tree import leaves
from harness.numerics.bounds import worked_out
from harness.numerics.compare import is_within
from harness.numerics.constants import explained_by_constants
from harness.numerics.noise import is_rounding_noise

PROBED = 5
"""Cases that show whether float64 is taken at all."""
SMOOTH_SHARE = 0.25
"""Of the cases where code is off by a float32 rounding, the share that need not look like noise: one third in float32
is off by the same amount whatever stands near it. A mistake looks smooth in every case."""

Moved = Callable[[Contract, Case], Sequence[Answer]]


@dataclass(frozen=True)
class Precision:
    """The dtype to judge in, what a person should know of it, and whether the meaning is missed in float64
    somewhere."""

    dtype: torch.dtype
    note: str = ""
    misses: bool = False


def working_precision(trials: Sequence[Trial], contract: Contract, moved: Moved, tables: bool) -> Precision:
    """What the implementation computes a component in, found from all its cases.

    Code that computes in float32 inside on purpose misses the rule of meaning and meets the rule of rounding, and its
    error is noise: that is a note, not a failure. ``moved(contract, case)``: what the reference answers with each of
    its constants rounded to float32. ``tables``: whether it may keep tables in float32.
    """
    answers = [trial.attempt() for trial in trials[:PROBED]]
    refused = _refusing_float64(trials, answers)
    if refused is not None:
        return refused
    if not contract.agrees:
        results = [leaf.dtype for a in answers if a.crash is None for _, leaf in leaves(a.value) if is_float(leaf)]
        if results and all(dtype == torch.float32 for dtype in results):
            return Precision(torch.float32, "float64 comes back as float32; judged in float32")
        return Precision(torch.float64)
    noise, smooth = 0, list[Trial]()
    for trial in trials:
        if _is_right_in_float64(trial):
            continue
        if not _is_right_in_float32(trial):
            return Precision(torch.float64, misses=True)
        if _is_float32_inside(trial):
            noise += 1
        else:
            smooth.append(trial)
    shown = noise + len(smooth)
    if not shown:
        return Precision(torch.float64)
    cases = f"({shown} of {len(trials)} cases show it); judged in float32"
    # One smooth case among several noisy ones may be chance; a mistake is smooth in all.
    if noise and len(smooth) <= max(SMOOTH_SHARE * shown, 1 if noise > 1 else 0):
        return Precision(torch.float32, f"computes in float32 inside {cases}", misses=True)
    if smooth and tables:
        return Precision(torch.float32, f"keeps a table in float32 {cases}", misses=True)
    if smooth and _keeps_constants_in_float32(contract, smooth, moved):
        return Precision(torch.float32, f"keeps a constant in float32 {cases}", misses=True)
    return Precision(torch.float64, misses=True)


def _refusing_float64(trials: Sequence[Trial], answers: Sequence[Answer]) -> Precision | None:
    """float32, where float64 raises in every one of the first cases and float32 in none; None otherwise."""
    if not answers or not all(a.crash and a.crash.kind == CrashKind.RAISED for a in answers):
        return None
    if any(trial.attempt(dtype=torch.float32).crash for trial in trials[:PROBED]):
        return None
    crash = answers[0].crash
    return Precision(torch.float32, f"float64 is refused ({crash.error if crash else ''}); judged in float32")


def _is_right_in_float64(trial: Trial) -> bool:
    """Whether the case meets the rule of meaning, or ends in a crash on either side, which says nothing about it."""
    answer = trial.attempt()
    exact, tolerance = trial.agreement()
    return bool(answer.crash or exact.crash or is_within(answer.outputs, exact.outputs, tolerance.outputs))


def _keeps_constants_in_float32(contract: Contract, trials: Sequence[Trial], moved: Moved) -> bool:
    """Whether every smooth miss is what constants of the contract, or of its parts, rounded to float32 would give."""
    for trial in trials:
        found, (exact, tolerance) = trial.attempt(), trial.agreement()
        value, exact_value = found.value, exact.value
        if not is_float(value) or not is_float(exact_value) or value.shape != exact_value.shape:
            return False
        directions = [answer.value - exact_value for answer in moved(contract, trial.case) if answer.crash is None]
        if not directions or not explained_by_constants(value - exact_value, directions, worked_out(tolerance.value)):
            return False
    return True


def _is_right_in_float32(trial: Trial) -> bool:
    exact, _ = trial.agreement()
    _, rounding = trial.agreement(dtype=torch.float32)
    return is_within(trial.attempt().outputs, exact.outputs, rounding.outputs)


def _is_float32_inside(trial: Trial) -> bool:
    single = trial.case.cast(torch.float32)  # the same numbers in both precisions
    wide, narrow = trial.attempt(single.cast(torch.float64)), trial.attempt(single, dtype=torch.float32)
    if not narrow.crash and not wide.crash and _is_the_same_in_float32(wide.value, narrow.value):
        return True

    def error(case: Case) -> Any:
        found, exact_value = trial.attempt(case), trial.expect(case)
        if (
            found.crash
            or exact_value.crash
            or not is_float(found.value)
            or found.value.shape != exact_value.value.shape
        ):
            return None
        return found.value.double() - exact_value.value.double()

    return is_rounding_noise(error, trial.case)


def _is_the_same_in_float32(wide: Any, narrow: Any) -> bool:
    """Whether a float64 answer holds exactly the numbers of the float32 answer: it was computed in float32."""
    if not (is_float(wide) and is_float(narrow)):
        return False
    return wide.shape == narrow.shape and bool(torch.equal(wide.float(), narrow.float()))
