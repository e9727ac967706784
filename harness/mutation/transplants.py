"""A known mistake of the catalogue, made in somebody else's file: the same operation on an expression of the same form.

An edit of the reference is narrowed to the expressions that differ. In the other file, an expression fits that has the
same operations, functions and numbers, whatever the names are; the edit is made there with the names that stand there.
"""

from __future__ import annotations

import ast
import copy
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from harness.core.mistake import Edit

MODULES = frozenset({"torch", "math", "F", "nn", "np", "jnp", "functional"})
"""Names that stand for modules, whatever they are called."""
WITH_AXIS = frozenset({"softmax", "log_softmax", "sum", "mean", "var", "std", "cumsum", "argmax"})
"""Functions whose second argument is an axis."""
PLAIN_NUMBERS = (0, 1, 2, -1, 0.0, 1.0, 2.0)
"""Numbers that stand in any code."""


@dataclass(frozen=True)
class Place:
    """Where in a text an expression stands, and what takes its place. ``start`` counts characters."""

    start: int
    right: str
    wrong: str


def transplants(edit: Edit, text: str, first: int, last: int) -> Iterator[Place]:
    """The same edit of expressions in these lines of another text, from 1, both included."""
    pair = _narrowed(edit)
    if pair is None:
        return
    old, new = pair
    tree = ast.parse(text)
    imported = {
        one.asname or one.name for node in ast.walk(tree) for one in getattr(node, "names", ()) if _is_alias(one)
    }
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for node in ast.walk(tree):
        if not isinstance(node, ast.expr) or not first <= node.lineno <= (node.end_lineno or 0) <= last:
            continue
        bound: dict[str, ast.expr] = {}
        if not _matches(old, node, bound) or not _is_telling(old, bound):
            continue
        made = _made(new, bound, imported)
        right = ast.get_source_segment(text, node)
        if made is None or right is None or not text.isascii():
            continue
        wrong = ast.unparse(made)
        if ast.dump(made) != ast.dump(node):
            bare = isinstance(made, (ast.Name, ast.Call, ast.Attribute, ast.Subscript, ast.Constant, ast.Tuple))
            yield Place(starts[node.lineno - 1] + node.col_offset, right, wrong if bare else f"({wrong})")


def _is_alias(node: object) -> bool:
    return isinstance(node, ast.alias)


# the edit ------------------------------------------------------------------------------------------------------------


def _narrowed(edit: Edit) -> tuple[ast.expr, ast.expr] | None:
    """The smallest expressions of an edit that differ; None where it is no edit of one expression."""
    if edit.instead is not None:
        return None
    plain = edit.without_context()
    right, wrong = _statement(plain.right), _statement(plain.wrong)
    if right is None or wrong is None or type(right) is not type(wrong):
        return None
    pair = _differing(right, wrong)
    return pair if pair is not None and not _is_bare(pair[0]) else None


def _statement(text: str) -> ast.stmt | None:
    try:
        body = ast.parse(textwrap.dedent(text)).body
    except SyntaxError:
        return None
    return body[0] if len(body) == 1 else None


def _differing(right: ast.AST, wrong: ast.AST) -> tuple[ast.expr, ast.expr] | None:
    """The innermost expressions that differ, but no mere name or number: what it stands in then says more."""
    here = (right, wrong) if isinstance(right, ast.expr) and isinstance(wrong, ast.expr) else None
    if type(right) is not type(wrong):
        return here
    children = []
    for name, one in ast.iter_fields(right):
        other = getattr(wrong, name, None)
        if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
            children += [(a, b) for a, b in zip(one, other, strict=True) if _dump(a) != _dump(b)]
        elif _dump(one) != _dump(other):
            children.append((one, other))
    if len(children) != 1 or not all(isinstance(node, ast.AST) for node in children[0]):
        return here
    inner = _differing(*children[0])
    return here if inner is None or _is_bare(inner[0]) else inner


def _is_bare(node: ast.expr) -> bool:
    """A name or a number, which may have a sign."""
    inner = node.operand if isinstance(node, ast.UnaryOp) else node
    return isinstance(inner, (ast.Name, ast.Constant))


def _dump(value: object) -> str:
    return (
        ast.dump(value)
        if isinstance(value, ast.AST)
        else repr([_dump(v) for v in value] if isinstance(value, list) else value)
    )


# where it fits -------------------------------------------------------------------------------------------------------


