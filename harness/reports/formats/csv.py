"""One row per check, for a spreadsheet."""

from __future__ import annotations

import csv
import io

from harness.core.verdict import Record
from harness.reports.formats._format import Format

COLUMNS = (
    "component", "claim", "status", "error_over_tolerance", "cases", "violated", "finding", "message", "file", "line",
    "case_id", "seconds",
)  # fmt: skip


def render(record: Record) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for name in record.order:
        for v in record.of(name):
            error = v.excess if v.failing else v.error
            writer.writerow([
                v.component, v.claim, v.status, "" if error is None else f"{error:.6g}", v.cases, v.violated,
                " ".join(v.finding), plain(v.message), v.where, v.line or "", v.case_id, f"{v.seconds:.3f}",
            ])  # fmt: skip
    return text.getvalue()


def plain(text: str) -> str:
    """In one line; no spreadsheet takes it for a formula."""
    line = " ".join(text.split())
    return f"'{line}" if line[:1] in ("=", "+", "-", "@") else line


FORMAT = Format("one row per check, for a spreadsheet", "checks.csv", render)
