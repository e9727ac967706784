"""Finds decisions that hang on text: rewording a message or a name would change what the program does.

A heuristic on the syntax tree. It counts each comparison (`in`, `not in`, `==`, `!=`, a `case`, `.startswith`,
`.endswith`) of a string literal with something that carries words: an attribute or a string key named in `FIELDS`, or a
bare variable named in `VARIABLES` (a bare `name` or `kind` is mostly the key of a loop, and is left out). Methods and
slices in between are ignored: `"wrong" in verdict.message.lower()` counts. So does a comparison outside an `if`: its
value decides something later.

It does not count literals without a letter (`"."` and `"__"` are syntax), nor constants and enum members.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

FIELDS = frozenset({"kind", "line", "message", "name", "note", "notes", "sentence", "status", "text"})
VARIABLES = FIELDS - {"kind", "name"}
COMPARISONS = (ast.Eq, ast.NotEq, ast.In, ast.NotIn)
METHODS = ("startswith", "endswith")


def text_decisions(tree: ast.AST) -> list[int]:
    """Line numbers of the decisions on text, in order; a line with two is there twice."""
    return sorted(line for node in ast.walk(tree) for line in _decisions_of(node))


def _decisions_of(node: ast.AST) -> Iterator[int]:
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        for left, right, operator in zip(sides, sides[1:], node.ops, strict=False):
            pairs = ((left, right), (right, left))
            if isinstance(operator, COMPARISONS) and any(_is_words(a) and _carries_words(b) for a, b in pairs):
                yield node.lineno
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
        if node.args and _is_words(node.args[0]) and _carries_words(node.func.value):
            yield node.lineno
    elif isinstance(node, ast.Match) and _carries_words(node.subject):
        for case in node.cases:
            parts = ast.walk(case.pattern)
            if any(isinstance(part, ast.MatchValue) and _is_words(part.value) for part in parts):
                yield case.pattern.lineno


def _is_words(node: ast.expr) -> bool:
    """A string literal with a letter in it, or a literal collection of these."""
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        return bool(node.elts) and all(map(_is_words, node.elts))
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and any(map(str.isalpha, node.value))


def _carries_words(node: ast.expr) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr in FIELDS
    if isinstance(node, ast.Name):
        return node.id in VARIABLES
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return _carries_words(node.func.value)
    if isinstance(node, ast.Subscript):
        key = node.slice
        return (isinstance(key, ast.Constant) and key.value in FIELDS) or _carries_words(node.value)
    return False
