"""The lines that an experiment found to be wrong, with the part underlined that is wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.core.marked_line import Mark, MarkedLine
from harness.core.notebook import shown_line
from harness.core.record import Verdict
from harness.reports.wording import WIDTH, wrapped

INTRODUCED = {
    Mark.WRONG: "wrong in {at}",
    Mark.MISSING: "a step is missing after {at}",
    Mark.SURPLUS: "one step too many in {at}",
    Mark.READER: "before {at}",
    Mark.NUMBER: "its number comes from {at}",
    Mark.GRADIENT: "the gradient goes wrong in {at}",
}
SECOND = "or in {at}"
LEGEND = "- your code, + expected code"
BEFORE_AND_AFTER = "- your code, + the change"


def marked_lines(verdict: Verdict, width: int = WIDTH) -> list[str]:
    """The lines of a failed check as paragraphs, each with its text and an underline; none where none is known."""
    found: list[str] = []
    for n, line in enumerate(verdict.lines):
        found += [*([""] if found else []), f"  {place_in_words(line, n)}:", "", *underlined(line)]
        if words := expectation(line, verdict.lines):
            found += ["", *wrapped(words, width, "  ")]
    return found


def place_in_words(line: MarkedLine, number: int) -> str:
    """``wrong in student.py:28``. ``number``: how many lines of the same check were shown before."""
    opening = SECOND if number and line.mark is Mark.WRONG else INTRODUCED[line.mark]
    return opening.format(at=shown_line(line.file, line.line, short=True))


def underlined(line: MarkedLine, indent: str = "    ") -> list[str]:
    """The text of a line, and ``^^^^`` below the part that is wrong; a statement of several lines without them."""
    rows = line.text.splitlines() or [""]
    margin = min((len(row) - len(row.lstrip()) for row in rows if row.strip()), default=0)
    shown = [f"{indent}{row[margin:]}".rstrip() for row in rows]
    if len(rows) > 1 or line.column < margin or line.end_column <= line.column:
        return shown
    marks = "^" * (line.end_column - line.column)
    return [*shown, f"{indent}{' ' * (line.column - margin)}{marks}"]


def expectation(line: MarkedLine, lines: Sequence[MarkedLine] = ()) -> str:
    """What the reference has in the place of a marked line, in a sentence; empty where that is not known.

    ``lines``: all that are marked for the same check; of several steps too many, the last one speaks for all.
    """
    if line.mark is Mark.SURPLUS:
        alike = [other for other in lines if (other.mark, other.mistake) == (line.mark, line.mistake)]
        if alike and line is not alike[-1]:
            return ""
        return f"Without {'both' if len(alike) > 1 else 'it'} the result is right."
    if not line.expected:
        return ""
    if line.mark is Mark.MISSING:
        return f"The reference goes on with `{line.expected}`; with that the result is right."
    return f"With the reference's `{line.expected}` in its place the result is right."


def fixing_lines(verdict: Verdict, width: int = WIDTH) -> list[str]:
    """The change that fixes the component of a failed check, and its proof; nothing where none is known."""
    if verdict.change is None:
        return []
    return [*wrapped(f"{proof(verdict)} ({BEFORE_AND_AFTER}):", width, "  "), "", *changed_lines(verdict.change.diff)]


def proof(verdict: Verdict) -> str:
    """``A change that fixes it; all 21 checks of layer_norm pass with it``. Of a verdict with a change."""
    assert verdict.change is not None
    held, run, what = verdict.change.checks_held, verdict.change.checks_run, f"checks of {verdict.component}"
    if held == run:
        return f"A change that fixes it; all {held} {what} pass with it"
    return f"A change that fixes it; {held} of {run} {what} pass with it, and none fails"


def changed_lines(diff: str, indent: str = "    ") -> list[str]:
    """The lines that a unified diff takes away and adds, a blank line between two places; the files' names where there
    are several."""
    pieces = [piece.splitlines() for piece in re.split(r"^(?=@@ |--- .*\n\+\+\+ )", diff, flags=re.MULTILINE) if piece]
    several = sum(lines[0].startswith("--- ") for lines in pieces) > 1
    found: list[str] = []
    for lines in pieces:
        is_name = lines[0].startswith("--- ")
        if is_name and not several:
            continue
        kept = [f"{lines[0].removeprefix('--- a/')}:"] if is_name else [one for one in lines[1:] if one[:1] in "+-"]
        found += [*([""] if found else []), *(f"{indent}{one}".rstrip() for one in kept)]
    return found


def place_of(verdict: Verdict) -> tuple[str, int]:
    """File and line to look at: the marked line where there is one, else where the component is defined."""
    if verdict.lines:
        return verdict.lines[0].file, verdict.lines[0].line
    return verdict.where, verdict.line
