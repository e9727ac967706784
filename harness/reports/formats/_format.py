"""What every format is, and what several of them say alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from harness.core.marked_line import MarkedLine
from harness.core.record import RunRecord, Status, Verdict
from harness.reports.failure import command_rows, evidence, failure, headline, introduction
from harness.reports.formats._words import readable
from harness.reports.groups import Group, groups
from harness.reports.hints import limited
from harness.reports.marked_lines import place_of


class State(str, Enum):
    """What came of a check or of a whole component, as the formats show it. It equals and is written as its text."""

    PASSED = "passed"
    FAILED = "failed"
    EXCUSED = "excused"
    TO_DO = "to do"
    NOT_APPLICABLE = "not applicable"
    NOT_CHECKED = "not checked"
    BARELY_CHECKED = "barely checked"
    ADVICE = "advice"

    def __str__(self) -> str:
        return self.value


STATES = {
    Status.PASSED: State.PASSED,
    Status.TO_DO: State.TO_DO,
    Status.NOT_APPLICABLE: State.NOT_APPLICABLE,
    Status.NOT_CHECKED: State.NOT_CHECKED,
    Status.BARELY_CHECKED: State.BARELY_CHECKED,
    Status.ADVICE: State.ADVICE,
}
"""The states of checks that found nothing wrong."""
WEIGHTS = (
    Status.BARELY_CHECKED,
    Status.PASSED,
    Status.NOT_CHECKED,
    Status.TO_DO,
    Status.NOT_APPLICABLE,
    Status.ADVICE,
)
"""What weighs most among the statuses of a component of which nothing failed, first."""


@dataclass(frozen=True)
class Format:
    """A report format: what it is for, its usual file, and the function that makes its text from a record."""

    meaning: str
    file: str
    convert: Callable[[RunRecord], str]

    def render(self, record: RunRecord) -> str:
        """The text of the file: as much as the record's level of hints allows, and valid UTF-8 whatever the
        implementation's messages hold."""
        return self.convert(readable(limited(record)))


@dataclass(frozen=True)
class FailureReport:
    """A failure as every format shows it: its group, one line, the whole text and its parts, and the line of code.

    ``commands``: what explains it, what replays its smallest case, what repeats the check. ``mark``: the line that an
    experiment found, where it found one; ``file`` and ``at`` are then its place.
    """

    group: Group
    title: str
    line: str
    text: str
    opening: str
    diff: str
    evidence: tuple[tuple[str, str], ...]
    file: str
    at: int
    commands: tuple[str, ...]
    mark: MarkedLine | None = None


def failure_reports(record: RunRecord) -> list[FailureReport]:
    """Every finding once, in order of dependence, each with the text that the terminal shows."""
    return [_failure_report(record, group) for group in groups(record)]


def _failure_report(record: RunRecord, group: Group) -> FailureReport:
    head, summary = group.head, group.summary(record)
    return FailureReport(
        group=group,
        title=", ".join(group.names) or f"{head.component}::{head.claim}",
        line=headline(record, group),
        text=failure(record, group),
        opening=introduction(group, summary) if summary else "",
        diff=summary.diff if summary else "",
        evidence=tuple(evidence(record, group)),
        file=relative(place_of(head)[0]),
        at=place_of(head)[1],
        commands=tuple(command for _, command in command_rows(record, group)),
        mark=head.lines[0] if head.lines else None,
    )


def relative(file: str) -> str:
    """A path relative to the current folder where it lies below it, as services show it beside their own files."""
    here, path = Path.cwd(), Path(file)
    return path.relative_to(here).as_posix() if file and path.is_relative_to(here) else file


def status_of(record: RunRecord, component: str) -> State | None:
    """Of all its verdicts, what weighs most; None for a component that was not asked for."""
    verdicts = record.of(component)
    if any(v.failing for v in verdicts):
        return State.FAILED
    if any(v.excused for v in verdicts) and not any(v.status == Status.PASSED for v in verdicts):
        return State.EXCUSED
    for status in WEIGHTS:
        if any(v.status == status for v in verdicts):
            return STATES[status]
    return State.TO_DO if component in record.missing and record.planned.get(component) else None


def counted(record: RunRecord) -> dict[State, int]:
    """How many components are in each state (those that were not asked for are in none)."""
    states = [status_of(record, name) for name in record.order]
    return {state: states.count(state) for state in State}


def verdict_line(record: RunRecord) -> str:
    """The whole run in one line."""
    count = counted(record)
    wrong = sum(v.failing for v in record.verdicts)
    unfinished = "" if record.finished else " The run was interrupted."
    passed, failed, to_do = count[State.PASSED], count[State.FAILED], count[State.TO_DO]
    if failed:
        checks = f"{wrong} check{'s' if wrong > 1 else ''} failed"
        return f"{failed} of {failed + passed} {record.noun}s failed ({checks}).{unfinished}"
    rest = {"barely checked": count[State.BARELY_CHECKED], "not checked": count[State.NOT_CHECKED], "to do": to_do}
    more = "".join(f", {number} {state}" for state, number in rest.items() if number)
    if passed:
        kind = f"implemented {record.noun}" if record.noun == "component" else record.noun
        who = f"All {passed} {kind}s" if passed > 1 else f"The only {kind}"
        return f"{who} passed{more}.{unfinished}"
    if count[State.BARELY_CHECKED]:
        return f"No component passed{more}.{unfinished}"
    beside = f", and {count[State.NOT_CHECKED]} not checked" if count[State.NOT_CHECKED] else ""
    return f"No check ran: {to_do} components are to do{beside}.{unfinished}"


def state_of(verdict: Verdict) -> State:
    """The state of one check."""
    if verdict.failing or verdict.excused:
        return State.FAILED if verdict.failing else State.EXCUSED
    return STATES[verdict.status]


def judged(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Those that say something about the code: it passed, if only barely, or it failed."""
    return [v for v in verdicts if v.status in (Status.PASSED, Status.BARELY_CHECKED) or v.failing]
