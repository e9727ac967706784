"""The parameters of a run: their names, and small copies of their values and gradients at certain moments."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator

import torch
from torch import nn

SAMPLED = 16384
"""So many values of a tensor, evenly spread, stand for all of them; a smaller tensor is taken whole."""


def sample(tensor: torch.Tensor) -> torch.Tensor:
    """A copy of evenly spread values of a tensor, in one dimension."""
    values = tensor.detach()
    values = values.to_dense() if values.is_sparse else values
    flat = values.reshape(-1)
    return flat[:: max(1, flat.numel() // SAMPLED)].clone()


def is_same(one: torch.Tensor | None, other: torch.Tensor | None) -> bool:
    """Whether two samples hold the same values; not-a-number equals itself."""
    if one is None or other is None:
        return one is other
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return torch.equal(one, other) or torch.equal(one.nan_to_num(nan=1.5), other.nan_to_num(nan=1.5))


class Tracked:
    """One parameter. ``used``: its gradient when an optimiser's step last used it; ``left``: its gradient when the last
    backward pass or clip ended, as long as no step has used that; ``values``: its values when they were last looked at.
    """

    def __init__(self, name: str, tensor: torch.Tensor) -> None:
        self.name = name
        self._tensor = weakref.ref(tensor)
        self.used: torch.Tensor | None = None
        self.left: torch.Tensor | None = None
        self.values: torch.Tensor | None = None

    @property
    def tensor(self) -> torch.Tensor | None:
        """The parameter itself, while it lives."""
        return self._tensor()


class ModuleTree:
    """Which module holds which, as registered while the run is watched."""

    def __init__(self) -> None:
        self._parents: dict[int, tuple[weakref.ref[nn.Module], weakref.ref[nn.Module]]] = {}
        self._numbers: dict[int, tuple[weakref.ref[nn.Module], int]] = {}

    def registered(self, parent: nn.Module, name: str, child: nn.Module | None) -> None:
        """A module became a part of another (a hook of torch)."""
        if child is not None:
            self._parents[id(child)] = (weakref.ref(child), weakref.ref(parent))

    def root(self, module: nn.Module) -> nn.Module:
        """The module at the top of the tree that this one stands in."""
        seen = set()
        while id(module) in self._parents and id(module) not in seen:
            seen.add(id(module))
            child, parent = self._parents[id(module)]
            above = parent()
            if child() is not module or above is None or all(part is not module for part in above.children()):
                break
            module = above
        return module

    def number(self, module: nn.Module) -> int:
        """A number of a root, in order of first appearance."""
        found = self._numbers.get(id(module))
        if found is None or found[0]() is not module:
            found = (weakref.ref(module), len(self._numbers))
            self._numbers[id(module)] = found
        return found[1]


class Parameters:
    """Every parameter that took part, by the tensor and in order."""

    def __init__(self) -> None:
        self._by_id: dict[int, Tracked] = {}
        self._taken: dict[str, int] = {}
        self._known_roots: dict[int, weakref.ref[nn.Module]] = {}

    def __iter__(self) -> Iterator[tuple[Tracked, torch.Tensor]]:
        for each in list(self._by_id.values()):
            tensor = each.tensor
            if tensor is not None:
                yield each, tensor

    def of(self, tensor: torch.Tensor) -> Tracked:
        """What is known of a parameter; it is tracked from now on."""
        found = self._by_id.get(id(tensor))
        if found is None or found.tensor is not tensor:
            found = self._add("parameter", tensor)
        return found

    def knows(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor is tracked."""
        found = self._by_id.get(id(tensor))
        return found is not None and found.tensor is tensor

    def adopt(self, root: nn.Module) -> None:
        """Track the parameters of a module, by their names in it."""
        for name, tensor in root.named_parameters():
            if not self.knows(tensor):
                self._add(name, tensor)

    def names(self, tensors: Iterable[torch.Tensor]) -> tuple[str, ...]:
        """The names of parameters; they are tracked from now on."""
        return tuple(self.of(tensor).name for tensor in tensors)

    def _add(self, name: str, tensor: torch.Tensor) -> Tracked:
        count = self._taken[name] = self._taken.get(name, 0) + 1
        tracked = Tracked(name if count == 1 else f"{name} ({count})", tensor)
        self._by_id[id(tensor)] = tracked
        return tracked
