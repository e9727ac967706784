"""The mutants of a module's functions, in the order of its lines."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from types import FunctionType, ModuleType
from typing import Any

from harness.core.mistake import Edit
from harness.mutation import operators

Key = tuple[str, str, str, int]
Span = tuple[int, int, int, int]
"""First line and column, last line and column, as the syntax tree counts them (columns in bytes)."""
UNTOUCHED = (ast.Raise, ast.Assert, ast.JoinedStr, ast.arguments, ast.Import, ast.ImportFrom, ast.AnnAssign)
"""What is not changed: the words of errors, signatures, annotations."""


ALARM = "__import__('harness.mutation.alarm', fromlist=['ring']).ring()"


@dataclass(frozen=True)
class Mutant:
    """One change of one function.

    ``of``: the function, as ``file.function`` or ``file.class.method``. ``before`` and ``after``: the lines of the
    statement, as they are and as the mutant has them (nothing: deleted). ``nth``: which of several that read alike.
    ``line``: in the file. ``edit``: the change as an edit of the reference. ``alarm``: an edit that rings
    :mod:`harness.mutation.alarm` before the statement; None where nothing can stand before it.
    """

    of: str
    line: int
    before: str
    after: str
    nth: int
    edit: Edit
    alarm: Edit | None

    @property
    def key(self) -> Key:
        """What tells it from every other mutant, and stays when lines above it change."""
        return self.of, self.before, self.after, self.nth


def mutants_of(module: ModuleType, gradients: bool = True) -> list[Mutant]:
    """Every mutant of every function that a module defines at its top or in its classes.

    ``gradients``: whether derivatives are asked of it, so that cutting one off changes something.
    Decorated functions are left out: what one of them has kept would outlive the mutant.
    """
    found: list[Mutant] = []
    for name, function in _functions(module):
        found += _Function(f"{module.__name__.rpartition('.')[2]}.{name}", function, gradients).mutants
    return found


def _functions(module: ModuleType) -> Iterator[tuple[str, FunctionType]]:
    for name, value in list(vars(module).items()):
        members = list(vars(value).items()) if isinstance(value, type) else []
        prefixed = [(f"{name}.{member}", function) for member, function in members]
        for full, function in [(name, value), *prefixed]:
            if not isinstance(function, FunctionType) or function.__qualname__ != full:
                continue
            if function.__code__.co_filename == module.__file__ and not function.__code__.co_freevars:
                yield full, function


class _Function:
    """The source of one function, and what may be changed in it."""

    def __init__(self, of: str, function: FunctionType, gradients: bool) -> None:
        self.of, self.function, self.gradients = of, function, gradients
        lines, self.first = inspect.getsourcelines(function)
        self.lines = textwrap.dedent("".join(lines)).splitlines()
        self.bare = [line.partition("  #")[0].rstrip() for line in self.lines]

    @cached_property
    def tree(self) -> ast.FunctionDef:
        (tree,) = ast.parse("\n".join(self.lines)).body
        assert isinstance(tree, ast.FunctionDef)
        return tree

    @property
    def mutants(self) -> list[Mutant]:
        found: list[Mutant] = []
        if self.tree.decorator_list:
            return found
        seen: dict[tuple[str, str], list[int]] = {}
        for statement, span, text in self._changes():
            if made := self._made(statement, span, text, seen):
                found.append(made)
        return found

    def _changes(self) -> Iterator[tuple[ast.stmt, Span, str]]:
        """Statement by statement: a piece of it, and what takes its place."""
        bound = {a.arg for a in (*self.tree.args.args, *self.tree.args.kwonlyargs)}
        for statement in _statements(self.tree.body):
            if isinstance(statement, UNTOUCHED) or _is_docstring(statement):
                continue
            for span, text in self._of_statement(statement, bound):
                yield statement, span, text
            bound |= {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}

    def _of_statement(self, statement: ast.stmt, bound: set[str]) -> Iterator[tuple[Span, str]]:
        for other in operators.augmented(statement):
            yield _span(statement), ast.unparse(ast.fix_missing_locations(other))
        if isinstance(statement, (ast.If, ast.While)):
            for other in operators.negated(statement.test):
                yield _span(statement.test), ast.unparse(other)
        if isinstance(statement, ast.Assign) and self.gradients:
            for other in operators.cut_off(statement.value):
                yield _span(statement.value), ast.unparse(other)
        for node, parent in _expressions(statement):
            for operator in operators.EXPRESSIONS:
                for other in operator(node):
                    if self._says_the_same(node, other):
                        continue
                    yield _span(node), self._in_place(node, other, parent)
        if _may_go(statement, bound):
            yield _span(statement), "pass" if _stands_alone(self.tree, statement) else ""

    def _says_the_same(self, node: ast.AST, other: ast.AST) -> bool:
        """Whether a keyword argument was dropped that gives what the function has as its default."""
        if not (isinstance(node, ast.Call) and isinstance(other, ast.Call) and isinstance(node.func, ast.Name)):
            return False
        called = self.function.__globals__.get(node.func.id)
        if not isinstance(called, FunctionType):
            return False
        left = {keyword.arg for keyword in other.keywords}
        gone = [(k.arg, ast.unparse(k.value)) for k in node.keywords if k.arg is not None and k.arg not in left]
        defaults = inspect.signature(called).parameters
        return bool(gone) and all(repr(defaults[name].default) == value for name, value in gone)

    def _in_place(self, node: ast.AST, other: ast.AST, parent: ast.AST) -> str:
        """The new expression as text, in parentheses where its neighbours would tear it apart."""
        text = ast.unparse(other)
        torn = isinstance(other, (ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp))
        near = isinstance(parent, (ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Attribute, ast.Subscript))
        near &= not (isinstance(parent, ast.Subscript) and parent.slice is node)
        return f"({text})" if torn and near and not self._is_enclosed(node) else text

    def _is_enclosed(self, node: ast.AST) -> bool:
        line, start, last, end = _span(node)
        before, after = self.lines[line - 1].encode()[:start], self.lines[last - 1].encode()[end:]
        return before.endswith(b"(") and after.startswith(b")")

    def _made(
        self, statement: ast.stmt, span: Span, text: str, seen: dict[tuple[str, str], list[int]]
    ) -> Mutant | None:
        """The mutant; None where it reads as the original, or as one that was made before, or does not compile."""
        line, start, last, end = span
        before = self.bare[line - 1 : last]
        head = self.lines[line - 1].encode()[:start].decode()
        tail = self.lines[last - 1].encode()[end:].decode().partition("  #")[0].rstrip()
        after = (head + text + tail).splitlines() if (head + text + tail).strip() else []
        if not _compiles([*self.lines[: line - 1], *after, *self.lines[last:]]) or _tight(after) == _tight(before):
            return None
        shown, new = _joined(before), _joined(after)
        places = seen.setdefault((shown, new), [])
        if line in places:
            return None
        places.append(line)
        edit = self._edit(line - 1, last, after)
        alarm = self._alarm(statement.lineno - 1)
        return Mutant(self.of, self.first + line - 1, shown, new, len(places), edit, alarm)

    def _alarm(self, start: int) -> Edit | None:
        """The alarm in front of a statement; None where nothing can stand there (before an ``elif``)."""
        line = self.bare[start]
        raising = [line[: len(line) - len(line.lstrip())] + ALARM, line]
        if not _compiles([*self.lines[:start], *raising, *self.lines[start + 1 :]]):
            return None
        return self._edit(start, start + 1, raising)

    def _edit(self, start: int, stop: int, after: list[str]) -> Edit:
        """The exchange of some lines, with as many before them as make them stand there once."""
        tight = ["".join(line.split()) for line in self.bare]
        indent = len(self.bare[start]) - len(self.bare[start].lstrip())
        above = start
        while above > 0 and (_count(tight, tight[above:stop]) > 1 or not _fits(self.bare[above:stop], indent)):
            above -= 1
            indent = len(self.bare[above]) - len(self.bare[above].lstrip())
        wrong = [*self.bare[above:start], *after]
        return Edit(self.function, "\n".join(self.bare[above:stop]), textwrap.dedent("\n".join(wrong)))


def _fits(lines: list[str], indent: int) -> bool:
    """Whether no line stands further left than the first."""
    return all(len(line) - len(line.lstrip()) >= indent for line in lines if line.strip())


def _count(lines: list[str], few: list[str]) -> int:
    return sum(lines[i : i + len(few)] == few for i in range(len(lines) - len(few) + 1))


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Every statement, but those of a block that ends with an error: they look for its words."""
    for statement in () if body and isinstance(body[-1], ast.Raise) else body:
        yield statement
        for part in ("body", "orelse", "finalbody"):
            yield from _statements(getattr(statement, part, []))


