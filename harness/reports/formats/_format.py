"""What every format is, and what several of them say alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.core.record import CRASHED, HOLDS, MISSING, NOT_OFFERED, TIMED_OUT, RunRecord, Verdict
from harness.reports.formats._words import readable
from harness.reports.text import Group, again, evidence, failure, groups, headline, opening

WORDS = {HOLDS: "holds", CRASHED: "crashed", TIMED_OUT: "timed out", MISSING: "to do", NOT_OFFERED: "not offered"}


@dataclass(frozen=True)
class Format:
    """One face: what it is for, the file it is usually written to, and what makes the text of that file of a record."""

    meaning: str
    file: str
    convert: Callable[[RunRecord], str]

    def render(self, record: RunRecord) -> str:
        """The text of the file: valid UTF-8 whatever their code said."""
        return self.convert(readable(record))


@dataclass(frozen=True)
class FailureReport:
    """A failure as every format shows it: its group, one line, the whole text and its parts, and where their code stands.

    ``commands``: what explains it, what runs its smallest case again, what judges the check again.
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


def told(record: RunRecord) -> list[FailureReport]:
    """Every finding once, in order of dependence, each with the text that the terminal shows."""
    found = []
    for group in groups(record):
        head = group.head
        command = again(record, head)
        title = ", ".join(group.names) or f"{head.component}::{head.claim}"
        summary = record.summaries.get(group.names[0]) if group.names else None
        commands = [f"plumbline explain {summary.name}"] if summary else []
        commands += [f"plumbline replay {head.case_id}"] if head.case_id else []
        found.append(
            FailureReport(
                group,
                title,
                headline(record, group),
                failure(record, group, command),
                " ".join(opening(head, summary)) if summary else "",
                summary.diff if summary else "",
                tuple(evidence(record, group, command)),
                relative(head.where),
                head.line,
                (*commands, command),
            )
        )
    return found


def relative(file: str) -> str:
    """A path as seen from the folder of the run, where it lies below it: what services show beside their own files."""
    here, path = Path.cwd(), Path(file)
    return path.relative_to(here).as_posix() if file and path.is_relative_to(here) else file


def status_of(record: RunRecord, component: str) -> str:
    """``wrong``, ``holds``, ``excused``, ``to do`` or ``not offered``: of all its verdicts, what weighs most."""
    verdicts = record.of(component)
    if any(v.failing for v in verdicts):
        return "wrong"
    if any(v.excused for v in verdicts) and not any(v.status == HOLDS for v in verdicts):
        return "excused"
    for status in (HOLDS, MISSING, NOT_OFFERED):
        if any(v.status == status for v in verdicts):
            return WORDS[status]
    return "to do" if component in record.missing and record.planned.get(component) else ""


def counted(record: RunRecord) -> dict[str, int]:
    """How many components are in each state (those that were not asked for are in none)."""
    states = [status_of(record, name) for name in record.order]
    return {state: states.count(state) for state in ("holds", "wrong", "excused", "to do", "not offered")}


def verdict_line(record: RunRecord) -> str:
    """The whole run in one line."""
    count = counted(record)
    wrong = sum(v.failing for v in record.verdicts)
    unfinished = "" if record.finished else " The run did not come to its end."
    if count["wrong"]:
        return f"{count['wrong']} of {count['wrong'] + count['holds']} components are wrong ({wrong} checks fail).{unfinished}"
    if count["holds"]:
        more = f", {count['to do']} to do" if count["to do"] else ""
        return f"All {count['holds']} components that are there hold{more}.{unfinished}"
    return f"Nothing was judged: {count['to do']} components are to do.{unfinished}"


def state_of(verdict: Verdict) -> str:
    """``wrong``, ``excused``, ``holds``, ``to do`` or ``not offered``."""
    if verdict.failing or verdict.excused:
        return "wrong" if verdict.failing else "excused"
    return WORDS.get(verdict.status, "holds")


def judged(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Those that say something about the code: it holds, or it does not."""
    return [v for v in verdicts if v.status == HOLDS or v.failing]
