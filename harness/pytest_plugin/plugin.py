"""pytest hooks and nothing else: one node per component, one item per claim."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

import pytest
from _pytest._code.code import ExceptionInfo, ReprEntryNative, ReprExceptionInfo, ReprFileLocation, ReprTraceback

from harness.core.claim import Claim
from harness.core.errors import UsageError, did_you_mean
from harness.core.mistake import KnownMistake
from harness.core.record import EXPECTED, MistakeSummary, RunRecord, Status, Verdict
from harness.core.signatures import in_one_line
from harness.judging.catalogue import Catalogue, load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.judge import EFFORTS
from harness.judging.loading import inspect_implementation
from harness.judging.saved_cases import save_case
from harness.project.expected_failures import baseline_record, gate
from harness.project.shards import shard_of
from harness.project.variants import Project, how_to_declare
from harness.pytest_plugin.benchmark_items import Timing, timing_asked
from harness.reports import text
from harness.reports.autosave import Autosave
from harness.reports.github_job import append_summary, in_github
from harness.reports.json_file import as_kept, atomically
from harness.reports.live import LiveLine, is_watched, time_left
from harness.reports.next_step import next_step
from harness.reports.writing import UnknownFormat, destinations, formats, write_report

CATEGORY = "also explained"
SETTLED = "plumbline"
"""What workers are told under: they are started with the same arguments, and must not settle anew what was settled already."""
FRESH_SEEDS = 1_000_000
"""A run without --impl-seed takes one of so many: short enough to be typed again."""


class ComponentMismatch(AssertionError):
    """A claim does not hold; carries the verdict."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.message)
        self.verdict = verdict


