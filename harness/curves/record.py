"""Curves as the record of a run: a file is what a component is elsewhere, and each kind of episode a check."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import replace

from harness.core.curve import CurveReading
from harness.core.record import Cause, RunRecord, Status, Verdict
from harness.curves.envelope import PER_KIND
from harness.reports.curve_words import title

MEANING = "the loss curve of a training run"


def record_of(readings: Sequence[CurveReading], seconds: float = 0.0) -> RunRecord:
    """The record: one verdict per curve and check."""
    names = tuple(dict.fromkeys(one.source for one in readings))
    record = RunRecord(
        impl=names[0] if len(names) == 1 else f"{len(names)} training curves",
        seed=0,
        planned={one.source: len(one.checks) for one in readings},
        order=names,
        parts=dict.fromkeys(names, ()),
        meanings=dict.fromkeys(names, MEANING),
        verdicts=[verdict for one in readings for verdict in _verdicts(one)],
        summaries={},
        curves=list(readings),
        command=" ".join(["plumbline curve", *map(shlex.quote, names)]),
        noun="curve",
        started=time.time() - seconds,
        seconds=seconds,
        finished=True,
    )
    return record


def _verdicts(reading: CurveReading) -> list[Verdict]:
    return [_verdict(reading, check, sentence) for check, sentence in reading.checks.items()]


def _verdict(reading: CurveReading, check: str, sentence: str) -> Verdict:
    """One check: failed with its episode, not applicable where another explains it or the curve says nothing."""
    passed = Verdict(reading.source, check, sentence, Status.PASSED, cases=1)
    one = next((one for one in reading.findings if one.check == check), None)
    if one is not None:
        message = f"{title(one, reading.unit)}: {one.evidence}. Next: {one.next_check}."
        failed = replace(passed, status=Status.FAILED, message=message, explains=True, failed_cases=1)
        return replace(failed, false_alarm=PER_KIND if one.false_alarm else 0.0, cause=Cause.BROKEN_CLAIM)
    if check in reading.consequences:
        message = f"explained by: {reading.consequences[check].replace('_', ' ')}"
        return replace(passed, status=Status.NOT_APPLICABLE, message=message)
    if check in reading.not_judged:
        return replace(passed, status=Status.NOT_APPLICABLE, message=reading.not_judged[check])
    return passed
