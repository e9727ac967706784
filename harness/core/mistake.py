"""A known mistake: a one-line edit of the reference, applied for a moment by exchanging the function's code object.

Because the function object itself stays the same, every composite built on it changes with it: a mistake inside a part
shows in the numbers of the whole.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from types import FunctionType
from typing import Any

PREFIXES = ("mistake:", "bug:")
"""What ``--impl`` names known mistakes with: ``mistake:gelu.relu``. The second is the earlier form."""


def named_mistakes(impl: str) -> list[str]:
    """The full names of the known mistakes that ``--impl`` names (several with ``+``); none where it names other
    things."""
    prefix = next((p for p in PREFIXES if impl.startswith(p)), "")
    return [name.strip() for name in impl.removeprefix(prefix).split("+")] if prefix else []


class EditDoesNotFit(Exception):
    """The right line of an edit does not stand exactly once in the function's source."""


@dataclass(frozen=True)
class Edit:
    """In ``of``, the line(s) ``right`` become ``wrong``; or the whole body becomes that of ``instead``.

    Lines are compared without white space and trailing comments; ``wrong`` takes the place at the same indentation.
    """

    of: Callable[..., Any]
    right: str = ""
    wrong: str = ""
    instead: Callable[..., Any] | None = None

    def diff(self) -> str:
        """From the mistake to the reference, ready to print: ``-`` is the wrong code, ``+`` the expected code."""
        if self.instead is not None:
            wrong, right = _source(_plain(self.instead)), _without_docstring(_source(_plain(self.of)))
        else:
            wrong, right = (textwrap.dedent(code).strip("\n").splitlines() for code in (self.wrong, self.right))
        return "\n".join([*(f"-    {line}" for line in wrong), *(f"+    {line}" for line in right)])

    def without_context(self) -> Edit:
        """The same without the lines that stand in both, at the beginning or the end."""
        right, wrong = (textwrap.dedent(code).strip("\n").splitlines() for code in (self.right, self.wrong))
        while right and wrong and right[0] == wrong[0]:
            right, wrong = right[1:], wrong[1:]
        while right and wrong and right[-1] == wrong[-1]:
            right, wrong = right[:-1], wrong[:-1]
        return replace(self, right="\n".join(right), wrong="\n".join(wrong))


@dataclass(frozen=True)
class KnownMistake:
    """A known mistake of one component.

    ``sentence`` speaks to the person who made it. ``seen_in``: projects and files, or threads, where it was found.
    ``also``: further edits that belong to the same mistake. ``looks_like``: names of other known mistakes (or legal
    variants) whose numbers are the same for every case, with which the diagnosis may name this one instead.
    ``unnamed_because``: why the diagnosis cannot name it, where it cannot.
    """

    name: str
    sentence: str
    of: Callable[..., Any]
    right: str = ""
    wrong: str = ""
    instead: Callable[..., Any] | None = None
    also: tuple[Edit, ...] = ()
    seen_in: tuple[str, ...] = ()
    looks_like: tuple[str, ...] = ()
    unnamed_because: str = ""
    component: str = ""
    aliases: tuple[str, ...] = ()
    """Earlier names, which records and the command line still understand."""
    variant: str = ""
    """The legal variant whose edits these are; empty for a real mistake."""
    axis: str = ""
    """The axis that the variant stands on."""
    under: tuple[str, ...] = ()
    """The legal forms that must be declared for it, as ``--impl-variant`` takes them: it exists in them only."""
    is_relation: bool = False
    """Whether no catalogue holds it: a relation to the reference that was fitted to an implementation's answers."""

    @property
    def edits(self) -> tuple[Edit, ...]:
        """All its edits, its own first."""
        return (Edit(self.of, self.right, self.wrong, self.instead), *self.also)

    @property
    def full_name(self) -> str:
        """``component.name``, as reports and ``--impl=mistake:`` name it."""
        return f"{self.component}.{self.name}"

    @property
    def alike(self) -> tuple[str, ...]:
        """The full names of what ``looks_like`` names."""
        return tuple(
            name if name.partition("=")[0].count(".") else f"{self.component}.{name}" for name in self.looks_like
        )

    def within(self, component: str) -> KnownMistake:
        """The same mistake, placed in its component."""
        return replace(self, component=component)

    def diff(self) -> str:
        """All its edits as one diff: ``-`` is the wrong code, ``+`` the expected code.

        What a relation adds to the reference stands alone: the line that it was put beside says nothing of it.
        """
        edits = [edit.without_context() if self.is_relation else edit for edit in self.edits]
        return "\n".join(edit.diff() for edit in edits)


