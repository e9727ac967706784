"""One run: its options, the inspection of the implementation, the record, and the files the record is written to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from harness.core.claim import Claim
from harness.core.errors import UsageError
from harness.core.grounds import Grounds
from harness.core.mistake import KnownMistake
from harness.core.note import NoteCode
from harness.core.record import EXPECTED, Cause, MistakeSummary, RunRecord, Status, Verdict
from harness.judging.catalogue import Catalogue, load_catalogue
from harness.judging.grounds import grounds_of
from harness.judging.inspection import Inspection
from harness.judging.kept_tolerances import KeptTolerances, cache_folder
from harness.judging.loading import inspect_implementation
from harness.judging.saved_cases import save_case
from harness.judging.stand_ins import stand_ins
from harness.judging.structural import with_structure
from harness.project.expected_failures import Gate, baseline_record, gate
from harness.project.names import Names
from harness.project.variants import Project, declaration_of
from harness.pytest_plugin.afterwards import work_afterwards
from harness.pytest_plugin.empty_record import empty_record
from harness.pytest_plugin.interruption import Interruption
from harness.pytest_plugin.options import FRESH_SEED, RunOptions, parse_options
from harness.pytest_plugin.selection import Selection, take_arguments
from harness.pytest_plugin.where_code_runs import level_of
from harness.reports.autosave import Autosave
from harness.reports.found import Found
from harness.reports.github_job import append_summary
from harness.reports.hints import limited
from harness.reports.json_file import as_kept, atomically
from harness.reports.live import LiveLine, time_left
from harness.reports.writing import write_report

SETTLED = "plumbline"
"""Key of a worker's input. It holds what the controller has settled: workers start with the same arguments."""
MISSING = (Status.TO_DO, Status.NOT_CHECKED, Status.BARELY_CHECKED)
"""Statuses of checks that say nothing, or next to nothing, about a component that is required."""


