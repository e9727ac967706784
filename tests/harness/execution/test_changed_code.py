"""A change in force: functions that are loaded do what the changed file says, and afterwards what they did."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest

from harness.core.change import Change
from harness.discovery.importing import load
from harness.discovery.locate import locate
from harness.execution.changed_code import CannotChange, ChangedCode

TEXT = """\
SCALE = 2


def plain(x, more=1):
    return x + more


def maker(step):
    def inner(x):
        return x + step

    return inner


made = maker(10)
by_lambda = lambda x: x * 3


class Layer:
    factor = 4

    def __init__(self, size):
        self.size = size * 5

    @staticmethod
    def twice(x):
        return x * 2

    def forward(self, x):
        return x * self.size


def scaled(x):
    return x * SCALE
"""


@pytest.fixture
def module(tmp_path: Path) -> Any:
    file = tmp_path / "changed_file.py"
    file.write_text(TEXT)
    return load(locate(str(file)))[0]


CHANGES = [
    ("x + more", "x - more", lambda m: m.plain(7), 8, 6),
    ("x + step", "x - step", lambda m: m.made(7), 17, -3),
    ("x + step", "x - step", lambda m: m.maker(1)(7), 8, 6),
    ("x * 3", "x / 2", lambda m: m.by_lambda(6), 18, 3),
    ("size * 5", "size + 5", lambda m: m.Layer(2).forward(1), 10, 7),
    ("x * 2", "x * 20", lambda m: m.Layer.twice(1), 2, 20),
    ("SCALE = 2", "SCALE = 3", lambda m: m.scaled(1), 2, 3),
    ("    return x * SCALE", "    x = x + 1\n    return x * SCALE", lambda m: m.scaled(1), 2, 4),
]


@pytest.mark.parametrize(("old", "new", "value", "before", "with_it"), CHANGES)
def test_it_is_in_force_inside_and_gone_after(
    module: Any, old: str, new: str, value: Any, before: float, with_it: float
) -> None:
    code = ChangedCode(Change(module.__file__, TEXT, TEXT.replace(old, new)))
    assert value(module) == before
    with code.in_force():
        assert value(module) == with_it
    assert value(module) == before


def test_two_places_change_together(module: Any) -> None:
    after = TEXT.replace("x + more", "x - more").replace("size * 5", "size + 5")
    with ChangedCode(Change(module.__file__, TEXT, after)).in_force():
        assert (module.plain(7), module.Layer(2).size) == (6, 7)


def test_it_is_gone_where_something_raises(module: Any) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        ChangedCode(Change(module.__file__, TEXT, TEXT.replace("x + more", "x / 0"))).in_force(),
    ):
        module.plain(1)
    assert module.plain(1) == 2


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x + more", "x +* more"),
        ("x + more", "(lambda: x + more)()"),
        ("made = maker(10)", "made = maker(10); made(1)"),
        ("x + step", "x"),
        ("factor = 4", "factor = 5"),
        ("SCALE = 2\n", "SCALE = 2\nOTHER = 3\n"),
    ],
    ids=["no Python", "a new function", "two statements", "a name less to hold", "no function", "a new statement"],
)
def test_what_cannot_be_in_force_is_refused(module: Any, old: str, new: str) -> None:
    with pytest.raises(CannotChange):
        ChangedCode(Change(module.__file__, TEXT, TEXT.replace(old, new)))


def test_functions_that_the_collector_froze_are_found(module: Any) -> None:
    """A run freezes what is loaded; ``gc.get_objects`` lists none of it."""
    file = module.__file__
    gc.freeze()
    try:
        change = Change(file, TEXT, TEXT.replace("x + more", "x - more"))
        with ChangedCode(change).in_force():
            assert module.plain(7) == 6
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
