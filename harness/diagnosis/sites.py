"""Places in the reference where one number, or one argument, may be another one: the families of mistakes that no
catalogue can list, for each has a number in it.

Each place gives an edit of the reference with a gap for the number. What is told of it is a relation: the output is
exactly what the reference gives with that line in it.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from types import FunctionType
from typing import Any

from harness.core.contract import Argument, Contract
from harness.core.forms import number_text
from harness.core.mistake import Edit, KnownMistake
from harness.diagnosis.reference_code import functions_of, source_of
from harness.diagnosis.site_lines import GAP, constants_in, moves, scaled_gradient, value_of

OF_THE_OUTPUT, OF_A_SETTING, OF_A_CONSTANT, OF_A_VALUE, OF_AN_ARGUMENT = range(5)
"""What a relation is about, what is told first in front."""


class Curve(Enum):
    """How what is computed depends on the number, and where a search for it begins."""

    FACTOR = "factor"
    """1 changes nothing."""
    TERM = "term"
    """0 changes nothing."""
    CONSTANT = "constant"
    """It stands in the place of something else: a search begins at the numbers of the implementation's source."""
    SLOPE = "slope"
    """The value stays as it is, and its gradient is a multiple of the right one."""
    NONE = "none"
    """There is no number."""


@dataclass(frozen=True)
class Site:
    """One place, and one way to be wrong there.

    ``right``, ``wrong``: the lines of an edit of ``function``; ``wrong`` and ``sentence`` have a gap for the number.
    ``start``: the number that stands there in the reference, where one does. ``name``: of the relation, with a gap.
    """

    component: str
    function: FunctionType
    right: str
    wrong: str
    name: str
    sentence: str
    curve: Curve
    rank: int = 0
    """Of two that explain the same, the one of lower rank is told."""
    start: float | None = None
    whole: bool = False
    """Whether the number must be an integer."""
    also: tuple[tuple[str, str], ...] = ()
    """Further lines of the function that are changed with it, and what becomes of them."""

    def at(self, number: float | None, text: str = "") -> KnownMistake:
        """The relation with this number. ``text``: what stands in the code in the number's place, if not itself."""
        code, told = ("", "") if number is None else (number_text(number), number_text(float(f"{number:.6g}")))
        put = text or (f"({code})" if code.startswith("-") else code)
        return KnownMistake(
            self.name.replace(GAP, told),
            self.sentence.replace(GAP, told),
            self.function,
            self.right,
            self.wrong.replace(GAP, put),
            also=tuple(Edit(self.function, right, wrong.replace(GAP, put)) for right, wrong in self.also),
            component=self.component,
            is_relation=True,
        )


def sites_of(contract: Contract) -> list[Site]:
    """All places of a component's reference, the plainest first. Parts of it have their own."""
    try:
        functions = functions_of(contract.reference)
    except (OSError, TypeError, SyntaxError):
        return []
    found = [site for function in functions for site in _in_function(contract, function)]
    return sorted(_each_named(found), key=lambda site: (site.curve is not Curve.NONE, site.rank))


def _each_named(sites: list[Site]) -> Iterator[Site]:
    """Each once, and under a name of its own."""
    seen: Counter[str] = Counter()
    for site in dict.fromkeys(sites):
        if seen[site.name]:
            site = replace(site, name=f"{site.name}_in_{site.function.__name__.strip('_')}")
        seen[site.name] += 1
        yield site if seen[site.name] == 1 else replace(site, name=f"{site.name}_{seen[site.name]}")


def _in_function(contract: Contract, function: FunctionType) -> Iterator[Site]:
    lines, definition = source_of(function)
    body = definition.body[1:] if ast.get_docstring(definition) is not None else definition.body
    make = _Maker(contract, function, lines)
    if function is inspect.unwrap(contract.reference):
        yield from make.of_returns([n for n in ast.walk(definition) if isinstance(n, ast.Return)])
    for argument in _arguments(contract, function):
        yield from make.of_argument(argument, body[0])
    yield from make.exchanged(_arguments(contract, function), body[0])
    statements = sorted((n for n in ast.walk(definition) if isinstance(n, ast.stmt)), key=lambda n: n.lineno)
    for statement in statements:
        if statement in body or statement not in definition.body:
            yield from make.ofconstants_in(statement)
    for statement in statements:
        if isinstance(statement, (ast.Assign, ast.AugAssign, ast.AnnAssign)):
            yield from make.of_assignment(statement)


def _arguments(contract: Contract, function: FunctionType) -> list[Argument]:
    """The contract's arguments among the parameters of a function."""
    known = {a.name: a for signature in contract.calls.values() for a in signature.arguments}
    return [known[name] for name in inspect.signature(function).parameters if name in known]


