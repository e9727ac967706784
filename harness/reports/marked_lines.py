"""The lines that an experiment found to be wrong, with the part underlined that is wrong."""

from __future__ import annotations

from harness.core.marked_line import Mark, MarkedLine
from harness.core.notebook import shown_line
from harness.core.record import Verdict
from harness.reports.wording import WIDTH, wrapped

INTRODUCED = {
    Mark.WRONG: "wrong in {at}",
    Mark.MISSING: "a step is missing after {at}",
    Mark.READER: "before {at}",
    Mark.NUMBER: "its number comes from {at}",
    Mark.GRADIENT: "the gradient goes wrong in {at}",
}
SECOND = "or in {at}"


def marked_lines(verdict: Verdict, width: int = WIDTH) -> list[str]:
    """The lines of a failed check as paragraphs, each with its text and an underline; none where none is known."""
    found: list[str] = []
    for n, line in enumerate(verdict.lines):
        opening = SECOND if n and line.mark is Mark.WRONG else INTRODUCED[line.mark]
        at = shown_line(line.file, line.line, short=True)
        found += [*([""] if found else []), f"  {opening.format(at=at)}:", "", *underlined(line)]
        if line.expected:
            found += ["", *wrapped(expectation(line), width, "  ")]
    return found


def underlined(line: MarkedLine, indent: str = "    ") -> list[str]:
    """The text of a line, and ``^^^^`` below the part that is wrong; a statement of several lines without them."""
    rows = line.text.splitlines() or [""]
    margin = min((len(row) - len(row.lstrip()) for row in rows if row.strip()), default=0)
    shown = [f"{indent}{row[margin:]}".rstrip() for row in rows]
    if len(rows) > 1 or line.column < margin or line.end_column <= line.column:
        return shown
    marks = "^" * (line.end_column - line.column)
    return [*shown, f"{indent}{' ' * (line.column - margin)}{marks}"]


def expectation(line: MarkedLine) -> str:
    """What the reference has in the place of a marked line, in a sentence."""
    if line.mark is Mark.MISSING:
        return f"The reference goes on with `{line.expected}`; with that the result is right."
    return f"With the reference's `{line.expected}` in its place the result is right."


def place_of(verdict: Verdict) -> tuple[str, int]:
    """File and line to look at: the marked line where there is one, else where the component is defined."""
    if verdict.lines:
        return verdict.lines[0].file, verdict.lines[0].line
    return verdict.where, verdict.line