class Plugin:
    """One run: what was asked for, the inspection, and the record that the reports read."""

    def __init__(
        self, config: pytest.Config, options: dict[str, str], project: tuple[dict[str, Any], str] = ({}, "")
    ) -> None:
        self.config, self.options, self.started = config, options, time.time()
        self.worker = hasattr(config, "workerinput")
        options |= getattr(config, "workerinput", {}).get(SETTLED, {})
        self.folder = Path(config.invocation_params.dir)
        self.line: LiveLine | None = None
        known = load_catalogue()
        try:
            cases = _number("--impl-cases", options["impl_cases"]) if options["impl_cases"] else None
            time_limit = _number("--impl-timeout", options["impl_timeout"])
            self.destinations = destinations(options["impl_report"])
            self._put_the_baseline_aside()
            effort, seed = _effort(options["impl_effort"]), self._seed(options["impl_seed"], options["impl_baseline"])
            self.shard = shard_of(options["impl_shard"])
            self.required = self._required(known, options["impl_require"])
            self.timing = Timing(config, self) if timing_asked(config, self.worker) else None
            self.record = _empty(options["impl"], seed, effort, known, self.started)
            self.autosave = Autosave(self.record, self.folder / self.destinations.record)
            with self._on_disk_already():
                self.inspection: Inspection = inspect_implementation(
                    options["impl"],
                    seed=seed,
                    cases=cases,
                    time_limit=time_limit,
                    variants=options["impl_variant"],
                    project=Project(*project),
                    effort=effort,
                )
            claims = {name: self.catalogue.claims_of(name) for name in self.catalogue.contracts}
            tables = {
                f"--impl={options['impl']}: PLUMBLINE[{EXPECTED!r}]": self.inspection.expected,
                f"{project[1]}, [tool.plumbline.{EXPECTED}]": project[0].get(EXPECTED, {}),
            }
            self.gate = gate(tables, options["impl_baseline"], claims)
        except UsageError as wrong:
            raise pytest.UsageError(str(wrong)) from None
        except UnknownFormat as wrong:
            raise pytest.UsageError(f"--impl-report: {wrong}") from None
        for name in self.catalogue.contracts:
            config.addinivalue_line("markers", f"{name}: Plumbline's checks of {name}")
        self._take_arguments()
        self.record.missing = tuple(n for n in self.catalogue.contracts if n not in self.inspection.begun)
        self.record.variants = dict(self.inspection.variants)
        self.record.notes = (*self.record.notes, *self.inspection.notes)

    def _put_the_baseline_aside(self) -> None:
        """A baseline that lies where this run's record will (the last run's) is copied beside it, for workers too."""
        given, file = self.options["impl_baseline"], self.folder / self.destinations.record
        if self.worker or self._looks_only or not given or (self.folder / given).resolve() != file.resolve():
            return
        baseline_record(given)
        aside = file.with_name(f"{file.stem}.baseline{file.suffix}")
        try:
            atomically(file.read_bytes(), aside)
        except OSError as error:
            raise UsageError(
                f"--impl-baseline: {given} is where this run's record goes, and it cannot be copied to {aside}: {error}; "
                "write the record elsewhere: --impl-report=now.json"
            ) from None
        self.options["impl_baseline"] = str(aside)

    def _seed(self, given: str, baseline: str) -> int:
        """The seed that was asked for, the baseline's, or a fresh one; worker processes are told which."""
        if given:
            seed = _number("--impl-seed", given)
        elif baseline:  # the same cases as then: what is new is then new in the code
            seed = baseline_record(baseline).seed
        else:
            seed = random.SystemRandom().randrange(FRESH_SEEDS)
        self.options["impl_seed"] = str(seed)
        return seed

    @contextmanager
    def _on_disk_already(self) -> Iterator[None]:
        """A record is there before any of their code runs; where that cannot even be loaded, the record says why.

        Where nothing of theirs was begun (a misspelt name), the record of the run before is put back.
        """
        if self.worker or self._looks_only:
            yield
            return
        file = self.folder / self.destinations.record
        before = file.read_bytes() if file.is_file() else None
        self.autosave.keep()
        try:
            yield
        except UsageError as wrong:
            self.autosave.note(f"nothing was judged: {wrong}")
            if before is None:
                self.autosave.keep()
            else:
                atomically(before, file)
            raise

    @property
    def _looks_only(self) -> bool:
        """Whether checks are listed rather than run: the record of the last run stays."""
        return bool(self.config.option.collectonly)

    @property
    def catalogue(self) -> Any:
        return self.inspection.catalogue

    def _required(self, known: Catalogue, text: str) -> frozenset[str]:
        contracts = known.contracts
        names = [name.strip() for name in text.split(",") if name.strip()]
        if names == ["all"]:
            return frozenset(contracts)
        for name in names:
            if name not in contracts:
                raise UsageError(
                    f"--impl-require names {name!r}, which is no component; "
                    f"{did_you_mean(name, contracts) or 'there are: ' + ', '.join(contracts)} (or 'all')"
                )
        return frozenset(names)

    def _take_arguments(self) -> None:
        """Arguments that name a component or a check (``layer_norm::deterministic``) are ours; paths stay pytest's."""
        chosen = list(self.config.option.impl_select or [])
        given = self.config.args_source is pytest.Config.ArgsSource.ARGS
        others = []
        for argument in self.config.args if given else []:
            component = argument.partition("::")[0].rpartition("/")[2]
            if component in self.catalogue.contracts and not Path(argument.partition("::")[0]).exists():
                chosen.append(self._known(argument.rpartition("/")[2]))
            else:
                self._is_no_slip(argument)
                others.append(argument)
        self.config.args[:] = others
        self.config.args_source = pytest.Config.ArgsSource.ARGS
        self.config.option.impl_select = chosen
        self.chosen = chosen

    def _known(self, chosen: str) -> str:
        """The component, or ``component::check``, if there is such a check."""
        component, _, name = chosen.partition("::")
        names = [claim.name for claim in self.catalogue.claims_of(component)]
        names = names if self.timing is None else self.timing.names(component)
        if name and name not in names:
            hint = did_you_mean(name, names) or f"there are: {', '.join(names)}"
            raise pytest.UsageError(f"{component} has no check {name!r}; {hint}")
        return chosen

    def _is_no_slip(self, argument: str) -> None:
        """A path that is none, and nearly the name of a component, is meant as that."""
        head = argument.partition("::")[0]
        hint = did_you_mean(head, self.catalogue.contracts, 0.7)
        if hint and "/" not in head and not Path(head).exists():
            raise pytest.UsageError(f"there is no component {head!r}; {hint}")

    # collection ------------------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Generator[None, Any, Any]:
        report = yield
        if isinstance(collector, pytest.Session) and report.passed:
            nodes = [
                Component.from_parent(collector, name=name, nodeid=name, plugin=self)
                for name in self.catalogue.contracts
            ]
            report.result = [*nodes, *report.result]
        return report

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            if isinstance(item, Check):
                self.record.planned[item.component] = self.record.planned.get(item.component, 0) + 1
        if not self.worker and not self._looks_only:
            self.autosave.keep()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Workers draw the same cases, beside the same baseline."""
        node.workerinput[SETTLED] = {name: self.options[name] for name in ("impl_seed", "impl_baseline")}

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        """Under xdist the workers collect, all the same; the controller counts what one of them found."""
        if self.record.planned:
            return
        for identity in ids:
            component, _, claim = identity.partition("::")
            if component in self.catalogue.contracts and claim:
                self.record.planned[component] = self.record.planned.get(component, 0) + 1

    def wants(self, component: str, claim: str) -> bool:
        if not self.shard.has(list(self.catalogue.contracts).index(component)):
            return False
        if not self.chosen:
            return True
        return any(c in (component, f"{component}::{claim}") for c in self.chosen)

    # running ---------------------------------------------------------------------------------------------------------

    def _shows_progress(self) -> None:
        """A line below the dots says what is being done, where somebody looks on."""
        reporter: Any = self.config.pluginmanager.get_plugin("terminalreporter")
        if self.worker or reporter is None or self.config.option.capture == "no" or not is_watched(reporter._tw._file):
            return
        writer, capture = reporter._tw, self.config.pluginmanager.get_plugin("capturemanager")

        def write(text: str) -> None:
            with capture.global_and_fixture_disabled() if capture else nullcontext():
                writer._file.write(text)
                writer._file.flush()

        self.line = LiveLine(write, lambda: writer.width_of_current_line, lambda: writer.fullwidth)
        self.inspection.bench.progress = self._progress

    def _progress(self, doing: str) -> None:
        if self.line is not None:
            done, planned = len(self.record.verdicts), sum(self.record.planned.values())
            self.line.show(f"{doing}; {time_left(done, planned, time.time() - self.started)}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self) -> None:
        if self.line is not None:
            self.line.begin()

    def pytest_sessionstart(self) -> None:
        """What stops a process politely stops the run as Ctrl-C does: with its findings, its record and its faces."""
        self._shows_progress()
        if not self.worker and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL and current_thread() is main_thread():
            signal.signal(signal.SIGTERM, self._terminated)

    def pytest_unconfigure(self) -> None:
        if signal.getsignal(signal.SIGTERM) == self._terminated:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _terminated(self, number: int, frame: Any) -> None:
        self.autosave.note("stopped by SIGTERM")
        raise KeyboardInterrupt("SIGTERM")

    def judge(self, component: str, claim: Claim) -> Verdict:
        verdict = as_kept(self.inspection.judge(component, claim))
        if verdict.status == Status.TO_DO and component in self.required:
            verdict = replace(
                verdict,
                status=Status.FAILED,
                message=f"{component} is required (--impl-require) and is to do: {verdict.message}",
            )
        verdict = self.gate.judged(verdict)
        case = self.inspection.bench.smallest.get(verdict.case_id)
        if case is not None:
            options = {**self.options, "impl_variant": str(self.inspection.declared)}
            save_case(self.folder / ".plumbline" / "failures", verdict, case, self.inspection.seed, options)
        return verdict

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
        report = yield
        verdict = getattr(item, "verdict", None)
        if verdict is not None and call.when == "call":
            report.plumbline = verdict.as_dict()
            report.plumbline_summaries = {c.name: vars(c) for c in self.summaries(verdict)}
        return report

    def summaries(self, verdict: Verdict) -> list[MistakeSummary]:
        """What the reports show of the known mistakes that a verdict names."""
        known = self.inspection.known()
        return [
            MistakeSummary(b.full_name, b.component, self._sentence(b), b.diff(), b.seen_in)
            for name in (*verdict.finding, *verdict.or_else)
            if (b := known.get(name)) is not None
        ]

    def _sentence(self, mistake: KnownMistake) -> str:
        return f"{mistake.sentence} {how_to_declare(mistake, self.inspection.eps)}".strip()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        """What was judged is on disk before it is shown."""
        if self.line is not None:
            self.line.clear()
        values = getattr(report, "plumbline", None)
        if values is None or self.worker:
            return
        self.record.verdicts.append(Verdict.from_dict(values))
        for name, summary in report.plumbline_summaries.items():
            self.record.summaries[name] = MistakeSummary(**{**summary, "seen_in": tuple(summary["seen_in"])})
        self.autosave.keep()

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, Any] | None:
        status = getattr(report, "plumbline", {}).get("status")
        if status == Status.TO_DO and report.skipped:
            return "to do", "-", ("TO DO", {"yellow": True})
        if status == Status.NOT_APPLICABLE and report.skipped:
            return "not applicable", "o", ("NOT APPLICABLE", {"light": True})
        return None

    # reporting -------------------------------------------------------------------------------------------------------

    def _write_faces(self) -> None:
        """The faces that were asked for; in GitHub's workflows also its summary of the job."""
        for name, file in self.destinations.faces:
            try:
                write_report(name, self.record, self.folder / file)
            except OSError as error:
                self.autosave.note(f"the {name} report {file} could not be written: {error}")
        try:
            append_summary(self.record)
        except OSError as error:
            self.autosave.note(f"the job's summary could not be written: {error}")

    def pytest_report_header(self) -> str:
        here = [n for n in self.catalogue.contracts if n not in self.record.missing]
        where = self.inspection.where
        return (
            f"plumbline: impl={self.options['impl']}"
            + (f" ({where})" if where else "")
            + f", {len(here)} of {len(self.catalogue.contracts)} components, seed={self.inspection.seed}"
            + (f", effort={self.inspection.effort}" if self.inspection.effort != "default" else "")
            + (f", shard {self.shard}" if self.shard.of > 1 else "")
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """With the whole run known, each finding is told once; what it explains elsewhere is counted beside it."""
        if self.worker:
            return
        if self._looks_only:
            return
        whole = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        try:
            if whole and self.inspection.effort != "quick":
                self._measure()
        except KeyboardInterrupt:
            whole, session.exitstatus = False, pytest.ExitCode.INTERRUPTED
            self.autosave.note("interrupted while it was measured")
        self.record.finished = whole and not (session.shouldstop or session.shouldfail)
        self.autosave.keep()
        self._write_faces()
        reporter: Any = self.config.pluginmanager.get_plugin("terminalreporter")
        failed = reporter.stats.get("failed", []) if reporter else []
        ours = {(r.plumbline["component"], r.plumbline["claim"]): r for r in failed if hasattr(r, "plumbline")}
        if not ours:
            return
        told = []
        for group in text.groups(self.record):
            report = ours.get((group.head.component, group.head.claim))
            if report is None:
                continue
            if report in told:  # one check that shows two findings
                report = _copied(report, group.names)
            self._tell(report, group)
            told.append(report)
        others = [r for r in failed if not hasattr(r, "plumbline")]
        silent = [r for r in ours.values() if r not in told]
        reporter.stats["failed"] = told + others
        if silent:
            reporter.stats[CATEGORY] = silent

    def _measure(self) -> None:
        """The facts of what was judged: all of it here, also where workers judged."""
        judged = {v.component for v in self.record.verdicts if v.status == Status.PASSED or v.failing}
        for name in self.catalogue.contracts:
            if name in judged and not self.chosen_checks(name):
                if self.line is not None:
                    self.line.begin()
                self.record.measurements += self.inspection.facts(name)
                self.autosave.keep()
        if self.line is not None:
            self.line.clear()

    def chosen_checks(self, component: str) -> bool:
        """Whether single checks of a component were asked for, rather than all of it."""
        return any("::" in c and c.partition("::")[0] == component for c in self.chosen)

    def _tell(self, report: Any, group: text.Group) -> None:
        if self.config.getoption("tbstyle") == "long":
            return
        report.longrepr = _as_longrepr(
            text.failure(self.record, group, text.again(self.record, group.head)),
            text.headline(self.record, group),
            group.head,
        )

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self.timing is not None:
            self.timing.summary(terminalreporter)
        if self.worker or not self.record.planned or self.config.option.collectonly:
            return
        lines = text.table(self.record)
        terminalreporter.section("components", sep="=")
        for line in lines:
            wrong = "WRONG" in line or "CRASHED" in line
            terminalreporter.write_line(
                line, **({"red": True} if wrong else {"yellow": True} if "  to do" in line else {})
            )
        terminalreporter.write_line("")
        for note in text.notes(self.record):
            terminalreporter.write_line(f"note: {note}")
        for line in self.gate.told(self.record):
            terminalreporter.write_line(line, yellow=True)
        for line in text.measurements(self.record):
            terminalreporter.write_line(line)
        for line in next_step(self.record):
            terminalreporter.write_line(line, bold=True)
        for line in text.trust(self.record):
            terminalreporter.write_line(line)
        terminalreporter.write_line(f"record: {self.autosave.shown}")
        for name, file in self.destinations.faces:
            terminalreporter.write_line(f"{name}: {file}")
        if in_github():
            for line in formats()["github"].render(self.record).splitlines():
                terminalreporter.write_line(line)


class Component(pytest.Collector):
    """A component: its checks are its claims. It lives in no file, so that it runs from any directory."""

    def __init__(self, *, plugin: Plugin, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plugin = plugin
        self.add_marker(self.name)

    def collect(self) -> Iterator[pytest.Item]:
        if self.plugin.timing is not None:
            yield from self.plugin.timing.items(self)
            return
        for claim in self.plugin.catalogue.claims_of(self.name):
            if self.plugin.wants(self.name, claim.name):
                yield Check.from_parent(self, name=claim.name, claim=claim)


class Check(pytest.Item):
    """One claim on one component."""

    def __init__(self, *, claim: Claim, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.claim, self.component = claim, self.parent.name  # type: ignore[union-attr]
        self.verdict: Verdict | None = None

    def runtest(self) -> None:
        plugin: Plugin = self.parent.plugin  # type: ignore[union-attr]
        try:
            verdict = self.verdict = plugin.judge(self.component, self.claim)
        except KeyboardInterrupt as stop:
            # Where it struck is of no use to anybody, and pytest fails to show a frame that has no line just then.
            raise KeyboardInterrupt(*stop.args) from None
        self.user_properties += [("component", self.component), ("claim", self.claim.name), ("status", verdict.status)]
        if verdict.error is not None:
            self.user_properties.append(("error_over_tolerance", f"{verdict.error:.6g}"))
        if verdict.finding:
            self.user_properties.append(("finding", ", ".join(verdict.finding)))
        if verdict.failing:
            raise ComponentMismatch(verdict)
        if verdict.excused:
            raise pytest.xfail.Exception(verdict.excused)
        if verdict.status in (Status.TO_DO, Status.NOT_APPLICABLE):
            raise pytest.skip.Exception(f"{verdict.status}: {verdict.message}", _use_item_location=True)

    def repr_failure(self, excinfo: ExceptionInfo[BaseException], style: Any = None) -> Any:
        if not isinstance(excinfo.value, ComponentMismatch) or self.config.getoption("tbstyle") == "long":
            return super().repr_failure(excinfo)
        plugin: Plugin = self.parent.plugin  # type: ignore[union-attr]
        verdict = excinfo.value.verdict
        record = replace(plugin.record, verdicts=[verdict], summaries={c.name: c for c in plugin.summaries(verdict)})
        groups = text.groups(record)
        body = "\n\n".join(text.failure(record, group) for group in groups)
        return _as_longrepr(body, text.headline(record, groups[0]), verdict)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        offer = self.parent.plugin.inspection.implementation.offers(self.component)  # type: ignore[union-attr]
        where = Path(offer.where) if offer and offer.where else self.path
        line = max(offer.line - 1, 0) if offer and offer.where else 0
        return where, line, f"{self.component}::{self.claim.name}"


def _as_longrepr(body: str, message: str, verdict: Verdict) -> ReprExceptionInfo:
    """In the shape that survives the way from a worker process, with the diagnosis as the one-line message."""
    crash = ReprFileLocation(verdict.where or verdict.component, verdict.line, message)
    return ReprExceptionInfo(
        reprcrash=crash, reprtraceback=ReprTraceback([ReprEntryNative([body + "\n"])], None, "native")
    )


def _copied(report: Any, names: tuple[str, ...]) -> Any:
    import copy

    twin = copy.copy(report)
    twin.nodeid = f"{report.nodeid} ({', '.join(names)})"
    return twin


def _empty(impl: str, seed: int, effort: str, known: Catalogue, started: float) -> RunRecord:
    """The record of a run in which nothing was done yet."""
    contracts = known.contracts
    return RunRecord(
        impl=impl,
        seed=seed,
        planned={},
        order=tuple(contracts),
        parts={name: c.parts for name, c in contracts.items()},
        meanings={name: c.meaning for name, c in contracts.items()},
        verdicts=[],
        summaries={},
        missing=tuple(contracts),
        signatures={name: in_one_line(c) for name, c in contracts.items()},
        effort=effort,
        started=started,
    )


def _effort(given: str) -> str:
    if given not in EFFORTS:
        hint = did_you_mean(given, EFFORTS) or f"there are: {', '.join(EFFORTS)}"
        raise UsageError(f"--impl-effort takes how much is to be tried, not {given!r}; {hint}")
    return given


def _number(option: str, given: str) -> int:
    try:
        number = int(given)
    except ValueError:
        raise UsageError(f"{option} takes a whole number, not {given!r}") from None
    if number < 0:
        raise UsageError(f"{option} takes a number from 0 on, not {given}")
    return number
