"""Where a class, or a module that it makes, stands in its file."""

from __future__ import annotations

import ast
import inspect
import textwrap


def location(kind: type) -> tuple[str, int]:
    """File and line of a class; ("", 0) where there is no source."""
    try:
        return inspect.getsourcefile(kind) or "", inspect.getsourcelines(kind)[1]
    except (TypeError, OSError):
        return "", 0


def assignment_of(owner: type, path: str) -> tuple[str, int]:
    """File and line where a class makes the module at this path: of ``self.NAME = ...``, or of the class itself."""
    file, start = location(owner)
    try:
        tree = ast.parse(textwrap.dedent("".join(inspect.getsourcelines(owner)[0])))
    except (TypeError, OSError, SyntaxError):
        return file, start
    for name in reversed([step for step in path.split(".") if not step.isdigit()]):
        for node in ast.walk(tree):
            line = _line_of_assignment(node, name)
            if line is not None:
                return file, start + line - 1
    return file, start


def _line_of_assignment(node: ast.AST, name: str) -> int | None:
    """The line of ``self.name = ...``, ``name=...`` or ``{"name": ...}``; None where the node is none of these."""
    if isinstance(node, ast.Assign) and any(isinstance(t, ast.Attribute) and t.attr == name for t in node.targets):
        return node.lineno
    if isinstance(node, ast.keyword) and node.arg == name:
        return node.value.lineno
    if isinstance(node, ast.Dict):
        return next((k.lineno for k in node.keys if isinstance(k, ast.Constant) and k.value == name), None)
    return None
