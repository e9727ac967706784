"""One row per component: checks passed, largest error, gradients, verdict."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from harness.core.claim import About
from harness.core.record import RunRecord, Status, Verdict
from harness.reports.wording import WIDTH, percent, wrapped

TITLES = ("component", "checks passed", "largest error", "gradients", "verdict")
MANY = 4
"""From so many components on, those of which nothing is there share one paragraph."""
SHORT = 8
"""Characters of a verdict that always stays in its row."""
LEAST_ROOM = 48
"""Columns that a long verdict needs beside the others."""
LONGEST = 100
"""Characters of a verdict that quotes somebody's words."""


@dataclass(frozen=True)
class Line:
    """A line of the table. ``component``: whose row it is, empty for the title; ``status``: of the component."""

    text: str
    component: str = ""
    status: Status | None = None


def table(record: RunRecord, width: int = WIDTH) -> list[Line]:
    """A title, a row per component that has anything to show, and a paragraph of those that are all to do."""
    absent = [name for name in record.order if _is_absent(record, name)]
    absent = absent if len(absent) >= MANY else []
    rows = [row for name in record.order if name not in absent and (row := _row(record, name)) is not None]
    lines = _laid_out(rows, width) if rows else []
    if absent:
        to_do = wrapped(f"to do ({len(absent)}): {', '.join(absent)}", width, "", "    ")
        lines += [Line(text, "", Status.TO_DO) for text in to_do]
    return lines


_Row = tuple[tuple[str, ...], Status]


def _laid_out(rows: Sequence[_Row], width: int) -> list[Line]:
    """The rows in columns. A verdict that is too long wraps in its column, or below the row in a narrow terminal."""
    cells = [TITLES, *(row for row, _ in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(TITLES) - 1)]
    lines = []
    for row, status in [(TITLES, None), *rows]:
        start = "  ".join(cell.ljust(size) for cell, size in zip(row[:-1], widths, strict=True)) + "  "
        name, room = "" if status is None else row[0], width - len(start)
        if len(row[-1]) <= SHORT:
            texts = [start + row[-1]]
        elif room >= min(len(row[-1]), LEAST_ROOM):
            texts = wrapped(row[-1], width, start, " " * len(start))
        else:
            texts = [start, *wrapped(row[-1], width, "    ")]
        lines += [Line(text.rstrip(), name, status) for text in texts]
    return lines


def _row(record: RunRecord, name: str) -> _Row | None:
    verdicts = record.of(name)
    judged = [v for v in verdicts if v.status.is_judged]
    if not judged:
        if any(v.status == Status.NOT_CHECKED for v in verdicts):
            return (name, "-", "-", "-", _not_checked(verdicts)), Status.NOT_CHECKED
        if verdicts and all(v.status == Status.NOT_APPLICABLE for v in verdicts):
            return (name, "-", "-", "-", _not_applicable(verdicts)), Status.NOT_APPLICABLE
        begun = verdicts or (name in record.missing and record.planned.get(name))
        return ((name, "-", "-", "-", _to_do(verdicts)), Status.TO_DO) if begun else None
    passed = [v for v in judged if v.status == Status.PASSED]
    errors = [v.error for v in passed if v.error is not None]
    largest = f"{percent(max(errors))} of tolerance" if errors else "none" if passed else "-"
    counts = f"{len(passed)} of {len(judged)}"
    failed, barely = any(v.failing for v in judged), any(v.status == Status.BARELY_CHECKED for v in judged)
    status = Status.FAILED if failed else Status.BARELY_CHECKED if barely else Status.PASSED
    return (name, counts, largest, gradients(verdicts), _verdict(record, name, judged)), status


def _is_absent(record: RunRecord, name: str) -> bool:
    """Whether nothing of a component is there."""
    verdicts = record.of(name)
    missing = bool(verdicts) and all(v.status == Status.TO_DO and not v.where for v in verdicts)
    return missing or (not verdicts and name in record.missing and bool(record.planned.get(name)))


def _not_checked(verdicts: Sequence[Verdict]) -> str:
    reasons = [v.message for v in verdicts if v.status == Status.NOT_CHECKED]
    return f"not checked: {_first_sentence(max(reasons, key=reasons.count))}"


def _not_applicable(verdicts: Sequence[Verdict]) -> str:
    reasons = [v.message for v in verdicts]
    return f"not applicable ({max(reasons, key=reasons.count)})"


def _to_do(verdicts: Sequence[Verdict]) -> str:
    stub = stub_reason(verdicts)
    return f"to do: {stub}"[:LONGEST] if stub else "to do"


def stub_reason(verdicts: Sequence[Verdict]) -> str:
    """Why code that is there counts as to do ("only `pass`"); empty where it raises NotImplementedError itself."""
    whys = [v.message for v in verdicts if v.status == Status.TO_DO and v.where]
    return next((why for why in whys if not why.endswith("NotImplementedError")), "")


def gradients(verdicts: Sequence[Verdict]) -> str:
    """What came of the checks of gradients."""
    judged = [v for v in verdicts if About.GRADIENT in v.about and v.status.is_judged]
    if any(v.failing for v in judged):
        return "FAILED"
    if any(v.status == Status.PASSED for v in judged):
        return "passed"
    return "barely checked" if judged else "-"


def _first_sentence(text: str) -> str:
    """The first sentence of a message, cut after ``LONGEST`` characters."""
    found = re.match(r".+?[.?!](?=\s|$)", text, re.DOTALL)
    sentence = found[0] if found else text
    return sentence if len(sentence) <= LONGEST else sentence[: LONGEST - 3] + "..."


def _verdict(record: RunRecord, name: str, judged: Sequence[Verdict]) -> str:
    failing, excused = [v for v in judged if v.failing], sum(bool(v.excused) for v in judged)
    if not failing:
        barely = [v.message for v in judged if v.status == Status.BARELY_CHECKED]
        passed = f"barely checked: {_first_sentence(max(barely, key=barely.count))}" if barely else "passed"
        return f"{passed} ({excused} excused)" if excused else passed
    names = list(dict.fromkeys(n for v in failing for n in v.finding))
    own = [n for n in names if record.summaries.get(n) is None or record.summaries[n].component == name]
    unexplained = [v for v in failing if not v.finding]
    if names and not own and not unexplained:
        return "FAILED, explained by " + ", ".join(names)
    if names:
        return "FAILED: " + ", ".join(names) + (f" and {len(unexplained)} more" if unexplained else "")
    if returned := next((v.returned for v in failing if v.returned), ""):
        return f"FAILED: it returned {returned}"
    if all(v.status == Status.TIMED_OUT for v in failing):
        return f"TIMED OUT: {_first_sentence(failing[0].message)}"
    if all(v.status in (Status.CRASHED, Status.TIMED_OUT) for v in failing):
        return f"CRASHED: {_first_sentence(failing[0].message)}"
    more = f" and {len(failing) - 3} more" if len(failing) > 3 else ""
    return "FAILED: " + ", ".join(v.claim for v in failing[:3]) + more