class _Maker:
    """Makes the sites of one function."""

    def __init__(self, contract: Contract, function: FunctionType, lines: tuple[str, ...]) -> None:
        self.result = list(contract.calls.values())[-1].result
        self.component, self.function, self.lines = contract.name, function, lines

    def _lines_of(self, node: ast.stmt) -> str:
        last = node.end_lineno or node.lineno
        text = textwrap.dedent("\n".join(line.partition("  #")[0] for line in self.lines[node.lineno - 1 : last]))
        return text

    def _site(self, node: ast.stmt, wrong: str, name: str, sentence: str, curve: Curve, rank: int, **more: Any) -> Site:
        right = self._lines_of(node)
        return Site(self.component, self.function, right, wrong, name, sentence, curve, rank, **more)

    def _before(
        self, node: ast.stmt, line: str, name: str, sentence: str, curve: Curve, rank: int, **more: Any
    ) -> Site:
        return self._site(node, f"{line}\n{self._lines_of(node)}", name, sentence, curve, rank, **more)

    def _after(self, node: ast.stmt, line: str, name: str, sentence: str, curve: Curve) -> Site:
        return self._site(node, f"{self._lines_of(node)}\n{line}", name, sentence, curve, OF_A_VALUE)

    def of_returns(self, nodes: list[ast.Return]) -> Iterator[Site]:
        """The output is a multiple of the right one, is off by a number, or has its numbers at other places."""
        kinds = (ast.Tuple, ast.List, ast.Dict, ast.Constant)
        if not nodes or any(node.value is None or isinstance(node.value, kinds) for node in nodes):
            return
        of = OF_THE_OUTPUT
        told, line = f"The output is {GAP} times the expected value.", f"out = out * {GAP}"
        yield self._returned(nodes, line, f"output_times_{GAP}", told, Curve.FACTOR, of)
        told, line = f"The output is the expected value plus {GAP}.", f"out = out + {GAP}"
        yield self._returned(nodes, line, f"output_plus_{GAP}", told, Curve.TERM, of)
        told, line = f"The gradient of every argument is {GAP} times the expected one.", scaled_gradient("out")
        yield self._returned(nodes, line, f"gradients_times_{GAP}", told, Curve.SLOPE, of)
        for line, name, words in moves(self.result):
            yield self._returned(nodes, line, f"output_{name}", f"The output {words}.", Curve.NONE, of)

    def _returned(self, nodes: list[ast.Return], line: str, name: str, sentence: str, curve: Curve, rank: int) -> Site:
        """What is returned goes through one more line, wherever it is returned."""
        first, *others = [
            (self._lines_of(n), f"out = {ast.unparse(n.value)}\n{line}\nreturn out") for n in nodes if n.value
        ]
        right, wrong = first
        return Site(self.component, self.function, right, wrong, name, sentence, curve, rank, also=tuple(others))

    def of_argument(self, a: Argument, node: ast.stmt) -> Iterator[Site]:
        """An argument is left out, fixed, or changed before it is used."""
        n = a.name
        left_out = None if a.has_elements else a.default
        if a.optional and (left_out is None or isinstance(left_out, (bool, int, float))):
            told = f"{n} is ignored: the output does not depend on it."
            yield self._before(node, f"{n} = {left_out!r}", f"{n}_ignored", told, Curve.NONE, OF_A_SETTING)
        if a.kind == "bool":
            yield from self._of_flag(n, node)
        elif a.kind in ("float", "int") and a.role != "parameter":
            yield from self._of_number(a, node)
        elif a.is_float_tensor:
            yield from self._of_tensor(a, node)
        if a.kind == "int" or a.kind.startswith("int["):
            for sign in "+-":
                told, line = f"{n} {sign} 1 is used in the place of {n}.", f"{self._given(a)} {sign} 1"
                name = f"{n}_{'plus' if sign == '+' else 'minus'}_1"
                yield self._before(node, line, name, told, Curve.NONE, OF_A_SETTING)

    def _given(self, a: Argument) -> str:
        """The beginning of a line that changes an argument where it is given."""
        return f"{a.name} = {a.name} if {a.name} is None else {a.name}" if a.optional else f"{a.name} = {a.name}"

    def _of_flag(self, n: str, node: ast.stmt) -> Iterator[Site]:
        for value in (True, False):
            told = f"{n} is {value}, whatever is passed."
            yield self._before(node, f"{n} = {value}", f"{n}_always_{value}", told, Curve.NONE, OF_A_SETTING)
        told = f"{n} is inverted."
        yield self._before(node, f"{n} = not {n}", f"{n}_inverted", told, Curve.NONE, OF_A_SETTING)

    def _of_number(self, a: Argument, node: ast.stmt) -> Iterator[Site]:
        n, whole = a.name, a.kind == "int"
        start = float(a.default) if isinstance(a.default, (int, float)) else None
        told, line, name = f"{n} is {GAP}, whatever is passed.", f"{n} = {GAP}", f"{n}_fixed_at_{GAP}"
        yield self._before(node, line, name, told, Curve.CONSTANT, OF_A_SETTING, start=start, whole=whole)
        if not whole:
            told, name = f"{GAP} times {n} is used in the place of {n}.", f"{n}_times_{GAP}"
            yield self._before(node, f"{self._given(a)} * {GAP}", name, told, Curve.FACTOR, OF_A_SETTING)
            told, name = f"{n} to the power of {GAP} is used in the place of {n}.", f"{n}_to_the_{GAP}"
            yield self._before(node, f"{self._given(a)} ** {GAP}", name, told, Curve.FACTOR, OF_A_SETTING)

    def _of_tensor(self, a: Argument, node: ast.stmt) -> Iterator[Site]:
        n, given = a.name, self._given(a)
        for number, noun in ((0, "zeros"), (1, "ones")):
            told, name = f"{n} is ignored: {noun} are used in its place.", f"{n}_ignored_for_{noun}"
            yield self._before(node, f"{given} * 0 + {number}", name, told, Curve.NONE, OF_AN_ARGUMENT)
        told = f"{GAP} times {n} is used in the place of {n}."
        yield self._before(node, f"{given} * {GAP}", f"{n}_times_{GAP}", told, Curve.FACTOR, OF_AN_ARGUMENT)
        told, name = f"{n} is detached: it receives no gradient.", f"{n}_detached"
        yield self._before(node, f"{given}.detach()", name, told, Curve.NONE, OF_AN_ARGUMENT)
        told, name = f"The gradient of {n} is {GAP} times the expected one.", f"gradient_of_{n}_times_{GAP}"
        if not a.optional:
            yield self._before(node, scaled_gradient(n), name, told, Curve.SLOPE, OF_AN_ARGUMENT)

    def exchanged(self, arguments: list[Argument], node: ast.stmt) -> Iterator[Site]:
        """Two arguments of one kind in each other's place."""
        for one, other in itertools.combinations(arguments, 2):
            if one.kind == other.kind and one.has_elements and not (one.optional or other.optional):
                a, b = one.name, other.name
                line, name = f"{a}, {b} = {b}, {a}", f"{a}_and_{b}_exchanged"
                yield self._before(node, line, name, f"{a} and {b} are exchanged.", Curve.NONE, OF_AN_ARGUMENT)

    def ofconstants_in(self, node: ast.stmt) -> Iterator[Site]:
        """Another number where one stands in the reference, or is computed from numbers alone."""
        lines = self._lines_of(node)
        if hasattr(node, "body") or isinstance(node, ast.Raise) or "\n" in lines:
            return
        (statement,) = ast.parse(lines).body
        for inner in constants_in(statement):
            start = value_of(inner)
            if start is None:
                continue
            text = ast.unparse(inner).replace("float('-inf')", "-inf")
            wrong = lines[: inner.col_offset] + GAP + lines[inner.end_col_offset :]
            told = f"The output is what {GAP} in the place of {text} gives."
            name = f"{GAP}_for_" + re.sub(r"[^\w.-]+", "_", text).strip("_")
            rank = OF_AN_ARGUMENT if abs(start) in (0.0, 1.0) else OF_A_CONSTANT
            yield self._site(node, wrong, name, told, Curve.CONSTANT, rank, start=start)

    def of_assignment(self, node: ast.Assign | ast.AugAssign | ast.AnnAssign) -> Iterator[Site]:
        """What is assigned is a multiple of the right value, is off by a number, or is one number."""
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        inner = [t for target in targets for t in (target.elts if isinstance(target, ast.Tuple) else [target])]
        for name in [t.id for t in inner if isinstance(t, ast.Name)]:
            told = f"`{name}` is {GAP} times the expected value."
            yield self._after(node, f"{name} = {name} * {GAP}", f"{name}_times_{GAP}", told, Curve.FACTOR)
            told = f"`{name}` is the expected value plus {GAP}."
            yield self._after(node, f"{name} = {name} + {GAP}", f"{name}_plus_{GAP}", told, Curve.TERM)
            told = f"`{name}` is {GAP} in every case."
            yield self._after(node, f"{name} = {name} * 0 + {GAP}", f"{name}_fixed_at_{GAP}", told, Curve.CONSTANT)
