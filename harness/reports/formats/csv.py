"""One row per check, for a spreadsheet."""

from __future__ import annotations

import csv
import io
import re

from harness.core.record import RunRecord, Status
from harness.reports.formats._format import Format

COLUMNS = (
    "component",
    "claim",
    "status",
    "error_over_tolerance",
    "cases",
    "failed_cases",
    "finding",
    "message",
    "file",
    "line",
    "case_id",
    "seconds",
    "excused",
    "cause",
)
NUMBER = re.compile(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?|-?inf|nan")


def render(record: RunRecord) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for name in record.order:
        for v in record.of(name):
            error = v.error if v.status == Status.PASSED else v.excess
            row = [
                v.component,
                v.claim,
                v.status,
                "" if error is None else f"{error:.6g}",
                v.cases,
                v.failed_cases,
                " ".join(v.finding),
                v.message,
                v.where,
                v.line or "",
                v.case_id,
                f"{v.seconds:.3f}",
                v.excused,
                v.cause,
            ]
            writer.writerow([plain(value) if isinstance(value, str) else value for value in row])
    return text.getvalue()


def plain(text: str) -> str:
    """In one line; no spreadsheet takes it for a formula (a number may begin with a sign)."""
    line = " ".join(text.split())
    return f"'{line}" if line[:1] in ("=", "+", "-", "@") and not NUMBER.fullmatch(line) else line


FORMAT = Format("one row per check, for a spreadsheet", "checks.csv", render)
