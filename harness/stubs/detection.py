"""What is not written yet: bodies of a docstring, `pass`, `...` or placeholders of None.

Such code is "to do", as if it raised NotImplementedError. Code that computes something and forgets to return it is not:
that is a mistake, and a finding.
"""

from __future__ import annotations

import ast
import dis
import functools
import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator
from types import CodeType, FunctionType
from typing import Any

LOOKS_ONLY = frozenset(
    {"get", "size", "dim", "len", "zeros", "zeros_like", "empty", "empty_like", "dict", "list", "tuple"}
)
"""Calls that a skeleton may make: they look at arguments, or make room for a result, and compute nothing."""
SAYS_SO = re.compile(r"to.?do|not.{0,5}(implemented|written|done)|your code|implement (me|this)", re.IGNORECASE)


def unfinished(function: Any) -> str:
    """Why a function is to do ("only `pass`"), or an empty text where it is written."""
    code = code_of(function)
    return unfinished_code(code) if code is not None else ""


@functools.lru_cache(maxsize=4096)
def unfinished_code(code: CodeType) -> str:
    tree = definition_of(code)
    return unfinished_body(tree) if tree is not None else _bytecode_unfinished(code)


def code_of(function: Any) -> CodeType | None:
    """The code of what was written, beneath partials, decorators that wrap, and methods."""
    while isinstance(function, functools.partial):
        function = function.func
    function = getattr(function, "__func__", function)  # methods, also class and static ones
    try:
        function = inspect.unwrap(function)
    except ValueError:
        return None
    function = getattr(function, "__func__", function)
    return function.__code__ if isinstance(function, FunctionType) else None


def definition_of(code: CodeType) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """The function's definition; None where there is no source (an interactive session), or where it is a lambda."""
    try:
        module = ast.parse(textwrap.dedent(inspect.getsource(code)))
    except (OSError, TypeError, SyntaxError, ValueError):
        return None
    first = module.body[0] if module.body else None
    is_it = isinstance(first, (ast.FunctionDef, ast.AsyncFunctionDef)) and first.name == code.co_name
    return first if is_it else None  # type: ignore[return-value]


