"""Other ways to write a statement: left out, exchanged with a neighbour, its targets reordered, with one step more."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import islice, permutations

from harness.localisation.repair.expressions import Surroundings
from harness.localisation.repair.scope import neighbours
from harness.localisation.repair.text import Text, TextEdit

MOST_ORDERS = 5
LINE_COST = 1.7


def statement_edits(tree: ast.Module, statement: ast.stmt, at: Surroundings) -> Iterator[TextEdit]:
    """Edits of a whole statement."""
    text = at.text
    if isinstance(statement, (ast.Assign, ast.AugAssign, ast.Expr)):
        yield text.replaced(statement, "pass", 2.0)
        yield from _exchanged(tree, statement, text)
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        yield from _targets(statement.targets[0], text)
    if isinstance(statement, ast.AugAssign):
        yield from _augmented(statement, text)
    value = getattr(statement, "value", None)
    if isinstance(statement, (ast.Assign, ast.Return, ast.AugAssign)) and isinstance(value, ast.expr):
        yield from _with_keyword_scope(value, at)


def _exchanged(tree: ast.Module, statement: ast.stmt, text: Text) -> Iterator[TextEdit]:
    """The statement and its neighbour in the other order."""
    for one, other in zip(neighbours(tree, statement), (True, False), strict=True):
        if isinstance(one, (ast.Assign, ast.AugAssign, ast.Expr)):
            first, second = (one, statement) if other else (statement, one)
            (start, middle), (after, end) = text.span(first), text.span(second)
            between = text.text[middle:after]
            yield TextEdit(start, end, text.text[after:end] + between + text.text[start:middle], LINE_COST)


def _targets(target: ast.expr, text: Text) -> Iterator[TextEdit]:
    """The names on the left in every other order."""
    if not isinstance(target, (ast.Tuple, ast.List)):
        return
    names = [text.of(one) for one in target.elts]
    for order in islice(permutations(names), 1, MOST_ORDERS + 1):
        yield text.replaced(target, ", ".join(order), 1.2)


def _augmented(statement: ast.AugAssign, text: Text) -> Iterator[TextEdit]:
    target, value = text.of(statement.target), text.inner(statement.value)
    for sign in ("+=", "-=", "*=", "/="):
        yield text.replaced(statement, f"{target} {sign} {value}", 1.0)
    yield text.replaced(statement, f"{target} = {value}", 1.3)


def _with_keyword_scope(value: ast.expr, at: Surroundings) -> Iterator[TextEdit]:
    """Hidden entries of what a statement computes, and a change of its scale by what can be named."""
    whole = at.text.inner(value)
    for name in at.scope.near:
        for mask in (name, f"{name} == 0", f"~{name}"):
            yield at.text.replaced(value, f'{whole}.masked_fill({mask}, float("-inf"))', 2.8)
        yield at.text.replaced(value, f"{whole} / {name} ** 0.5", 2.8)
