"""``plumbline watch``: at every save, reruns the checks that the change affects and those that failed."""

from __future__ import annotations

import argparse
import importlib.metadata
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from harness.commands import _layout as layout
from harness.commands._command import Command
from harness.commands._watching import Source, Unfinished, files_of, read, stamps, touched
from harness.core.errors import UsageError
from harness.core.mistake import named_mistakes
from harness.core.record import RunRecord
from harness.discovery.locate import locate
from harness.reports import json_file, text
from harness.reports.formats._format import State, status_of
from harness.reports.found import Found
from harness.reports.hints import limited
from harness.reports.next_step import next_step

PAUSE = 0.3
"""Seconds between two checks of the files' times."""
ROOT = Path(__file__).resolve().parents[2]
PROGRAM = (
    "import sys; sys.path[:] = [p for p in sys.path if p] + [sys.argv.pop(1)]; "
    "import pytest; sys.exit(pytest.main(sys.argv[1:]))"
)
"""pytest in a fresh process, without the current folder at the front of the path: it may have a package `harness`."""
Judged = tuple[int, RunRecord | None, str]
"""Exit code, record (None where nothing ran) and output of a run of pytest."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``plumbline watch``."""
    default = "a module or file, as --impl takes it (default: impl in pyproject.toml)"
    parser.add_argument("impl", nargs="?", metavar="IMPL", help=default)
    parser.add_argument("--cases", type=int, metavar="N", help="generated cases per component")
    parser.add_argument("--once", action="store_true", help="run once and exit with pytest's exit code")


def run(options: argparse.Namespace) -> int:
    """Watch until Ctrl-C. Raises UsageError where there is no file to watch."""
    impl = options.impl or str(options.project.table.get("impl", ""))
    if not impl:
        raise UsageError("no implementation to watch: plumbline watch mymodel.py")
    if named_mistakes(impl):
        raise UsageError(f"{impl} is a known mistake and never changes; see it caught with pytest --impl={impl}")
    path = locate(impl).path
    if path is None or path.suffix != ".py":
        raise UsageError(f"{impl} has no Python file to watch")
    watch = Watch(impl, path, _pytest_of(options.cases))
    try:
        watch.look()
        if options.once:
            return watch.code
        watch.say("waiting for changes; Ctrl-C ends")
        while True:
            time.sleep(PAUSE)
            if watch.look():
                watch.say("waiting for changes; Ctrl-C ends")
    except KeyboardInterrupt:
        print()
        return 0


class Watch:
    """Watches one implementation. ``judge(impl, components)`` runs the checks of these components (None: of all)."""

    def __init__(self, impl: str, path: Path, judge: Callable[[str, list[str] | None], Judged]) -> None:
        self.impl, self.path, self.judge = impl, path, judge
        self.seen: dict[Path, tuple[int, int]] = {}
        self.source: Source | None = None
        self.record: RunRecord | None = None
        self.code = 0

    def look(self) -> bool:
        """Rerun what changed since the last call. Returns whether anything was printed."""
        now = stamps(files_of(self.path))
        if now == self.seen:
            return False
        self.seen = now
        try:
            source = read(now)
        except Unfinished as problem:
            self.say(f"{problem}; waiting")
            self.code = 4
            return True
        chosen = self._chosen(source)
        if chosen == []:
            self.source = source
            return False
        self.say(f"checking {', '.join(chosen) if chosen else 'everything'}")
        started = time.perf_counter()
        self.code, record, output = self.judge(self.impl, chosen)
        if record is None:
            self.say(f"{self.path.name} could not be checked:")
            print(output.strip())
            self.source = None
            return True
        self.source = source
        self.record = record if self.record is None or chosen is None else _merged(self.record, record, chosen)
        self._report(chosen or list(record.order), time.perf_counter() - started)
        return True

    def _chosen(self, source: Source) -> list[str] | None:
        """The components to rerun, in order; None for all of them."""
        if self.source is None or self.record is None:
            return None
        affected = touched(self.source, source, self.record.order, self.record.parts)
        if affected:
            affected |= {name for name in self.record.order if any(v.failing for v in self.record.of(name))}
        return [name for name in self.record.order if name in affected]

    def _report(self, chosen: Iterable[str], seconds: float) -> None:
        """Print the rows of these components, the first failure, the next step and the counts."""
        assert self.record is not None
        record = limited(self.record)
        judged = {name for name in chosen if any(v.status.is_judged for v in record.of(name))}
        title, *rows = text.table(record, layout.width())
        shown = [row.text for row in rows if row.component in judged]
        print("\n".join([title.text, *shown] if shown else []))
        groups = text.groups(record)
        if groups:
            print(f"\n{text.failure(record, groups[0], layout.width())}")
        print("\n".join(["", *next_step(record, layout.width())]))
        self.say(f"{_counts(record, max(len(groups) - 1, 0))}, in {seconds:.0f} s")

    def say(self, what: str) -> None:
        """Print a line with the time of day."""
        print(f"{time.strftime('%H:%M:%S')}  {what}", flush=True)


