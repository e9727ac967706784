"""The known mistakes of training scripts: each edit fits, the script still runs, and its numbers change."""

from __future__ import annotations

import importlib
import os
import pkgutil
from functools import cache

import pytest
from support_scripts import SCRIPTS, trace

import specs.script_mistakes
from harness.core.mistake import EditDoesNotFit
from harness.core.script_mistake import ScriptMistake, edits

FULL = bool(os.environ.get("PLUMBLINE_FULL"))
NAMES = [info.name for info in pkgutil.iter_modules(specs.script_mistakes.__path__)]
MISTAKES = [mistake for name in NAMES for mistake in importlib.import_module(f"specs.script_mistakes.{name}").MISTAKES]
TRIED = MISTAKES if FULL else MISTAKES[::9]


def source_of(script: str) -> str:
    return (SCRIPTS / f"{script}.py").read_text(encoding="utf-8")


@cache
def right_trace(script: str, arguments: tuple[str, ...]) -> list[str]:
    return trace(source_of(script), arguments)


def test_names_are_different_and_kinds_are_given() -> None:
    """No two mistakes share a name; every one has a kind, a line and a sentence; there are at least sixty."""
    assert len({mistake.name for mistake in MISTAKES}) == len(MISTAKES) >= 60
    assert all(mistake.kinds and mistake.at and mistake.sentence.endswith(".") for mistake in MISTAKES)


def test_every_script_has_mistakes() -> None:
    """No script stands in the folder without a mistake that is planted in it."""
    scripts = {path.stem for path in SCRIPTS.glob("*.py")} - {"__init__"}
    assert scripts == {mistake.script for mistake in MISTAKES}
    assert len(scripts) >= 8


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: m.name)
def test_it_fits(mistake: ScriptMistake) -> None:
    """Each edit applies to exactly one place, the result compiles, and the wrong lines are in it."""
    source = source_of(mistake.script)
    planted = mistake.planted(source)
    compile(planted, mistake.name, "exec")
    assert mistake.lines(planted)
    changed = set(planted.splitlines()) ^ set(source.splitlines())
    assert changed or planted != source


@pytest.mark.parametrize("mistake", TRIED, ids=lambda m: m.name)
def test_it_runs_and_changes_the_numbers(mistake: ScriptMistake) -> None:
    """The script still runs to its end. What it prints, or how its parameters go, differs, unless the reason stands."""
    wrong = trace(mistake.planted(source_of(mistake.script)), mistake.arguments)
    assert wrong
    is_same = wrong == right_trace(mistake.script, mistake.arguments)
    assert is_same == bool(mistake.unchanged_because)


@pytest.mark.parametrize("script", ["resume", "nanogpt"])
def test_a_script_gives_the_same_numbers_twice(script: str) -> None:
    """The comparison above can tell: the right script repeats its own numbers."""
    assert trace(source_of(script)) == right_trace(script, ())


def test_an_edit_that_does_not_fit_is_refused() -> None:
    """A right text that stands twice, or not at all, is an error, and so is a line that is not there."""
    mistake = ScriptMistake("m", "s", "It.", edits(("a = 1\n", "a = 2\n")), ("k",), ("a = 2",))
    assert mistake.lines(mistake.planted("a = 1\n")) == [1]
    for source in ("b = 1\n", "a = 1\na = 1\n"):
        with pytest.raises(EditDoesNotFit):
            mistake.planted(source)
    with pytest.raises(EditDoesNotFit):
        mistake.lines("b = 1\n")
