"""The reference's own expression in the implementation's names."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import islice, product

from harness.localisation.repair.expressions import Surroundings

MOST = 60
MODULES = ("torch", "math", "F")


def reference_expressions(expected: str, at: Surroundings) -> Iterator[str]:
    """The reference's expression, with every name of the file that may be meant for each of its own.

    ``expected``: its text, empty where it is not known. A name that the implementation has too means the same.
    """
    try:
        tree = ast.parse(expected, mode="eval")
    except SyntaxError:
        return
    own = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id not in MODULES]
    own = list(dict.fromkeys(own))
    choices = [(name,) if name in at.scope.every else at.scope.every for name in own]
    for chosen in islice(product(*choices), MOST):
        renamed = _Renamed(dict(zip(own, chosen, strict=True))).visit(ast.parse(expected, mode="eval"))
        yield f"({ast.unparse(renamed)})"


class _Renamed(ast.NodeTransformer):
    def __init__(self, names: dict[str, str]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.parse(self.names.get(node.id, node.id), mode="eval").body
