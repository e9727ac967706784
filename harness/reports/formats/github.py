"""Annotations of GitHub Actions: workflow commands that put a finding beside the line that is wrong."""

from __future__ import annotations

from harness.core.record import RunRecord
from harness.reports.formats._format import FailureReport, Format, failure_reports

MOST = 10
"""Errors that GitHub shows per step; it drops the rest without a word, so the last line tells of them."""


def render(record: RunRecord) -> str:
    found = failure_reports(record)
    shown = found if len(found) <= MOST else found[: MOST - 1]
    lines = []
    for one in shown:
        where = "".join(f"{name}={_property(str(value))}," for name, value in _place(one).items())
        lines.append(f"::error {where}title={_property(one.title)}::{_data(one.line)}")
    if len(found) > len(shown):
        rest = ", ".join(one.title for one in found[len(shown) :])
        lines.append(f"::error title={_property(f'and {len(found) - len(shown)} more')}::{_data(rest)}")
    return "".join(f"{line}\n" for line in lines)


def _place(one: FailureReport) -> dict[str, str | int]:
    """File and line, which count from 1; of what stands in one line also the columns, both included."""
    if not one.file:
        return {}
    place: dict[str, str | int] = {"file": one.file, "line": max(one.at, 1)}
    mark = one.mark
    if mark is not None and mark.end_line > mark.line:
        place["endLine"] = mark.end_line
    elif mark is not None and 0 <= mark.column < mark.end_column:
        place |= {"col": mark.column + 1, "endColumn": mark.end_column}
    return place


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


FORMAT = Format("GitHub annotations, to be printed in a workflow step", "github.txt", render)
