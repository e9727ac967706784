"""The JSON that shields.io turns into a badge (its endpoint schema, version 1)."""

from __future__ import annotations

import json

from harness.core.record import RunRecord
from harness.reports.formats._format import Format, State, counted


def render(record: RunRecord) -> str:
    count = counted(record)
    passed, to_do = count[State.PASSED], count[State.TO_DO]
    failed = count[State.FAILED]
    there = passed + failed
    color = "red" if failed else "lightgrey" if not there else "yellow" if to_do else "brightgreen"
    message = f"{passed}/{there}" + (f", {to_do} to do" if to_do else "")
    badge = {"schemaVersion": 1, "label": "gpt-2 components", "message": message if there else "to do", "color": color}
    return json.dumps({**badge, **({"isError": True} if failed else {})}) + "\n"


FORMAT = Format("a badge for a README (shields.io endpoint)", "badge.json", render)
