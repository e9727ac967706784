"""A level is claimed only where every attempt to break it fails."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from harness.core.errors import UsageError
from harness.isolation import confinement
from harness.isolation.canary import broken, promises
from harness.isolation.confinement import Missing, confine, missing_packages, without
from harness.isolation.level import Level, Limits
from harness.judging.loading import inspect_implementation
from harness.judging.places_of_code import problem_with

linux = pytest.mark.skipif(sys.platform != "linux", reason="the levels stand on Linux")


def test_each_level_promises_more() -> None:
    assert [level for level in Level if not promises(level)] == [Level.NONE]
    assert list(Level.SANDBOX.includes) == list(Level) and Level.LIMITS.includes[-1] is Level.LIMITS


@linux
@pytest.mark.parametrize("level", [Level.PROCESS, Level.LIMITS, Level.SANDBOX], ids=str)
def test_a_level_holds_here(level: Level) -> None:
    """But for the sandbox where its packages, or the kernel, lack what it needs: then the reason is told."""
    problem = problem_with(level)
    if level is Level.SANDBOX and problem:
        assert "cannot be had" in problem
        pytest.skip(problem)
    assert problem == ""


@linux
def test_a_process_that_gave_up_nothing_breaks_every_promise(tmp_path: Path) -> None:
    """The canaries can fail: here, in the judge's process, each does (memory would be taken from everybody)."""
    outside = tmp_path / "outside"
    outside.write_text("a file of the judge")
    limits = Limits(memory_mb=1, file_mb=1, open_files=8)
    (tmp_path / "scratch").mkdir()
    found = broken(Level.SANDBOX, limits, str(tmp_path / "scratch"), str(outside), os.getpid())
    names = {name for level in Level for name in promises(level)} - {"writing to its own folder"}
    assert set(found) == names
    assert outside.read_text() == "a file of the judgex"


def test_what_is_missing_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(confinement, "PACKAGES", {"no_such_module_at_all": "no-such-distribution"})
    wanted = "no-such-distribution" if sys.platform == "linux" else "Linux"
    assert missing_packages() == [wanted]
    monkeypatch.setattr(confinement, "_limit", lambda limits: None)  # for good, in this process
    with pytest.raises(Missing, match=wanted):
        confine(Level.SANDBOX, Limits(), str(tmp_path), [], [])


def test_hidden_folders_are_cut_out(tmp_path: Path) -> None:
    for name in ("a/secret", "a/open", "b"):
        (tmp_path / name).mkdir(parents=True)
    hidden = [tmp_path / "a" / "secret"]
    assert list(without(tmp_path, hidden)) == [tmp_path / "a" / "open", tmp_path / "b"]
    assert list(without(tmp_path / "b", hidden)) == [tmp_path / "b"]
    assert list(without(tmp_path / "a" / "secret", hidden)) == []


def test_the_reference_is_not_judged_apart() -> None:
    with pytest.raises(UsageError, match="is the reference"):
        inspect_implementation("reference_model", isolation=Level.PROCESS)
