"""The implementation as it would be with a change in one of its files, which nobody writes or imports again.

Each function of the file gets the code that the changed file would give it, for as long as the change is in force. The
function objects stay the same, so that whoever holds them runs the changed code.
"""

from __future__ import annotations

import ast
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property, lru_cache
from types import CodeType, FunctionType
from typing import Any

from harness.core.change import Change
from harness.execution import call

_Key = tuple[str, int, int]
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class CannotChange(Exception):
    """The change is none that can be in force without importing the file again."""


class LoadedFile:
    """A file of the implementation as it is loaded. ``text``: the file as it stands."""

    def __init__(self, file: str, text: str) -> None:
        self.file, self.lines = file, text.splitlines()
        self.tree = _parsed(text)

    @cached_property
    def functions(self) -> list[FunctionType]:
        """The functions that come from it, closures and methods among them."""
        return [one for one in _objects() if type(one) is FunctionType and one.__code__.co_filename == self.file]

    def changed(self, after: list[str]) -> list[tuple[ast.stmt, int, str]]:
        """The statements at the top of the file that change: each with its first line, from 1, and its new text.

        Raises CannotChange where something else changes, or where lines are added at several places.
        """
        more = len(after) - len(self.lines)
        first, last = _differing(self.lines, after)
        found, known = [], set[int]()
        for node in self.tree.body:
            decorators = getattr(node, "decorator_list", [])
            start = min([node.lineno, *(one.lineno for one in decorators)])
            end = node.end_lineno or node.lineno
            covers = start <= first and last <= end
            new = after[start - 1 : end + (more if covers else 0)]
            if (covers or not more) and new != self.lines[start - 1 : end]:
                found.append((node, start, "\n".join(new)))
                known |= set(range(start, end + 1))
        if not found or (not more and not {first, last} <= known):
            raise CannotChange("no statement at the top of the file covers the change")
        return found


class ChangedCode:
    """A change that can be put in force.

    Raises CannotChange where the changed file is no Python, where functions come or go, and where what changes at its
    top is not one assignment of a name.
    """

    def __init__(self, change: Change, loaded: LoadedFile | None = None) -> None:
        loaded = loaded or LoadedFile(change.file, change.before)
        after = change.after.splitlines()
        self._codes: list[tuple[FunctionType, CodeType]] = []
        self._assigned: dict[str, CodeType] = {}
        self._namespace: dict[str, Any] = loaded.functions[0].__globals__ if loaded.functions else {}
        for node, start, new in loaded.changed(after):
            code = _compiled(new, start, change.file)
            if isinstance(node, DEFINITIONS):
                old = "\n".join(loaded.lines[start - 1 : node.end_lineno])
                self._codes += _exchanged(loaded.functions, _compiled(old, start, change.file), code)
            else:
                self._assigned[_assigned(new)] = code
        if not self._codes and not self._assigned:
            raise CannotChange("no function that is loaded changes")

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """The change in force inside the ``with``; everything is as before it after that."""
        codes = [(function, function.__code__) for function, _ in self._codes]
        values = {name: self._namespace[name] for name in self._assigned if name in self._namespace}
        try:
            for statement in self._assigned.values():
                call.invoke(exec, statement, self._namespace)
            for function, code in self._codes:
                function.__code__ = code
            yield
        finally:
            for function, code in codes:
                function.__code__ = code
            for name in self._assigned:
                self._namespace.pop(name, None)
            self._namespace.update(values)


def _objects() -> list[Any]:
    """Everything that the collector knows, also what was frozen, which it does not list."""
    is_frozen = gc.get_freeze_count() > 0
    if is_frozen:
        gc.unfreeze()
    try:
        return gc.get_objects()
    finally:
        if is_frozen:
            gc.freeze()


def _differing(before: list[str], after: list[str]) -> tuple[int, int]:
    """The first and last line of ``before`` that differ, from 1."""
    pairs = zip(before, after, strict=False)
    first = next((n for n, (one, other) in enumerate(pairs) if one != other), min(len(before), len(after)))
    back = zip(reversed(before[first:]), reversed(after[first:]), strict=False)
    same = next((n for n, (one, other) in enumerate(back) if one != other), min(len(before), len(after)) - first)
    return first + 1, max(len(before) - same, first + 1)


@lru_cache(maxsize=32)
def _parsed(text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError) as error:
        raise CannotChange(str(error)) from None


def _compiled(text: str, line: int, file: str) -> CodeType:
    """The code of some lines of a file, the first of which has this number."""
    try:
        code = compile("\n" * (line - 1) + text, file, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise CannotChange(str(error)) from None
    assert isinstance(code, CodeType)
    return code


def _exchanged(functions: list[FunctionType], before: CodeType, after: CodeType) -> list[tuple[FunctionType, CodeType]]:
    """The loaded functions that change, and their changed code."""
    pairs: dict[_Key, list[tuple[CodeType, CodeType]]] = {}
    for old, new in _pairs(before, after):
        pairs.setdefault(_key(old), []).append((old, new))
    found = []
    for function in functions:
        code = _of(function, pairs)
        if code is None or _is_same(code, function.__code__):
            continue
        if function.__code__.co_freevars != code.co_freevars:
            raise CannotChange(f"{code.co_name} would hold on to other names")
        found.append((function, code))
    return found


def _key(code: CodeType) -> _Key:
    """What tells a function from almost all others of its file: its name, where it begins, how much it remembers."""
    return code.co_name, code.co_firstlineno, len(code.co_freevars)


def _of(function: FunctionType, pairs: dict[_Key, list[tuple[CodeType, CodeType]]]) -> CodeType | None:
    """The changed code of a function; None where it cannot be told which that is (two lambdas on one line)."""
    found = pairs.get(_key(function.__code__), [])
    if len(found) > 1:
        found = [(old, new) for old, new in found if _is_same(old, function.__code__)]
    return found[0][1] if len(found) == 1 else None


def _is_same(one: CodeType, other: CodeType) -> bool:
    """Whether two codes do the same, wherever they stand."""
    if (one.co_code, one.co_names, one.co_varnames) != (other.co_code, other.co_names, other.co_varnames):
        return False
    pairs = list(zip(one.co_consts, other.co_consts, strict=False))
    return len(one.co_consts) == len(other.co_consts) and all(
        _is_same(a, b) if isinstance(a, CodeType) and isinstance(b, CodeType) else repr(a) == repr(b) for a, b in pairs
    )


def _pairs(before: CodeType, after: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    """The code of each function, before and after. Raises CannotChange where functions come or go."""
    inner = [[one for one in code.co_consts if isinstance(one, CodeType)] for code in (before, after)]
    if [one.co_name for one in inner[0]] != [one.co_name for one in inner[1]]:
        raise CannotChange(f"{before.co_name} would define other functions")
    for old, new in zip(*inner, strict=True):
        yield old, new
        yield from _pairs(old, new)


def _assigned(statement: str) -> str:
    """The one name that a statement assigns. Raises CannotChange for any other statement."""
    body = _parsed(statement).body
    targets = body[0].targets if len(body) == 1 and isinstance(body[0], ast.Assign) else []
    if len(targets) != 1 or not isinstance(targets[0], ast.Name):
        raise CannotChange("what changes at the top of the file is not one assignment of a name")
    return targets[0].id
