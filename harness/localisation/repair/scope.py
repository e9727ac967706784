"""What can be named at a place in a file: arguments, local names, attributes of the object, names of the file."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TypeVar

MOST_NAMES = 24
_Node = TypeVar("_Node", bound=ast.stmt)


@dataclass(frozen=True)
class Scope:
    """The names at one statement. ``near``: of its own function; ``attributes``: ``self.x`` as its class uses them;
    ``far``: numbers and tensors at the top of the file."""

    near: tuple[str, ...]
    attributes: tuple[str, ...]
    far: tuple[str, ...]

    @property
    def every(self) -> tuple[str, ...]:
        """All of them, the nearest first."""
        return tuple(dict.fromkeys((*self.near, *self.attributes, *self.far)))[:MOST_NAMES]


def statement_at(tree: ast.Module, line: int) -> ast.stmt | None:
    """The innermost statement that covers a line and holds no other statement there."""
    found = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    return max(found, key=lambda node: (node.lineno, -(node.end_lineno or 0)), default=None)


def scope_at(tree: ast.Module, statement: ast.stmt) -> Scope:
    """The names that can be read where a statement stands."""
    function, around = _around(tree, statement, ast.FunctionDef), _around(tree, statement, ast.ClassDef)
    near: list[str] = []
    if function is not None:
        near = [
            one.arg for one in ast.walk(function.args) if isinstance(one, ast.arg) and one.arg not in ("self", "cls")
        ]
        near += [
            node.id
            for node in ast.walk(function)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.lineno <= statement.lineno
        ]
    attributes = [
        f"self.{node.attr}"
        for node in (ast.walk(around) if around is not None else ())
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
    ]
    far = [
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]
    return Scope(*(tuple(dict.fromkeys(names)) for names in (near, attributes, far)))


def neighbours(tree: ast.Module, statement: ast.stmt) -> tuple[ast.stmt | None, ast.stmt | None]:
    """The statements before and after one in its block."""
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list) and statement in block:
                at = block.index(statement)
                return block[at - 1] if at else None, block[at + 1] if at + 1 < len(block) else None
    return None, None


def _around(tree: ast.Module, statement: ast.stmt, kind: type[_Node]) -> _Node | None:
    """The innermost definition of this kind around a statement."""
    found = [
        node for node in ast.walk(tree) if isinstance(node, kind) and any(one is statement for one in ast.walk(node))
    ]
    return max(found, key=lambda node: node.lineno, default=None)
