"""The record of sizes that a constructor takes (``config``, ``args``): of its own class where there is one."""

from __future__ import annotations

import copy
import dataclasses
import inspect
from collections.abc import Mapping, MutableMapping
from typing import Any, NamedTuple

import torch

from harness.core.errors import plain
from harness.core.parameters import parameters_of
from harness.execution import call
from harness.modules.size_names import LAST_RESORTS, CannotBuild, Namespace, Sizes

CONFIGURATIONS = (
    *("config", "cfg", "conf", "configuration", "args", "params", "hparams", "hps", "hp", "hyperparameters"),
    *("settings", "opts", "options", "modelargs", "modelconfig", "gptconfig"),
)
"""What the argument that holds all sizes is usually called."""
ENDINGS = ("config", "args", "params", "hparams", "settings", "configuration", "hyperparameters")
"""What classes and dictionaries that hold sizes end in."""
PLAIN = (int, float, bool, str, bytes, type(None), list, tuple, dict, set)
"""Types of arguments that are no record of sizes."""


class Owner(NamedTuple):
    """The class that takes a record of sizes. ``namespace``: its module's; ``preset``: its ``config_class``."""

    kind: Any
    namespace: Mapping[str, Any]
    preset: type | None = None


def is_configuration(p: inspect.Parameter, hint: Any, preset: type | None) -> bool:
    """Whether an argument is the record that holds the sizes, by its name or its annotation."""
    word = plain(p.name)
    if word in CONFIGURATIONS or (preset is not None and word == "config"):
        return True
    if inspect.isclass(hint) and hint not in PLAIN:
        return dataclasses.is_dataclass(hint) or plain(hint.__name__).endswith(ENDINGS)
    return isinstance(hint, str) and plain(hint).endswith(ENDINGS)


def configuration(p: inspect.Parameter, hint: Any, sizes: Sizes, owner: Owner) -> Any:
    """The record for one argument, with these sizes in it; a :class:`Namespace` where no configuration class is found.

    In this order: the class's ``config_class``, the annotation, ``get_default_config()``, the default value, a class or
    a value of the module that holds sizes. Raises CannotBuild where such a class needs what no name tells.
    """
    if owner.preset is not None:
        return _record(owner.preset, sizes)
    if inspect.isclass(hint) and hint not in PLAIN and not issubclass(hint, Mapping):
        made = _record(hint, sizes)
        if made is not None:
            return made
    maker = getattr(owner.kind, "get_default_config", None)
    if callable(maker):
        return _filled(call.invoke(maker), sizes)
    if p.default is not p.empty and _sizes_in(p.default, sizes):
        return _filled(call.invoke(copy.deepcopy, p.default), sizes)
    return _of_module(sizes, owner)


def _of_module(sizes: Sizes, owner: Owner) -> Any:
    """A class of the module, or a value in it, that holds sizes."""
    name = plain(getattr(owner.kind, "__name__", ""))
    things = owner.namespace
    classes = [v for n, v in things.items() if inspect.isclass(v) and plain(n).endswith(ENDINGS) and _takes(v, sizes)]
    for found in sorted(classes, key=lambda c: -_common_letters(plain(c.__name__), name)):
        made = _record(found, sizes)
        if made is not None:
            return made
    values = [v for n, v in things.items() if not n.startswith("_") and len(_sizes_in(v, sizes)) >= 2]
    return _filled(call.invoke(copy.deepcopy, values[0]), sizes) if values else Namespace(sizes)


