"""What a run prints in pytest's terminal: the header, the progress line, each finding once, the summary."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from typing import Any

import pytest
from _pytest.terminal import TerminalReporter

from harness.core.errors import did_you_mean
from harness.core.record import Status
from harness.isolation.level import Level
from harness.pytest_plugin.items import as_longrepr
from harness.pytest_plugin.run_state import RunState
from harness.reports import text
from harness.reports.github_job import in_github
from harness.reports.live import LiveLine, is_watched
from harness.reports.next_step import next_step
from harness.reports.wording import wrapped
from harness.reports.writing import formats

WIDEST = 120
"""Columns; longer lines are hard to read."""
UNSURE = (Status.TO_DO, Status.NOT_CHECKED, Status.BARELY_CHECKED)
"""Statuses of components that are shown in yellow."""
CATEGORY = "also explained"
"""pytest's category for failing checks that a finding shown elsewhere explains."""


def reporter_of(config: pytest.Config) -> TerminalReporter | None:
    """pytest's terminal reporter, where there is one."""
    reporter: TerminalReporter | None = config.pluginmanager.get_plugin("terminalreporter")
    return reporter


def width_of(reporter: TerminalReporter) -> int:
    """Columns to write in: the terminal's, at most 120."""
    return min(WIDEST, reporter._tw.fullwidth)


def header(run: RunState) -> str:
    """The line under pytest's own header."""
    components, inspection = run.catalogue.contracts, run.inspection
    return (
        f"plumbline: impl={run.options.impl}"
        + (f" ({inspection.where})" if inspection.where else "")
        + f", {len(components) - len(run.record.missing)} of {len(components)} components implemented"
        + f", seed={run.options.seed}"
        + (f", effort={run.options.effort}" if run.options.effort != "default" else "")
        + (f", isolation={run.record.isolation}" if run.options.isolation is not Level.NONE else "")
        + (f", shard {run.options.shard}" if run.options.shard.of > 1 else "")
    )


def progress_line(config: pytest.Config) -> LiveLine | None:
    """A line below the dots, where a person looks at a terminal."""
    reporter = reporter_of(config)
    if reporter is None or config.option.capture == "no" or not is_watched(reporter._tw._file):
        return None
    writer, capture = reporter._tw, config.pluginmanager.get_plugin("capturemanager")

    def write(text: str) -> None:
        with capture.global_and_fixture_disabled() if capture else nullcontext():
            writer._file.write(text)
            writer._file.flush()

    return LiveLine(write, lambda: writer.width_of_current_line, lambda: writer.fullwidth)


def show_found(run: RunState, reporter: TerminalReporter) -> None:
    """The findings that are new, below the letters of the checks so far."""
    lines = run.found.new(run.shown)
    if not lines:
        return
    if reporter._tw.width_of_current_line:
        reporter._tw.line()
    for line in lines:
        reporter._tw.line(line, red=True)
    reporter.currentfspath = None  # the next letter stands in a line of its own
    reporter.flush()


def show_each_finding_once(run: RunState, reporter: TerminalReporter) -> None:
    """With the whole run known: each finding is one failure; the checks that it also explains are counted beside it."""
    failed = reporter.stats.get("failed", [])
    ours = {(r.plumbline["component"], r.plumbline["claim"]): r for r in failed if hasattr(r, "plumbline")}
    if not ours:
        return
    shown: list[Any] = []
    record = run.shown
    for group in text.groups(record):
        report = ours.get((group.head.component, group.head.claim))
        if report is None:
            continue
        if report in shown:  # one check that shows two findings
            report = _copied(report, group.names)
        if run.config.getoption("tbstyle") != "long":
            report.longrepr = as_longrepr(
                text.failure(record, group, width_of(reporter)),
                text.headline(record, group),
                group.head,
            )
        shown.append(report)
    silent = [r for r in ours.values() if r not in shown]
    reporter.stats["failed"] = shown + [r for r in failed if not hasattr(r, "plumbline")]
    if silent:
        reporter.stats[CATEGORY] = silent


def summary(run: RunState, reporter: TerminalReporter) -> None:
    """The table of components, what to know beside it, the next step, and where the files are."""
    reporter.section("components", sep="=")
    width, record = width_of(reporter), run.shown
    for row in text.table(record, width):
        reporter.write_line(row.text, red=row.status == Status.FAILED, yellow=row.status in UNSURE)
    reporter.write_line("")
    for line in note_lines(text.notes(record), width if reporter.isatty else None):
        reporter.write_line(line)
    for line in run.gate.lines(record):
        reporter.write_line(line, yellow=True)
    for line in text.measurements(record, width):
        reporter.write_line(line)
    for line in next_step(record, width):
        reporter.write_line(line, bold=True)
    for line in text.coverage(record):
        reporter.write_line(line)
    for line in written_files(run):
        reporter.write_line(line)
    if in_github():
        for line in formats()["github"].render(run.record).splitlines():
            reporter.write_line(line)


def nothing_chosen(run: RunState, reporter: TerminalReporter) -> None:
    """Where -m or -k leaves no check: what they said, and the component that may be meant."""
    option = run.config.option
    for flag, said in (("-m", option.markexpr), ("-k", option.keyword)):
        if said:
            hint = did_you_mean(said, run.catalogue.contracts, 0.7) or "`plumbline list` shows the components"
            reporter.write_line(f"no check was judged: none fits {flag} {said!r}; {hint}", yellow=True)


def note_lines(notes: list[str], width: int | None) -> list[str]:
    """Each note, wrapped in a terminal of so many columns; in one line where there is none (for grep and awk)."""
    marked = [f"note: {note}" for note in notes]
    return marked if width is None else [line for note in marked for line in wrapped(note, width, "", "      ")]


def written_files(run: RunState) -> list[str]:
    """Where the record and the reports are, a line each."""
    return [f"record: {run.autosave.shown}", *(f"{name}: {file}" for name, file in run.options.destinations.faces)]


def _copied(report: Any, names: tuple[str, ...]) -> Any:
    twin = copy.copy(report)
    twin.nodeid = f"{report.nodeid} ({', '.join(names)})"
    return twin
