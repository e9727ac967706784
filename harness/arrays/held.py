"""The arrays that an object of somebody's class holds: found by path, and exchanged for one call."""

from __future__ import annotations

import sys
import types
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy
import torch

Path = tuple[str | int, ...]
LIBRARIES = frozenset(("torch", "numpy", "jax", "jaxlib", "builtins"))
"""Top-level packages whose objects hold no arrays of a person's own, but for containers."""
DEEPEST = 6
START = (0.0, 1.0)
"""What the first row of a table begins with: a mask, the cosines and sines of position 0."""


class Held(ABC):
    """The learned arrays of one object. ``arrays``: by path, in the order in which they are held."""

    def __init__(self, made: Any, arrays: dict[Path, Any]) -> None:
        self.made, self.arrays = made, arrays

    @abstractmethod
    def given(self, values: Mapping[Path, Any]) -> AbstractContextManager[Any]:
        """The object with these arrays in the place of its own, as long as this lasts."""


class InPlace(Held):
    """Arrays in attributes, lists and dictionaries of an object, and of the objects that it holds."""

    @contextmanager
    def given(self, values: Mapping[Path, Any]) -> Iterator[Any]:
        """The object itself; its own arrays are put back afterwards."""
        places = [(owner_of(self.made, path), path[-1]) for path in values]
        before = [get(owner, name) for owner, name in places]
        for (owner, name), value in zip(places, values.values(), strict=True):
            _set(owner, name, value)
        try:
            yield self.made
        finally:
            for (owner, name), value in zip(places, before, strict=True):
                _set(owner, name, value)


class Rebuilt(Held):
    """Arrays of an object that cannot be written to. ``rebuild``: makes one like it with other arrays."""

    def __init__(self, made: Any, arrays: dict[Path, Any], rebuild: Callable[[Mapping[Path, Any]], Any]) -> None:
        super().__init__(made, arrays)
        self.rebuild = rebuild

    @contextmanager
    def given(self, values: Mapping[Path, Any]) -> Iterator[Any]:
        """Another object, which holds these."""
        yield self.rebuild(values)


def held_by(made: Any) -> Held:
    """What an object holds, whichever library it is of."""
    if any(base.__module__.startswith("flax.nnx") for base in type(made).__mro__):
        return _of_nnx(made)
    jax = sys.modules.get("jax")
    if jax is not None and not jax.tree_util.all_leaves([made]):
        return _of_pytree(made)
    return InPlace(made, {path: value for path, value in _walked(made, (), set()) if not _is_beside(made, path, value)})


def _of_pytree(made: Any) -> Rebuilt:
    """An equinox module, a registered dataclass: what jax takes apart."""
    tree = sys.modules["jax"].tree_util
    found, shape = tree.tree_flatten_with_path(made)
    every = {tuple(_step(key) for key in path): leaf for path, leaf in found}

    def rebuild(values: Mapping[Path, Any]) -> Any:
        return tree.tree_unflatten(shape, [values.get(path, leaf) for path, leaf in every.items()])

    return Rebuilt(made, {p: v for p, v in every.items() if _is_array(v) and not _is_table(v)}, rebuild)


def _step(key: Any) -> str | int:
    """One step of a path in jax's words."""
    step: str | int = next(getattr(key, name) for name in ("name", "idx", "key") if hasattr(key, name))
    return step


def _of_nnx(made: Any) -> Rebuilt:
    """A module of flax.nnx: a graph, its parameters and its other state."""
    nnx = sys.modules["flax.nnx"]
    graph, parameters, rest = nnx.split(made, nnx.Param, ...)
    flat = dict(nnx.to_flat_state(parameters))

    def rebuild(values: Mapping[Path, Any]) -> Any:
        state = nnx.from_flat_state({p: v.replace(values[p]) if p in values else v for p, v in flat.items()})
        return nnx.merge(graph, state, rest)

    return Rebuilt(made, {path: held[...] for path, held in flat.items()}, rebuild)


# an object's own attributes ------------------------------------------------------------------------------------------


def _walked(thing: Any, path: Path, seen: set[int]) -> Iterator[tuple[Path, Any]]:
    """Every array of floating-point numbers in a thing, with its path. An array may be there under two names."""
    for name, value in _inside(thing):
        if _is_array(value):
            yield (*path, name), value
        elif len(path) < DEEPEST and id(value) not in seen:
            seen.add(id(value))
            yield from _walked(value, (*path, name), seen)


def _inside(thing: Any) -> list[tuple[str | int, Any]]:
    if isinstance(thing, dict):
        return [(name, value) for name, value in thing.items() if isinstance(name, (str, int))]
    if isinstance(thing, list):
        return list(enumerate(thing))
    top = type(thing).__module__.partition(".")[0]
    is_code = isinstance(thing, (type, types.ModuleType, types.FunctionType, types.MethodType))
    if is_code or top in LIBRARIES or top in sys.stdlib_module_names:
        return []
    return list(getattr(thing, "__dict__", {}).items())


def _is_array(value: Any) -> bool:
    """Whether it is an array of floating-point numbers, with an axis."""
    if torch.is_tensor(value):
        return value.is_floating_point() and value.dim() > 0
    is_theirs = isinstance(value, numpy.ndarray) or type(value).__module__.partition(".")[0] in ("jax", "jaxlib")
    if not is_theirs or not getattr(value, "ndim", 0):
        return False
    return str(value.dtype).startswith(("float", "bfloat"))


def _is_beside(made: Any, path: Path, value: Any) -> bool:
    """Whether an array is nothing learned: a table, or the place of another one's gradient."""
    owner, name = owner_of(made, path), path[-1]
    if isinstance(name, int):
        return _is_table(value)
    others = [other for other, _ in _inside(owner) if isinstance(other, str) and other != name]
    return _is_table(value) or any(name in gradient_names(other) for other in others)


def gradient_names(name: str) -> tuple[str, ...]:
    """What code calls the gradient of an attribute that is kept beside it."""
    return f"grad_{name}", f"d{name}", f"d_{name}", f"{name}_grad", f"{name}_gradient", f"grad{name}"


def _is_table(value: Any) -> bool:
    """Whether an array begins as masks and tables of positions do, and no drawn weights: with zeros and ones, and then
    other numbers."""
    numbers = numpy.asarray(value.detach().cpu() if torch.is_tensor(value) else value, dtype=numpy.float64)
    if numbers.size < 2 or (numbers == numbers.flat[0]).all():
        return False
    first = numbers if numbers.ndim == 1 else numbers.reshape(-1, numbers.shape[-1])[0]
    return bool(numpy.isin(first[:1] if numbers.ndim == 1 else first, (*START, -numpy.inf)).all())


def owner_of(thing: Any, path: Path) -> Any:
    """What holds the array at a path."""
    for step in path[:-1]:
        thing = get(thing, step)
    return thing


def get(owner: Any, name: str | int) -> Any:
    """One entry or attribute of what holds arrays."""
    return owner[name] if isinstance(name, int) or isinstance(owner, dict) else getattr(owner, name)


def _set(owner: Any, name: str | int, value: Any) -> None:
    if isinstance(owner, (dict, list)):
        owner[name] = value  # type: ignore[index]
    else:
        setattr(owner, str(name), value)
