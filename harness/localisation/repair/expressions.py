"""Other ways to write one expression: what people mean when they write it wrong."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from harness.localisation.repair.exchanges import names_exchanged, views
from harness.localisation.repair.scope import Scope
from harness.localisation.repair.siblings import (
    COMPARISONS,
    KEYWORDS,
    OF_THREE,
    OPERATORS,
    REDUCTIONS,
    SIGNS,
    TURNS,
    WRAPPERS,
    siblings,
)
from harness.localisation.repair.text import Text

Written = tuple[str, float]
"""Another text of an expression, and what it costs: how much it changes."""
NUMBERS = (0, 1, 2, 0.5, -1, -2)
STRINGS = ("none", "tanh", "mean", "sum", "inf", "-inf", "utf-8", "replace", "ignore", "strict")
NEAR, FAR = 1.0, 3.0
BEFORE_SUMS = (ast.Mult, ast.Div, ast.MatMult, ast.FloorDiv, ast.Mod, ast.Pow, ast.Add, ast.Sub)
VALUES = (ast.Name, ast.Attribute, ast.Call, ast.BinOp, ast.Subscript)


@dataclass(frozen=True)
class Surroundings:
    """What an expression may be written with. ``numbers``: those of the reference; ``around``: the node around each."""

    text: Text
    scope: Scope
    numbers: Sequence[float] = ()

    def named(self, node: ast.expr) -> tuple[str, ...]:
        """The names that may be meant where this one stands."""
        own = self.text.of(node)
        return tuple(name for name in self.scope.every if name != own)


def rewritten(node: ast.expr, at: Surroundings) -> Iterator[Written]:
    """Every other way to write an expression, its parts left as they are."""
    for kind in KINDS:
        yield from kind(node, at)


def operators(node: ast.expr, at: Surroundings) -> Iterator[Written]:
    """Another operator, the operands exchanged, one of them left out, other parentheses."""
    if not isinstance(node, ast.BinOp):
        return
    left, right = at.text.inner(node.left), at.text.inner(node.right)
    sign = SIGNS.get(type(node.op))
    for other in OPERATORS.get(type(node.op), ()):
        yield f"{left} {other} {right}", NEAR
    yield left, 0.9 if isinstance(node.right, ast.Constant) else 1.5
    yield right, 0.9 if isinstance(node.left, ast.Constant) else 1.5
    if sign and not isinstance(node.op, (ast.Add, ast.Mult)):
        yield f"{right} {sign} {left}", 1.2
    if sign and isinstance(node.left, ast.BinOp) and (first := SIGNS.get(type(node.left.op))):
        a, b = at.text.inner(node.left.left), at.text.inner(node.left.right)
        yield f"{a} {first} ({b} {sign} {right})", 1.2
        yield f"{a} {sign} {right} {first} {b}", 1.4
    if sign and isinstance(node.right, ast.BinOp) and (second := SIGNS.get(type(node.right.op))):
        a, b = at.text.inner(node.right.left), at.text.inner(node.right.right)
        yield f"({left} {sign} {a}) {second} {b}", 1.2
    if isinstance(node.op, ast.MatMult):
        yield f"{left} @ {right}.transpose(-2, -1)", 1.2
        yield f"{left}.transpose(-2, -1) @ {right}", 1.4


def into_calls(node: ast.expr, at: Surroundings) -> Iterator[Written]:
    """``f(a) + b`` for ``f(a + b)`` and back; an epsilon beside a standard deviation goes into its root."""
    if isinstance(node, ast.BinOp) and (sign := SIGNS.get(type(node.op))):
        left, right = at.text.inner(node.left), at.text.inner(node.right)
        for call, other, swapped in ((node.left, right, False), (node.right, left, True)):
            if isinstance(call, ast.Call) and (pieces := _one_argument(call, at.text)):
                head, inside, tail = pieces
                pair = f"{other} {sign} {inside}" if swapped else f"{inside} {sign} {other}"
                yield f"{head}({pair}){tail}", 1.2
        yield from _deeper(node, sign, right, at.text)
        if isinstance(node.op, ast.Add):
            yield f"({left} ** 2 + {right}) ** 0.5", 2.0
    if isinstance(node, ast.Call) and (pieces := _one_argument(node, at.text)):
        head, _, tail = pieces
        inner = node.args[0] if node.args else None
        if isinstance(node.func, ast.Attribute) and not node.args:
            inner = node.func.value
        if isinstance(inner, ast.BinOp) and (sign := SIGNS.get(type(inner.op))):
            left, right = at.text.inner(inner.left), at.text.inner(inner.right)
            yield f"({head}({left}){tail} {sign} {right})", 1.2
            yield f"({left} {sign} {head}({right}){tail})", 1.4


def _deeper(node: ast.BinOp, sign: str, right: str, text: Text) -> Iterator[Written]:
    """``a * f(b + c)`` for ``a * f(b) + c``: what was added to a product belongs into a call inside it."""
    start, end = text.span(node.left)
    for inner in ast.walk(node.left):
        if isinstance(inner, ast.Call) and inner is not node.left and (pieces := _one_argument(inner, text)):
            head, inside, tail = pieces
            first, last = text.span(inner)
            yield f"{text.text[start:first]}{head}({inside} {sign} {right}){tail}{text.text[last:end]}", 1.3


def _one_argument(call: ast.Call, text: Text) -> tuple[str, str, str] | None:
    """A call of one value, as ``head(value)tail``: ``torch.sqrt(x)`` or ``x.sqrt()``."""
    if call.keywords or len(call.args) > 1:
        return None
    if call.args:
        return text.of(call.func), text.of(call.args[0]), ""
    if isinstance(call.func, ast.Attribute):
        return "", text.of(call.func.value), f".{call.func.attr}()"
    return None


def comparisons(node: ast.expr, at: Surroundings) -> Iterator[Written]:
    """Another comparison, or its two sides exchanged; the opposite of a condition, or one part of it."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        left, right = at.text.inner(node.left), at.text.inner(node.comparators[0])
        for other in COMPARISONS.get(type(node.ops[0]), ()):
            yield f"{left} {other} {right}", NEAR
    if isinstance(node, ast.BoolOp):
        parts = [at.text.inner(one) for one in node.values]
        yield (" or " if isinstance(node.op, ast.And) else " and ").join(parts), NEAR
        if len(parts) == 2:
            yield from ((part, 1.2) for part in parts)
    if isinstance(node, ast.UnaryOp) and number_in(node) is None:
        yield at.text.inner(node.operand), NEAR
    if isinstance(node, ast.IfExp):
        test, body, other = (at.text.inner(one) for one in (node.test, node.body, node.orelse))
        yield f"{other} if {test} else {body}", 1.2
        yield body, 1.5
        yield other, 1.5


