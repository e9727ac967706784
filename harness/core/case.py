"""A case: a short script of calls with every argument. It can be printed, changed, saved, replayed and sent elsewhere."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeGuard

import torch

from harness.core.tree import Path, dotted, leaves, map_leaves

CALL = "call"
"""The method name of a component that is a plain function."""
OURS = "ours"
"""The method name of a line that the executor runs itself, between the calls of somebody's code; see :func:`ours`."""


@dataclass(frozen=True)
class Settings:
    """A frozen record of named numbers (a model's sizes), read by attribute or by item; unknown names list the known ones."""

    values: tuple[tuple[str, Any], ...]

    def __init__(self, **values: Any) -> None:
        object.__setattr__(self, "values", tuple(values.items()))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "values":
            raise AttributeError(name)
        for known, value in self.values:
            if known == name:
                return value
        raise AttributeError(f"no setting {name!r}; there are: {', '.join(known for known, _ in self.values)}")

    def __getitem__(self, name: str) -> Any:
        try:
            return getattr(self, name)
        except AttributeError as error:
            raise KeyError(str(error)) from None

    def __contains__(self, name: object) -> bool:
        return any(known == name for known, _ in self.values)

    def as_dict(self) -> dict[str, Any]:
        return dict(self.values)

    def __repr__(self) -> str:
        return "(" + ", ".join(f"{name}={value!r}" for name, value in self.values) + ")"


@dataclass(frozen=True)
class Resource:
    """An argument by name, ``package.module:function``, that the executor makes anew for every run of the script.

    For what is large, and for what is no tensor or number, like a model to train: ``arguments`` are plain values that the
    function is called with.
    """

    where: str
    arguments: tuple[Any, ...] = ()

    def load(self) -> Any:
        return named(self.where)(*self.arguments)

    def __repr__(self) -> str:
        return f"{self.where.rpartition(':')[2]}({', '.join(map(repr, self.arguments))})"


@dataclass(frozen=True)
class Earlier:
    """What an earlier line of the same script returned, handed on as it is: a quantizer's own scale, say.

    The latest call of ``method`` (``back`` of its calls before that one), and one entry of what it returned, or all of
    it where ``entry`` is None.
    """

    method: str
    entry: int | None = None
    back: int = 0

    def __repr__(self) -> str:
        entry = "" if self.entry is None else f"[{self.entry}]"
        return f"{self.method}(){entry}" + (f" of {self.back} before" if self.back else "")


@dataclass(frozen=True)
class Given:
    """The very object that the latest call of ``method`` was handed as ``argument``: a model that was to be trained, say."""

    method: str
    argument: str

    def __repr__(self) -> str:
        return f"the {self.argument} of {self.method}()"


@dataclass(frozen=True, eq=False)
class Call:
    """One line of a script: which method, with which arguments (``None`` stands for an optional one left out).

    ``of``: which of the objects that the script builds it is about, where several are in use at once.
    """

    method: str
    arguments: Mapping[str, Any]
    of: str = ""

    def with_arguments(self, arguments: Mapping[str, Any]) -> Call:
        """The same line with other arguments."""
        return replace(self, arguments=arguments)


def ours(do: str, **arguments: Any) -> Call:
    """A line that the executor runs itself: calls ``package.module:function`` of ours, to prepare or to look at something.

    For what passes between their calls and is neither tensor nor number: a model, an optimiser, a folder. Such results
    can be handed on (:class:`Earlier`); in the answer stands the name of their class.
    """
    return Call(OURS, {"do": do, **arguments})


def named(where: str) -> Callable[..., Any]:
    """The function ``package.module:function``."""
    module, _, name = where.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


