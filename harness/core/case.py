"""A case: a few calls with all their arguments. It can be printed, changed, saved, replayed and sent elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeGuard

import torch

from harness.core.tree import Path, dotted, leaves, map_leaves

CALL = "call"
"""The method name of a component that is a plain function."""
HARNESS_STEP = "ours"
"""The method name of a step of the harness's own (the value stands in saved cases); see :func:`harness_step`."""


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a case: which method, with which arguments (None stands for an optional one that is left out).

    ``of``: the name of the object it is a method of, where the case builds several.
    """

    method: str
    arguments: Mapping[str, Any]
    of: str = ""

    def with_arguments(self, arguments: Mapping[str, Any]) -> Call:
        """The same call with other arguments."""
        return replace(self, arguments=arguments)


def harness_step(do: str, **arguments: Any) -> Call:
    """A step that the harness takes itself between the calls: it calls its own ``package.module:function``.

    For what passes between the calls and is neither tensor nor number: a model, an optimizer, a folder. Later calls can
    be handed what it returns (:class:`harness.core.values.Earlier`); the answer holds the name of its class instead.
    """
    return Call(HARNESS_STEP, {"do": do, **arguments})


@dataclass(frozen=True)
class Chosen:
    """That a case is one of a telling set, the same in every run.

    ``needed_by``: the tests of claims that few other cases say something about. ``is_edge``: a size of it was set, for
    agreement alone.
    """

    needed_by: frozenset[Any] = frozenset()
    is_edge: bool = False


@dataclass(frozen=True, eq=False)
class Case:
    """Calls in order.

    ``dimensions``: the named sizes it was generated with; ``family``: the kind of values in its tensors. ``chosen``:
    where it, or the case that it was made from, is one of a telling set.
    """

    calls: tuple[Call, ...]
    dimensions: Mapping[str, int] = field(default_factory=dict)
    family: str = ""
    chosen: Chosen | None = None

    @classmethod
    def of(cls, arguments: Mapping[str, Any], *, family: str = "", **dimensions: int) -> Case:
        """The case of a plain function: one call."""
        return cls((Call(CALL, dict(arguments)),), dimensions, family)

    @property
    def arguments(self) -> Mapping[str, Any]:
        """The arguments of the last call (the only one of a plain function)."""
        return self.calls[-1].arguments

    def changed(self, **arguments: Any) -> Case:
        """The same case with other arguments in its last call, tensors made contiguous."""
        return self.strided(**{k: map_leaves(v, lambda _, leaf: _in_order(leaf)) for k, v in arguments.items()})

    def strided(self, **arguments: Any) -> Case:
        """As ``changed``; tensors keep their strides."""
        last = self.calls[-1]
        return replace(self, calls=(*self.calls[:-1], last.with_arguments({**last.arguments, **arguments})))

    def followed_by(self, *calls: Call) -> Case:
        """The same case with more calls at its end."""
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
                    digest.update(_bytes_of(leaf))
                else:
                    digest.update(repr(leaf).encode("utf-8", "surrogatepass"))
        return digest.hexdigest()


def _bytes_of(tensor: torch.Tensor) -> bytes:
    """The numbers of a tensor in order, whatever its strides (an axis of size 1 may have any)."""
    flat = torch.empty(tensor.numel(), dtype=tensor.dtype)
    flat.copy_(tensor.detach().reshape(-1))
    return flat.view(torch.uint8).numpy().tobytes()


def _in_order(leaf: Any) -> Any:
    return leaf.contiguous() if torch.is_tensor(leaf) else leaf


def is_float(leaf: Any) -> TypeGuard[torch.Tensor]:
    """Whether a leaf is a tensor of floating-point numbers."""
    return isinstance(leaf, torch.Tensor) and leaf.is_floating_point()