def number_in(node: ast.AST) -> float | None:
    """The number that an expression writes down, with its sign; None for any other expression."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = number_in(node.operand)
        return None if inner is None else -inner
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        return node.value
    return None


def constants(node: ast.expr, at: Surroundings) -> Iterator[Written]:
    """Another number: the reference's, its neighbours, the opposite."""
    value = node.value if isinstance(node, ast.Constant) else number_in(node)
    if isinstance(value, bool):
        yield str(not value), NEAR
    elif isinstance(value, int):
        others = (value + 1, value - 1, -value, *at.numbers, *NUMBERS, 2 * value)
        yield from ((repr(_plain(one)), NEAR) for one in dict.fromkeys(others) if one != value)
        yield from ((name, FAR) for name in at.named(node))
    elif isinstance(value, float):
        others = (*at.numbers, -value, *([1 / value] if value else []), 2 * value, value / 2, *NUMBERS)
        yield from ((_number(one), NEAR) for one in dict.fromkeys(others) if one != value)
        yield from ((name, 2.0) for name in at.named(node))
    elif isinstance(value, str):
        yield from ((repr(one), NEAR) for one in STRINGS if one != value)


def _plain(value: float) -> float:
    return int(value) if float(value).is_integer() and abs(value) < 1e15 else value


def _number(value: float) -> str:
    return f"{value:.15g}" if value == value and abs(value) != float("inf") else f'float("{value}")'


def names(node: ast.expr, at: Surroundings) -> Iterator[Written]:
    """Another name that can be read there."""
    reads = isinstance(getattr(node, "ctx", None), ast.Load)
    if isinstance(node, ast.Name) and reads:
        yield from ((name, 1.6) for name in at.named(node))
    elif isinstance(node, ast.Attribute) and reads and isinstance(node.value, ast.Name):
        yield from ((name, 1.8) for name in at.named(node) if name.startswith("self."))
        yield from ((name, 2.4) for name in at.scope.near)


