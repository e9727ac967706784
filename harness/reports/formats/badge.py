"""The JSON that shields.io turns into a badge (its endpoint schema, version 1)."""

from __future__ import annotations

import json

from harness.core.record import RunRecord
from harness.reports.formats._format import Format, counted


def render(record: RunRecord) -> str:
    count = counted(record)
    there = count["holds"] + count["wrong"]
    color = (
        "red"
        if count["wrong"]
        else "brightgreen"
        if there and not count["to do"]
        else "yellow"
        if there
        else "lightgrey"
    )
    message = f"{count['holds']}/{there}" + (f", {count['to do']} to do" if count["to do"] else "")
    badge = {"schemaVersion": 1, "label": "gpt-2 components", "message": message if there else "to do", "color": color}
    return json.dumps({**badge, **({"isError": True} if count["wrong"] else {})}) + "\n"


FORMAT = Format("a badge for a README (shields.io endpoint)", "badge.json", render)
