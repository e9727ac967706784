"""What a mutant changes: each operator looks at one node of the syntax tree and says what may stand in its place."""

from __future__ import annotations

import ast
import builtins
import math
from collections.abc import Callable, Iterator

Operator = Callable[[ast.AST], Iterator[ast.AST]]

ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
NOT_COMMUTATIVE = (ast.Sub, ast.Div, ast.MatMult, ast.Pow)
COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
PAIRS = (
    ("sin", "cos"),
    ("rsqrt", "sqrt"),
    ("floor", "ceil"),
    ("round", "trunc"),
    ("mean", "sum"),
    ("amax", "amin"),
    ("max", "min"),
    ("maximum", "minimum"),
    ("argmax", "argmin"),
    ("any", "all"),
    ("log", "log2"),
    ("exp", "exp2"),
    ("abs", "neg"),
    ("zeros", "ones"),
    ("zeros_like", "ones_like"),
    ("new_zeros", "new_ones"),
    ("triu", "tril"),
    ("cumsum", "cumprod"),
    ("sigmoid", "tanh"),
    ("removeprefix", "removesuffix"),
    ("startswith", "endswith"),
    ("keys", "values"),
    ("append", "extend"),
    ("find", "rfind"),
)
SIBLINGS = {
    **dict(PAIRS),
    **{b: a for a, b in PAIRS},
    "square": "abs",
    "softmax": "log_softmax",
    "erf": "tanh",
    "repeat_interleave": "repeat",
    "float64": "float32",
}
"""Functions that are taken for each other."""
DROPPED_CALLS = (
    "transpose",
    "detach",
    "clone",
    "abs",
    "clamp",
    "float",
    "to",
    "contiguous",
    "flip",
    "square",
    "sqrt",
    "sorted",
    "reversed",
    "double",
    "lower",
    "strip",
    "copy",
    "index_fill",
    "masked_fill",
)
"""Methods whose receiver, and functions whose argument, may stand in the place of the call."""
KEPT_KEYWORDS = ("device", "strict")
"""Keyword arguments that are not dropped: the judge runs on one device, and ``strict`` guards against nothing here."""
NO_GRADIENT = (
    *("bool", "ones", "zeros", "ones_like", "zeros_like", "new_zeros", "new_ones", "empty", "arange", "tensor", "full"),
    *("isinf", "isnan", "isfinite", "triu", "tril", "argmax", "argmin", "any", "all", "split", "chunk", "nonzero"),
    *("item", "tolist", "numel", "long", "manual_seed", "Generator", "get", "items", "randint", "multinomial"),
    "detach",
)
"""What never gives one tensor that a gradient may flow through."""
FILLING = ("uniform_", "normal_", "fill_", "zero_")
"""Methods that give a tensor its first numbers."""
SMALL = 1e-3


def arithmetic(node: ast.AST) -> Iterator[ast.AST]:
    """Another operator; the operands exchanged; the left operand alone."""
    if not isinstance(node, ast.BinOp) or _is_text(node.left) or _is_text(node.right):
        return
    if other := ARITHMETIC.get(type(node.op)):
        yield ast.BinOp(node.left, other(), node.right)
    if isinstance(node.op, NOT_COMMUTATIVE):
        yield ast.BinOp(node.right, node.op, node.left)
    if isinstance(node.op, (ast.Add, ast.Sub, ast.Mult, ast.Div)):
        yield node.left


def augmented(node: ast.AST) -> Iterator[ast.AST]:
    """Another operator of an augmented assignment; for ``x = x + y``, the same in place."""
    if isinstance(node, ast.AugAssign) and (other := ARITHMETIC.get(type(node.op))):
        yield ast.AugAssign(node.target, other(), node.value)
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp) and len(node.targets) == 1:
        target, value = node.targets[0], node.value
        if isinstance(target, ast.Name) and isinstance(value.left, ast.Name) and target.id == value.left.id:
            yield ast.AugAssign(target, value.op, value.right)


def comparison(node: ast.AST) -> Iterator[ast.AST]:
    """Another comparison."""
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            if other := COMPARISONS.get(type(operator)):
                yield ast.Compare(node.left, [*node.ops[:place], other(), *node.ops[place + 1 :]], node.comparators)


def logic(node: ast.AST) -> Iterator[ast.AST]:
    """``and`` for ``or``, and the other way round."""
    if isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)


def constant(node: ast.AST) -> Iterator[ast.AST]:
    """Another number, or the other truth value."""
    if not isinstance(node, ast.Constant):
        return
    value = node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield ast.Constant(value + 1)
        if value > 1:
            yield ast.Constant(value - 1)
        elif value == 1:
            yield ast.Constant(0)
    elif isinstance(value, float):
        yield ast.Constant(1.0 if value == 0 else value * 10 if abs(value) < SMALL else value * 0.5)


def sign(node: ast.AST) -> Iterator[ast.AST]:
    """A sign, a ``not`` or a ``~`` dropped; a negative whole number (an axis) moved by one, and made 0."""
    if not isinstance(node, ast.UnaryOp) or isinstance(node.op, ast.UAdd):
        return
    yield node.operand
    if isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant) and type(node.operand.value) is int:
        yield ast.UnaryOp(ast.USub(), ast.Constant(node.operand.value + 1))
        yield ast.Constant(0)


