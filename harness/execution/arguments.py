"""The one place that decides how a person's function is given the contract's arguments: by name, else by position.

Three uses are different and stay where they are. A hand-written backward function is given more than the contract's
arguments (:mod:`harness.execution.manual_backward`). A published project's function is given what its dialect makes of
them (:mod:`harness.execution.dialects`). A constructor is given sizes under the names that are usual for them
(:mod:`harness.modules.construction`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from inspect import Parameter
from typing import Any

from harness.core.claim import Misfit, NotSupported
from harness.core.contract import Argument, Signature
from harness.core.parameters import parameters_of

BY_NAME = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
BY_POSITION = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
UNKNOWN = object()
"""Stands for a value where only names matter."""
OPEN_ENDED = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


def bound(
    function: Callable[..., Any],
    signature: Signature,
    arguments: Mapping[str, Any],
    extra: Mapping[str, Any] | None = None,
) -> partial[Any]:
    """Their function with its arguments: by keyword where its parameter names are the contract's, by position
    otherwise.

    Optional arguments at their default may be missing there; those that are given by name only are passed to the
    parameter of that name or of an alias; ``extra`` is passed where the function takes it by name.

    Raises Misfit with both signatures where the function cannot be called as the contract says; NotSupported where
    the case needs an optional argument that it does not take.
    """
    parameters = parameters_of(function)
    renamed = _renamed(function, signature.arguments, arguments)
    named = given_by_name(function, signature.arguments, arguments) | dict(renamed.values())
    names = [a.name for a in signature.arguments if a.name in arguments and not a.by_name and a.name not in renamed]
    if parameters is None:
        return partial(function, *(arguments[name] for name in names))
    takes_any = any(p.kind is Parameter.VAR_KEYWORD for p in parameters)
    known = {p.name for p in parameters if p.kind in BY_NAME}
    more = {name: value for name, value in (extra or {}).items() if name in known or takes_any} | named
    return _Binding(function, signature, arguments, names, parameters, more).bound()


def given_by_name(
    function: Callable[..., Any], arguments: Iterable[Argument], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Those of a call's arguments that are given by name only, under the names that the function has for them.

    ``given``: their values. One that is nothing is left out, and so is one at its default where the function has no
    name for it: its own default may be another. Raises NotSupported where it has no name for one that is not.
    """
    known = {p.name for p in parameters_of(function) or () if p.kind in BY_NAME}
    found = {}
    for a in arguments:
        if not a.by_name or given.get(a.name) is None:
            continue
        value = given[a.name]
        name = next((name for name in (a.name, *a.aliases, *a.other_forms) if name in known), None)
        if name is None and (value is a.default or _same(value, a.default)):
            continue
        if name is None:
            raise NotSupported(f"it takes no {a.name}")
        found[name] = _in_its_form(a, name, value)
    return found


def _renamed(
    function: Callable[..., Any], arguments: Iterable[Argument], given: Mapping[str, Any]
) -> dict[str, tuple[str, Any]]:
    """Ordinary arguments that the function has under another published name: by their own, that name and the value."""
    known = {p.name for p in parameters_of(function) or () if p.kind in BY_NAME}
    found = {}
    for a in arguments:
        if a.by_name or a.role == "parameter" or a.name in known or a.name not in given:
            continue
        name = next((name for name in (*a.aliases, *a.other_forms) if name in known), None)
        if name is not None:
            found[a.name] = name, _in_its_form(a, name, given[a.name])
    return found


def _in_its_form(a: Argument, name: str, value: Any) -> Any:
    """The value in the form that code with this name for the argument takes."""
    return value if value is UNKNOWN or name not in a.other_forms else a.other_forms[name](value)


def unnamed_tensors(function: Callable[..., Any], signature: Signature, given: Mapping[str, Any]) -> set[str]:
    """Optional learned tensors of a call that are given by name only, and that the function has no name for."""
    parameters = parameters_of(function) or ()
    if not parameters or any(p.kind is Parameter.VAR_KEYWORD for p in parameters):
        return set()
    known = {p.name for p in parameters if p.kind in BY_NAME}
    wanted = [a for a in signature.arguments if a.by_name and a.role == "parameter" and given.get(a.name) is not None]
    return {a.name for a in wanted if not known & {a.name, *a.aliases, *a.other_forms}}