def _only_what_differs(right: str, wrong: str) -> str:
    """A diff without the lines that both begin or end with."""
    rights, wrongs = (textwrap.dedent(code).strip("\n").splitlines() for code in (right, wrong))
    while rights and wrongs and rights[0] == wrongs[0]:
        rights, wrongs = rights[1:], wrongs[1:]
    while rights and wrongs and rights[-1] == wrongs[-1]:
        rights, wrongs = rights[:-1], wrongs[:-1]
    return "\n".join([*(f"-    {line}" for line in wrongs), *(f"+    {line}" for line in rights)])


_LOCK = threading.RLock()
"""Held while edits are in force: the functions belong to the whole process. One thread may nest its edits."""


@contextmanager
def applied(edits: Iterable[Edit]) -> Iterator[None]:
    """The edits in force inside the ``with``; the functions are put back as they were, whatever happens inside.

    Another thread that wants edits in force waits until these are not. (Threads that only call the functions see the
    edits.) Raises EditDoesNotFit where an edit's right line is not there exactly once (another edit took it, for
    instance).
    """
    with _LOCK, _exchanged(edits):
        yield


@contextmanager
def _exchanged(edits: Iterable[Edit]) -> Iterator[None]:
    by_function: dict[FunctionType, list[Edit]] = {}
    for edit in edits:
        by_function.setdefault(_plain(edit.of), []).append(edit)
    edited = [(function, _edited(function, tuple(group))) for function, group in by_function.items()]
    before = [(f, f.__code__, f.__defaults__, f.__kwdefaults__, dict(f.__dict__)) for f, _ in edited]
    try:
        for function, wrong in edited:
            function.__code__ = wrong.__code__
            function.__defaults__ = wrong.__defaults__
            function.__kwdefaults__ = wrong.__kwdefaults__
        yield
    finally:
        for function, code, defaults, kwdefaults, attributes in before:
            function.__code__, function.__defaults__, function.__kwdefaults__ = code, defaults, kwdefaults
            function.__dict__.clear()
            function.__dict__.update(attributes)


def fits(edits: Iterable[Edit]) -> bool:
    """Whether these edits can be in force together."""
    try:
        with applied(edits):
            return True
    except EditDoesNotFit:
        return False


def _plain(function: Callable[..., Any]) -> FunctionType:
    inner = inspect.unwrap(function)
    if not isinstance(inner, FunctionType):
        raise TypeError(f"only Python functions can be edited, not {function!r}")
    return inner


@cache
def _source(function: FunctionType) -> list[str]:
    return textwrap.dedent(inspect.getsource(function)).splitlines()


def _without_docstring(lines: list[str]) -> list[str]:
    """The lines of a function without its docstring."""
    (function,) = ast.parse("\n".join(lines)).body
    if not isinstance(function, ast.FunctionDef) or ast.get_docstring(function) is None:
        return lines
    text = function.body[0]
    return [*lines[: text.lineno - 1], *lines[text.end_lineno :]]


@cache
def _edited(function: FunctionType, edits: tuple[Edit, ...]) -> FunctionType:
    lines = list(_source(function))
    for edit in edits:
        if edit.instead is not None:
            if len(edits) > 1:
                raise EditDoesNotFit(f"{function.__name__} is replaced as a whole; no other edit fits beside it")
            lines = [*_source(_plain(edit.instead))]
            continue
        lines = _replaced(lines, edit, function.__name__)
    namespace: dict[str, Any] = {}
    filename = f"<{function.__module__}.{function.__qualname__}, edited>"
    exec(compile("\n".join(lines), filename, "exec"), function.__globals__, namespace)
    (wrong,) = (value for value in namespace.values() if isinstance(value, FunctionType))
    return wrong


def _replaced(lines: list[str], edit: Edit, name: str) -> list[str]:
    right = [_tight(line) for line in edit.right.strip().splitlines()]
    bare = [_tight(line.partition("  #")[0]) for line in lines]
    places = [i for i in range(len(lines) - len(right) + 1) if bare[i : i + len(right)] == right]
    if len(places) != 1:
        raise EditDoesNotFit(f"{edit.right.strip()!r} stands {len(places)} times in {name}, not once")
    start = places[0]
    indent = lines[start][: len(lines[start]) - len(lines[start].lstrip())]
    wrong = [indent + line if line else line for line in textwrap.dedent(edit.wrong).strip("\n").splitlines()]
    return [*lines[:start], *wrong, *lines[start + len(right) :]]


def _tight(line: str) -> str:
    """The line without any white space: formatting is no part of what it says."""
    return "".join(line.split())
