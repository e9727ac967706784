"""The run as Markdown: verdict, table, findings, facts. What GitHub's job summary shows, too."""

from __future__ import annotations

import re

from harness.core.record import RunRecord
from harness.reports.formats._benchmarks import markdown
from harness.reports.formats._format import Format, State, judged, status_of, told, verdict_line
from harness.reports.next_step import next_step
from harness.reports.text import notes, trust

SIGNS = {State.FAILED: "**failed**", State.PASSED: "passed", State.EXCUSED: "excused"}


def render(record: RunRecord) -> str:
    lines = [f"# Plumbline: {_code(record.impl)}", "", f"**{verdict_line(record)}**", ""]
    lines += _table(record)
    failures = told(record)
    if failures:
        lines += ["## What is wrong", ""]
        for one in failures:
            where = f" ({_code(f'{one.file}:{one.at}')})" if one.file else ""
            lines += [f"### {one.title}{where}", "", _escaped(one.line), "", *_block(one.text), ""]
    if record.measurements:
        lines += [
            "## Facts",
            "",
            *(f"- `{f.component}`: {_escaped(f.sentence)} ({_escaped(f.how)})" for f in record.measurements),
            "",
        ]
    if record.benchmarks:
        lines += ["## Benchmarks", "", *markdown(record.benchmarks, _escaped)]
    excused = [v for v in record.verdicts if v.excused]
    if excused:
        lines += [
            "## Excused",
            "",
            *(f"- `{v.component}::{v.claim}` is {v.status}; {_escaped(v.excused)}" for v in excused),
            "",
        ]
    told_notes = list(notes(record))
    if told_notes:
        lines += ["## Notes", "", *(f"- {_escaped(note)}" for note in told_notes), ""]
    lines += [
        *(_escaped(line) for line in next_step(record)),
        "",
        *(f"{_escaped(line)}  " for line in trust(record)),
        "",
    ]
    return "\n".join(lines)


def _table(record: RunRecord) -> list[str]:
    rows, absent = [], []
    for name in record.order:
        verdicts, state = record.of(name), status_of(record, name)
        if state in SIGNS:
            seen = judged(verdicts)
            held = [v for v in seen if not v.failing]
            errors = [v.error for v in held if v.error is not None]
            finding = ", ".join(f"`{n}`" for n in dict.fromkeys(n for v in seen for n in v.finding))
            worst = f"{max(errors):.2g} of 1" if errors else ""
            rows.append(
                f"| `{name}` | {len(held)} of {len(seen)} | {worst} | {SIGNS[state]}{': ' + finding if finding else ''} |"
            )
        elif state:
            absent.append(name if state == State.TO_DO else f"{name} ({state})")
    lines = ["| component | claims held | worst error | verdict |", "|---|---|---|---|", *rows, ""] if rows else []
    return [*lines, *([f"To do: {', '.join(absent)}.", ""] if absent else [])]


def _block(text: str) -> list[str]:
    """As it stands; longer fences where the text has some itself."""
    fence = "```"
    while fence in text:
        fence += "`"
    return [f"{fence}diff", text, fence]


def _code(text: str) -> str:
    """In one line, between more backticks than stand in it."""
    line = " ".join(text.split())
    ticks = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    return f"{ticks} {line} {ticks}" if len(ticks) > 1 else f"`{line}`"


def _escaped(text: str) -> str:
    """Their words are no markup, and begin no new line."""
    return re.sub(r"([\\`*_<>|\[\]#~&!]|^[-+=])", r"\\\1", " ".join(text.split()))


FORMAT = Format("the run as Markdown, for a page or a pull request", "plumbline.md", render)
