"""Whether code is written for 16-bit numbers: whether it mentions their dtypes, or the context that casts to them."""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path

MENTIONS = frozenset({"half", "bfloat16", "float16", "bf16", "fp16", "autocast", "GradScaler"})
"""Names of dtypes, methods and contexts in torch, NumPy, JAX and MLX, and of dtypes as text."""


@lru_cache(maxsize=64)
def mentions_half_precision(file: str) -> bool:
    """Whether a Python file names a 16-bit dtype anywhere in its code. True where it cannot be read: then nothing is
    known of it."""
    try:
        tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return True
    return any(_name(node) in MENTIONS for node in ast.walk(tree))


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.alias):
        return node.name
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