def _matches(pattern: ast.AST | None, node: ast.AST | None, bound: dict[str, ast.expr]) -> bool:
    """Whether an expression has the form of a pattern. ``bound``: what the pattern's names stand for."""
    if pattern is None or node is None:
        return pattern is node
    if isinstance(pattern, ast.Name) and isinstance(node, ast.expr):
        if isinstance(pattern.ctx, ast.Store) != isinstance(getattr(node, "ctx", ast.Load()), ast.Store):
            return False
        known = bound.setdefault(pattern.id, node)
        return _dump(known) == _dump(node)
    if isinstance(pattern, ast.Call) and isinstance(node, ast.Call):
        return _matches_call(pattern, node, bound)
    if type(pattern) is not type(node):
        return False
    if isinstance(pattern, ast.BinOp) and isinstance(node, ast.BinOp):
        return _matches_operation(pattern, node, bound)
    return all(
        _all_match(one, getattr(node, name), bound)
        for name, one in ast.iter_fields(pattern)
        if name not in ("ctx", "kind")
    )


def _all_match(one: object, other: object, bound: dict[str, ast.expr]) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_all_match(a, b, bound) for a, b in zip(one, other, strict=True))
    if isinstance(one, ast.AST) and isinstance(other, ast.AST):
        return _matches(one, other, bound)
    return one == other


def _matches_operation(pattern: ast.BinOp, node: ast.BinOp, bound: dict[str, ast.expr]) -> bool:
    if type(pattern.op) is not type(node.op):
        return False
    orders = [(node.left, node.right)]
    orders += [(node.right, node.left)] if isinstance(pattern.op, (ast.Add, ast.Mult)) else []
    for left, right in orders:
        trial = dict(bound)
        if _matches(pattern.left, left, trial) and _matches(pattern.right, right, trial):
            bound.update(trial)
            return True
    return False


def _matches_call(pattern: ast.Call, node: ast.Call, bound: dict[str, ast.expr]) -> bool:
    """Methods and functions of one name are alike: ``x.softmax(-1)`` is ``F.softmax(x, dim=-1)``."""
    (name, arguments, keywords), (other, given, others) = _parts(pattern), _parts(node)
    if not name or name != other or len(arguments) != len(given) or set(keywords) != set(others):
        return False
    if isinstance(pattern.func, ast.Name):  # a function of the reference is called as this one is
        bound[name] = ast.parse(f"torch.{name}", mode="eval").body if _is_method(node) else node.func
    pairs = [*zip(arguments, given, strict=True), *((keywords[key], others[key]) for key in keywords)]
    return all(_matches(one, two, bound) for one, two in pairs)


def _parts(call: ast.Call) -> tuple[str, list[ast.expr], dict[str, ast.expr]]:
    """The name of what is called, its arguments with the object first, and its keywords."""
    function, arguments = call.func, list(call.args)
    keywords = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg is not None}
    name = (
        function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""
    )
    if isinstance(function, ast.Attribute) and _is_method(call):
        arguments = [function.value, *arguments]
    if name in WITH_AXIS and "dim" in keywords and len(arguments) == 1:
        arguments.append(keywords.pop("dim"))
    return name, arguments, keywords


def _is_method(call: ast.Call) -> bool:
    """Whether what is called belongs to a value, and not to a module."""
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    return owner is not None and not (isinstance(owner, ast.Name) and owner.id in MODULES)


def _is_telling(pattern: ast.AST, bound: dict[str, ast.expr]) -> bool:
    """Whether what matched is more than two values that are added: it has a function or a number of its own, or a name
    that means the same."""
    for node in ast.walk(pattern):
        if isinstance(node, ast.Call) or (isinstance(node, ast.Constant) and node.value not in PLAIN_NUMBERS):
            return True
    return any(_words(name) & _words_in(node) for name, node in bound.items())


def _words_in(node: ast.expr) -> set[str]:
    names = [
        one.id if isinstance(one, ast.Name) else one.attr
        for one in ast.walk(node)
        if isinstance(one, (ast.Name, ast.Attribute))
    ]
    return set().union(*map(_words, names[:1]))


def _words(name: str) -> set[str]:
    return {word for word in name.lower().split("_") if word}


def _made(new: ast.expr, bound: dict[str, ast.expr], imported: set[str]) -> ast.expr | None:
    """The wrong expression with the names of the other file; None where one of them is not known there."""
    unknown = False

    class Names(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            nonlocal unknown
            if node.id in bound:
                return copy.deepcopy(bound[node.id])
            unknown = unknown or node.id not in {
                *imported,
                "None",
                "range",
                "len",
                "int",
                "float",
                "min",
                "max",
                "sorted",
            }
            return node

    made = Names().visit(copy.deepcopy(new))
    return None if unknown else made