def calls(node: ast.expr, at: Surroundings) -> Iterator[Written]:
    """Another function of its kind, a setting turned, dropped or added, two arguments exchanged, or no call at all."""
    if not isinstance(node, ast.Call):
        return
    whole, function = at.text.of(node), at.text.of(node.func)
    name = node.func.attr if isinstance(node.func, ast.Attribute) else function
    rest = whole[len(function) :]
    for other in siblings(name):
        yield f"{function[: len(function) - len(name)]}{other}{rest}", NEAR
    given = [at.text.of(one) for one in node.args] + [at.text.of(one) for one in node.keywords]
    head = [*given]
    for n in range(len(given)):
        yield f"{function}({', '.join(head[:n] + head[n + 1 :])})", 1.4
    if len(given) > 1:
        yield f"{function}()", 1.5
    for n in range(len(node.args) - 1):
        order = [*head]
        order[n], order[n + 1] = order[n + 1], order[n]
        yield f"{function}({', '.join(order)})", 1.2
    if name in REDUCTIONS and not given:
        yield from ((f"{function}({axis}, keepdim=True)", 1.6) for axis in ("-1", *at.scope.near[:8]))
    has = {keyword.arg for keyword in node.keywords}
    for keyword in (*KEYWORDS.get(name, ()), *(OF_THREE if len(node.args) == 3 else ())):
        if keyword.partition("=")[0] not in has:
            yield f"{function}({', '.join([*given, keyword])})", 1.1
    if isinstance(node.func, ast.Attribute):
        yield at.text.inner(node.func.value), 1.3
    if len(node.args) == 1:
        yield at.text.inner(node.args[0]), 1.3


def turned(node: ast.expr, at: Surroundings) -> Iterator[Written]:
    """Axes exchanged, or no longer; what is done to a value and forgotten."""
    if isinstance(node, ast.Attribute) and node.attr in ("T", "mT", "data"):
        yield at.text.inner(node.value), NEAR
    if isinstance(node, VALUES):
        whole = at.text.inner(node)
        yield from ((f"{whole}{turn}", 1.5) for turn in TURNS)
        yield from ((f"({wrap.format(whole)})", 1.9) for wrap in WRAPPERS)


def slices(node: ast.expr, at: Surroundings) -> Iterator[Written]:
    """A slice moved by one, or none at all."""
    if not isinstance(node, ast.Subscript):
        return
    value = at.text.inner(node.value)
    yield value, 1.6
    if isinstance(node.slice, ast.Slice) and node.slice.step is None:
        low = at.text.of(node.slice.lower) if node.slice.lower is not None else ""
        high = at.text.of(node.slice.upper) if node.slice.upper is not None else ""
        for ends in ((high, low), (low, ""), ("", high), (f"{low} + 1" if low else "1", high), (low, f"{high} + 1")):
            if ends != (low, high):
                yield f"{value}[{ends[0]}:{ends[1]}]", 1.3


def steps_more(node: ast.expr, at: Surroundings) -> Iterator[Written]:
    """One step more with something that can be named: a bias, a scale, a weight."""
    if isinstance(node, VALUES):
        bare, whole = at.text.of(node), at.text.inner(node)
        plain = bare if isinstance(node, ast.BinOp) and isinstance(node.op, BEFORE_SUMS) else whole
        rows = {at.text.of(one.slice) for one in ast.walk(node) if isinstance(one, ast.Subscript)}
        for piece in sorted(rows)[:2]:  # what is missing is taken from the same rows
            yield from ((f"({plain} + {name}[{piece}])", 2.5) for name in at.named(node))
        for name in at.named(node)[:12]:
            yield from ((f"({plain} {sign} {name})", 2.6) for sign in ("+", "-"))
            yield from ((f"({whole} {sign} {name})", 2.6) for sign in ("*", "/"))
            yield from ((f"({whole} if {name} is None else {whole} {sign} {name})", 2.7) for sign in ("+", "*"))


KINDS: tuple[Callable[[ast.expr, Surroundings], Iterator[Written]], ...] = (
    operators,
    into_calls,
    comparisons,
    constants,
    calls,
    turned,
    views,
    names_exchanged,
    slices,
    names,
    steps_more,
)