def _common_letters(one: str, other: str) -> int:
    """How many letters two names begin with together."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _takes(kind: type, sizes: Sizes) -> bool:
    """Whether a class takes or holds two sizes or more."""
    return sum(p.name in sizes for p in named_parameters(kind)) >= 2 or len(_sizes_in(kind, sizes)) >= 2


def _record(kind: type, sizes: Sizes) -> Any:
    """An instance of a class of configurations, or None where it takes no name that is known."""
    parameters = named_parameters(kind)
    names = [p.name for p in parameters]
    if not any(sizes.known(name, names) for name in names):
        if len(_sizes_in(kind, sizes)) < 2:
            return None
        try:
            return _filled(call.invoke(kind), sizes)  # a class whose attributes are the defaults
        except TypeError:
            return None
    given = {}
    switches = [plain(p.name) for p in parameters if p.default is False]
    off = {word.removeprefix("use") for word in switches if word.startswith("use")}
    for p in parameters:
        if sizes.known(p.name, names):
            if plain(p.name) not in off and sizes.means(p.name, p.default, names):
                given[p.name] = sizes.value(p.name, names, note=False)
        elif is_narrow(p.default):
            given[p.name] = torch.float32
        elif p.default is p.empty:
            if plain(p.name) not in LAST_RESORTS:
                raise CannotBuild(
                    f"{kind.__name__} needs {p.name!r}, whose meaning its name does not tell. Give it a default, or "
                    "say how the model is built: def build(config): ..."
                )
            given[p.name] = LAST_RESORTS[plain(p.name)]
    made = call.invoke(kind, **given)
    for name in given:
        if name in sizes and getattr(made, name, given[name]) is not None:  # a window that is off is not taken
            sizes.value(name, names)
    return _nested_filled(made, sizes)


def named_parameters(kind: Any) -> list[inspect.Parameter]:
    """The arguments of a class or function that have a name; none where it has no signature."""
    return [p for p in parameters_of(kind) or () if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def _sizes_in(value: Any, sizes: Sizes) -> list[str]:
    """Names of sizes that a dictionary, or the attributes of a record, hold as numbers."""
    if isinstance(value, Mapping):
        held: Mapping[Any, Any] = value
    elif inspect.isclass(value) or hasattr(value, "__dict__"):
        held = {**(vars(type(value)) if not inspect.isclass(value) else {}), **vars(value)}
    else:
        return []
    if inspect.ismodule(value) or (callable(value) and not inspect.isclass(value)):
        return []
    return [
        n for n, v in held.items() if isinstance(n, str) and n in sizes and (v is None or isinstance(v, (int, float)))
    ]


def _nested_filled(record: Any, sizes: Sizes) -> Any:
    """The record with these sizes in the dictionaries that it holds, and in those in them (``rope_parameters``)."""
    for name, value in list(getattr(record, "__dict__", {}).items()):
        if isinstance(value, dict) and not name.startswith("_"):
            filled = _dictionary_filled(value, sizes)
            if filled != value:
                object.__setattr__(record, name, filled)
    return record


def _dictionary_filled(held: dict[Any, Any], sizes: Sizes) -> dict[Any, Any]:
    """A copy in which the names of sizes that hold a number hold the sizes; dictionaries in it too."""
    names, filled = [name for name in held if isinstance(name, str)], dict(held)
    for name in names:
        value = held[name]
        if isinstance(value, dict):
            filled[name] = _dictionary_filled(value, sizes)
        elif type(value) in (int, float) and name in sizes and sizes.means(name, value, names):
            filled[name] = sizes.value(name, names)
    return filled


def _filled(record: Any, sizes: Sizes) -> Any:
    """The record with these sizes in it; what else it holds stays."""
    if isinstance(record, MutableMapping):
        names = [n for n in record if isinstance(n, str)]
        filled = [n for n in names if sizes.known(n, names) and sizes.means(n, record[n], names)]
        record.update({n: sizes.value(n, names) for n in filled})
        record.update({n: torch.float32 for n in names if is_narrow(record[n])})
        return record
    held = {n for n in (*vars(type(record)), *getattr(record, "__dict__", {})) if not n.startswith("_")}
    names = sorted(held)
    for name in names:
        value = getattr(record, name, None)
        if sizes.known(name, names) and not callable(value) and sizes.means(name, value, names):
            object.__setattr__(record, name, sizes.value(name, names))
        elif is_narrow(value):
            object.__setattr__(record, name, torch.float32)
    return record


def is_narrow(value: Any) -> bool:
    """Whether a setting is a dtype of 16 bits: what is cast to it while it runs is judged in float32."""
    return value in (torch.bfloat16, torch.float16) if isinstance(value, torch.dtype) else False
