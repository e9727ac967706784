"""Builds a module class at given sizes, by what its constructor and its configuration call them.

Nothing is guessed that matters: sizes go where their usual names are, dropout is off, biases are on, what has a default
keeps it. Where an argument is left over, CannotBuild names it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import CodeType
from typing import Any, get_type_hints

from harness.core.errors import plain
from harness.core.skipped import skipped_in
from harness.execution import call
from harness.modules.configuration import Owner, configuration, is_configuration, named_parameters
from harness.modules.size_names import LAST_RESORTS, NOT_WHOLE, TURNED_ON, CannotBuild, Sizes


def construct(kind: Callable[..., Any], sizes: Sizes, namespace: Mapping[str, Any]) -> Any:
    """An instance of a class of the implementation at these sizes. ``namespace``: that of its module.

    Raises CannotBuild where the name of an argument tells nothing; whatever the constructor raises.
    """
    parameters = named_parameters(kind)
    owner = Owner(kind, namespace, getattr(kind, "config_class", None))
    given = _arguments(owner, parameters, sizes)
    positional = [given.pop(p.name) for p in parameters if p.kind is p.POSITIONAL_ONLY and p.name in given]
    return call.invoke(kind, *positional, **given)


def _arguments(owner: Owner, parameters: list[inspect.Parameter], sizes: Sizes) -> dict[str, Any]:
    names = [p.name for p in parameters]
    hints = _hints(owner.kind)
    required = [p for p in parameters if p.default is p.empty]
    given: dict[str, Any] = {}
    for p in parameters:
        hint = hints.get(p.name, p.annotation)
        if is_configuration(p, hint, owner.preset):
            given[p.name] = configuration(p, hint, sizes, owner)
        elif sizes.known(p.name, names) and _fits(sizes, p, hint, names):
            given[p.name] = sizes.value(p.name, names)
        elif p.default is False and plain(p.name) in TURNED_ON:
            given[p.name] = True
        elif p.default is not p.empty:
            continue
        elif plain(p.name) in LAST_RESORTS:
            given[p.name] = LAST_RESORTS[plain(p.name)]
        elif required == [p] and not sizes.known(p.name, names):
            given[p.name] = configuration(p, hint, sizes, owner)
        else:
            label = owner.kind.__name__
            raise CannotBuild(
                f"{label}({', '.join(names)}) needs {p.name!r}, whose meaning its name does not tell. "
                f"Give it a default, or say how it is built: def build(config): return {label}(...)"
            )
    return given


def _fits(sizes: Sizes, p: inspect.Parameter, hint: Any, names: list[str]) -> bool:
    """Whether the size is of the type that the argument asks for (``h: float`` is no number of heads)."""
    if not sizes.means(p.name, p.default, names):
        return False
    size = sizes.size(p.name, names)
    if size is None or hint is p.empty or isinstance(hint, str) or not inspect.isclass(hint):
        return True
    return hint not in ((str, bool) if size in NOT_WHOLE else (float, str, bool))


def _hints(kind: Any) -> dict[str, Any]:
    for source in (getattr(kind, "__init__", None), kind):
        try:
            found = call.invoke(get_type_hints, source)  # evaluates annotations that are kept as text
        except Exception:  # names that exist for a type checker alone
            continue
        if found:
            return found
    return {}


# sizes that are the module's globals ---------------------------------------------------------------------------------


def global_sizes(kind: type, sizes: Sizes) -> tuple[str, ...]:
    """Numbers at the top of the module that its classes read as sizes (``n_embd = 384``), also in skipped lines."""
    module = sys.modules.get(kind.__module__)
    held = vars(module) if module is not None else {}
    read: set[str] = set()
    for value in list(held.values()):
        if inspect.isclass(value) and value.__module__ == kind.__module__:
            for method in vars(value).values():
                code = getattr(method, "__code__", None)
                read.update(names_in(code) if code is not None else ())
    numbers = [n for n in read if type(held.get(n)) in (int, float) or n in skipped_in(held)]
    return tuple(sorted(n for n in numbers if sizes.known(n, numbers) and n.lower() not in ("device", "x")))


def names_in(code: CodeType) -> Iterator[str]:
    """The globals and attributes that a function and those inside it name."""
    yield from code.co_names
    for inner in code.co_consts:
        if inspect.iscode(inner):
            yield from names_in(inner)


@contextmanager
def globals_set(module: str, values: Mapping[str, Any]) -> Iterator[None]:
    """While this lasts, these names of the module have these values."""
    held = vars(sys.modules[module]) if values else {}
    before = {name: held[name] for name in values if name in held}
    held.update(values)
    try:
        yield
    finally:
        for name in values.keys() - before.keys():  # of a lifted script
            held.pop(name, None)
        held.update(before)
