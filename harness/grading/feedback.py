"""What one student reads: as much as the rubric's hints allow, and never the seed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from harness.core.record import Status
from harness.grading.scoring import UNREACHED, Grade, PartGrade
from harness.reports.formats._format import FailureReport, told
from harness.reports.formats.markdown import _block, _escaped

WORDS = {
    Status.FAILED: "failed",
    Status.CRASHED: "crashed",
    Status.TIMED_OUT: "ran out of time",
    Status.TO_DO: "to do",
    UNREACHED: "not judged",
}
HIDDEN_LABELS = ("again", "more")
"""Evidence that tells how to run it again: with kept cases and a seed that students do not have."""
MOST = 8000
"""Characters of one finding's text: an error's message may be of any length."""


def markdown(grade: Grade) -> str:
    """Feedback as Markdown."""
    rubric = grade.rubric
    lines = [
        f"# {_escaped(rubric.title)}: {_escaped(grade.name)}",
        "",
        f"**{_points(grade.total)} of {_points(rubric.points)} points**",
        "",
    ]
    if grade.judged.why:
        lines += [*_block(*_problem(grade)), ""]
    lines += ["| component | points | claims held | |", "|---|---|---|---|"]
    for part in grade.parts:
        why = f": {_escaped(_line(part.why))}" if part.why and part.why != grade.judged.why else ""
        points = f"{_points(part.score)} of {_points(part.part.points)}"
        lines.append(f"| `{part.part.name}` | {points} | {part.held} of {len(part.counted)} | {part.state}{why} |")
    lines.append("")
    for part in grade.parts:
        text = explained(grade, part)
        if text and (not part.why or part.why != grade.judged.why):
            lines += [f"## {part.part.name}", "", *_block(text), ""]
    return without_seed("\n".join(lines), grade)


def gradescope(grade: Grade) -> str:
    """Gradescope's results.json: a test per component. Seconds are left out: the same submission gives the same file."""
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
    """What is told of one component; an empty text where all of it holds."""
    own = [c for c in part.counted if c.status != Status.PASSED]
    lines = (
        [
            f"points: {_points(part.score)} of {_points(part.part.points)}"
            + (f" ({_line(part.why)})" if part.why else "")
        ]
        if own
        else []
    )
    if part.state in (Status.TO_DO, UNREACHED, Status.NOT_APPLICABLE):
        return "\n".join(lines) if part.why else part.state
    unreached = [claim for claim in own if claim.status == UNREACHED]
    if unreached:
        lines.append(f"not judged: {len(unreached)} of {len(part.counted)} claims")
    for claim in own:
        if claim in unreached:
            continue
        weight = f", weight {claim.weight:g}" if claim.weight != 1 else ""
        lines.append(f"{WORDS[claim.status]}: {claim.name}{weight}: it must hold that {claim.sentence}")
    if grade.rubric.hints != "claim":
        for one in told(grade.record):
            if one.group.head.component == part.part.name:
                lines += ["", *_finding(one, grade.rubric.hints)]
        above = {name for one in told(grade.record) for name in one.group.names if part.part.name in one.group.also}
        if above:
            lines += ["", f"explained by {', '.join(sorted(above))}"]
    return "\n".join(lines)


def _finding(one: FailureReport, hints: str) -> Sequence[str]:
    """One finding: in words; with ``line`` also the line that is wrong, and the evidence."""
    if hints == "finding":
        names = f"{', '.join(one.group.names)}: " if one.group.names else ""
        return [_cut(f"{names}{one.line}")]
    kept, skipping = list[str](), False
    for line in one.text.splitlines():  # a label's value may go on in further lines, below its own column
        label = line[:18].strip()
        skipping = label in HIDDEN_LABELS if label else skipping and line.startswith(" " * 18)
        if not skipping:
            kept.append(line)
    return [_cut("\n".join(kept))]


def _problem(grade: Grade) -> list[str]:
    """What kept it from being judged."""
    return [_cut(grade.judged.why)] if grade.judged.why else []


def without_seed(text: str, grade: Grade) -> str:
    """The seed is not told, not even where their own code printed it."""
    seed = str(grade.record.seed)
    return text.replace(seed, "(seed)") if len(seed) >= 4 else text


def _points(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")


def _line(text: str) -> str:
    first = text.strip().partition("\n")[0]
    return first if len(first) <= 160 else first[:156] + " ..."


def _cut(text: str) -> str:
    return text if len(text) <= MOST else text[:MOST] + "\n... (cut here)"
