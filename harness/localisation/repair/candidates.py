"""The changes that may fix a file whose wrong lines are known, the smallest first."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from types import MappingProxyType

from harness.core.change import Change
from harness.core.marked_line import Mark, MarkedLine
from harness.localisation.repair.expressions import Surroundings, number_in, rewritten
from harness.localisation.repair.inverse import reference_expressions
from harness.localisation.repair.scope import scope_at, statement_at
from harness.localisation.repair.statements import statement_edits
from harness.localisation.repair.text import ATOMS, Text, TextEdit
from harness.localisation.sources import Source, source_of_file

MOST = 1500
SECOND_LINE = 0.3
"""A change of the second line that was marked costs so much more."""
OUTSIDE = 0.4
"""... and one outside the part of the line that is underlined."""
AS_THE_REFERENCE = 2.2
"""What it costs to write the reference's own expression."""


def changes(
    lines: Sequence[MarkedLine], numbers: Sequence[float] = (), changed: Mapping[str, Change] = MappingProxyType({})
) -> list[Change]:
    """Changes of the marked lines, each of one place. ``numbers``: those of the reference's source.

    ``changed``: by file, a change that stays as it is; what comes back has both. None in a file that is no Python file
    by itself (a notebook), or cannot be read.
    """
    found: dict[tuple[str, str], Change] = {}
    for n, line in enumerate(lines):
        source = source_of_file(line.file)
        earlier = changed.get(line.file)
        if source is not None and earlier is not None:
            source = Source(earlier.after)
        if source is None or source.tree is None or not line.file.endswith(".py"):
            continue
        text, before = Text(source.text), earlier.before if earlier is not None else source.text
        for edit in islice(_edits(source.tree, text, line, numbers), MOST):
            after = edit.of(source.text)
            change = Change(line.file, before, after, edit.cost + n * SECOND_LINE)
            if after != source.text:
                known = found.setdefault((line.file, after), change)
                found[(line.file, after)] = min(known, change, key=lambda one: one.cost)
    return sorted(found.values(), key=lambda change: change.cost)


def _edits(tree: ast.Module, text: Text, line: MarkedLine, numbers: Sequence[float]) -> Iterator[TextEdit]:
    statement = statement_at(tree, line.line)
    if statement is None:
        return
    at = Surroundings(text, scope_at(tree, statement), numbers)
    expressions = list(_expressions(statement))
    marked = [node for node in expressions if _is_marked(node, line)]
    value = getattr(statement, "value", None)
    places = [*marked[:2], *([value] if isinstance(value, ast.expr) else [])]
    for node in expressions:
        more = 0.0 if node in marked or line.mark is Mark.MISSING else OUTSIDE
        for written, cost in rewritten(node, at):
            yield _in_place(written, node, statement, text, cost + more)
    yield from statement_edits(tree, statement, at)
    for written in reference_expressions(line.expected, at):
        yield from (_in_place(written, node, statement, text, AS_THE_REFERENCE) for node in places)


def _expressions(statement: ast.stmt) -> Iterator[ast.expr]:
    """Every expression of a statement whose value is read; of a compound statement, those of its head.

    A function that is called is no value of its own.
    """
    called = {id(node.func) for node in ast.walk(statement) if isinstance(node, ast.Call)}
    inner = {id(one) for name in ("body", "orelse", "finalbody") for one in getattr(statement, name, []) or []}
    todo: list[ast.AST] = [statement]
    while todo:
        node = todo.pop(0)
        is_read = not isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del))
        if isinstance(node, ast.expr) and is_read and id(node) not in called:
            yield node
        if number_in(node) is None or isinstance(node, ast.Constant):  # a number keeps its sign
            todo += [child for child in ast.iter_child_nodes(node) if id(child) not in inner]


def _is_marked(node: ast.expr, line: MarkedLine) -> bool:
    """Whether an expression lies in the part of the line that is wrong; everything does where that is not known."""
    if line.column < 0:
        return True
    starts = (node.lineno, node.col_offset) >= (line.line, line.column)
    return starts and (node.end_lineno or 0, node.end_col_offset or 0) <= (line.end_line, line.end_column)


def _in_place(written: str, node: ast.expr, statement: ast.stmt, text: Text, cost: float) -> TextEdit:
    """The edit that writes this in the place of an expression, with no more parentheses than it needs."""
    start, end = text.span(node)
    bare = written[1:-1] if _is_wrapped(written) else written
    before, around = text.text[: start - 1], (text.text[start - 1 : start], text.text[end : end + 1])
    if getattr(statement, "value", None) is node:
        return TextEdit(start, end, bare, cost)
    if around == ("(", ")"):
        is_called = before[-1:].isidentifier() or before[-1:] in (")", "]") or before[-1:].isdigit()
        if not is_called and _is_atom(bare):
            return TextEdit(start - 1, end + 1, bare, cost)
        return TextEdit(start, end, bare, cost)
    return TextEdit(start, end, written if _is_atom(written) else f"({written})", cost)


def _is_wrapped(written: str) -> bool:
    if not (written.startswith("(") and written.endswith(")")):
        return False
    try:
        ast.parse(written[1:-1].strip(), mode="eval")
    except SyntaxError:
        return False
    return True


def _is_atom(written: str) -> bool:
    try:
        body = ast.parse(written, mode="eval").body
    except SyntaxError:
        return True
    return isinstance(body, ATOMS) or number_in(body) is not None or _is_wrapped(written)
