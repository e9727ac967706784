"""Code that is written, and calls something that is not: from which unfinished part an error comes."""

from __future__ import annotations

import dis
import inspect
import sys
from collections.abc import Iterable, Iterator
from types import CodeType, TracebackType
from typing import Any

from torch import nn

from harness.core.contract import Contract
from harness.core.formatting import error_text
from harness.core.library_files import is_own_file
from harness.core.notebook import shown_line
from harness.stubs.classes import has_no_forward, module_unfinished, reason
from harness.stubs.detection import code_of, unfinished

MOST = 60
"""Functions and classes that are looked through for one that is to do."""


def as_a_whole(source: Any, contract: Contract) -> str:
    """Why what is plugged in for a component is to do: its own code, or the module class that its factory builds."""
    why = reason(source, contract)
    code = code_of(source)
    if why or code is None or not contract.is_function:
        return why
    for name, thing in _named_in(code, getattr(source, "__globals__", {}), {}):
        if inspect.isclass(thing) and issubclass(thing, nn.Module) and (why := _to_do(thing)):
            return why if name in why else f"{name} is to do: {why}"
    return ""


def behind(error: BaseException) -> str:
    """The unfinished function or module whose None an error is about ("its gelu is to do ..."), or an empty text."""
    if "None" not in error_text(error):
        return ""
    frames = [(frame, line) for frame, line in _frames(error.__traceback__) if _is_theirs(frame.f_code)]
    for frame, line in reversed(frames):
        for name, thing in _named_in(frame.f_code, {**frame.f_globals, **frame.f_locals}, frame.f_locals, line):
            if why := _to_do(thing):
                return _told(name, thing, why)
    return ""


def beneath(source: Any, *, modules: bool = False) -> str:
    """The first unfinished function or module class that a function or class leads to ("its gelu is to do ...").

    ``modules``: only module classes count (parameters are missing, which only a module could have had).
    """
    waiting, seen = [source], {id(source)}
    while waiting and len(seen) < MOST:
        thing = waiting.pop(0)
        for code, scope in _codes(thing):
            owner = {"self": thing} if inspect.isclass(thing) else {}
            for name, found in _named_in(code, scope, owner):
                if id(found) in seen or not _belongs(found):
                    continue
                seen.add(id(found))
                counts = not modules or (inspect.isclass(found) and issubclass(found, nn.Module))
                if counts and (why := _to_do(found, modules)):
                    return _told(name, found, why)
                waiting.append(found)
    return ""


def _frames(traceback: TracebackType | None) -> Iterator[tuple[Any, int]]:
    while traceback is not None:
        yield traceback.tb_frame, traceback.tb_lineno
        traceback = traceback.tb_next


def _is_theirs(code: CodeType) -> bool:
    return is_own_file(code.co_filename)


def _belongs(thing: Any) -> bool:
    """Whether something is a function or class that they wrote."""
    if inspect.isclass(thing):
        file = getattr(sys.modules.get(thing.__module__), "__file__", None)
        return bool(file) and is_own_file(str(file))
    code = code_of(thing)
    return code is not None and _is_theirs(code)


def _codes(thing: Any) -> Iterator[tuple[CodeType, dict[str, Any]]]:
    members: Iterable[Any] = vars(thing).values() if inspect.isclass(thing) else (thing,)
    for member in members:
        code = code_of(member)
        if code is not None:
            yield code, getattr(inspect.unwrap(getattr(member, "__func__", member)), "__globals__", {})


def _named_in(
    code: CodeType, scope: dict[str, Any], owners: dict[str, Any], until: int | None = None
) -> Iterator[tuple[str, Any]]:
    """What a function's code names: globals, locals, attributes of ``self``; up to a line where one is given."""
    line: int | None = code.co_firstlineno
    found: dict[str, Any] = {}
    for instruction in dis.get_instructions(code):
        position = getattr(instruction, "positions", None)
        line = (position.lineno if position else instruction.starts_line) or line
        name = instruction.argval
        if not isinstance(name, str) or (until is not None and line is not None and int(line) > until):
            continue
        if instruction.opname.startswith(("LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF", "LOAD_FAST")) and name in scope:
            found[name] = scope[name]
        elif instruction.opname.startswith(("LOAD_ATTR", "LOAD_METHOD")) and "self" in owners:
            try:
                found[name] = getattr(owners["self"], name)
            except Exception:  # a property of theirs
                continue
    for name, thing in reversed(list(found.items())):
        if callable(thing):
            yield name, thing


def _to_do(thing: Any, init: bool = False) -> str:
    if isinstance(thing, nn.Module):  # a container of torch's may hold it
        return next((why for one in thing.modules() if (why := _to_do(type(one), init))), "")
    if not _belongs(thing):
        return ""
    is_module = inspect.isclass(thing) and issubclass(thing, nn.Module)
    if is_module and has_no_forward(thing):  # it may hold tables that others read; where it is called, torch says so
        return ""
    return module_unfinished(thing, init=init) if is_module else unfinished(thing)


def _told(name: str, thing: Any, why: str) -> str:
    code = code_of(thing)
    at = f", {shown_line(code.co_filename, code.co_firstlineno, short=True)}" if code is not None else ""
    return f"its {name} is to do ({why}{at}); write that first"
