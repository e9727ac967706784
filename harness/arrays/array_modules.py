"""A class that is no torch module, and holds arrays of its own, as one: NumPy, JAX, equinox, flax.nnx, plain torch.

What finds, builds, matches and calls torch modules then serves for it. Its arrays are the parameters, under their
paths.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy
import torch
from torch import nn

from harness.arrays.array_call import ArrayCall, Call
from harness.arrays.held import Held, Path, held_by, owner_of
from harness.arrays.libraries import KINDS

DRAWN = ("key", "rngs", "rng", "prng_key")
"""Arguments from which a constructor or a call draws numbers: no size, and filled in here."""

WEIGHTS = ("kernel", "embedding")


class ArrayModule(nn.Module):
    """An object of ``own_class``, whose arrays are ``library``'s, behind the parameters of a torch module."""

    own_class: type
    library: str
    maps: bool
    """Whether it may be written for one example, as equinox modules are: then it is mapped over the leading axes."""
    leads: dict[Any, int]
    remarks: tuple[str, ...]
    usual_layout = "in_out"
    """Arrays that are no layer's are mostly multiplied from the right."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__()
        made = self.own_class(*given, **options, **_drawn(self.own_class))
        self.__dict__["_held"] = held_by(made)
        known: dict[int, nn.Parameter] = {}
        self.__dict__["_names"] = names = dict[Path, str]()
        for path, array in self._held.arrays.items():
            if id(array) not in known:  # an array under two names is one parameter under both
                known[id(array)] = nn.Parameter(_as_tensor(self.library, array))
            named = _in_torch_words(path)
            names[path] = ".".join(named)
            _put(self, named, known[id(array)], _layer(owner_of(made, path), path))

    @property
    def _held(self) -> Held:
        held: Held = self.__dict__["_held"]
        return held

    def _called(self, *given: Any, **options: Any) -> Any:
        """What their object returns for these tensors, as tensors."""
        mine = dict(self.named_parameters(remove_duplicate=False))
        learned = {path: mine[name] for path, name in self.__dict__["_names"].items()}
        options |= _drawn(_method(self.own_class))
        call = Call(self._held, learned, given, options, self.leads if self.maps else None)
        return ArrayCall(KINDS[self.library](), call).result()


def _as_tensor(library: str, array: Any) -> torch.Tensor:
    value = KINDS[library]().give(array)
    tensor: torch.Tensor = value if torch.is_tensor(value) else torch.from_numpy(numpy.array(array))
    return tensor.detach().clone()


def _in_torch_words(path: Path) -> list[str]:
    """The steps of a path; the matrix of a layer, which flax calls kernel or embedding, is its weight."""
    *between, last = map(str, path)
    return [*between, "weight" if between and last in WEIGHTS else last]


class _InOut(nn.Module):
    """A layer that keeps its matrix as [in, out]."""

    keeps_in_out = True


class _OutIn(nn.Linear):
    """One that keeps it as [out, in], as torch does."""

    def __init__(self) -> None:
        nn.Module.__init__(self)


class _Table(nn.Embedding):
    """One that looks rows up."""

    def __init__(self) -> None:
        nn.Module.__init__(self)


def _layer(owner: Any, path: Path) -> nn.Module:
    """What stands for a layer of theirs: its type tells how it keeps its matrix."""
    name = type(owner).__name__.lower()
    if name in ("embedding", "embed"):
        return _Table()
    if path[-1] == "kernel":
        return _InOut()
    is_equinox = type(owner).__module__.partition(".")[0] == "equinox"
    return _OutIn() if is_equinox and name == "linear" else nn.Module()


def _put(module: nn.Module, path: Sequence[str], parameter: nn.Parameter, layer: nn.Module) -> None:
    """Registers it under its path; ``layer`` holds it, where it is in a layer."""
    *between, last = path
    for at, name in enumerate(between):
        if name not in module._modules:
            module.add_module(name, layer if at == len(between) - 1 else nn.Module())
        module = module._modules[name]  # type: ignore[assignment]
    module.register_parameter(last, parameter)


def _drawn(function: Callable[..., Any]) -> dict[str, Any]:
    """Values for the arguments of a constructor or a call from which it draws numbers, from torch's generator."""
    found: dict[str, Any] = {}
    for p in _parameters(function):
        if p.name in DRAWN and (p.default is p.empty or p.default is None):
            found[p.name] = _source_of_numbers(p.name, function)
    return found


def _source_of_numbers(name: str, function: Callable[..., Any]) -> Any:
    seed = int(torch.randint(2**31, ()))
    if name == "rngs":
        return importlib.import_module("flax.nnx").Rngs(seed)
    if name == "rng" and "jax" not in _imports(function):
        return numpy.random.default_rng(seed)
    return importlib.import_module("jax").random.PRNGKey(seed)


def _imports(function: Callable[..., Any]) -> set[str]:
    method = function.__init__ if inspect.isclass(function) else function
    values = getattr(inspect.unwrap(method), "__globals__", {}).values()
    return {value.__name__.partition(".")[0] for value in values if inspect.ismodule(value)}


def _parameters(function: Any) -> list[inspect.Parameter]:
    """Those of a function; of a class those of its ``__init__``, whatever its metaclass takes."""
    of_class = inspect.isclass(function)
    try:
        found = list(inspect.signature(function.__init__ if of_class else function).parameters.values())
    except (TypeError, ValueError):
        return []
    return found[1:] if of_class else found


def _method(kind: type) -> Any:
    """What is called for its result: ``__call__``, ``forward`` or ``call``; None where it has none of its own."""
    for name in ("__call__", "forward"):
        method = inspect.getattr_static(kind, name, None)
        is_static = isinstance(method, (staticmethod, classmethod))
        if callable(method) and not is_static and inspect.isfunction(inspect.unwrap(method)):
            return getattr(kind, name)
    return None


def is_array_class(kind: Any) -> bool:
    """Whether a class that is no torch module is called for a result."""
    if not inspect.isclass(kind) or issubclass(kind, (nn.Module, torch.autograd.Function, BaseException)):
        return False
    return _method(kind) is not None


@functools.cache
def as_module_class(kind: type, library: str) -> type[ArrayModule]:
    """A torch module class of the same name and place, with the same arguments."""
    method = _method(kind)

    @functools.wraps(kind.__init__)  # type: ignore[misc]
    def __init__(self: ArrayModule, *given: Any, **options: Any) -> None:
        ArrayModule.__init__(self, *given, **options)

    @functools.wraps(method)
    def forward(self: ArrayModule, *given: Any, **options: Any) -> Any:
        return self._called(*given, **options)

    inside: Mapping[str, Any] = {
        "own_class": kind,
        "library": library,
        "maps": library == "jax",
        "leads": {},
        "remarks": (f"it is no torch module; its arrays are {KINDS[library].title}'s",),
        "__init__": __init__,
        "forward": forward,
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__doc__": kind.__doc__,
        "__signature__": inspect.Signature([p for p in _parameters(kind) if p.name not in DRAWN]),
    }
    lines = {name: vars(kind)[name] for name in ("__firstlineno__",) if name in vars(kind)}
    return type(kind.__name__, (ArrayModule,), {**inside, **lines})
