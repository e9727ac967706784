"""The class as a table, as JSON, and as one page."""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from harness.core.record import Status
from harness.grading.rubric import Rubric
from harness.grading.scoring import UNREACHED, Grade, as_dict

BINS = 10
MOST_CLAIMS = 20


def as_csv(grades: Sequence[Grade], rubric: Rubric) -> str:
    """One row per submission, in order of their names."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["submission", "total", "points", "state", *rubric.names, "findings", "remarks"])
    for one in grades:
        scores = [f"{part.score:.2f}" for part in one.parts]
        row = [
            _plain(one.name),
            f"{one.total:.2f}",
            f"{rubric.points:.2f}",
            one.judged.state,
            *scores,
            " ".join(one.findings),
        ]
        writer.writerow([*row, _plain("; ".join(one.remarks))])
    return text.getvalue()


def as_json(grades: Sequence[Grade], rubric: Rubric) -> str:
    """Everything that the page shows, and every grade."""
    body = {"version": 1, "class": summary(grades, rubric), "grades": [as_dict(one) for one in grades]}
    return json.dumps(body, indent=1) + "\n"


def as_page(grades: Sequence[Grade], rubric: Rubric) -> str:
    """One self-contained page."""
    page: str = _template().render(
        rubric=rubric, grades=grades, unreached=UNREACHED, points=_points, line=_line, **summary(grades, rubric)
    )
    return page.rstrip() + "\n"


@cache
def _template() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("class.html.jinja")


def summary(grades: Sequence[Grade], rubric: Rubric) -> dict[str, Any]:
    """The class without names, but for those that need a look."""
    totals = [one.total for one in grades]
    return {
        "count": len(grades),
        "possible": rubric.points,
        "mean": round(statistics.fmean(totals), 2) if totals else 0.0,
        "median": round(statistics.median(totals), 2) if totals else 0.0,
        "bins": _bins(totals, rubric.points),
        "components": _components(grades, rubric),
        "claims": _claims(grades, rubric),
        "mistakes": _mistakes(grades),
        "trouble": [_trouble(one) for one in grades if one.remarks],
    }


def _bins(totals: Sequence[float], most: float) -> list[dict[str, Any]]:
    """How many totals lie in each tenth of what is possible; the full total is in the last."""
    counts = Counter(min(BINS - 1, int(BINS * total / most + 1e-9)) for total in totals)
    highest = max(counts.values(), default=1)
    return [
        {
            "label": f"{100 * i // BINS} to {100 * (i + 1) // BINS} %",
            "count": counts.get(i, 0),
            "share": round(100 * counts.get(i, 0) / highest),
        }
        for i in range(BINS)
    ]


def _components(grades: Sequence[Grade], rubric: Rubric) -> list[dict[str, Any]]:
    """What part of its points each component got, the hardest first; and in how many submissions it is what."""
    rows = []
    for i, part in enumerate(rubric.parts):
        scores = [one.parts[i].score for one in grades]
        share = statistics.fmean(scores) / part.points if scores and part.points else 0.0
        states = Counter(one.parts[i].state for one in grades)
        rows.append({"name": part.name, "share": round(100 * share), "states": dict(sorted(states.items()))})
    return sorted(rows, key=lambda row: (row["share"], row["name"]))


def _claims(grades: Sequence[Grade], rubric: Rubric) -> list[dict[str, Any]]:
    """The claims that fewest submissions keep, of those that were judged in some and broken in at least one."""
    rows = []
    for i, part in enumerate(rubric.parts):
        by_name: dict[str, list[Any]] = {}
        for one in grades:
            for claim in one.parts[i].counted:
                if claim.status not in (UNREACHED, Status.TO_DO, Status.NOT_CHECKED):
                    by_name.setdefault(claim.name, []).append(claim)
        for name, claims in by_name.items():
            held = sum(claim.status == Status.PASSED for claim in claims)
            if held < len(claims):
                row = {
                    "component": part.name,
                    "claim": name,
                    "sentence": claims[0].sentence,
                    "held": held,
                    "judged": len(claims),
                }
                rows.append({**row, "share": round(100 * held / len(claims))})
    return sorted(rows, key=lambda row: (row["share"], -row["judged"], row["component"], row["claim"]))[:MOST_CLAIMS]


def _mistakes(grades: Sequence[Grade]) -> list[dict[str, Any]]:
    """Known mistakes with the number of submissions that have each."""
    counts = Counter(name for one in grades for name in one.findings)
    summaries = {name: summary for one in grades for name, summary in one.judged.summaries.items()}
    highest = max(counts.values(), default=1)
    return [
        {
            "name": name,
            "count": count,
            "share": round(100 * count / highest),
            "sentence": summaries[name].sentence if name in summaries else "",
        }
        for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]


def _trouble(one: Grade) -> dict[str, Any]:
    return {"name": one.name, "state": one.judged.state, "remarks": [_line(remark) for remark in one.remarks]}


def _points(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")


def _line(text: str) -> str:
    joined = " ".join(text.split())
    return joined if len(joined) <= 300 else joined[:296] + " ..."


def _plain(text: str) -> str:
    """In one line; no spreadsheet takes it for a formula."""
    line = _line(text)
    return f"'{line}" if line[:1] in ("=", "+", "-", "@") else line
