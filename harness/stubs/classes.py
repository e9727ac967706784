"""Classes that are not written yet: no forward, an ``__init__`` that keeps nothing, or methods to do."""

from __future__ import annotations

import ast
import inspect
import re
from typing import Any

from torch import nn

from harness.core.contract import Contract
from harness.stubs.detection import code_of, definition_of, is_docstring, unfinished, unfinished_body, unfinished_code


def reason(source: Any, contract: Contract | None = None) -> str:
    """Why what is plugged in for a component is to do as a whole, or an empty text.

    A function: its body. A module class: its ``forward`` or ``__init__``. Another class: every method that the contract
    calls, or an ``__init__`` that keeps nothing of what it is given. A single unfinished method is reported when it
    is called.
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


def is_abstract(thing: type) -> bool:
    """Whether a class leaves something to those that derive from it: by its decorators, or a method that is to do."""
    if inspect.isabstract(thing):
        return True
    if issubclass(thing, nn.Module) and (has_no_forward(thing) or unfinished(thing.forward)):
        return True
    return any(unfinished(m) for n, m in vars(thing).items() if inspect.isfunction(m) and not n.startswith("_"))


def _init_unfinished(thing: type) -> str:
    """Why an ``__init__`` that takes something is to do. A bare ``super().__init__()`` keeps nothing."""
    init = thing.__dict__.get("__init__")
    code = code_of(init) if init is not None else None
    if code is None or code.co_argcount + code.co_kwonlyargcount < 2:
        return ""
    tree = definition_of(code)
    if tree is not None and all(base in (object, nn.Module) for base in thing.__bases__):
        body = [s for s in tree.body if not _is_super_init(s)]
        if len(body) < len(tree.body):
            if not [s for s in body if not is_docstring(s)]:
                return "only `super().__init__()`"
            tree = ast.FunctionDef(tree.name, tree.args, body, [])
            return unfinished_body(tree)
    return unfinished_code(code)


def _is_super_init(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and re.fullmatch(r"super\(.*\)\.__init__\(\)", ast.unparse(statement)) is not None
    )