def unfinished_body(function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    body = list(function.body)
    if is_docstring(body[0]):
        body = body[1:]
    if not body:
        return "only a docstring"
    for i, statement in enumerate(body):
        if isinstance(statement, ast.Raise) and _says_so(statement) and all(_is_placeholder(s) for s in body[:i]):
            return _raised(statement)
        if isinstance(statement, ast.Assert) and _is_constant(statement.test, False, 0):
            return "only `assert False`" if all(_is_placeholder(s) for s in body[:i]) else ""
    if not all(_is_placeholder(s) and not isinstance(s, ast.Raise) for s in body):
        return ""
    returns = [node for statement in body for node in ast.walk(statement) if isinstance(node, ast.Return)]
    nothing = _names_of_nothing(body)
    if any(not _is_nothing(node.value, nothing) or (node.value and not _only_looks(node.value)) for node in returns):
        return ""
    if returns and returns[-1].value is not None:
        return _returned(returns[-1].value, nothing)
    if any(isinstance(node, (ast.Raise, ast.Assert)) for s in body for node in ast.walk(s)):
        return ""  # it checks something, and that may be all it is for
    if all(isinstance(s, (ast.Pass, ast.Return)) for s in body):
        return "only `pass`" if isinstance(body[-1], ast.Pass) else "only `return`"
    if all(isinstance(s, ast.Expr) and _is_constant(s.value, ...) for s in body):
        return "only `...`"
    return "nothing is computed"


def _returned(value: ast.expr, nothing: set[str]) -> str:
    """What a stub returns, in words. ``nothing``: names that stand for None in its body."""
    shown = ast.unparse(value)
    named = sorted({n.id for n in ast.walk(value) if isinstance(n, ast.Name)} & nothing)
    if named == [shown]:
        return f"it returns {shown}, which is None"
    return f"it returns {shown.strip('()')}" + (f", and {' and '.join(named)} is None" if named else "")


def is_docstring(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _is_constant(node: ast.AST | None, *values: Any) -> bool:
    return isinstance(node, ast.Constant) and any(node.value is v or node.value == v for v in values)


def _says_so(statement: ast.Raise) -> bool:
    """``raise NotImplementedError``, or any error whose text says that it is not written."""
    return bool(SAYS_SO.search(ast.unparse(statement)))  # the source of their statement, not a text of the harness


def _raised(statement: ast.Raise) -> str:
    call = statement.exc
    if isinstance(call, ast.Call) and call.args and isinstance(call.args[0], ast.Constant):
        return str(call.args[0].value)
    return f"it raises {ast.unparse(call) if call is not None else 'an error'}"


def _is_placeholder(statement: ast.stmt) -> bool:
    """Whether a statement computes nothing: it may pass, look at sizes, name things None, and branch on a mode."""
    if isinstance(statement, (ast.Pass, ast.Import, ast.ImportFrom, ast.Global, ast.Nonlocal, ast.Assert)):
        return True
    if isinstance(statement, ast.Return):
        return True  # what it returns is looked at by itself
    if isinstance(statement, ast.Raise):
        return True  # a skeleton may refuse an unknown mode
    if isinstance(statement, ast.Expr):
        value = statement.value
        printed = value.args if isinstance(value, ast.Call) and _is_call_of(value, {"print"}) else None
        return isinstance(value, ast.Constant) or (printed is not None and all(map(_only_looks, printed)))
    if isinstance(statement, (ast.Assign, ast.AnnAssign)):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        if not all(_is_name(target) for target in targets):  # something is kept, or written to
            return _is_constant(statement.value, None, ...)
        return statement.value is None or _only_looks(statement.value)
    if isinstance(statement, ast.If):
        return all(_is_placeholder(s) for s in (*statement.body, *statement.orelse))
    if isinstance(statement, (ast.With, ast.For)):
        return all(_is_placeholder(s) for s in statement.body)
    return False


def _is_name(target: ast.expr) -> bool:
    return isinstance(target, ast.Name) or (isinstance(target, ast.Tuple) and all(_is_name(t) for t in target.elts))


def _only_looks(value: ast.expr) -> bool:
    """Whether an expression combines nothing: no arithmetic, and no call but of what looks at an argument."""
    for node in ast.walk(value):
        if isinstance(node, (ast.BinOp, ast.Lambda, ast.ListComp, ast.GeneratorExp, ast.Await, ast.Yield)):
            return False
        if isinstance(node, ast.Call) and not _is_call_of(node, LOOKS_ONLY):
            return False
    return True


def _is_call_of(node: ast.expr, names: Iterable[str]) -> bool:
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return name in names


def _names_of_nothing(body: list[ast.stmt]) -> set[str]:
    """Names that are assigned None and nothing else."""
    nothing: set[str] = set()
    something: set[str] = set()
    for statement in body:
        for node in ast.walk(statement):
            targets = node.targets if isinstance(node, ast.Assign) else []
            if isinstance(node, ast.AnnAssign) and node.value is not None:
                targets = [node.target]
            for target in targets:
                for name, value in _pairs(target, node.value):  # type: ignore[attr-defined]
                    (nothing if _is_constant(value, None, ...) else something).add(name)
    return nothing - something


def _pairs(target: ast.expr, value: ast.expr | None) -> Iterator[tuple[str, ast.expr | None]]:
    """``a, b = None, 1`` as (a, None), (b, 1)."""
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Tuple):
        both = isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts)
        for i, inner in enumerate(target.elts):
            yield from _pairs(inner, value.elts[i] if both else None)  # type: ignore[union-attr]


def _is_nothing(value: ast.expr | None, nothing: set[str]) -> bool:
    """Whether what is returned is None, or a tuple in which something is."""
    if value is None or _is_constant(value, None, ...):
        return True
    if isinstance(value, ast.Name):
        return value.id in nothing or value.id == "NotImplemented"
    return isinstance(value, ast.Tuple) and any(_is_nothing(entry, nothing) for entry in value.elts)


def _bytecode_unfinished(code: CodeType) -> str:
    """The same from the bytecode: nothing is loaded but None, `...` and names that were given these."""
    harmless = {
        "RESUME",
        "NOP",
        "CACHE",
        "COPY",
        "POP_TOP",
        "RETURN_VALUE",
        "DUP_TOP",
        "PRECALL",
        "NOT_TAKEN",
        "COPY_FREE_VARS",
        "MAKE_CELL",
        "BUILD_TUPLE",
        "UNPACK_SEQUENCE",
    }
    arguments = set(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])
    for instruction in dis.get_instructions(code):
        name, value = instruction.opname, instruction.argval
        if name in harmless or name.startswith("STORE_FAST"):
            continue
        if name in ("LOAD_CONST", "RETURN_CONST"):
            if value in (None, ...) or (isinstance(value, tuple) and None in value):
                continue
            return ""
        names = value if isinstance(value, tuple) else (value,)
        if name.startswith("LOAD_FAST") and not arguments & set(names):
            continue
        if name == "LOAD_GLOBAL" and value == "NotImplementedError":
            return "it raises NotImplementedError"
        return ""
    return "it returns nothing and computes nothing"
