"""The run as one page: no server, no network, light and dark, printable, read by keyboard and by screen readers."""

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
from harness.reports.formats._benchmarks import drawn as benchmarks
from harness.reports.formats._drawing import dependencies
from harness.reports.formats._format import (
    FailureReport,
    Format,
    State,
    counted,
    judged,
    state_of,
    status_of,
    told,
    verdict_line,
)
from harness.reports.formats._plots import bars, error_map, maps, plot
from harness.reports.next_step import next_step
from harness.reports.text import command, notes, of_cases, trust

SHARED_BY = 2
"""Claims that so many components have stand in columns of the matrix; the rest are a component's own."""
SIGNS = {
    State.PASSED: "✓",
    State.FAILED: "✗",
    State.EXCUSED: "~",
    State.TO_DO: "–",
    State.NOT_APPLICABLE: "·",
}
GRADIENTS = (About.FORM, About.NUMBERS, About.CONSISTENCY)
SHOWN_ELSEWHERE = ("more", "again")
"""Labels of the evidence that the page shows as commands, one a line, to be copied."""


def render(record: RunRecord) -> str:
    rows = [_row(record, name) for name in record.order if record.of(name)]
    findings = [_card(one) for one in told(record)]
    page: str = _template().render(
        record=record,
        verdict=verdict_line(record),
        count=counted(record),
        trust=trust(record),
        notes=list(notes(record)),
        next=" ".join(" ".join(next_step(record)).split()),
        about=_about(record),
        again=command(record),
        findings=findings,
        shared=_shared(record),
        rows=[row for row in rows if row["there"]],
        absent=_absent(record, rows),
        gradients=_gradients(rows),
        facts=_facts(record),
        drawings=_drawn(record),
        excused=[v for v in record.verdicts if v.excused],
        bar=_bar,
        signs=SIGNS,
        state=state_of,
        benchmarks=benchmarks(record),
    )
    return page.rstrip() + "\n"


@cache
def _template() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["breakable"] = _breakable
    return environment.get_template("report.html.jinja")


def _breakable(text: str) -> Markup:
    """A name that may go on in the next line after an underscore."""
    return Markup(str(escape(text)).replace("_", "_<wbr>"))


def _about(record: RunRecord) -> str:
    """When, how long, and what it was drawn from."""
    when = (
        datetime.fromtimestamp(record.started, timezone.utc).strftime("%Y-%m-%d %H:%M UTC, ") if record.started else ""
    )
    declared = "".join(f", {component} declared as {name}" for component, name in (record.variants or {}).items())
    return f"{when}{record.seconds:.0f} s, seed {record.seed}, effort {record.effort}{declared}"


def _bar(verdict: Verdict) -> int:
    """How long the bar of a check is, in percent: the error that it was allowed, used up; on a logarithmic scale of six decades."""
    if verdict.failing:
        return 100
    if not verdict.error or not verdict.error > 1e-6:
        return 0
    return max(1, min(100, round(100 * (1 + math.log10(verdict.error) / 6))))


def _shared(record: RunRecord) -> list[str]:
    """Claims in the order in which they are met, as far as several components have them."""
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
        "held": sum(not v.failing for v in seen),
        "judged": len(seen),
        "own": len(own),
        "own_held": sum(not v.failing for v in own),
        "there": bool(seen) or any(v.excused for v in verdicts),
        "worst": f"{max(errors):.2g}" if errors else "",
        "signature": record.signatures.get(name, ""),
        "finding": list(dict.fromkeys(n for v in seen for n in v.finding)),
        "reason": next((v.message for v in verdicts if v.status in (Status.TO_DO, Status.NOT_APPLICABLE)), ""),
    }


def _absent(record: RunRecord, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Components of which nothing was judged: to do, or not applicable."""
    known = {row["name"]: row for row in rows}
    names = [n for n in record.order if not known.get(n, {}).get("there") and status_of(record, n)]
    return [known.get(n) or {**_row(record, n), "state": State.TO_DO} for n in names]


def _card(one: FailureReport) -> dict[str, Any]:
    """A finding as its parts; without a known mistake, their own frames stand where the diff would."""
    head = one.group.head
    if one.diff:
        lead, message = one.line, ""
    elif head.status in (Status.CRASHED, Status.TIMED_OUT):
        what = "It raised an error" if head.status == Status.CRASHED else "It did not come to an end"
        lead, message = f"{what} ({of_cases(head)}).", head.message
    else:
        lead, message = f"It must hold that {head.sentence}; {of_cases(head)} say no.", head.message
    evidence = [(label, value) for label, value in one.evidence if label not in SHOWN_ELSEWHERE]
    return {
        "title": one.title,
        "lead": lead,
        "message": message,
        "file": one.file,
        "at": one.at,
        "opening": one.opening,
        "diff": [(line[:1], line) for line in one.diff.splitlines()],
        "evidence": evidence,
        "frames": "\n".join(head.frames),
        "commands": one.commands,
        "also": list(one.group.also),
        "heat": error_map(head.error_map),
        "component": head.component,
        "home": one.group.home,
        "names": one.group.names,
        "raised": head.status == Status.CRASHED,
    }


def _about_gradient(verdicts: Iterable[Verdict], what: About) -> Verdict | None:
    return next((v for v in verdicts if {About.GRADIENT, what} <= set(v.about)), None)


def _gradients(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of every component whose gradients were judged: the three claims, the largest error of 1, and what is wrong where."""
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
                "error": f"{max(errors):.2g} of 1" if errors else "",
                "excess": f"{max(v.excess or 0.0 for v in broken):.2g} x" if any(v.excess for v in broken) else "",
                "wrong": [(v.worst or v.message, v.finding) for v in broken],
            }
        )
    return found


def _facts(record: RunRecord) -> list[dict[str, Any]]:
    """Facts with their series as lines or bars and their grids as maps; what has maps, which are wide, comes first."""
    facts = sorted(record.measurements, key=lambda fact: not fact.grids)
    return [{"fact": f, "plot": plot(f.series), "bars": bars(f.series), "maps": maps(f.grids)} for f in facts]


def _drawn(record: RunRecord) -> list[dict[str, Any]]:
    """What is made of what, as far as it was judged; and along which lines a finding is carried upwards."""
    names = [n for n in record.order if judged(record.of(n))]
    groups = [one.group for one in told(record)]
    spread = [({g.home, g.head.component, *g.also}, g.home) for g in groups if g.names]
    own = {name: [n for g in groups if g.home == name for n in (g.names or (g.head.claim,))] for name in names}
    drawn = []
    for drawing in dependencies(names, record.parts, {n: str(status_of(record, n) or "") for n in names}):
        carried = [
            any({whole, part} <= reach and whole != home for reach, home in spread) for whole, part, _ in drawing.lines
        ]
        below = {whole for (whole, _, _), carries in zip(drawing.lines, carried, strict=True) if carries}
        told_of = {
            box.name: " and ".join(
                filter(
                    None, (_own(len(own[box.name])) if own[box.name] else "", "from below" if box.name in below else "")
                )
            )
            or box.state
            for box in drawing.boxes
        }
        made = [(b.name, [part for whole, part, _ in drawing.lines if whole == b.name]) for b in drawing.boxes]
        drawn.append(
            {
                "drawing": drawing,
                "carried": carried,
                "told": told_of,
                "list": [(n, p, told_of[n]) for n, p in made if p],
            }
        )
    return drawn


def _own(mistakes: int) -> str:
    return f"{mistakes} finding{'s' if mistakes > 1 else ''} here"


FORMAT = Format(
    "one page for people: verdict, matrix, findings, facts; no server, no network", "plumbline.html", render
)
