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

from torch import nn

from harness.core.contract import Contract

LOOKS_ONLY = frozenset(
    {"get", "size", "dim", "len", "zeros", "zeros_like", "empty", "empty_like", "dict", "list", "tuple"}
)
"""Calls that a skeleton may make: they look at arguments, or make room for a result, and compute nothing."""
SAYS_SO = re.compile(r"to.?do|not.{0,5}(implemented|written|done)|your code|implement (me|this)", re.IGNORECASE)


# functions -----------------------------------------------------------------------------------------------------------


def unfinished(function: Any) -> str:
    """Why a function is to do ("only `pass`"), or an empty text where it is written."""
    code = code_of(function)
    return _unfinished(code) if code is not None else ""


@functools.lru_cache(maxsize=4096)
def _unfinished(code: CodeType) -> str:
    tree = _tree(code)
    return _body_unfinished(tree) if tree is not None else _bytecode_unfinished(code)


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


def _tree(code: CodeType) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """The function's definition; None where there is no source (an interactive session), or where it is a lambda."""
    try:
        module = ast.parse(textwrap.dedent(inspect.getsource(code)))
    except (OSError, TypeError, SyntaxError, ValueError):
        return None
    first = module.body[0] if module.body else None
    is_it = isinstance(first, (ast.FunctionDef, ast.AsyncFunctionDef)) and first.name == code.co_name
    return first if is_it else None  # type: ignore[return-value]


def _body_unfinished(function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    body = list(function.body)
    if _is_docstring(body[0]):
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
        shown = ast.unparse(returns[-1].value)
        named = sorted({n.id for n in ast.walk(returns[-1].value) if isinstance(n, ast.Name)} & nothing)
        if named == [shown]:
            return f"it returns {shown}, which is None"
        return f"it returns {shown.strip('()')}" + (f", and {' and '.join(named)} is None" if named else "")
    if any(isinstance(node, (ast.Raise, ast.Assert)) for s in body for node in ast.walk(s)):
        return ""  # it checks something, and that may be all it is for
    if all(isinstance(s, (ast.Pass, ast.Return)) for s in body):
        return "only `pass`" if isinstance(body[-1], ast.Pass) else "only `return`"
    if all(isinstance(s, ast.Expr) and _is_constant(s.value, ...) for s in body):
        return "only `...`"
    return "nothing is computed"


def _is_docstring(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _is_constant(node: ast.AST | None, *values: Any) -> bool:
    return isinstance(node, ast.Constant) and any(node.value is v or node.value == v for v in values)


def _says_so(statement: ast.Raise) -> bool:
    """``raise NotImplementedError``, or any error whose text says that it is not written."""
    text = ast.unparse(statement)
    return "NotImplemented" in text or bool(SAYS_SO.search(text))


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
        printed = statement.value.args if _is_call_of(statement.value, {"print"}) else None  # type: ignore[attr-defined]
        return isinstance(statement.value, ast.Constant) or (printed is not None and all(map(_only_looks, printed)))
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


# classes -------------------------------------------------------------------------------------------------------------


def reason(source: Any, contract: Contract | None = None) -> str:
    """Why what is plugged in for a component is to do as a whole, or an empty text.

    A function: its body. A module class: its ``forward`` or ``__init__``. Another class: every method that the contract
    calls, or an ``__init__`` that keeps nothing of what it is given. One method among others is told when it is called.
    """
    if not inspect.isclass(source):
        return unfinished(source)
    if issubclass(source, nn.Module) and (contract is None or contract.is_function):
        return module_unfinished(source)
    if contract is None or contract.is_function:
        return ""
    takes = "build" in contract.calls and contract.calls["build"].arguments
    if takes and (why := _init_unfinished(source)):
        return f"__init__ is to do: {why}"
    needed = [m for m in contract.calls if m != "build" and m not in contract.optional_methods]
    states = {m: _method_state(source, m) for m in needed}
    if needed and all(states.values()):
        absent = [m for m in needed if states[m] == "absent"]
        if absent == needed:
            return f"it has no {', '.join(f'{m}()' for m in needed)}"
        whys = {states[m] for m in needed if states[m] != "absent"}
        listed = " and ".join(f"{m}()" for m in needed)
        return f"{listed} {'are' if len(needed) > 1 else 'is'} to do: {' / '.join(sorted(whys))}"
    return ""


def _method_state(thing: type, name: str) -> str:
    method = getattr(thing, name, None)
    if method is None:
        takes_calls = name in ("forward", "call") and callable(getattr(thing, "__call__", None))  # noqa: B004
        return "" if takes_calls and thing.__call__ is not type.__call__ else "absent"
    if issubclass(thing, nn.Module) and name == "forward" and has_no_forward(thing):
        return "absent"
    return unfinished(method)


def has_no_forward(thing: type) -> bool:
    """Whether nobody wrote a forward: torch's own stands there and raises."""
    return getattr(getattr(thing, "forward", None), "__name__", "") == "_forward_unimplemented"


def module_unfinished(thing: type, *, init: bool = False) -> str:
    """Why a module class is to do. ``init``: parameters are missing, so an ``__init__`` that makes none counts."""
    if has_no_forward(thing):
        return f"{thing.__name__} has no forward()" if thing is not nn.Module else ""
    if why := unfinished(thing.forward):  # type: ignore[attr-defined]
        return f"{thing.__name__}.forward() is to do: {why}"
    why = _init_unfinished(thing) if init else ""
    return f"{thing.__name__}.__init__() is to do: {why}" if why else ""


def _init_unfinished(thing: type) -> str:
    """Why an ``__init__`` that takes something is to do. A bare ``super().__init__()`` keeps nothing."""
    init = thing.__dict__.get("__init__")
    code = code_of(init) if init is not None else None
    if code is None or code.co_argcount + code.co_kwonlyargcount < 2:
        return ""
    tree = _tree(code)
    if tree is not None and all(base in (object, nn.Module) for base in thing.__bases__):
        body = [s for s in tree.body if not _is_super_init(s)]
        if len(body) < len(tree.body):
            if not [s for s in body if not _is_docstring(s)]:
                return "only `super().__init__()`"
            tree = ast.FunctionDef(tree.name, tree.args, body, [])  # type: ignore[call-overload]
            return _body_unfinished(tree)
    return _unfinished(code)


def _is_super_init(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and re.fullmatch(r"super\(.*\)\.__init__\(\)", ast.unparse(statement)) is not None
    )
