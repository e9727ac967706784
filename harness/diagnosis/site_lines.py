"""The lines of code of relations: what may become of a result, and the numbers that stand in a line."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator

GAP = "<number>"
"""Where the number of a relation stands in its line, its name and its sentence."""


def scaled_gradient(name: str) -> str:
    """A line that leaves a value as it is, and scales its gradient."""
    return f"{name} = {name}.detach() + {GAP} * ({name} - {name}.detach())"


def moves(result: str) -> Iterator[tuple[str, str, str]]:
    """(what becomes of ``out``, a name, in words): moved or reversed along an axis, entries of an axis zero or equal.

    ``result``: what the contract says that it returns: its axes have names.
    """
    stated = re.search(r"\[([^\]]*)\]", result)
    names = [name.strip() for name in stated[1].split(",")] if stated else []
    for axis in (-1, -2, -3):
        named = len(names) >= -axis and names[axis] != "..."
        along = f"axis {names[axis]}" if named else "its last axis" if axis == -1 else f"axis {axis}"
        for line, name, words in _along(axis):
            yield line, f"{name}_along_" + re.sub(r"\W+", "_", along).strip("_"), words.format(along)
    yield "out = out.transpose(-1, -2).reshape(out.shape)", "transposed", "is transposed in its last two axes"


def _along(axis: int) -> Iterator[tuple[str, str, str]]:
    rest = ", :" * (-1 - axis)
    yield f"out = out.roll(1, {axis})", "moved", "is the expected one moved by one place along {}"
    yield f"out = out.roll(-1, {axis})", "moved_back", "is the expected one moved back by one place along {}"
    yield f"out = out.flip({axis})", "reversed", "is the expected one back to front along {}"
    for end, index in (("first", ":1"), ("last", "-1:")):
        line = f"out = out.clone()\nout[..., {index}{rest}] = 0"
        yield line, f"{end}_zero", f"is zero in the {end} entry of {{}}, and right everywhere else"
    line = f"out = out[..., :1{rest}].expand_as(out)"
    yield line, "all_equal", "is the same everywhere along {}: that of its first entry"
    for power, what in (("0.5", "the root of the size"), ("1", "the size")):
        for sign, verb in (("", "multiplied"), ("-", "divided")):
            name = f"{verb}_by_{'root' if power == '0.5' else 'size'}"
            yield f"out = out * out.shape[{axis}] ** {sign}{power}", name, f"is {verb} by {what} of {{}}"


def constants_in(node: ast.AST) -> Iterator[ast.expr]:
    """The largest expressions below a node that numbers alone make up; no indices, and nothing inside a text."""
    for child in ast.iter_child_nodes(node):
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Subscript) and child is node.slice):
            continue
        if isinstance(child, ast.expr) and value_of(child) is not None:
            yield child
        else:
            yield from constants_in(child)


def value_of(node: ast.expr) -> float | None:
    """The value of an expression of numbers, and of functions of them; None where it is none."""
    kinds = (ast.Constant, ast.BinOp, ast.UnaryOp, ast.Call, ast.Attribute, ast.Name, ast.operator, ast.unaryop)
    known = {"math": math, "float": float}
    for inner in ast.walk(node):
        if not isinstance(inner, (*kinds, ast.Load)) or (isinstance(inner, ast.Name) and inner.id not in known):
            return None
        if isinstance(inner, ast.Constant) and not (type(inner.value) in (int, float) or inner.value == "-inf"):
            return None
    try:
        value = eval(compile(ast.Expression(node), "<constant>", "eval"), {"__builtins__": {}, **known})
    except Exception:  # a function without a value, a number that is too large
        return None
    return float(value) if type(value) in (int, float) else None
