"""The run as Markdown: verdict, table, findings, measurements; also for GitHub's job summary."""

from __future__ import annotations

import re

from harness.core.record import RunRecord, Status
from harness.reports.formats._benchmarks import markdown
from harness.reports.formats._format import Format, State, failure_reports, judged, status_of, verdict_line
from harness.reports.next_step import next_step
from harness.reports.run_summary import coverage, notes
from harness.reports.table import TITLES, gradients
from harness.reports.wording import percent

SIGNS = {
    State.FAILED: "**failed**",
    State.PASSED: "passed",
    State.EXCUSED: "excused",
    State.BARELY_CHECKED: "barely checked",
}


def render(record: RunRecord) -> str:
    lines = [f"# Plumbline: {_code(record.impl)}", "", f"**{verdict_line(record)}**", ""]
    lines += _table(record)
    failures = failure_reports(record)
    if failures:
        lines += ["## Findings", ""]
        for one in failures:
            where = f" ({_code(f'{one.file}:{one.at}')})" if one.file else ""
            lines += [f"### {one.title}{where}", "", escaped(one.line), "", *block(one.text), ""]
    if record.measurements:
        lines += [
            "## Measurements (informational)",
            "",
            *(f"- `{f.component}`: {escaped(f.sentence)} ({escaped(f.how)})" for f in record.measurements),
            "",
        ]
    if record.benchmarks:
        lines += ["## Benchmarks", "", *markdown(record.benchmarks, escaped)]
    excused = [v for v in record.verdicts if v.excused]
    if excused:
        lines += [
            "## Expected failures",
            "",
            *(f"- `{v.component}::{v.claim}` {v.status}: {escaped(v.excused)}" for v in excused),
            "",
        ]
    if noted := notes(record):
        lines += ["## Notes", "", *(f"- {escaped(note)}" for note in noted), ""]
    lines += [
        *(escaped(line) for line in next_step(record)),
        "",
        *(f"{escaped(line)}  " for line in coverage(record)),
        "",
    ]
    return "\n".join(lines)


def _table(record: RunRecord) -> list[str]:
    rows: list[str] = []
    absent: dict[State, list[str]] = {}
    for name in record.order:
        verdicts, state = record.of(name), status_of(record, name)
        if state in SIGNS:
            seen = judged(verdicts)
            passed = [v for v in seen if v.status == Status.PASSED]
            errors = [v.error for v in passed if v.error is not None]
            finding = ", ".join(f"`{n}`" for n in dict.fromkeys(n for v in seen for n in v.finding))
            largest = f"{percent(max(errors))} of tolerance" if errors else ""
            verdict = f"{SIGNS[state]}{': ' + finding if finding else ''}"
            rows.append(f"| `{name}` | {len(passed)} of {len(seen)} | {largest} | {gradients(verdicts)} | {verdict} |")
        elif state:
            absent.setdefault(state, []).append(name)
    head = [f"| {' | '.join(TITLES)} |", "|---" * len(TITLES) + "|"]
    lines = [*head, *rows, ""] if rows else []
    for state, names in absent.items():
        lines += [f"{str(state).capitalize()}: {', '.join(names)}.", ""]
    return lines


def block(text: str) -> list[str]:
    """A code block of the text; its fences are longer than any in the text."""
    fence = "```"
    while fence in text:
        fence += "`"
    return [f"{fence}diff", text, fence]


def _code(text: str) -> str:
    """Inline code, between more backticks than the text has in a row."""
    line = " ".join(text.split())
    ticks = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    return f"{ticks} {line} {ticks}" if len(ticks) > 1 else f"`{line}`"


def escaped(text: str) -> str:
    """The text in one line, with everything escaped that Markdown would read as markup."""
    return re.sub(r"([\\`*_<>|\[\]#~&!]|^[-+=])", r"\\\1", " ".join(text.split()))


FORMAT = Format("the run as Markdown, for a page or a pull request", "plumbline.md", render)
