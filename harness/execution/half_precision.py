"""Whether code is written for 16-bit numbers: whether it mentions their dtypes, or the context that casts to them."""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path

MENTIONS = frozenset({"bfloat16", "float16", "bf16", "fp16", "autocast", "GradScaler"})
"""Names of dtypes, methods and contexts in torch, NumPy, JAX and MLX, and of dtypes as text."""
HALF = "half"
"""A dtype where it is imported, or taken from a library; a method where it is called without arguments. Elsewhere it is
what people call the half of a size: ``half = x.shape[-1] // 2``."""
LIBRARIES = ("torch", "np", "numpy")
"""Libraries that have a dtype of that name, as they are imported."""


@lru_cache(maxsize=64)
def mentions_half_precision(file: str) -> bool:
    """Whether a Python file names a 16-bit dtype anywhere in its code. True where it cannot be read: then nothing is
    known of it."""
    try:
        tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return True
    return any(_name(node) in MENTIONS or _is_half_dtype(node) for node in ast.walk(tree))


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.alias):
        return node.name
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _is_half_dtype(node: ast.AST) -> bool:
    """``torch.half``, ``x.half()``, ``from torch import half``."""
    if isinstance(node, ast.Call):
        called = node.func
        return isinstance(called, ast.Attribute) and called.attr == HALF and not node.args
    if isinstance(node, ast.ImportFrom):
        return any(alias.name == HALF for alias in node.names)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return node.attr == HALF and node.value.id in LIBRARIES
    return False
