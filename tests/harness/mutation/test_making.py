"""Mutants of a function: what is changed, what is left alone, and that each is an edit of its own."""

from __future__ import annotations

import importlib
import sys

import pytest

from harness.core.mistake import applied, fits
from harness.mutation import alarm
from harness.mutation.making import mutants_of

SOURCE = '''
import functools
import torch


def plain(x, share):
    """Words."""
    if share < 0:
        where = share + 1
        raise ValueError(f"{where - 1} is too small")
    y = x.transpose(1, 2)
    y = y * share  # a comment - with a sign
    for place in range(3):
        y[place] = x[:share]
    z = torch.softmax(y, dim=-1)
    z = y * share
    return max(z, y)


def calls(x):
    return plain(x, share=2) + called(x, dim=-1) + called(x, dim=1)


def called(x, dim=-1):
    return (x + x) * dim


@functools.cache
def kept(x):
    return x + 1


class Class:
    def method(self, one, other):
        self.total = called(one, other)
        self.total += 1
        return self
'''


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "of_the_test.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("of_the_test")
    del sys.modules["of_the_test"]


def changes(module, **options) -> set[tuple[str, str]]:
    return {(mutant.before, mutant.after) for mutant in mutants_of(module, **options)}


def test_every_kind_of_change_is_made(module):
    """One of each operator."""
    found = changes(module)
    for before, after in (
        ("if share < 0:", "if share <= 0:"),
        ("if share < 0:", "if share < 1:"),
        ("y = x.transpose(1, 2)", "y = x"),
        ("y = x.transpose(1, 2)", "y = x.transpose(1, 3)"),
        ("y = x.transpose(1, 2)", "y = x.transpose(1, 2).detach()"),
        ("y = y * share", "y = y / share"),
        ("y = y * share", "y *= share"),
        ("y = y * share", ""),
        ("for place in range(3):", "for place in range(2):"),
        ("y[place] = x[:share]", "y[place] = x[:share - 1]"),
        ("y[place] = x[:share]", "pass"),
        ("z = torch.softmax(y, dim=-1)", "z = torch.log_softmax(y, dim=-1)"),
        ("z = torch.softmax(y, dim=-1)", "z = torch.softmax(y, dim=-2)"),
        ("return max(z, y)", "return min(z, y)"),
        ("return max(z, y)", "return max(y, z)"),
        ("self.total = called(one, other)", "self.total = called(other, one)"),
        ("self.total += 1", "self.total -= 1"),
    ):
        assert (before, after) in found, (before, after)


def test_what_says_nothing_is_left_alone(module):
    """The words of errors, what is kept between calls, an argument that is the default, gradients where none count."""
    found = mutants_of(module)
    lines = {mutant.before for mutant in found}
    assert not any("where" in line or "kept" in mutant.of for line in lines for mutant in found)
    dropped = {mutant.after for mutant in found if mutant.of == "of_the_test.calls"}
    one, other = "called(x) + called(x, dim=1)", "called(x, dim=-1) + called(x)"
    assert not any(one in after for after in dropped) and any(other in after for after in dropped)
    assert not any("detach" in after for _, after in changes(module, gradients=False))


def test_each_is_an_edit_of_its_own(module):
    """The same line twice gives two mutants; each edit fits, and no two have one key."""
    found = mutants_of(module)
    twice = [m for m in found if m.before.endswith("= y * share") and m.after.endswith("= y / share")]
    assert len(twice) == 2 and len({m.key for m in found}) == len(found) > 50
    assert all(fits([mutant.edit]) for mutant in found)
    (sign,) = (mutant for mutant in found if mutant.after == "return (x - x) * dim")
    with applied([sign.edit]):
        assert module.called(3) == 0
    assert module.called(3) == -6


def test_the_alarm_rings_where_the_line_is_reached(module):
    """And nowhere else."""
    by_line = {mutant.before: mutant.alarm for mutant in mutants_of(module)}
    for call, rings in ((lambda: module.called(3), True), (lambda: module.Class(), False)):
        alarm.reset()
        with applied([by_line["return (x + x) * dim"]]):
            call()
        assert alarm.has_rung() is rings
