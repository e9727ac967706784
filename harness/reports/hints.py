"""A record without what its level of hints hides. Reports are made from what is left."""

from __future__ import annotations

from dataclasses import replace

from harness.core.hint import Hint
from harness.core.record import MistakeSummary, RunRecord, Status, Verdict

IN_SHORT = {Status.CRASHED: "it raised an error", Status.TIMED_OUT: "it ran out of time"}
"""What is left of the message of a check, where only the failed claim is shown."""


def limited(record: RunRecord, level: Hint | None = None) -> RunRecord:
    """The record with what a report may show at this level (None: the record's own)."""
    level = record.hints if level is None else level
    if level is Hint.CHANGE:
        return record
    verdicts = [_verdict(verdict, level) if verdict.status.is_failing else verdict for verdict in record.verdicts]
    return replace(record, verdicts=verdicts, summaries=_summaries(record, level), hints=level)


def _verdict(verdict: Verdict, level: Hint) -> Verdict:
    left = replace(verdict, change=None) if verdict.change is not None else verdict
    if level is Hint.LINE:
        return left
    left = replace(left, lines=(), frames=())
    if level is Hint.FINDING:
        return left
    return replace(
        left,
        message=IN_SHORT.get(verdict.status, ""),
        explains=False,
        returned="",
        finding=(),
        or_else=(),
        covers=(),
        explained_by="",
        searched=(),
        worst="",
        excess=None,
        error_map=(),
    )


def _summaries(record: RunRecord, level: Hint) -> dict[str, MistakeSummary]:
    if level is Hint.LINE:
        return record.summaries
    if level is Hint.FINDING:
        return {name: replace(one, diff="") for name, one in record.summaries.items()}
    return {}