def _counts(record: RunRecord, more: int) -> str:
    """``8 passed, 1 failed (2 more to fix), 1 not checked, 30 to do``. ``more``: findings beside the one shown."""
    statuses = [status_of(record, name) for name in record.order]
    passed, failed = statuses.count(State.PASSED), statuses.count(State.FAILED)
    unsure = [f"{n} {state}" for state in (State.BARELY_CHECKED, State.NOT_CHECKED) if (n := statuses.count(state))]
    to_do = len(statuses) - passed - failed - sum(s in (State.BARELY_CHECKED, State.NOT_CHECKED) for s in statuses)
    failures = f"{failed} failed" + (f" ({more} more to fix)" if more else "")
    return ", ".join([f"{passed} passed", failures, *unsure, f"{to_do} to do"])


def _merged(before: RunRecord, after: RunRecord, chosen: Iterable[str]) -> RunRecord:
    """The record of all components, with those of the later run replaced."""
    rerun = set(chosen)
    verdicts = [v for v in before.verdicts if v.component not in rerun] + after.verdicts
    return replace(
        after,
        verdicts=verdicts,
        summaries={**before.summaries, **after.summaries},
        planned={**before.planned, **after.planned},
    )


def _pytest_of(cases: int | None) -> Callable[[str, list[str] | None], Judged]:
    """Runs pytest in a fresh process, with the configuration of the current folder."""
    installed = any(entry.name == "plumbline" for entry in importlib.metadata.entry_points(group="pytest11"))

    def judge(impl: str, components: list[str] | None) -> Judged:
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "run.json"
            command = [sys.executable, "-c", PROGRAM, str(ROOT), f"--impl={impl}", f"--impl-report={report}", "-q"]
            command += [] if installed else ["-p", "plumbline"]
            command += [f"--impl-select={name}" for name in components or ()]
            command += [f"--impl-cases={cases}"] if cases else []
            command += ["-p", "no:cacheprovider"]
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
            )
            try:
                output = _followed(process, report)
            except BaseException:
                process.kill()
                process.wait()
                raise
            if process.returncode not in (0, 1, 5) or not report.exists():
                return process.returncode, None, output
            return process.returncode, json_file.read(report), output

    return judge


def _followed(process: subprocess.Popen[str], report: Path) -> str:
    """The output of a run of pytest. Findings are printed while it runs, as soon as they stand in its record."""
    found, seen = Found(), 0
    while True:
        try:
            return process.communicate(timeout=PAUSE)[0]
        except subprocess.TimeoutExpired:
            pass
        now = report.stat().st_mtime_ns if report.exists() else 0
        if now != seen:
            seen = now
            for line in found.new(json_file.read(report)):
                print(line, flush=True)


COMMAND = Command("rerun, at every save, the checks that the change affects", arguments, run)
