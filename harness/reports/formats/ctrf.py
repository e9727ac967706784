"""The Common Test Report Format: one test per check."""

from __future__ import annotations

import json

from harness.core.record import RunRecord, Verdict
from harness.reports.formats._format import Format, State, state_of
from harness.reports.marked_lines import place_of

STATES = {
    State.PASSED: "passed",
    State.FAILED: "failed",
    State.EXCUSED: "other",
    State.TO_DO: "pending",
    State.NOT_APPLICABLE: "skipped",
    State.NOT_CHECKED: "skipped",
    State.BARELY_CHECKED: "pending",
    State.ADVICE: "other",
}


def render(record: RunRecord) -> str:
    verdicts = [v for name in record.order for v in record.of(name)]
    tests = [_test(v) for v in verdicts]
    states = [test["status"] for test in tests]
    counts = {state: states.count(state) for state in ("passed", "failed", "skipped", "pending", "other")}
    start = round(1000 * record.started)
    summary = {"tests": len(tests), **counts, "start": start, "stop": start + round(1000 * record.seconds)}
    results = {"tool": {"name": "plumbline"}, "summary": summary, "tests": tests}
    return json.dumps({"reportFormat": "CTRF", "specVersion": "0.0.0", "results": results}, indent=1) + "\n"


def _test(v: Verdict) -> dict[str, object]:
    test: dict[str, object] = {
        "name": f"{v.component}::{v.claim}",
        "status": STATES[state_of(v)],
        "rawStatus": v.status,
        "duration": round(1000 * v.seconds),
        "suite": [v.component],
        "tags": list(v.finding),
        "extra": {"sentence": v.sentence, "cases": v.cases},
    }
    if v.message or v.excused:
        test["message"] = "\n".join(filter(None, (v.message, v.excused)))
    if v.frames:
        test["trace"] = "\n".join(v.frames)
    if v.where:
        file, line = place_of(v)
        test |= {"filePath": file, "line": line}
    return test


FORMAT = Format("Common Test Report Format (ctrf.io)", "ctrf-report.json", render)