def _expressions(statement: ast.stmt) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Every expression of a statement itself, with what holds it; not those of the statements inside it."""

    def below(node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.stmt, *UNTOUCHED)):
                continue
            if isinstance(node, ast.UnaryOp) and isinstance(child, ast.Constant):
                continue  # the sign's operator has its turn with both
            if isinstance(child, ast.keyword) and child.arg in operators.KEPT_KEYWORDS:
                continue
            if hasattr(child, "lineno"):
                yield child, node
            yield from below(child)

    return below(statement)


def _may_go(statement: ast.stmt, bound: set[str]) -> bool:
    """Whether a statement may be deleted: what it binds was bound before, or it binds nothing."""
    if isinstance(statement, ast.Assign):
        if isinstance(statement.value, ast.Call) and getattr(statement.value.func, "attr", "") in operators.FILLING:
            return False  # what is in memory by chance is noticed, or not, by chance
        return all(not isinstance(t, ast.Name) or t.id in bound for t in statement.targets) and not any(
            isinstance(t, ast.Tuple) for t in statement.targets
        )
    return isinstance(statement, (ast.Expr, ast.AugAssign, ast.Delete, ast.Continue, ast.Break))


def _stands_alone(tree: ast.AST, statement: ast.stmt) -> bool:
    """Whether nothing else stands in its block."""
    bodies = (getattr(node, part, None) for node in ast.walk(tree) for part in ("body", "orelse"))
    return any(isinstance(body, list) and body == [statement] for body in bodies)


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _span(node: Any) -> Span:
    return node.lineno, node.col_offset, node.end_lineno, node.end_col_offset


def _compiles(lines: list[str]) -> bool:
    try:
        compile("\n".join(lines), "<mutant>", "exec")
    except (SyntaxError, ValueError):
        return False
    return True


def _tight(lines: list[str]) -> str:
    return "".join("".join(lines).split())


def _joined(lines: list[str]) -> str:
    """A statement on one line, as it is shown and stored."""
    return " ".join(line.strip() for line in lines)
