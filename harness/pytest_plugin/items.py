"""The nodes of pytest's tree: one collector per component, one item per claim."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from _pytest._code.code import ExceptionInfo, ReprEntryNative, ReprExceptionInfo, ReprFileLocation, ReprTraceback

from harness.core.claim import Claim
from harness.core.hint import Hint
from harness.core.record import Status, Verdict
from harness.pytest_plugin.run_state import RunState
from harness.reports import text
from harness.reports.hints import limited
from harness.reports.marked_lines import place_of

if TYPE_CHECKING:
    from harness.pytest_plugin.benchmark_items import Timing


class ComponentMismatch(AssertionError):
    """A check failed; carries the verdict."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.message)
        self.verdict = verdict


class Component(pytest.Collector):
    """A component: its checks are its claims, or its workloads under ``--benchmark-only``.

    It lives in no file, so that it runs from any directory.
    """

    def __init__(self, *, run: RunState, timing: Timing | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.run, self.timing = run, timing
        for name in (self.name, *run.selection.included_by(self.name)):
            self.add_marker(name)

    def collect(self) -> Iterator[pytest.Item]:
        if self.timing is not None:
            yield from self.timing.items(self)
            return
        for claim in self.run.catalogue.claims_of(self.name):
            if self.run.selection.has(self.name, claim.name):
                yield Check.from_parent(self, name=claim.name, claim=claim, run=self.run)


class Check(pytest.Item):
    """One claim on one component."""

    def __init__(self, *, claim: Claim, run: RunState, parent: Component, **kwargs: Any) -> None:
        super().__init__(parent=parent, **kwargs)
        self.claim, self.run, self.component = claim, run, parent.name
        self.verdict: Verdict | None = None

    def runtest(self) -> None:
        """Judge the claim. Raises ComponentMismatch where it fails; skips what is to do or not applicable."""
        verdict = self.verdict = self.run.judge(self.component, self.claim)
        self.user_properties += [
            ("component", self.component),
            ("claim", self.claim.name),
            ("status", str(verdict.status)),
        ]
        if verdict.error is not None:
            self.user_properties.append(("error_over_tolerance", f"{verdict.error:.6g}"))
        if verdict.finding and self.run.options.hints is not Hint.CLAIM:
            self.user_properties.append(("finding", ", ".join(verdict.finding)))
        if verdict.failing:
            raise ComponentMismatch(verdict)
        if verdict.excused:
            raise pytest.xfail.Exception(verdict.excused)
        if verdict.status != Status.PASSED:
            raise pytest.skip.Exception(f"{verdict.status}: {verdict.message}", _use_item_location=True)

    def repr_failure(self, excinfo: ExceptionInfo[BaseException], style: Any = None) -> Any:
        if not isinstance(excinfo.value, ComponentMismatch) or self.config.getoption("tbstyle") == "long":
            return super().repr_failure(excinfo)
        verdict = excinfo.value.verdict
        summaries = {s.name: s for s in self.run.summaries(verdict)}
        record = limited(replace(self.run.record, verdicts=[verdict], summaries=summaries))
        groups = text.groups(record)
        body = "\n\n".join(text.failure(record, group) for group in groups)
        return as_longrepr(body, text.headline(record, groups[0]), groups[0].head)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        offer = self.run.inspection.implementation.offers(self.component)
        where = Path(offer.where) if offer and offer.where else self.path
        line = max(offer.line - 1, 0) if offer and offer.where else 0
        return where, line, f"{self.component}::{self.claim.name}"


def as_longrepr(body: str, message: str, verdict: Verdict) -> ReprExceptionInfo:
    """A failure's text in the shape that xdist can send, with the diagnosis as the one-line message."""
    file, line = place_of(verdict)
    crash = ReprFileLocation(file or verdict.component, line, message)
    return ReprExceptionInfo(
        reprcrash=crash, reprtraceback=ReprTraceback([ReprEntryNative([body + "\n"])], None, "native")
    )
