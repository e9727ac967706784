"""``inspect_script(path)`` and ``with inspecting():`` - watch a training run, then judge it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import harness.training.probes
import harness.training.watching
from harness.core.record import RunRecord
from harness.core.registry import scan
from harness.training.finding import Level, TrainingFinding
from harness.training.judging import judge, record_of
from harness.training.places import Places
from harness.training.running import Script, find_module, find_script, run_script
from harness.training.session import Session, Watcher
from harness.training.stopping import StopInspection
from harness.training.stream import Stream

STEPS = 8
"""Steps that are watched by default."""


@dataclass
class InspectionResult:
    """What came of an inspection. ``steps``: training steps that were watched. ``crash``: what the script raised.

    ``troubles``: what our own measurements raised; nothing is judged by these. ``record``: as reports read it. In a
    ``with`` block all is filled in at its end.
    """

    name: str
    findings: list[TrainingFinding] = field(default_factory=list)
    steps: int = 0
    crash: BaseException | None = None
    stream: Stream = field(default_factory=Stream)
    troubles: list[Exception] = field(default_factory=list)
    record: RunRecord | None = None

    @property
    def failed(self) -> list[TrainingFinding]:
        """The findings that are no notes."""
        return [each for each in self.findings if each.level is Level.FAILED]


def inspect_script(
    path: str | Path = "", arguments: Sequence[str] = (), steps: int = STEPS, *, module: str = ""
) -> InspectionResult:
    """Run a training script unchanged for its first ``steps`` optimiser steps and judge what happened.

    ``module``: its dotted name instead of a path, as ``python -m`` takes it. Raises UsageError where there is none.
    """
    script = find_module(module) if module else find_script(path)
    places = Places((script.owned,))
    result = InspectionResult(module or str(path))
    with watched(Session(steps, places)) as session:
        result.crash = run_script(script, arguments, places)
    return _filled(result, session)


@contextmanager
def inspecting(steps: int = STEPS, name: str = "training") -> Iterator[InspectionResult]:
    """Watch the training inside the block; it ends after so many steps. The result is complete after the block.

    with plumbline.inspecting(steps=8) as run:
        train(model)
    print(run.findings)
    """
    result = InspectionResult(name)
    with watched(Session(steps, Places())) as session, suppress(StopInspection):
        yield result
    _filled(result, session)


@contextmanager
def watched(session: Session) -> Iterator[Session]:
    """Everything is watched inside the block; afterwards torch is as it was."""
    started = time.time()
    session.started = started
    with ExitStack() as stack:
        stack.callback(session.close)
        stack.callback(session.stopper.restore)
        for kind in watchers():
            kind(session).install(stack)
        yield session


def watchers() -> list[type[Watcher]]:
    """Every watcher of ``harness/training/watching``, and every probe of ``harness/training/probes``."""
    watching, probes = scan(harness.training.watching, "WATCHER", type), scan(harness.training.probes, "PROBE", type)
    return [*watching.values(), *probes.values()]


def _filled(result: InspectionResult, session: Session) -> InspectionResult:
    result.stream, result.steps, result.troubles = session.stream, session.stream.steps, session.stream.troubles
    result.findings, verdicts = judge(session.stream)
    result.record = record_of(result.name, verdicts, session.started)
    return result


__all__ = ["STEPS", "InspectionResult", "Script", "inspect_script", "inspecting", "watched"]
