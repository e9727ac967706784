"""Where a number or table comes from that a wrong operation computes with: no tensor operation shows it.

``scale = 1 / math.sqrt(width)`` stands lines above, ``self.eps = 1e-3`` or a registered mask in the constructor.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from harness.core.steps import Place
from harness.localisation.sources import Source


def operands(expression: ast.expr) -> Iterator[ast.expr]:
    """What one operation reads directly: both sides of an operator, the arguments of a call, what is indexed."""
    if isinstance(expression, ast.BinOp):
        yield from (expression.left, expression.right)
    elif isinstance(expression, ast.Compare):
        yield from (expression.left, *expression.comparators)
    elif isinstance(expression, ast.Call):
        if isinstance(expression.func, ast.Attribute):
            yield expression.func.value
        yield from (*expression.args, *(keyword.value for keyword in expression.keywords))
    elif isinstance(expression, ast.Subscript):
        yield expression.value
    elif isinstance(expression, ast.UnaryOp):
        yield expression.operand


def origins(source: Source, place: Place, traced: set[int]) -> list[ast.stmt]:
    """The statements that give the names which the operation at a place reads directly, and compute no traced tensor.

    ``traced``: lines on which operations were traced.
    """
    expression = source.expression(place.line, place.column, place.end_line, place.end_column)
    found = []
    for operand in operands(expression) if expression is not None else ():
        inner = operand.value if isinstance(operand, ast.Subscript) else operand
        given = _given(source, inner, place.line)
        lines = {line for one in given for line in range(one.lineno, (one.end_lineno or one.lineno) + 1)}
        if given and not traced & lines:  # a tensor has some value that an operation gave it
            found.append(given[-1])
    return list({id(one): one for one in found}.values())


def _given(source: Source, operand: ast.expr, line: int) -> list[ast.stmt]:
    """The statements that compute what a name, or an attribute of ``self``, holds at a line, the last one last."""
    if isinstance(operand, ast.Name):
        around = _around(source, line, (ast.FunctionDef, ast.AsyncFunctionDef))
        scope: ast.AST | None = around if around is not None else source.tree
        found = [one for one in _assignments(scope, operand) if one.lineno < line]
        if (
            not found
            and around is not None
            and operand.id not in {a.arg for a in ast.walk(around) if isinstance(a, ast.arg)}
        ):
            found = [one for one in _assignments(source.tree, operand) if one.col_offset == 0]
    elif isinstance(operand, ast.Attribute) and isinstance(operand.value, ast.Name):
        found = list(_assignments(_around(source, line, (ast.ClassDef,)), operand))
    else:
        return []
    return found


def _around(source: Source, line: int, kinds: tuple[type[ast.AST], ...]) -> ast.AST | None:
    """The innermost definition of one of these kinds around a line."""
    nodes = ast.walk(source.tree) if source.tree is not None else iter(())
    inside = [n for n in nodes if isinstance(n, kinds) and isinstance(n, ast.stmt)]
    inside = [n for n in inside if n.lineno <= line <= (n.end_lineno or 0)]
    return max(inside, key=lambda node: node.lineno, default=None)


def _assignments(scope: ast.AST | None, name: ast.expr) -> Iterator[ast.stmt]:
    """The statements that give a name a computed value, or an attribute any, in order; a registered buffer is one."""
    wanted = ast.dump(name)
    nodes = (node for node in ast.walk(scope) if isinstance(node, ast.stmt)) if scope is not None else ()
    for node in sorted(nodes, key=lambda node: node.lineno):
        plain = isinstance(name, ast.Attribute) and isinstance(getattr(node, "value", None), (ast.Name, ast.Attribute))
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and (plain or _is_computed(node.value)):
            if ast.dump(node.targets[0]).replace("Store()", "Load()") == wanted:
                yield node
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and isinstance(name, ast.Attribute):
            call = node.value
            texts = [a.value for a in call.args if isinstance(a, ast.Constant)]
            if isinstance(call.func, ast.Attribute) and len(call.args) > 1 and texts[:1] == [name.attr]:
                yield node


def _is_computed(value: ast.expr) -> bool:
    """Whether a value is more than another name for something, or a size that is read off."""
    if isinstance(value, ast.Constant):
        return isinstance(value.value, (int, float)) and not isinstance(value.value, bool)
    if isinstance(value, ast.Subscript):
        return False
    return isinstance(value, (ast.BinOp, ast.UnaryOp, ast.Call, ast.IfExp))
