"""GitLab's code quality report: one issue per finding, at the line of the implementation."""

from __future__ import annotations

import hashlib
import json

from harness.core.record import RunRecord
from harness.reports.formats._format import FailureReport, Format, failure_reports


def render(record: RunRecord) -> str:
    issues = []
    for one in failure_reports(record):
        head = one.group.head
        marks = (one.file, head.component, one.title)  # no line number: it must survive an edit above
        issues.append(
            {
                "description": one.line,
                "check_name": one.title,
                "fingerprint": hashlib.sha256("\0".join(marks).encode()).hexdigest(),
                "severity": "critical" if one.group.names else "major",
                "location": {
                    "path": (one.file or record.impl).strip().removeprefix("./") or "unknown",
                    **_lines(one),
                },
            }
        )
    return json.dumps(issues, indent=1) + "\n"


def _lines(one: FailureReport) -> dict[str, object]:
    """The lines, from 1; or, where the columns are known, both (GitLab takes either ``lines`` or ``positions``)."""
    mark = one.mark
    if mark is None:
        return {"lines": {"begin": max(one.at, 1)}}
    if mark.column < 0 or mark.end_column < 0:
        return {"lines": {"begin": mark.line, "end": max(mark.line, mark.end_line)}}
    ends = ((mark.line, mark.column + 1), (max(mark.line, mark.end_line), max(mark.end_column, 1)))
    begin, end = ({"line": line, "column": column} for line, column in ends)
    return {"positions": {"begin": begin, "end": end}}


FORMAT = Format("GitLab code quality", "gl-code-quality-report.json", render)
