"""Other ways to write one expression, by an exchange of two things in it: axes, or names."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from itertools import combinations, islice, permutations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.localisation.repair.expressions import Surroundings

Written = tuple[str, float]
MOST_PAIRS = 15
"""Pairs of names of one expression that are exchanged."""


def views(node: ast.expr, at: Surroundings) -> Iterator[Written]:
    """Two axes that were exchanged while a tensor was given its shape: the shape first, then the axes. And the other
    orders of a permutation."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return
    whole, owner, given = at.text.of(node), at.text.inner(node.func.value), [at.text.of(one) for one in node.args]
    if node.func.attr in ("view", "reshape") and len(given) > 2 and not node.keywords:
        for n in range(1, len(given) - 1):
            yield f"{owner}.{node.func.attr}({_exchanged(given, n)}).transpose({n}, {n + 1})", 1.7
            yield f"{whole}.transpose({n}, {n + 1})", 1.6
    if node.func.attr == "permute" and len(given) < 5 and not node.keywords:
        yield from ((f"{owner}.permute({', '.join(one)})", 1.5) for one in permutations(given) if list(one) != given)
        inner = node.func.value
        if (
            isinstance(inner, ast.Call)
            and isinstance(inner.func, ast.Attribute)
            and inner.func.attr in ("view", "reshape")
        ):
            shape = [at.text.of(one) for one in inner.args]
            for n in range(1, len(shape) - 1):
                made = f"{at.text.of(inner.func)}({_exchanged(shape, n)})"
                yield from ((f"{made}.transpose({k}, {k + 1})", 2.0) for k in range(1, len(shape) - 1))


def _exchanged(given: Sequence[str], n: int) -> str:
    """The arguments with the one at ``n`` and the next in each other's place."""
    return ", ".join([*given[:n], given[n + 1], given[n], *given[n + 2 :]])


def names_exchanged(node: ast.expr, at: Surroundings) -> Iterator[Written]:
    """Two names in each other's place, wherever they stand: ``a.sin() * x + a.cos() * y``."""
    if not isinstance(node, (ast.BinOp, ast.Call, ast.Tuple)):
        return
    text, (start, end) = at.text.text, at.text.span(node)
    places: dict[str, list[tuple[int, int]]] = {}
    for name in _dotted(node):
        places.setdefault(at.text.of(name), []).append(at.text.span(name))
    for one, other in islice(combinations(places, 2), MOST_PAIRS):
        edits = sorted([*((*span, other) for span in places[one]), *((*span, one) for span in places[other])])
        pieces, last = [], start
        for first, behind, new in edits:
            pieces += [text[last:first], new]
            last = behind
        yield f"({''.join([*pieces, text[last:end]])})", 1.8


def _dotted(node: ast.AST) -> Iterator[ast.expr]:
    """The names in an expression, each with what it is the name of: ``self.w1``, ``angles.cos``, ``x``."""
    inner = node
    while isinstance(inner, ast.Attribute):
        inner = inner.value
    if isinstance(inner, ast.Name) and isinstance(node, (ast.Name, ast.Attribute)):
        yield node
        return
    for child in ast.iter_child_nodes(node):
        yield from _dotted(child)
