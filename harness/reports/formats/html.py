"""The run as one HTML page: self-contained, light and dark, printable, usable by keyboard and screen reader."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from harness.core.claim import About
from harness.core.record import RunRecord, Status, Verdict
from harness.reports.failure import broken_claim, in_cases
from harness.reports.formats._benchmarks import drawn as benchmarks
from harness.reports.formats._curves import shown as curves
from harness.reports.formats._drawing import dependencies
from harness.reports.formats._format import (
    FailureReport,
    Format,
    State,
    counted,
    failure_reports,
    judged,
    state_of,
    status_of,
    verdict_line,
)
from harness.reports.formats._marked_code import fix, places
from harness.reports.formats._plots import bars, error_map, maps, plot
from harness.reports.grounds_text import given_cases, not_judged
from harness.reports.groups import run_command
from harness.reports.next_step import next_step
from harness.reports.run_summary import coverage, notes
from harness.reports.wording import share_of_tolerance, times_the_tolerance

SHARED_BY = 2
"""Claims of at least so many components have a column of the matrix; the rest are counted as a component's own."""
SIGNS = {
    State.PASSED: "✓",
    State.FAILED: "✗",
    State.EXCUSED: "~",
    State.TO_DO: "–",
    State.NOT_APPLICABLE: "·",
    State.NOT_CHECKED: "?",
    State.BARELY_CHECKED: "≈",
    State.ADVICE: "i",
}
GRADIENTS = (About.FORM, About.NUMBERS, About.CONSISTENCY)
"""The three claims about gradients, by what else they are about."""


def render(record: RunRecord) -> str:
    rows = [_row(record, name) for name in record.order if record.of(name)]
    findings = [_card(one) for one in failure_reports(record)]
    page: str = _template().render(
        record=record,
        verdict=verdict_line(record),
        count=counted(record),
        coverage=coverage(record),
        notes=notes(record),
        next=" ".join(" ".join(next_step(record)).split()),
        about=_about(record),
        command=run_command(record),
        findings=findings,
        shared=_shared(record),
        rows=[row for row in rows if row["there"]],
        absent=_absent(record, rows),
        gradients=_gradients(rows),
        measurements=_measurements(record),
        drawings=_drawings(record),
        excused=[v for v in record.verdicts if v.excused],
        bar=_bar,
        signs=SIGNS,
        state=state_of,
        benchmarks=benchmarks(record),
        curves=curves(record.curves),
    )
    return page.rstrip() + "\n"


@cache
def _template() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"breakable": _breakable, "share": share_of_tolerance, "times": times_the_tolerance}
    return environment.get_template("report.html.jinja")


def _breakable(text: str) -> Markup:
    """A name that may wrap after an underscore."""
    return Markup(str(escape(text)).replace("_", "_<wbr>"))


def _about(record: RunRecord) -> str:
    """When it ran, how long, and with which seed, effort and variants."""
    when = (
        datetime.fromtimestamp(record.started, timezone.utc).strftime("%Y-%m-%d %H:%M UTC, ") if record.started else ""
    )
    declared = "".join(f", {component} declared as {name}" for component, name in (record.variants or {}).items())
    return f"{when}{record.seconds:.0f} s, seed {record.seed}, effort {record.effort}{declared}"


def _bar(verdict: Verdict) -> int:
    """Length of a check's bar in percent: the share of the tolerance used, on a log scale of six decades."""
    if verdict.failing:
        return 100
    if not verdict.error or not verdict.error > 1e-6:
        return 0
    return max(1, min(100, round(100 * (1 + math.log10(verdict.error) / 6))))


def _shared(record: RunRecord) -> list[str]:
    """Claims that several components have, in the order of their first appearance."""
    met: dict[str, int] = {}
    for verdict in (v for name in record.order for v in record.of(name)):
        met[verdict.claim] = met.get(verdict.claim, 0) + 1
    return [claim for claim, times in met.items() if times >= SHARED_BY]


def _row(record: RunRecord, name: str) -> dict[str, Any]:
    verdicts, shared = record.of(name), _shared(record)
    seen = judged(verdicts)
    own = [v for v in seen if v.claim not in shared]
    errors = [v.error for v in seen if v.error is not None and not v.failing]
    return {
        "name": name,
        "meaning": record.meanings.get(name, ""),
        "state": status_of(record, name),
        "verdicts": verdicts,
        "by_claim": {v.claim: v for v in verdicts},
        "held": sum(v.status == Status.PASSED for v in seen),
        "judged": len(seen),
        "own": len(own),
        "own_held": sum(v.status == Status.PASSED for v in own),
        "there": bool(seen) or any(v.excused for v in verdicts),
        "worst": max(errors, default=None),
        "signature": record.signatures.get(name, ""),
        "grounds": _grounds(record, name),
        "finding": list(dict.fromkeys(n for v in seen for n in v.finding)),
        "reason": next((v.message for v in verdicts if not v.status.is_judged), ""),
    }


