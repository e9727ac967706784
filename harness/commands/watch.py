"""``plumbline watch``: at every save, what changed is judged again, and what failed before."""

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

from harness.commands._command import Command
from harness.commands._watching import Source, Unfinished, files_of, read, stamps, touched
from harness.core.errors import UsageError
from harness.core.mistake import named_mistakes
from harness.core.record import RunRecord, Status
from harness.discovery.locate import locate
from harness.reports import json_file, text
from harness.reports.next_step import next_step

PAUSE = 0.3
"""Seconds between two looks at the files."""
ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "import sys; sys.path[:] = [p for p in sys.path if p] + [sys.argv.pop(1)]; import pytest; sys.exit(pytest.main(sys.argv[1:]))"
"""pytest in a fresh process, the current directory not searched first: it may hold a harness of its own."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "impl", nargs="?", help="a module or file, as --impl takes it (default: impl in pyproject.toml)"
    )
    parser.add_argument("--cases", type=int, help="cases drawn per component")
    parser.add_argument("--once", action="store_true", help="judge once and end, with pytest's exit code")


def run(options: argparse.Namespace) -> int:
    impl = options.impl or str(options.project.table.get("impl", ""))
    if not impl:
        raise UsageError("watch what? plumbline watch mymodel.py")
    if named_mistakes(impl):
        raise UsageError(
            f"{impl} is a known mistake of the reference and never changes; see it with pytest --impl={impl}"
        )
    path = locate(impl).path
    if path is None or path.suffix != ".py":
        raise UsageError(f"{impl} has no file of Python that could be watched")
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
    """One implementation under watch. ``judge(impl, components)`` runs these (None: all) and gives exit code, record, text."""

    def __init__(
        self, impl: str, path: Path, judge: Callable[[str, list[str] | None], tuple[int, RunRecord | None, str]]
    ) -> None:
        self.impl, self.path, self.judge = impl, path, judge
        self.seen: dict[Path, tuple[int, int]] = {}
        self.source: Source | None = None
        self.record: RunRecord | None = None
        self.code = 0

    def look(self) -> bool:
        """Judge what changed since the last look. Whether there was anything to say."""
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
        self.say(f"judging {', '.join(chosen) if chosen else 'everything'}")
        started = time.perf_counter()
        self.code, record, output = self.judge(self.impl, chosen)
        if record is None:
            self.say(f"{self.path.name} was not judged:")
            print(output.strip())
            self.source = None
            return True
        self.source = source
        self.record = record if self.record is None or chosen is None else _merged(self.record, record, chosen)
        self._tell(chosen or list(record.order), time.perf_counter() - started)
        return True

    def _chosen(self, source: Source) -> list[str] | None:
        """The components to judge again, in order; None for all of them."""
        if self.source is None or self.record is None:
            return None
        concerned = touched(self.source, source, self.record.order, self.record.parts)
        if concerned:
            concerned |= {name for name in self.record.order if any(v.failing for v in self.record.of(name))}
        return [name for name in self.record.order if name in concerned]

    def _tell(self, chosen: Iterable[str], seconds: float) -> None:
        record = self.record
        assert record is not None
        titles, *lines = text.table_lines(record)
        rows = {line.component: line.text for line in lines if line.component}
        shown = [rows[name] for name in chosen if name in rows and any(v.status.is_judged for v in record.of(name))]
        print("\n".join([titles.text, *shown] if shown else []))
        groups = text.groups(record)
        if groups:
            again = f"pytest --impl={self.impl} -k {groups[0].head.component}"
            print(f"\n{text.failure(record, groups[0], again)}")
        print("\n".join(["", *next_step(record)]))
        wrong = {name for name in record.order if any(v.failing for v in record.of(name))}
        holds = {name for name in record.order if any(v.status == Status.PASSED for v in record.of(name))} - wrong
        more = f" (and {len(groups) - 1} more to mend)" if len(groups) > 1 else ""
        to_do = len(record.order) - len(holds) - len(wrong)
        self.say(f"{len(holds)} hold, {len(wrong)} wrong{more}, {to_do} to do, in {seconds:.0f} s")

    def say(self, what: str) -> None:
        """With the time of day."""
        print(f"{time.strftime('%H:%M:%S')}  {what}", flush=True)


def _merged(before: RunRecord, after: RunRecord, chosen: Iterable[str]) -> RunRecord:
    """The later run of some components in front of the earlier one of all."""
    again = set(chosen)
    verdicts = [v for v in before.verdicts if v.component not in again] + after.verdicts
    return replace(
        after,
        verdicts=verdicts,
        summaries={**before.summaries, **after.summaries},
        planned={**before.planned, **after.planned},
    )


def _pytest_of(cases: int | None) -> Callable[[str, list[str] | None], tuple[int, RunRecord | None, str]]:
    """Judge in a fresh process, with pytest and whatever its configuration says."""
    installed = any(entry.name == "plumbline" for entry in importlib.metadata.entry_points(group="pytest11"))

    def judge(impl: str, components: list[str] | None) -> tuple[int, RunRecord | None, str]:
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
                output, _ = process.communicate()
            except BaseException:
                process.kill()
                process.wait()
                raise
            if process.returncode not in (0, 1, 5) or not report.exists():
                return process.returncode, None, output
            return process.returncode, json_file.read(report), output

    return judge


COMMAND = Command("rerun, at every save, the checks that the change affects", arguments, run)
