"""Each module of the table gets what is right, and the judge goes on.

A usual run judges a sample of them, each at the lowest level that promises its outcome; the full run every module at
every level from there on.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from support_hostile import MODULES, Module, Outcome
from support_lanes import FULL, sample

from harness.core.errors import UsageError
from harness.core.record import Status
from harness.isolation import connection
from harness.isolation.level import Level, Limits
from harness.judging.inspection import Inspection
from harness.judging.loading import inspect_implementation
from harness.judging.places_of_code import problem_with

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the levels stand on Linux")

AGREES = "agrees_with_the_reference"
EVERY_GROUP = 7
"""Modules of each kind of outcome that a usual run judges."""


def cells() -> list[tuple[Module, Level]]:
    """The modules with the levels that they are judged at."""
    chosen = sample(MODULES, lambda one: one.name, lambda one: (one.outcome.name, one.level.name), EVERY_GROUP)
    levels = tuple(Level)
    return [(one, level) for one in chosen for level in (levels[levels.index(one.level) :] if FULL else [one.level])]


@cache
def problem(level: Level) -> str:
    return problem_with(level)


@cache
def plain(folder: Path) -> dict[str, Any]:
    """What every check says of the plain function, in this process; advice depends on how a cube is computed."""
    file = folder / "plain.py"
    file.write_text(MODULES[0].text)
    return verdicts(inspected(file, Level.NONE))


def inspected(file: Path, level: Level, seconds: float = 20.0) -> Inspection:
    return inspect_implementation(str(file), seed=11, cases=4, isolation=level, time_limit=seconds)


def verdicts(inspection: Inspection) -> dict[str, Any]:
    claims = inspection.catalogue.claims_of("gelu")
    found = {claim.name: inspection.judge("gelu", claim).status for claim in claims}
    return {name: Status.PASSED if status is Status.ADVICE else status for name, status in found.items()}


def test_there_are_many() -> None:
    names = [one.name for one in MODULES]
    assert len(names) == len(set(names)) and len(names) >= 80
    assert sum(one.outcome is Outcome.PASSES for one in MODULES) >= 15


@pytest.mark.parametrize(("module", "level"), cells(), ids=lambda one: getattr(one, "name", str(one)))
def test_what_is_right(module: Module, level: Level, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if why := problem(level):
        pytest.skip(why)
    monkeypatch.setattr(connection, "SLACK", 5.0)
    monkeypatch.setattr(connection, "LIMITS", Limits(memory_mb=400, file_mb=16))
    file, dtype = tmp_path / "mine.py", torch.get_default_dtype()
    file.write_text(module.text)
    if module.outcome is Outcome.REFUSED:
        with pytest.raises(UsageError, match="No check was run"):
            inspected(file, level)
    elif module.outcome is Outcome.HARMLESS:
        with suppress(UsageError):
            assert verdicts(inspected(file, level)) == plain(tmp_path)
    elif module.outcome is Outcome.PASSES:
        assert verdicts(inspected(file, level)) == plain(tmp_path)
    else:
        inspection = inspected(file, level, module.seconds)
        claim = next(claim for claim in inspection.catalogue.claims_of("gelu") if claim.name == AGREES)
        verdict, _ = inspection.bench.judge(inspection.catalogue.contracts["gelu"], claim, shrink=False)
        assert verdict.status in (Status.FAILED, Status.CRASHED, Status.TIMED_OUT, Status.TO_DO, Status.NOT_CHECKED)
        assert "\x1b" not in verdict.message and "\u202e" not in verdict.message
    assert torch.get_default_dtype() is dtype and torch.is_grad_enabled()
    assert file.read_text() == module.text and not os.path.exists("/dev/shm/plumbline-left")
