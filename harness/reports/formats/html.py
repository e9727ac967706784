"""The run as one page: no server, no network, light and dark, printable, read by keyboard and by screen readers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from harness.core.verdict import MISSING, NOT_OFFERED, Record, Verdict
from harness.reports.formats._benchmarks import drawn as benchmarks
from harness.reports.formats._drawing import Drawing, dependencies
from harness.reports.formats._format import Format, Told, counted, judged, status_of, told, verdict_line
from harness.reports.next_step import next_step
from harness.reports.text import notes, trust

SHARED_BY = 2
"""Claims that so many components have stand in columns of the matrix; the rest are a component's own."""
SIGNS = {"holds": "✓", "wrong": "✗", "to do": "–", "not offered": "·"}


def render(record: Record) -> str:
    page: str = _template().render(
        record=record, verdict=verdict_line(record), count=counted(record), trust=trust(record), notes=list(notes(record)),
        next=" ".join(" ".join(next_step(record)).split()), findings=[_card(one) for one in told(record)],
        shared=_shared(record), rows=[_row(record, name) for name in record.order if record.of(name)],
        facts=[_fact(fact) for fact in record.facts], drawing=_drawn(record), bar=_bar, signs=SIGNS, state=_state,
        benchmarks=benchmarks(record),
    )  # fmt: skip
    return page.rstrip() + "\n"


@cache
def _template() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template("report.html.jinja")


def _state(verdict: Verdict) -> str:
    return "wrong" if verdict.failing else {MISSING: "to do", NOT_OFFERED: "not offered"}.get(verdict.status, "holds")


def _bar(verdict: Verdict) -> int:
    """How long the bar of a check is, in percent: the error that it was allowed, used up; on a logarithmic scale of six decades."""
    if verdict.failing:
        return 100
    if not verdict.error or verdict.error <= 1e-6:
        return 0
    return max(1, min(100, round(100 * (1 + math.log10(verdict.error) / 6))))


def _shared(record: Record) -> list[str]:
    """Claims in the order in which they are met, as far as several components have them."""
    met: dict[str, int] = {}
    for verdict in (v for name in record.order for v in record.of(name)):
        met[verdict.claim] = met.get(verdict.claim, 0) + 1
    return [claim for claim, times in met.items() if times >= SHARED_BY]


def _row(record: Record, name: str) -> dict[str, Any]:
    verdicts = record.of(name)
    seen = judged(verdicts)
    errors = [v.error for v in seen if v.error is not None and not v.failing]
    return {
        "name": name, "meaning": record.meanings.get(name, ""), "state": status_of(record, name), "verdicts": verdicts,
        "by_claim": {v.claim: v for v in verdicts}, "held": sum(not v.failing for v in seen), "judged": len(seen),
        "worst": f"{max(errors):.2g}" if errors else "", "signature": record.signatures.get(name, ""),
        "finding": list(dict.fromkeys(n for v in seen for n in v.finding)),
        "reason": next((v.message for v in verdicts if v.status in (MISSING, NOT_OFFERED)), ""),
    }  # fmt: skip


def _card(one: Told) -> dict[str, Any]:
    """A finding as its parts; without a known mistake, their own frames stand where the diff would."""
    head = one.group.head
    diff = [(line[:1], line) for line in one.diff.splitlines()]
    return {
        "title": one.title, "line": one.line, "file": one.file, "at": one.at, "opening": one.opening, "diff": diff,
        "evidence": one.evidence, "frames": "\n".join(head.frames), "message": "" if one.diff else head.message,
        "head": head, "also": list(one.group.also), "heat": _heat(head),
    }  # fmt: skip


def _heat(verdict: Verdict) -> list[list[dict[str, Any]]]:
    """The errors of the largest violating case as cells: how dark, and what to say of each."""
    return [
        [{"shade": 0 if cell <= 1 else min(9, 1 + int(math.log10(cell))) if math.isfinite(cell) else 9, "value": f"{cell:.2g}"} for cell in row]
        for row in verdict.heat
    ]  # fmt: skip


def _fact(fact: Any) -> dict[str, Any]:
    """A fact with its series as bars that begin at zero."""
    largest = max((abs(v) for v in fact.series.values() if math.isfinite(v)), default=0.0)
    bars = [
        {"label": label, "value": f"{value:.4g}", "share": round(100 * abs(value) / largest) if largest and math.isfinite(value) else 0}
        for label, value in fact.series.items()
    ]
    return {"fact": fact, "bars": bars}


def _drawn(record: Record) -> Drawing | None:
    """What is made of what, as far as it was judged."""
    names: Sequence[str] = [n for n in record.order if judged(record.of(n))]
    return dependencies(names, record.parts, {n: status_of(record, n) for n in names})


FORMAT = Format("one page for people: verdict, matrix, findings, facts; no server, no network", "plumbline.html", render)
