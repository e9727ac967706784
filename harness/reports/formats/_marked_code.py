"""The code around a line that is wrong, row by row, as the page shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.core.marked_line import MarkedLine
from harness.core.notebook import cell_of
from harness.core.record import Verdict
from harness.reports.marked_lines import changed_lines, expectation, place_in_words, proof


@dataclass(frozen=True)
class Row:
    """A line of code: its number in the file (in a notebook, in its cell), and its text in three pieces, of which the
    second is wrong. ``is_marked``: whether it belongs to the statement that is wrong."""

    number: int
    before: str
    wrong: str = ""
    after: str = ""
    is_marked: bool = False


@dataclass(frozen=True)
class Place:
    """One marked line: what is said of it, the code around it, and what belongs there."""

    words: str
    rows: tuple[Row, ...]
    expected: str


def places(verdict: Verdict) -> list[Place]:
    """The marked lines of a failed check, the surest first."""
    return [_place(line, n, verdict.lines) for n, line in enumerate(verdict.lines)]


def _place(line: MarkedLine, number: int, lines: Sequence[MarkedLine]) -> Place:
    words = place_in_words(line, number)
    return Place(f"{words[:1].upper()}{words[1:]}:", tuple(_rows(line)), expectation(line, lines))


def _rows(line: MarkedLine) -> list[Row]:
    cell = cell_of(line.file, line.line)
    first = line.line if cell is None else cell[1]
    above, text, below = ([*part.split("\n")] if part else [] for part in (line.above, line.text, line.below))
    is_whole = len(text) != 1 or not 0 <= line.column < line.end_column
    rows = [Row(first - len(above) + n, one) for n, one in enumerate(above)]
    for n, one in enumerate(text):
        start, end = (0, len(one)) if is_whole else (line.column, line.end_column)
        start = max(start, len(one) - len(one.lstrip()))
        rows.append(Row(first + n, one[:start], one[start:end], one[max(start, end) :], True))
    rows += [Row(first + len(text) + n, one) for n, one in enumerate(below)]
    while rows and not rows[0].is_marked and not rows[0].before.strip():
        del rows[0]
    while rows and not rows[-1].is_marked and not rows[-1].before.strip():
        del rows[-1]
    return rows


def fix(verdict: Verdict) -> tuple[str, list[tuple[str, str]]] | None:
    """The proof of the change that fixes the component, and its lines with their signs; None where there is none."""
    if verdict.change is None:
        return None
    return f"{proof(verdict)}:", [(line[:1], line) for line in changed_lines(verdict.change.diff, indent="")]