def _grounds(record: RunRecord, name: str) -> str:
    """What the row rests on, in one sentence; empty where nothing is known."""
    grounds = record.grounds.get(name)
    return "; ".join(filter(None, (given_cases(grounds), *not_judged(grounds)))) if grounds is not None else ""


def _absent(record: RunRecord, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Components of which nothing was judged: to do, not checked, or not applicable."""
    known = {row["name"]: row for row in rows}
    names = [n for n in record.order if not known.get(n, {}).get("there") and status_of(record, n)]
    return [known.get(n) or {**_row(record, n), "state": State.TO_DO} for n in names]


def _card(one: FailureReport) -> dict[str, Any]:
    """A finding in its parts; without a known mistake, the frames of the user's code stand in place of the diff."""
    head = one.group.head
    if one.opening:
        lead, message = one.line, ""
    elif head.status in (Status.CRASHED, Status.TIMED_OUT):
        what = "Raised an error" if head.status == Status.CRASHED else "Timed out"
        lead, message = f"{what} {in_cases(head)}.", head.message
    else:
        lead, message = broken_claim(head), head.message
    return {
        "title": one.title,
        "lead": lead,
        "message": message,
        "file": one.file,
        "at": one.at,
        "opening": one.opening,
        "diff": [(line[:1], line) for line in one.diff.splitlines()],
        "places": places(head),
        "fix": fix(head),
        "evidence": one.evidence,
        "frames": "\n".join(head.frames),
        "commands": one.commands,
        "also": list(one.group.also),
        "error_map": error_map(head.error_map),
        "component": head.component,
        "home": one.group.home,
        "names": one.group.names,
        "raised": head.status == Status.CRASHED,
    }


def _about_gradient(verdicts: Iterable[Verdict], what: About) -> Verdict | None:
    return next((v for v in verdicts if {About.GRADIENT, what} <= set(v.about)), None)


def _gradients(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Per component with gradients: the three claims, the largest error that passed, and what is wrong."""
    found = []
    for row in rows:
        verdicts = [_about_gradient(row["by_claim"].values(), what) for what in GRADIENTS]
        seen = [v for v in verdicts if v is not None and (v in judged([v]) or v.excused)]
        if not seen:
            continue
        broken = [v for v in seen if v.failing or v.excused]
        errors = [v.error for v in seen if v.error is not None and v not in broken]
        found.append(
            {
                "name": row["name"],
                "verdicts": verdicts,
                "error": share_of_tolerance(max(errors)) if errors else "",
                "excess": times_the_tolerance(max((v.excess or 0.0 for v in broken), default=0.0)),
                "wrong": [(v.worst or v.message, v.finding) for v in broken],
            }
        )
    return found


def _measurements(record: RunRecord) -> list[dict[str, Any]]:
    """Measurements with their series as lines or bars and their grids as maps; maps, which are wide, come first."""
    found = sorted(record.measurements, key=lambda one: not one.grids)
    return [{"measured": m, "plot": plot(m.series), "bars": bars(m.series), "maps": maps(m.grids)} for m in found]


def _drawings(record: RunRecord) -> list[dict[str, Any]]:
    """The dependency graphs of what was judged, and the lines along which a finding affects composites."""
    names = [n for n in record.order if judged(record.of(n))]
    groups = [one.group for one in failure_reports(record)]
    spread = [({g.home, g.head.component, *g.also}, g.home) for g in groups if g.names]
    own = {name: [n for g in groups if g.home == name for n in (g.names or (g.head.claim,))] for name in names}
    drawn = []
    for drawing in dependencies(names, record.parts, {n: str(status_of(record, n)) for n in names}):
        carried = [
            any({whole, part} <= reach and whole != home for reach, home in spread) for whole, part, _ in drawing.lines
        ]
        below = {whole for (whole, _, _), carries in zip(drawing.lines, carried, strict=True) if carries}
        labels = {box.name: _label(len(own[box.name]), box.name in below) or box.state for box in drawing.boxes}
        made = [(b.name, [part for whole, part, _ in drawing.lines if whole == b.name]) for b in drawing.boxes]
        drawn.append(
            {
                "drawing": drawing,
                "carried": carried,
                "labels": labels,
                "list": [(n, p, labels[n]) for n, p in made if p],
            }
        )
    return drawn


def _label(findings: int, affected: bool) -> str:
    """What a box of the graph says beside its name; empty where it has no finding and no part of it has one."""
    own = f"{findings} finding{'s' if findings > 1 else ''}" if findings else ""
    return " and ".join(filter(None, (own, "from its parts" if affected else "")))


FORMAT = Format("one self-contained page: findings, matrix, gradients, measurements", "plumbline.html", render)