@dataclass(frozen=True, eq=False)
class Case:
    """A script of calls. ``dimensions`` are the named sizes it was drawn with, ``family`` the kind of values."""

    calls: tuple[Call, ...]
    dimensions: Mapping[str, int] = field(default_factory=dict)
    family: str = ""

    @classmethod
    def of(cls, arguments: Mapping[str, Any], *, family: str = "", **dimensions: int) -> Case:
        """The case of a plain function: one call."""
        return cls((Call(CALL, dict(arguments)),), dimensions, family)

    @property
    def arguments(self) -> Mapping[str, Any]:
        """The arguments of the last call (the only one of a plain function)."""
        return self.calls[-1].arguments

    def changed(self, **arguments: Any) -> Case:
        """The same case with other arguments in its last call, tensors laid out in memory in order (a slice is not)."""
        return self.strided(**{k: map_leaves(v, lambda _, leaf: _in_order(leaf)) for k, v in arguments.items()})

    def strided(self, **arguments: Any) -> Case:
        """As ``changed``, tensors as they lie in memory."""
        last = self.calls[-1]
        return replace(self, calls=(*self.calls[:-1], last.with_arguments({**last.arguments, **arguments})))

    def followed_by(self, *calls: Call) -> Case:
        """The same script with more lines."""
        return replace(self, calls=(*self.calls, *calls))

    def without(self, names: Collection[str]) -> Case:
        """None in the place of every argument, or entry of one, with one of these names."""

        def emptied(value: Any, name: str) -> Any:
            if name in names:
                return None
            if isinstance(value, dict):
                return {k: emptied(v, k) for k, v in value.items()}
            return [emptied(v, "") for v in value] if isinstance(value, list) else value

        calls = tuple(c.with_arguments({k: emptied(v, k) for k, v in c.arguments.items()}) for c in self.calls)
        return replace(self, calls=calls)

    def mapped(self, change: Callable[[Path, Any], Any]) -> Case:
        """Every leaf argument replaced by ``change((call index, argument name, ...), leaf)``."""
        return replace(
            self,
            calls=tuple(
                call.with_arguments({k: map_leaves(v, change, (i, k)) for k, v in call.arguments.items()})
                for i, call in enumerate(self.calls)
            ),
        )

    @cached_property
    def has_floats(self) -> bool:
        """Whether any argument is a tensor of floating-point numbers."""
        return any(is_float(tensor) for _, tensor in self.tensors())

    def cast(self, dtype: torch.dtype) -> Case:
        """Every floating-point tensor in this dtype; the same case where there is none."""
        if not self.has_floats:
            return self
        return self.mapped(lambda _, leaf: leaf.to(dtype) if is_float(leaf) else leaf)

    def tensors(self) -> list[tuple[str, torch.Tensor]]:
        """Every tensor argument with its dotted name, in order."""
        found = []
        for call in self.calls:
            found += [(dotted(path), leaf) for path, leaf in leaves(dict(call.arguments)) if torch.is_tensor(leaf)]
        return found

    @cached_property
    def key(self) -> str:
        """A digest of the whole content: equal cases have equal keys in every process."""
        digest = hashlib.sha1(usedforsecurity=False)
        for call in self.calls:
            digest.update(f"|{call.of}.{call.method}".encode() if call.of else f"|{call.method}".encode())
            for path, leaf in leaves(dict(call.arguments)):
                digest.update(f"|{dotted(path)}:".encode())
                if torch.is_tensor(leaf):
                    digest.update(f"{leaf.dtype}{tuple(leaf.shape)}{leaf.stride()}".encode())
                    digest.update(leaf.detach().contiguous().reshape(-1).view(torch.uint8).cpu().numpy().tobytes())
                else:
                    digest.update(repr(leaf).encode("utf-8", "surrogatepass"))
        return digest.hexdigest()


def _in_order(leaf: Any) -> Any:
    return leaf.contiguous() if torch.is_tensor(leaf) else leaf


def is_float(leaf: Any) -> TypeGuard[torch.Tensor]:
    """Whether a leaf is a tensor of floating-point numbers."""
    return isinstance(leaf, torch.Tensor) and leaf.is_floating_point()
