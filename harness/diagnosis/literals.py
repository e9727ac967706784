"""Numbers that stand in an implementation's own source: what a form that is a number may be there."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from harness.core.implementation import Implementation

MOST = 60
"""Numbers of a file that are looked at."""


class Literal(NamedTuple):
    """A number, the name that it is given (empty where it has none), and whether it stands in the definition itself."""

    number: float
    name: str = ""
    is_near: bool = False


def literals_in(implementation: Implementation, component: str) -> Sequence[Literal]:
    """The numbers in an implementation's own source, as far as it has this component."""
    offer = implementation.offers(component)
    return literals_of(offer.where, offer.line) if offer is not None and offer.where else ()


@lru_cache(maxsize=256)
def literals_of(file: str, line: int) -> tuple[Literal, ...]:
    """The positive numbers in a Python file, those of the definition at a line first; none where it cannot be read."""
    try:
        tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return ()
    definition = _definition_at(tree, line)
    near = [Literal(number, name, True) for name, number in _numbers(definition)] if definition is not None else []
    seen = {(literal.number, literal.name) for literal in near}
    far = [Literal(number, name) for name, number in _numbers(tree) if (number, name) not in seen]
    return (*dict.fromkeys(near), *dict.fromkeys(far))[:MOST]


def _definition_at(tree: ast.Module, line: int) -> ast.AST | None:
    """The outermost function or class that holds a line."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    found = [node for node in tree.body if isinstance(node, kinds)]
    return next((node for node in found if _first_line(node) <= line <= (node.end_lineno or node.lineno)), None)


def _first_line(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def _numbers(tree: ast.AST) -> Iterator[tuple[str, float]]:
    """Every positive number below a node, with the name that it is given: by an assignment, a default, a keyword."""
    names: dict[int, str] = {}
    for node in ast.walk(tree):
        names.update((id(value), name) for name, value in _named_values(node))
        value = node.value if isinstance(node, ast.Constant) else None
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1e18:
            yield names.get(id(node), ""), float(value)


def _named_values(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """The names that a node gives to values."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield _name(target), node.value
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        yield _name(node.target), node.value
    elif isinstance(node, ast.keyword) and node.arg:
        yield node.arg, node.value
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant):
                yield str(key.value), value
    elif isinstance(node, ast.arguments):
        positional = [*node.posonlyargs, *node.args]
        for argument, default in zip(reversed(positional), reversed(node.defaults), strict=False):
            yield argument.arg, default
        for argument, value_or_none in zip(node.kwonlyargs, node.kw_defaults, strict=True):
            if value_or_none is not None:
                yield argument.arg, value_or_none


def _name(target: ast.AST) -> str:
    if isinstance(target, ast.Name):
        return target.id
    return target.attr if isinstance(target, ast.Attribute) else ""
