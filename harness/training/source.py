"""The person's source: statements by line, methods that are called, and methods that are named without a call."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from harness.training.places import Place


class Statement(NamedTuple):
    """A statement, or the head of a compound one. Lines count from 1."""

    line: int
    end_line: int
    text: str


class Source:
    """One file, parsed. A file that cannot be read or parsed has no statements."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines = [line.rstrip("\n") for line in linecache.getlines(file)]
        try:
            self.tree = ast.parse("\n".join(self.lines))
        except (SyntaxError, ValueError):
            self.tree = ast.parse("")

    def statement(self, line: int) -> Statement:
        """The innermost statement that covers a line; of a compound statement its head alone."""
        best: ast.stmt | None = None
        for node in ast.walk(self.tree):
            covers = isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno)
            if covers and isinstance(node, ast.stmt) and (best is None or node.lineno >= best.lineno):
                best = node
        if best is None:
            return Statement(line, line, self._text(line, line))
        end = best.end_lineno or best.lineno
        body = getattr(best, "body", None)
        if isinstance(body, list) and body:
            end = max(best.lineno, body[0].lineno - 1) if body[0].lineno > best.lineno else best.lineno
            if line > end:
                return Statement(line, line, self._text(line, line))
        return Statement(best.lineno, end, self._text(best.lineno, end))

    def named_without_call(self, method: str) -> list[int]:
        """Lines of expression statements that name a method without calling it: ``optimizer.zero_grad``."""
        found = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Attribute) and node.value.attr == method:
                found.append(node.lineno)
        return found

    def calls(self, *methods: str) -> list[int]:
        """Lines at which a function or method of one of these names is called."""
        return sorted(node.lineno for name, node in self._calls() if name in methods)

    def subscripts_set(self, key: str) -> list[int]:
        """Lines that assign to something under a key: ``group["lr"] = ...``."""
        return [
            node.lineno
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Subscript)
            and isinstance(node.ctx, ast.Store)
            and isinstance(node.slice, ast.Constant)
            and node.slice.value == key
        ]

    def requires_grad_set(self) -> list[int]:
        """Lines that set ``requires_grad``."""
        found = self.calls("requires_grad_")
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Attribute) and node.attr == "requires_grad" and isinstance(node.ctx, ast.Store):
                found.append(node.lineno)
        return sorted(found)

    def cuts_after(self, line: int) -> list[int]:
        """Lines of the same function, from this one on, at which a graph may be cut: ``detach()`` and the like."""
        functions = [n for n in ast.walk(self.tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
        around = [f for f in functions if f.lineno <= line <= (f.end_lineno or f.lineno)]
        last = min((f.end_lineno or f.lineno for f in around), default=len(self.lines))
        cuts = self.calls("detach", "no_grad", "tensor", "item", "numpy", "detach_")
        return [number for number in cuts if line <= number <= last]

    def updates_from_gradients(self) -> list[int]:
        """Statements that read ``.grad`` and change something: an own optimiser's."""
        found = []
        for node in ast.walk(self.tree):
            if not isinstance(node, (ast.Expr, ast.AugAssign, ast.Assign)):
                continue
            reads = any(
                isinstance(n, ast.Attribute) and n.attr == "grad" and isinstance(n.ctx, ast.Load)
                for n in ast.walk(node)
            )
            if reads and not _only_clears(node):
                found.append(node.lineno)
        return sorted(found)

    def keeps(self, name: str) -> list[int]:
        """Statements that add a name as it is to something, or append it."""
        found = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.AugAssign) and isinstance(node.value, ast.Name) and node.value.id == name:
                found.append(node.lineno)
        appends = (node for name, node in self._calls() if name == "append")
        found += [n.lineno for n in appends if any(isinstance(one, ast.Name) and one.id == name for one in n.args)]
        return sorted(found)

    def owner_of_call(self, line: int, method: str) -> str:
        """The name whose method is called at a line; empty where it is none."""
        for called, node in self._calls():
            if (
                called == method
                and node.lineno <= line <= (node.end_lineno or line)
                and isinstance(node.func, ast.Attribute)
            ):
                return node.func.value.id if isinstance(node.func.value, ast.Name) else ""
        return ""

    def assigned_at(self, line: int) -> str:
        """The last part of the name that the statement at a line assigns to; empty where it assigns to none."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Assign) and node.lineno <= line <= (node.end_lineno or node.lineno):
                return ast.unparse(node.targets[0]).split(".")[-1] if len(node.targets) == 1 else ""
        return ""

    def uses_of(self, name: str) -> dict[str, int]:
        """How often something of a name is used, by the attribute that is asked of it; empty text: as a whole."""
        parents = {id(child): node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}
        found: dict[str, int] = {}
        for node in ast.walk(self.tree):
            own = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else None
            if own != name or not isinstance(getattr(node, "ctx", None), ast.Load):
                continue
            above = parents.get(id(node))
            asked = above.attr if isinstance(above, ast.Attribute) else ""
            found[asked] = found.get(asked, 0) + 1
        return found

    def _calls(self) -> Iterator[tuple[str, ast.Call]]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                called = node.func
                name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
                yield name, node

    def _text(self, first: int, last: int) -> str:
        return "\n".join(self.lines[first - 1 : last])


def _only_clears(node: ast.AST) -> bool:
    """Whether a statement sets gradients to zero or None, or scales them."""
    if isinstance(node, ast.Assign):
        return any("grad" in ast.unparse(one) for one in node.targets)
    called = node.value.func if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) else None
    owner = called.value if isinstance(called, ast.Attribute) else None
    return isinstance(owner, ast.Attribute) and owner.attr == "grad"


@lru_cache(maxsize=64)
def _source(file: str, stamp: int) -> Source:
    return Source(file)


def source_of(file: str) -> Source:
    """The file, parsed once for each state of it."""
    linecache.checkcache(file)
    return _source(file, hash(tuple(linecache.getlines(file))))


def statement_of(place: Place) -> Statement:
    """The statement at a place."""
    return source_of(place.file).statement(place.line) if place else Statement(0, 0, "")
