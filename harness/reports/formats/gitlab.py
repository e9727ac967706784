"""GitLab's code quality report: one issue per finding, at the line of the implementation."""

from __future__ import annotations

import hashlib
import json

from harness.core.record import RunRecord
from harness.reports.formats._format import Format, failure_reports


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
                    "lines": {"begin": max(one.at, 1)},
                },
            }
        )
    return json.dumps(issues, indent=1) + "\n"


FORMAT = Format("GitLab code quality", "gl-code-quality-report.json", render)
