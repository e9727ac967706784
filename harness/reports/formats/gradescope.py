"""Gradescope's results.json: one test per component with the share of its checks that hold, findings as its output."""

from __future__ import annotations

import json

from harness.core.record import RunRecord
from harness.reports.formats._format import Format, State, judged, status_of, told, verdict_line
from harness.reports.text import trust

NO_PART = (State.NOT_APPLICABLE, State.EXCUSED)


def render(record: RunRecord) -> str:
    texts: dict[str, list[str]] = {}
    for one in told(record):
        texts.setdefault(one.group.head.component, []).append(one.text)
    tests = []
    for number, name in enumerate(record.order, 1):
        state = status_of(record, name)
        if not state:
            continue
        seen = judged(record.of(name))
        held = sum(not v.failing for v in seen)
        outputs = texts.get(name, []) or (
            [f"{name} is explained by what it is made of"] if state == State.FAILED else []
        )
        # What takes no part has a status and no score: a row to be read.
        points = {} if state in NO_PART else {"max_score": 1.0, "score": round(held / len(seen), 4) if seen else 0.0}
        tests.append(
            {
                "number": str(number),
                "name": name,
                **points,
                "status": "passed" if state in (State.PASSED, *NO_PART) else "failed",
                "output": "\n\n".join(outputs) or state,
                "output_format": "text",
                "tags": [state],
            }
        )
    body = {
        "output": "\n".join([verdict_line(record), *trust(record)]),
        "output_format": "text",
        "execution_time": round(record.seconds, 2),
        "stdout_visibility": "hidden",
        "tests": tests,
    }
    return json.dumps(body, indent=1) + "\n"


FORMAT = Format("Gradescope results.json: a point for each component, in shares of its checks", "results.json", render)