def accepts(function: object, signature: Signature) -> bool:
    """Whether it can be given the arguments that are never left out, by their names or by position."""
    parameters = [p for p in (parameters_of(function) if callable(function) else None) or () if p.name != "self"]
    wanted = {a.name for a in signature.arguments if not a.optional}
    needed = [p for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    return callable(function) and (wanted <= {p.name for p in parameters} or len(needed) >= len(wanted))


def untaken(arguments: Iterable[Argument], given: Mapping[str, Any], read: Container[str]) -> list[str]:
    """Names of optional settings that were given another value than the default and are not among those ``read``."""
    return [
        a.name
        for a in arguments
        if a.optional and a.name not in read and _is_another(given.get(a.name, a.default), a.default)
    ]


def _is_another(value: Any, default: Any) -> bool:
    """Whether a value is not the default; an array with dimensions is not, and libraries compare one entry by entry."""
    return bool(getattr(value, "shape", ())) or bool(value != default)


@dataclass(frozen=True)
class _Binding:
    """One function and the arguments of one call. ``names``: those of the contract that are given, in its order."""

    function: Callable[..., Any]
    signature: Signature
    arguments: Mapping[str, Any]
    names: list[str]
    parameters: list[Parameter]
    more: dict[str, Any]

    def bound(self) -> partial[Any]:
        """The first way that fits: by name, by position, by either without optional arguments at their default."""
        needs = [p.name for p in self.parameters if p.default is p.empty and p.kind not in OPEN_ENDED]
        if len(needs) > len(self.names) + len(self.more):
            raise self._cannot_be_called(f"; give {', '.join(needs[len(self.names) :])} a default")
        if any(p.kind is Parameter.VAR_KEYWORD for p in self.parameters) or self._known(self.names):
            return self._by_name(self.names)
        if self._fits_by_position():
            return self._by_position(self.names)
        shorter = self._without_last_defaults()
        if shorter is not None:
            return self._by_position(shorter)
        rest = [name for name in self.names if name in self._by_names() or not self._is_default(name)]
        if len(rest) < len(self.names) and self._known(rest):
            return self._by_name(rest)  # by position, one left out in the middle would shift the others
        raise self._refusal()

    def _by_names(self) -> set[str]:
        return {p.name for p in self.parameters if p.kind in BY_NAME}

    def _known(self, names: Iterable[str]) -> bool:
        return self._by_names() >= set(names)

    def _positional(self) -> list[Parameter]:
        reserved = self._reserved()
        return [p for p in self.parameters if p.kind in BY_POSITION and p.name not in reserved]

    def _reserved(self) -> set[str]:
        """Names of arguments that are given by name: nothing else is given to a parameter of such a name."""
        names = {name for a in self.signature.arguments if a.by_name for name in (a.name, *a.aliases, *a.other_forms)}
        return (names | set(self.more)) & {p.name for p in self.parameters}

    def _by_name(self, names: Iterable[str]) -> partial[Any]:
        return partial(self.function, **{name: self.arguments[name] for name in names}, **self.more)

    def _by_position(self, names: Iterable[str]) -> partial[Any]:
        if self._reserved():
            places = zip(self._positional(), names, strict=False)
            return partial(self.function, **{p.name: self.arguments[name] for p, name in places}, **self.more)
        return partial(self.function, *(self.arguments[name] for name in names), **self.more)

    def _fits_by_position(self) -> bool:
        open_ended = any(p.kind is Parameter.VAR_POSITIONAL for p in self.parameters)
        required = any(p.kind is Parameter.KEYWORD_ONLY and p.default is p.empty for p in self.parameters)
        return (open_ended or len(self._positional()) >= len(self.names)) and not required

    def _without_last_defaults(self) -> list[str] | None:
        """The arguments without optional ones at their end, where these are as many as it takes and in their order."""
        names, positional = list(self.names), self._positional()
        while len(names) > len(positional) and self._is_default(names[-1]):
            names.pop()
        contract = {a.name for a in self.signature.arguments}
        in_order = all(p.name not in contract or p.name == name for p, name in zip(positional, names, strict=False))
        keyword_only = any(p.kind is Parameter.KEYWORD_ONLY for p in self.parameters)
        return names if len(names) == len(positional) and in_order and not keyword_only else None

    def _is_default(self, name: str) -> bool:
        """Whether leaving this argument out means the same as passing its value."""
        argument = self._argument(name)
        return argument.optional and _same(self.arguments[name], argument.default)

    def _argument(self, name: str) -> Argument:
        return next(a for a in self.signature.arguments if a.name == name)

    def _refusal(self) -> Exception:
        unknown = [name for name in self.names if name not in self._by_names()]
        settings = [n for n in unknown if self._argument(n).optional and self._argument(n).role == "setting"]
        needed = [name for name in self.names if name not in settings]
        if settings and (set(settings) == set(unknown) or len(self._positional()) == len(needed)):
            return NotSupported(f"it takes no {', '.join(settings)}")
        return self._cannot_be_called(", by these names or in this order")

    def _cannot_be_called(self, how: str) -> Misfit:
        expected = ", ".join(a.name for a in self.signature.arguments)
        written = f"{getattr(self.function, '__name__', self.function)}{inspect.signature(self.function)}"
        return Misfit(f"{written} cannot be called as the contract says: it must take ({expected}){how}")


def _same(value: Any, default: Any) -> bool:
    """Whether a plain value is the default, or both are empty (tensors never are)."""
    if isinstance(value, (list, tuple, dict)):
        return type(value) is type(default) and not value and not default
    return type(value) is type(default) and isinstance(value, (bool, int, float, str, type(None))) and value == default
