"""Code that bears a component's name and takes something else: found out before it is called, or when it is.

A misfit is never a verdict. A name proposes; the signature decides.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter
from pathlib import Path
from typing import Any

from torch import nn

from harness.core.claim import Misfit, NotSupported
from harness.core.contract import Signature
from harness.core.parameters import parameters_of
from harness.execution import call
from harness.execution.arguments import OPEN_ENDED, UNKNOWN, bound

BOUNDARY = str(Path(call.__file__))
"""The innermost frame of an error that the call itself raised, and not the function that was called."""
MODULES = str(inspect.getsourcefile(nn.Module))
"""Between the harness and the forward pass of a module, frames of this file stand."""
HERE = str(Path(__file__).resolve().parents[1])


@dataclass(frozen=True)
class PlugIn:
    """How a misfit would be plugged in: ``needs`` in words, and the shortest lines of Python."""

    needs: str = ""
    lines: tuple[str, ...] = ()


def is_refused_by_the_call(error: BaseException) -> bool:
    """Whether a TypeError comes of the call itself (an unexpected, or a missing argument), not of what it calls."""
    if type(error) is not TypeError:
        return False
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    called = len(files)
    while files and files[-1] == MODULES:
        files.pop()
    return bool(files) and (files[-1] == BOUNDARY or (len(files) < called and files[-1].startswith(HERE)))


def plug_in(
    function: Callable[..., Any], signature: Signature, component: str, extra: Mapping[str, Any] | None = None
) -> PlugIn:
    """What a function needs to be called as the contract says, and how it gets that; both empty where it can be."""
    every = {a.name: a.default if a.optional else UNKNOWN for a in signature.arguments}
    needed = {name: every[name] for name in (a.name for a in signature.arguments if not a.optional)}
    whys = []
    for given in (every, needed):
        try:
            bound(function, signature, given, extra)
        except Misfit as misfit:
            whys.append(str(misfit))
        except NotSupported:
            return PlugIn()
        else:
            return PlugIn()
    return PlugIn(f"{_lacking(function, signature)} {whys[0]}".strip(), _lines(function, signature, component))


def never_given(
    function: Callable[..., Any], signature: Signature, extra: Mapping[str, Any] | None = None
) -> tuple[str, ...]:
    """Parameters of a function with a default that stay at it whatever a case gives."""
    usual = {a.name: a.default if a.optional else object() for a in signature.arguments}
    parameters = [p for p in parameters_of(function) or () if p.kind not in OPEN_ENDED]
    taken: set[str] = set()
    for name in (a.name for a in signature.arguments):
        try:
            call_of = bound(function, signature, {**usual, name: UNKNOWN}, extra)
        except NotSupported:
            continue
        taken.update(p.name for p in parameters[: len(call_of.args)])
        taken.update(call_of.keywords)
    has_default = [p.name for p in parameters if p.default is not Parameter.empty]
    return tuple(name for name in has_default if name not in taken) if taken else ()


def _lacking(function: Callable[..., Any], signature: Signature) -> str:
    """``it needs x and y.``: what it requires and the contract has not; else what it does not take."""
    parameters = parameters_of(function) or []
    known = [a.name for a in signature.arguments]
    required = [p.name for p in parameters if p.default is Parameter.empty and p.kind not in OPEN_ENDED]
    needs = [name for name in required if name not in known]
    if needs:
        return f"it needs {_listed(needs)}."
    takes = {p.name for p in parameters}
    lacks = [a.name for a in signature.arguments if not a.optional and a.name not in takes]
    return f"it takes no {_listed(lacks)}." if lacks else ""


def _listed(names: Sequence[str]) -> str:
    *rest, last = names
    return f"{', '.join(rest)} and {last}" if rest else last


def _lines(function: Callable[..., Any], signature: Signature, component: str) -> tuple[str, ...]:
    """A function with the contract's arguments that calls the given one; what only a person can know is left open."""
    parameters = [p for p in parameters_of(function) or () if p.kind not in OPEN_ENDED and p.name != "self"]
    required = [p for p in parameters if p.default is Parameter.empty]
    known = {a.name for a in signature.arguments}
    taken = [p for p in parameters if p.default is Parameter.empty or p.name in known]
    filled = [_filled(p, known) for p in taken]
    given = ", ".join(a.name for a in signature.arguments)
    name = getattr(function, "__name__", component)
    what = f"{name}({', '.join(filled)})" if filled or not required else f"{name}(...)"
    return (
        "from plumbline import implements",
        f'@implements("{component}")',
        f"def plugged_in({given}):",
        f"    return {what}",
    )


def _filled(parameter: Parameter, known: set[str]) -> str:
    value = parameter.name if parameter.name in known else "..."
    if parameter.kind is Parameter.POSITIONAL_ONLY:
        return value
    return f"{parameter.name}={value}"