class RunState:
    """The state of one run.

    ``given``: the options as texts, by their names in pytest. ``timed``: workloads are timed, no claims are judged.
    Raises UsageError where the options, the project's table or the implementation are not usable.
    """

    def __init__(self, config: pytest.Config, given: Mapping[str, str], project: Project, timed: bool) -> None:
        self.config, self.timed, self.started = config, timed, time.time()
        self.is_worker = hasattr(config, "workerinput")
        self.only_lists = bool(config.option.collectonly)
        self.folder = Path(config.invocation_params.dir)
        self.line: LiveLine | None = None
        self.interruption = Interruption()
        self.found = Found()
        self.is_collected = False
        self.waiting: set[str] = set()
        """Items that were selected and have no result yet."""
        known = load_catalogue()
        given = {**given, **getattr(config, "workerinput", {}).get(SETTLED, {})}
        self.options = self._with_baseline_aside(parse_options(given, known.contracts, timed))
        self.record = empty_record(self.options, known, self.started)
        self.autosave = Autosave(self.record, self.folder / self.options.destinations.record)
        with self._record_on_disk():
            self.inspection = self._inspect(project)
            names = self.catalogue.names()
            self.gate = self._gate(project, names)
            chosen = take_arguments(config, self.catalogue.contracts, self.check_names, names)
        if self.options.keeps_tolerances and not self.only_lists:
            self.inspection.bench.kept = KeptTolerances(cache_folder(), self.options.kept_seed)
        self.selection = Selection(
            chosen,
            self.options.shard,
            list(self.catalogue.contracts),
            stand_ins(self.catalogue.contracts, self.inspection.begun),
        )
        self.record.missing = tuple(n for n in self.catalogue.contracts if n not in self.inspection.begun)
        self.record.variants = dict(self.inspection.variants)
        self.record.notes = (*self.record.notes, *self.inspection.notes, *names.notes())

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue with the declared epsilon."""
        return self.inspection.catalogue

    @property
    def shown(self) -> RunRecord:
        """The record as far as ``--impl-hints`` lets it be shown."""
        return limited(self.record)

    @property
    def writes_record(self) -> bool:
        """Workers write no record, and a mere listing leaves the record of the last run alone."""
        return not self.is_worker and not self.only_lists

    def check_names(self, component: str) -> list[str]:
        """What can be chosen of a component: its claims, or its workloads."""
        if self.timed:
            return [workload.name for workload in self.catalogue.contracts[component].workloads]
        return [claim.name for claim in self.catalogue.claims_of(component)]

    def settled(self) -> dict[str, str]:
        """What workers take over: they generate the same cases, beside the same baseline."""
        own = {"impl_seed": str(self.options.seed), "impl_no_cache": "" if self.options.keeps_tolerances else "yes"}
        fresh = "yes" if self.options.kept_seed is None else ""
        return {**own, FRESH_SEED: fresh, "impl_baseline": self.options.baseline}

    def _with_baseline_aside(self, options: RunOptions) -> RunOptions:
        """A baseline that lies where this run's record goes is copied beside it, for workers too."""
        baseline, file = options.baseline, self.folder / options.destinations.record
        if not self.writes_record or not baseline or (self.folder / baseline).resolve() != file.resolve():
            return options
        baseline_record(baseline)
        aside = file.with_name(f"{file.stem}.baseline{file.suffix}")
        try:
            atomically(file.read_bytes(), aside)
        except OSError as error:
            raise UsageError(
                f"--impl-baseline: {baseline} is where this run's record goes, and it cannot be copied to {aside}: "
                f"{error}; write the record elsewhere: --impl-report=now.json"
            ) from None
        return replace(options, baseline=str(aside))

    @contextmanager
    def _record_on_disk(self) -> Iterator[None]:
        """Write a record before any code of the implementation runs; where that cannot be loaded, it says why, or,
        where nothing of it ran (a misspelt name), the record of the run before is put back."""
        if not self.writes_record:
            yield
            return
        file = self.folder / self.options.destinations.record
        before = file.read_bytes() if file.is_file() else None
        self.autosave.keep()
        try:
            yield
        except UsageError as wrong:
            self.autosave.note(NoteCode.NOTHING_JUDGED, f"nothing was judged: {wrong}")
            if before is None:
                self.autosave.keep()
            else:
                atomically(before, file)
            raise

    def _inspect(self, project: Project) -> Inspection:
        level, why = level_of(self.options, self.timed)
        self.record.isolation = str(level)
        if why:
            self.autosave.note(NoteCode.IN_PROCESS, why)
        return inspect_implementation(
            self.options.impl,
            seed=self.options.seed,
            cases=self.options.cases,
            time_limit=self.options.time_limit,
            variants=self.options.variants,
            project=project,
            effort=self.options.effort,
            isolation=level,
        )

    def _gate(self, project: Project, names: Names) -> Gate:
        tables = {
            f"--impl={self.options.impl}: PLUMBLINE[{EXPECTED!r}]": self.inspection.expected,
            f"{project.file}, [tool.plumbline.{EXPECTED}]": project.table.get(EXPECTED, {}),
        }
        claims = {name: self.catalogue.claims_of(name) for name in self.catalogue.contracts}
        return gate(tables, self.options.baseline, claims, names)

    def plan(self, identities: Iterable[str]) -> None:
        """These items were selected (``component::check``); those that are not ours are left out."""
        self.is_collected = True
        for identity in identities:
            component, separator, _ = identity.partition("::")
            if separator and component in self.catalogue.contracts and identity not in self.waiting:
                self.waiting.add(identity)
                if not self.timed:
                    self.record.planned[component] = self.record.planned.get(component, 0) + 1

    def judge(self, component: str, claim: Claim) -> Verdict:
        """The verdict on one claim, as the record will hold it; a failing case is saved for ``plumbline replay``."""
        verdict = as_kept(with_structure(self.inspection, self.inspection.judge(component, claim)))
        if verdict.status in MISSING and component in self.options.required:
            message = f"{component} is required (--impl-require) and is {verdict.status}: {verdict.message}"
            verdict = replace(verdict, status=Status.FAILED, cause=Cause.MISSING, message=message)
        verdict = self.gate.judged(verdict)
        case = self.inspection.bench.smallest.get(verdict.case_id)
        if case is not None:
            options = {"impl": self.options.impl, "impl_variant": str(self.inspection.declared)}
            failures = self.folder / ".plumbline" / "failures"
            if problem := save_case(failures, verdict, case, self.options.seed, options):
                self.autosave.note(NoteCode.CASE_NOT_SAVED, problem)
        return verdict

    def summaries(self, verdict: Verdict) -> list[MistakeSummary]:
        """What the reports show of the known mistakes that a verdict names."""
        known = (self.inspection.mistake(name) for name in (*verdict.finding, *verdict.or_else))
        return [MistakeSummary.of(b, self._declaration(b)) for b in known if b is not None]

    def _declaration(self, mistake: KnownMistake) -> str:
        return declaration_of(mistake, self.catalogue.contracts, self.inspection.eps)

    def take(self, report: pytest.TestReport) -> None:
        """Put the verdict that a report carries into the record, and the record on disk."""
        values = getattr(report, "plumbline", None)
        if values is None:
            if self.timed and report.when == "call":
                self.waiting.discard(report.nodeid)
            return
        for name, summary in report.plumbline_summaries.items():
            self.record.summaries[name] = MistakeSummary(**{**summary, "seen_in": tuple(summary["seen_in"])})
        verdict = Verdict.from_dict(values)
        self.record.add(verdict)
        grounds, before = Grounds.from_dict(report.plumbline_grounds), self.record.grounds.get(verdict.component)
        self.record.grounds[verdict.component] = grounds if before is None else before.joined(grounds)
        self.waiting.discard(f"{verdict.component}::{verdict.claim}")
        (self.autosave.keep_in_time if verdict.status is Status.TO_DO else self.autosave.keep)()

    def attach(self, report: pytest.TestReport, verdict: Verdict) -> None:
        """Let a report carry a verdict, as plain values that xdist can send."""
        summaries = {summary.name: vars(summary) for summary in self.summaries(verdict)}
        grounds = asdict(grounds_of(self.inspection, verdict.component))
        vars(report).update(plumbline=verdict.as_dict(), plumbline_summaries=summaries, plumbline_grounds=grounds)

    def show_progress_on(self, line: LiveLine | None) -> None:
        """The line below the dots says what is being done."""
        self.line = line
        if line is not None:
            self.inspection.bench.progress = self._progress(line)

    def _progress(self, line: LiveLine) -> Callable[[str], None]:
        def show(doing: str) -> None:
            done, planned = len(self.record.verdicts), sum(self.record.planned.values())
            line.show(f"{doing}; {time_left(done, planned, time.time() - self.started)}")

        return show

    @property
    def is_finished(self) -> bool:
        """Whether everything that was planned was judged, and nothing interrupted the run."""
        return self.is_collected and not self.waiting and not self.interruption.reason

    def save_tolerances(self) -> None:
        """Keep the tolerances that were worked out for the next run."""
        if kept := self.inspection.bench.kept:
            kept.save()

    def finish(self, session: pytest.Session) -> None:
        """Seek changes where they are to be shown, measure what was judged, and write the record and the reports."""
        try:
            work_afterwards(self)
        except KeyboardInterrupt:
            self.interruption.note("stopped after the last check")
        self._settle(session)

    def close(self, session: pytest.Session) -> None:
        """The end of the process is near: a signal that came after :meth:`finish` is not lost."""
        self.interruption.unwatch()
        if self.writes_record and self.record.finished and not self.is_finished:
            self._settle(session)

    def _settle(self, session: pytest.Session) -> None:
        """Write whether the run is finished, and see to it that pytest's exit status says the same."""
        self.record.finished = self.is_finished
        if self.interruption.reason:
            self.autosave.note(NoteCode.INTERRUPTED, self.interruption.reason)
        self.autosave.keep()
        self._write_reports()
        passed = session.exitstatus == pytest.ExitCode.OK
        interrupted = self.interruption.reason and session.exitstatus == pytest.ExitCode.TESTS_FAILED
        if interrupted or (passed and not self.record.finished):
            session.exitstatus = pytest.ExitCode.INTERRUPTED

    def _write_reports(self) -> None:
        """The report formats that were asked for; in a workflow of GitHub also the summary of its job."""
        for name, file in self.options.destinations.faces:
            try:
                write_report(name, self.record, self.folder / file)
            except OSError as error:
                why = f"the {name} report {file} could not be written: {error}"
                self.autosave.note(NoteCode.REPORT_NOT_WRITTEN, why, f"{name} {file}")
        try:
            append_summary(self.record)
        except OSError as error:
            why = f"the job's summary could not be written: {error}"
            self.autosave.note(NoteCode.REPORT_NOT_WRITTEN, why, "job summary")