def sibling(node: ast.AST) -> Iterator[ast.AST]:
    """A function that is taken for this one."""
    if isinstance(node, ast.Attribute) and (other := SIBLINGS.get(node.attr)):
        if _is_called(node.value, "math") and not hasattr(math, other):
            return
        yield ast.Attribute(node.value, other, node.ctx)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("min", "max", "any", "all"):
        yield ast.Call(ast.Name(SIBLINGS[node.func.id]), node.args, node.keywords)


def dropped_call(node: ast.AST) -> Iterator[ast.AST]:
    """``x`` for ``x.transpose(1, 2)`` and ``sorted(x)``, ``x.mT`` and ``x.T``."""
    if isinstance(node, ast.Attribute) and node.attr in ("T", "mT"):
        yield node.value
    if not isinstance(node, ast.Call):
        return
    if isinstance(node.func, ast.Attribute) and node.func.attr in DROPPED_CALLS:
        if not _is_called(node.func.value, "torch") and not _is_called(node.func.value, "math"):
            yield node.func.value
        elif node.args:
            yield node.args[0]
    if isinstance(node.func, ast.Name) and node.func.id in ("sorted", "reversed", "abs") and node.args:
        yield node.args[0]


def arguments(node: ast.AST) -> Iterator[ast.AST]:
    """A keyword argument dropped; two neighbouring positional arguments of one kind exchanged."""
    if not isinstance(node, ast.Call):
        return
    for place, keyword in enumerate(node.keywords):
        if keyword.arg is not None and keyword.arg not in KEPT_KEYWORDS:
            yield ast.Call(node.func, node.args, [*node.keywords[:place], *node.keywords[place + 1 :]])
    for place, (one, other) in enumerate(zip(node.args, node.args[1:], strict=False)):
        if _is_plain(one) and _is_plain(other) and ast.dump(one) != ast.dump(other):
            swapped = [*node.args[:place], other, one, *node.args[place + 2 :]]
            yield ast.Call(node.func, swapped, node.keywords)


def bounds(node: ast.AST) -> Iterator[ast.AST]:
    """The bound of a slice or a range off by one."""
    if isinstance(node, ast.Slice):
        if node.lower is not None and not _is_number(node.lower):
            yield ast.Slice(_moved(node.lower, ast.Add()), node.upper, node.step)
        if node.upper is not None and not _is_number(node.upper):
            yield ast.Slice(node.lower, _moved(node.upper, ast.Sub()), node.step)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
        last = min(len(node.args), 2) - 1
        if not _is_number(node.args[last]):
            changed = [*node.args[:last], _moved(node.args[last], ast.Sub()), *node.args[last + 1 :]]
            yield ast.Call(node.func, changed, node.keywords)


def condition(node: ast.AST) -> Iterator[ast.AST]:
    """A condition negated; the filter of a comprehension dropped."""
    if isinstance(node, ast.IfExp):
        yield ast.IfExp(node.test, node.orelse, node.body)
    if isinstance(node, (ast.ListComp, ast.GeneratorExp, ast.SetComp)) and node.generators[-1].ifs:
        last = node.generators[-1]
        plain = ast.comprehension(last.target, last.iter, [], last.is_async)
        yield type(node)(node.elt, [*node.generators[:-1], plain])


def negated(node: ast.expr) -> Iterator[ast.AST]:
    """The condition of a statement negated (``node`` is the condition)."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        return  # another comparison says it already, or nearly
    if not (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)):
        yield ast.UnaryOp(ast.Not(), node)


def cut_off(node: ast.expr) -> Iterator[ast.AST]:
    """The gradient cut off: ``detach()`` behind what is assigned (``node`` is the value)."""
    if _may_have_gradient(node):
        yield ast.Call(ast.Attribute(node, "detach", ast.Load()), [], [])


EXPRESSIONS: tuple[Operator, ...] = (
    arithmetic,
    comparison,
    logic,
    constant,
    sign,
    sibling,
    dropped_call,
    arguments,
    bounds,
    condition,
)
"""Operators that look at any expression."""


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)))


def _may_have_gradient(node: ast.AST) -> bool:
    if isinstance(node, ast.BinOp):
        whole = (ast.FloorDiv, ast.Mod, ast.BitOr, ast.BitAnd, ast.LShift, ast.RShift)
        return not isinstance(node.op, whole) and not _is_text(node.left) and not _is_text(node.right)
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Attribute):
        return node.func.attr not in NO_GRADIENT and not _is_called(node.func.value, "math")
    return isinstance(node.func, ast.Name) and not hasattr(builtins, node.func.id)


def _is_called(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _is_plain(node: ast.AST) -> bool:
    """Whether an argument is a name or an attribute: then its neighbour may be of the same kind."""
    return isinstance(node, (ast.Name, ast.Attribute))


def _is_number(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) or (isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant))


def _moved(node: ast.expr, operator: ast.operator) -> ast.expr:
    return ast.BinOp(node, operator, ast.Constant(1))
