"""Gradescope's results.json: one test per component, scored by its share of checks passed."""

from __future__ import annotations

import json

from harness.core.record import RunRecord, Status
from harness.reports.formats._format import Format, State, failure_reports, judged, status_of, verdict_line
from harness.reports.run_summary import coverage

NOT_SCORED = (State.NOT_APPLICABLE, State.EXCUSED)


def render(record: RunRecord) -> str:
    texts: dict[str, list[str]] = {}
    for one in failure_reports(record):
        texts.setdefault(one.group.head.component, []).append(one.text)
    tests = []
    for number, name in enumerate(record.order, 1):
        state = status_of(record, name)
        if not state:
            continue
        seen = judged(record.of(name))
        passed = sum(v.status == Status.PASSED for v in seen)
        outputs = texts.get(name, []) or (["explained by findings in its parts"] if state == State.FAILED else [])
        # Gradescope shows a test without points as information.
        points = (
            {} if state in NOT_SCORED else {"max_score": 1.0, "score": round(passed / len(seen), 4) if seen else 0.0}
        )
        tests.append(
            {
                "number": str(number),
                "name": name,
                **points,
                "status": "passed" if state in (State.PASSED, *NOT_SCORED) else "failed",
                "output": "\n\n".join(outputs) or state,
                "output_format": "text",
                "tags": [state],
            }
        )
    body = {
        "output": "\n".join([verdict_line(record), *coverage(record)]),
        "output_format": "text",
        "execution_time": round(record.seconds, 2),
        "stdout_visibility": "hidden",
        "tests": tests,
    }
    return json.dumps(body, indent=1) + "\n"


FORMAT = Format(
    "Gradescope's results.json: one point per component, times its share of checks passed", "results.json", render
)
