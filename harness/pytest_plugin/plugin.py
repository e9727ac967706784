"""pytest's hooks and nothing else. What they do stands in the files beside this one."""

from __future__ import annotations

import gc
from collections.abc import Generator, Mapping
from typing import Any

import pytest
from _pytest.terminal import TerminalReporter

from harness.core.errors import UsageError
from harness.core.record import Status
from harness.project.variants import Project
from harness.pytest_plugin import terminal
from harness.pytest_plugin.benchmark_items import Timing, timing_asked
from harness.pytest_plugin.items import Component
from harness.pytest_plugin.run_state import SETTLED, RunState

SHOWN = {
    Status.TO_DO: ("-", "yellow"),
    Status.NOT_APPLICABLE: ("o", "light"),
    Status.NOT_CHECKED: ("?", "yellow"),
    Status.BARELY_CHECKED: ("~", "yellow"),
    Status.ADVICE: ("i", "light"),
}
"""The letter and the markup of each status that pytest counts as skipped."""


class Plugin:
    """One run of ``pytest --impl=...``.

    ``given``: our options as texts. ``project``: the table ``[tool.plumbline]`` and the file it stands in.
    """

    def __init__(
        self, config: pytest.Config, given: Mapping[str, str], project: tuple[dict[str, Any], str] = ({}, "")
    ) -> None:
        timed = timing_asked(config)
        try:
            self.run = RunState(config, given, Project(*project), timed)
        except UsageError as wrong:
            raise pytest.UsageError(str(wrong)) from None
        gc.freeze()  # modules and catalogue stay to the end: each look through them costs 0.1 s, and pytest takes three
        self.timing = Timing(self.run) if timed else None
        self.session: pytest.Session | None = None
        for name in self.run.catalogue.contracts:
            config.addinivalue_line("markers", f"{name}: Plumbline's checks of {name}")

    # collection ------------------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self) -> Generator[None, Any, Any]:
        with self.run.interruption.shown_without_frames():
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Generator[None, Any, Any]:
        with self.run.interruption.raised_at_once():
            report = yield
        if isinstance(collector, pytest.Session) and report.passed:
            nodes = [
                Component.from_parent(collector, name=name, nodeid=name, run=self.run, timing=self.timing)
                for name in self.run.catalogue.contracts
            ]
            report.result = [*nodes, *report.result]
        return report

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.run.plan(item.nodeid for item in session.items if isinstance(item.parent, Component))
        if self.run.writes_record:
            self.run.autosave.keep()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput[SETTLED] = self.run.settled()

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        """Under xdist the workers collect, all the same; the controller counts what one of them found."""
        if not self.run.is_collected:
            self.run.plan(ids)

    # running ---------------------------------------------------------------------------------------------------------

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self.session = session
        if not self.run.is_worker:
            self.run.show_progress_on(terminal.progress_line(session.config))
            self.run.interruption.watch(session)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, Any]:
        with self.run.interruption.shown_without_frames():
            self.run.interruption.stop_here()
            if not session.config.pluginmanager.has_plugin("dsession"):
                return (yield)
            with self.run.interruption.raised_at_once():  # xdist's controller only waits for its workers
                return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self) -> Generator[None, Any, Any]:
        with self.run.interruption.raised_at_once():
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self) -> Generator[None, Any, Any]:
        with self.run.interruption.raised_at_once():
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self) -> Generator[None, Any, Any]:
        with self.run.interruption.raised_at_once():
            return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self) -> None:
        if self.run.line is not None:
            self.run.line.begin()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
        report = yield
        verdict = getattr(item, "verdict", None)
        if verdict is not None and call.when == "call":
            self.run.attach(report, verdict)
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: Any) -> Generator[None, Any, Any]:
        """A verdict is on disk before it is shown (within a second where it is to do); a finding is shown at once."""
        if self.run.line is not None:
            self.run.line.clear()
        if self.run.is_worker:
            return (yield)
        with self.run.interruption.held_back():
            self.run.take(report)
        shown = yield
        if report.failed and self.session is not None:
            reporter = terminal.reporter_of(self.session.config)
            if reporter is not None:
                terminal.show_found(self.run, reporter)
        return shown

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, Any] | None:
        status = getattr(report, "plumbline", {}).get("status")
        if status in SHOWN and report.skipped:
            letter, markup = SHOWN[status]
            return str(status), letter, (str(status).upper(), {markup: True})
        return None

    # reporting -------------------------------------------------------------------------------------------------------

    def pytest_report_header(self) -> str:
        return terminal.header(self.run)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self.run.save_tolerances()
        if not self.run.writes_record:
            return
        self.run.finish(session)
        if (reporter := terminal.reporter_of(session.config)) is not None:
            terminal.show_each_finding_once(self.run, reporter)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        if not isinstance(excinfo.value, pytest.Session.Interrupted):  # that is pytest's own: --stepwise, for one
            self.run.interruption.note(f"stopped by {excinfo.typename}: {excinfo.value}")

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        self.run.interruption.note(f"stopped by an internal error of pytest: {excinfo.typename}: {excinfo.value}")

    def pytest_unconfigure(self) -> None:
        if self.session is not None:
            self.run.close(self.session)

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        if self.run.is_worker or self.run.only_lists:
            return
        if self.timing is not None:
            self.timing.summary(terminalreporter)
        if self.run.record.planned:
            terminal.summary(self.run, terminalreporter)
        else:
            terminal.nothing_chosen(self.run, terminalreporter)
