"""Which lines of the implementation's own functions are reached while it is judged.

Tracing makes a run slower, so a sample of the runs is traced: those that have something which no traced run had (a
dtype, an argument that is given, a zero), and others for as long as they reach new lines.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from harness.core.implementation import Request

USUAL = (0, 1)
"""Values that code often has a branch for; False and True are equal to them."""
MOST_RUNS, PATIENCE = 60, 6
"""Of a component: runs that are traced, and runs in a row that may bring nothing new."""


ENTRIES = ("forward", "__call__")
"""Names of the methods whose arguments are looked at."""
VARIED = object()


class LineCoverage:
    """Watches the code in ``files``: their own. One component at a time is being run."""

    def __init__(self, files: Callable[[], Iterable[str]]) -> None:
        self._files_of = files
        self._files: frozenset[str] | None = None
        self.entered: dict[str, set[CodeType]] = {}
        """Functions that were called, by component."""
        self.reached: dict[CodeType, set[int]] = {}
        self.arguments: dict[CodeType, dict[str, Any]] = {}
        """What each argument of a forward pass was whenever that was called; ``VARIED`` where it was several things."""
        self.runs: dict[str, int] = {}
        """Runs that were watched, by component."""
        self._seen: dict[str, set[Any]] = {}
        """Features of the requests that were watched, by component."""
        self._idle: dict[str, int] = {}
        """Runs since the last one that reached a new line."""
        self._component = ""
        self._grew = False

    @contextmanager
    def watching(self, request: Request) -> Iterator[None]:
        """Watch the lines of one run, or leave it alone: where somebody else traces, or its kind was seen."""
        if sys.gettrace() is not None or not self._is_new(request):
            yield
            return
        self.runs[request.component] = self.runs.get(request.component, 0) + 1
        self._component, self._grew = request.component, False
        sys.settrace(self._called)
        try:
            yield
        finally:
            sys.settrace(None)
            self._idle[request.component] = 0 if self._grew else self._idle.get(request.component, 0) + 1

    def _is_new(self, request: Request) -> bool:
        """Whether a run is worth tracing."""
        component = request.component
        if self.runs.get(component, 0) >= MOST_RUNS:
            return False
        seen = self._seen.setdefault(component, set())
        new = _features(request) - seen
        if not new and self._idle.get(component, 0) >= PATIENCE:
            return False
        seen |= new
        return True

    def _called(self, frame: FrameType, event: str, argument: Any) -> Callable[..., Any] | None:
        if self._files is None:
            self._files = frozenset(filter(None, self._files_of()))
        code = frame.f_code
        if code.co_filename not in self._files:
            return None
        self.entered.setdefault(self._component, set()).add(code)
        reached = self.reached.setdefault(code, set())
        if code.co_name in ENTRIES:
            _note_arguments(frame, self.arguments.setdefault(code, {}))

        def line(frame: FrameType, event: str, argument: Any) -> Callable[..., Any]:
            if frame.f_lineno not in reached:
                reached.add(frame.f_lineno)
                self._grew = True
            return line

        return line

    def at_default(self, entry: Callable[..., Any]) -> tuple[str, ...]:
        """Parameters of a forward pass that had their default whenever it was called; none where it never was."""
        seen = self.arguments.get(getattr(entry, "__code__", None), {})  # type: ignore[arg-type]
        parameters = inspect.signature(entry).parameters.values() if seen else ()
        return tuple(p.name for p in parameters if p.default is not p.empty and seen.get(p.name, VARIED) is p.default)

    def unreached(self, component: str, own: Callable[[CodeType], bool]) -> tuple[str, ...]:
        """``model.py:12-14`` for each group of lines that no run of any component reached.

        Looked at are functions that this component's runs called and that are its ``own``; not constructors.
        """
        missed: dict[str, set[int]] = {}
        for code in self.entered.get(component, ()):
            if code.co_name not in ("__init__", "<module>") and own(code):
                statements = _statements(code.co_filename).get(code.co_firstlineno, ())
                lines = self.reached[code]
                out = [first for first, last in statements if lines.isdisjoint(range(first, last + 1))]
                missed.setdefault(code.co_filename, set()).update(out)
        return tuple(text for file, lines in sorted(missed.items()) for text in _ranges(file, sorted(lines)))


def _features(request: Request) -> set[Any]:
    """What of a request may decide which lines are reached, one by one."""
    case = request.case
    dtypes = {leaf.dtype for _, leaf in case.tensors()}
    arguments = {(name, _kind_of(value)) for call in case.calls for name, value in call.arguments.items()}
    how = {("gradients", request.gradients is not None), request.mode, request.context, ("family", case.family)}
    return {*dtypes, *arguments, *how, *(("method", call.method) for call in case.calls)}


def _kind_of(value: Any) -> Any:
    """What of an argument may decide which lines are reached: a flag or a usual number itself, otherwise its type."""
    plain = isinstance(value, (bool, int, float, str))
    return value if value is None or (plain and value in USUAL) else type(value)


def _note_arguments(frame: FrameType, seen: dict[str, Any]) -> None:
    code = frame.f_code
    for name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
        value = frame.f_locals.get(name)
        seen[name] = value if seen.get(name, value) is value else VARIED


def codes_of(source: Any) -> Iterator[CodeType]:
    """The code of a function, or of the methods of a class and of the classes that it inherits from, with what is
    defined inside."""
    if inspect.isclass(source):
        for base in source.__mro__:
            for member in vars(base).values():
                inner = getattr(member, "fget", None) or getattr(member, "__func__", member)
                if inspect.isfunction(inner):
                    yield from codes_of(inner)
        return
    code = getattr(inspect.unwrap(source), "__code__", None) if callable(source) else None
    waiting = [code] if isinstance(code, CodeType) else []
    while waiting:
        one = waiting.pop()
        yield one
        waiting += [constant for constant in one.co_consts if isinstance(constant, CodeType)]


@lru_cache(maxsize=32)
def _statements(file: str) -> dict[int, tuple[tuple[int, int], ...]]:
    """(first, last line) of each statement of each function of a file, by the line where the function begins.

    Left out is what a right run need not reach: errors that are raised, docstrings, and functions inside, which have
    entries of their own.
    """
    try:
        tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return {}
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            found[first] = tuple(_spans(node.body))
    return found


def _spans(body: list[ast.stmt]) -> Iterator[tuple[int, int]]:
    if body and isinstance(body[-1], ast.Raise):
        return  # an error: a right run does not reach it
    for statement in body:
        inner = [
            child
            for name in ("body", "orelse", "finalbody")
            if (child := getattr(statement, name, None)) and isinstance(child, list)
        ]
        is_definition = isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        if not inner or is_definition:
            quiet = isinstance(statement, (ast.Pass, ast.Global, ast.Nonlocal, ast.Assert)) or is_definition
            constant = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
            if not (quiet or constant):
                yield statement.lineno, statement.end_lineno or statement.lineno
            continue
        if not isinstance(statement, ast.Try):
            yield statement.lineno, max(statement.lineno, inner[0][0].lineno - 1)
        for child in inner:
            yield from _spans(child)


def _ranges(file: str, lines: list[int]) -> Iterator[str]:
    """Neighbouring statements as one range."""
    name = Path(file).name
    first = last = None
    for line in lines:
        if last is not None and line <= last + 1:
            last = line
            continue
        if first is not None:
            yield f"{name}:{first}" if first == last else f"{name}:{first}-{last}"
        first = last = line
    if first is not None:
        yield f"{name}:{first}" if first == last else f"{name}:{first}-{last}"
