"""Feedback for one student: as much as the rubric's hints allow, and never the seed."""

from __future__ import annotations

import json
from typing import Any

from harness.core.hint import Hint
from harness.core.record import RunRecord, Status
from harness.grading.scoring import UNREACHED, Grade, PartGrade
from harness.reports.failure import failure
from harness.reports.formats._format import FailureReport, failure_reports
from harness.reports.formats.markdown import block, escaped
from harness.reports.hints import limited

WORDS = {
    Status.FAILED: "failed",
    Status.CRASHED: "crashed",
    Status.TIMED_OUT: "ran out of time",
    Status.TO_DO: "to do",
    Status.NOT_CHECKED: "not checked",
    Status.BARELY_CHECKED: "barely checked",
    UNREACHED: "not judged",
}
MOST = 8000
"""Characters of one finding: an error's message may be of any length."""


def markdown(grade: Grade) -> str:
    """Feedback as Markdown."""
    rubric = grade.rubric
    lines = [
        f"# {escaped(rubric.title)}: {escaped(grade.name)}",
        "",
        f"**{_points(grade.total)} of {_points(rubric.points)} points**",
        "",
    ]
    if grade.judged.why:
        lines += [*block(*_problem(grade)), ""]
    lines += ["| component | points | checks passed | |", "|---|---|---|---|"]
    for part in grade.parts:
        why = f": {escaped(_line(part.why))}" if part.why and part.why != grade.judged.why else ""
        points = f"{_points(part.score)} of {_points(part.part.points)}"
        lines.append(f"| `{part.part.name}` | {points} | {part.held} of {len(part.counted)} | {part.state}{why} |")
    lines.append("")
    for part in grade.parts:
        text = explained(grade, part)
        if text and (not part.why or part.why != grade.judged.why):
            lines += [f"## {part.part.name}", "", *block(text), ""]
    return without_seed("\n".join(lines), grade)


def gradescope(grade: Grade) -> str:
    """Gradescope's results.json: a test per component. It holds no times: the same submission gives the same file."""
    rubric = grade.rubric
    tests = []
    for number, part in enumerate(grade.parts, 1):
        text = explained(grade, part) or part.state
        tests.append(
            {
                "number": str(number),
                "name": part.part.name,
                "max_score": part.part.points,
                "score": part.score,
                "status": "passed" if part.score == part.part.points else "failed",
                "output": without_seed(text, grade),
                "output_format": "text",
                "tags": [part.state],
                "visibility": part.part.visibility or rubric.visibility,
            }
        )
    body: dict[str, Any] = {
        "score": grade.total,
        "output": without_seed("\n".join([f"{rubric.title}", *_problem(grade)]), grade),
        "output_format": "text",
        "stdout_visibility": "hidden",
        "tests": tests,
    }
    if rubric.visibility != "visible":  # of the text above, too
        body["visibility"] = rubric.visibility
    return json.dumps(body, indent=1) + "\n"


def explained(grade: Grade, part: PartGrade) -> str:
    """The feedback on one component; empty where all its checks passed."""
    own = [c for c in part.counted if c.status != Status.PASSED]
    lines = (
        [
            f"points: {_points(part.score)} of {_points(part.part.points)}"
            + (f" ({_line(part.why)})" if part.why else "")
        ]
        if own
        else []
    )
    if part.state in (Status.TO_DO, UNREACHED, Status.NOT_APPLICABLE, Status.NOT_CHECKED):
        return "\n".join(lines) if part.why else part.state
    unreached = [claim for claim in own if claim.status == UNREACHED]
    if unreached:
        lines.append(f"not judged: {len(unreached)} of {len(part.counted)} checks")
    for claim in own:
        if claim in unreached:
            continue
        weight = f", weight {claim.weight:g}" if claim.weight != 1 else ""
        lines.append(f"{WORDS[claim.status]}: {claim.name}{weight} (expected: {claim.sentence})")
    if grade.rubric.hints != Hint.CLAIM:
        reports = failure_reports(_shown(grade))
        for one in reports:
            if one.group.head.component == part.part.name:
                lines += ["", _finding(one, grade)]
        parts = {name for one in reports for name in one.group.names if part.part.name in one.group.also}
        if parts:
            lines += ["", f"explained by {', '.join(sorted(parts))}"]
    return "\n".join(lines)


def _shown(grade: Grade) -> RunRecord:
    """The record as far as the rubric lets a student see it."""
    return limited(grade.record, Hint(grade.rubric.hints))


def _finding(one: FailureReport, grade: Grade) -> str:
    """One finding: its sentence; from the hint ``line`` on also the wrong line and the evidence.

    Commands are left out: they take saved cases and a seed that students do not have.
    """
    if grade.rubric.hints == Hint.FINDING:
        names = f"{', '.join(one.group.names)}: " if one.group.names else ""
        return _cut(f"{names}{one.line}")
    return _cut(failure(_shown(grade), one.group, commands=False))


def _problem(grade: Grade) -> list[str]:
    """Why the submission was not judged, in one entry; none where it was."""
    return [_cut(grade.judged.why)] if grade.judged.why else []


def without_seed(text: str, grade: Grade) -> str:
    """The text without the seed, even where the student's code printed it."""
    seed = str(grade.record.seed)
    return text.replace(seed, "(seed)") if len(seed) >= 4 else text


def _points(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")


def _line(text: str) -> str:
    first = text.strip().partition("\n")[0]
    return first if len(first) <= 160 else first[:156] + " ..."


def _cut(text: str) -> str:
    return text if len(text) <= MOST else text[:MOST] + "\n... (truncated)"
