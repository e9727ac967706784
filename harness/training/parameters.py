"""The parameters of a run: their names, and small copies of their values and gradients at certain moments."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator

import torch
from torch import nn

from harness.training.places import Place

NAMELESS = "parameter"
"""What a parameter of no known module is called."""
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
    backward pass or clip ended, as long as no step has used that; ``changed``: whether its values ever
    changed without an optimiser. ``last``: its gradient when the last backward pass
    ended, used or not; ``values``: its values when they were last looked at.
    """

    def __init__(self, name: str, tensor: torch.Tensor) -> None:
        self.name = name
        self._tensor = weakref.ref(tensor)
        self.is_nameless = False
        self.used: torch.Tensor | None = None
        self.left: torch.Tensor | None = None
        self.last: torch.Tensor | None = None
        self.changed = False
        self.values: torch.Tensor | None = None

    def rename(self, name: str) -> None:
        """Its name in a module, where it had none."""
        self.name, self.is_nameless = name, False

    @property
    def tensor(self) -> torch.Tensor | None:
        """The parameter itself, while it lives."""
        return self._tensor()


class ModuleTree:
    """Which module holds which, as registered while the run is watched."""

    def __init__(self) -> None:
        self._parents: dict[int, tuple[weakref.ref[nn.Module], weakref.ref[nn.Module]]] = {}
        self._numbers: dict[int, tuple[weakref.ref[nn.Module], int]] = {}
        self._holders: dict[int, tuple[weakref.ref[torch.Tensor], weakref.ref[nn.Module]]] = {}
        self.born: dict[int, Place] = {}
        """Where each parameter was put into a module, by its identity."""

    def registered(self, parent: nn.Module, name: str, child: nn.Module | None) -> None:
        """A module became a part of another (a hook of torch)."""
        if child is not None:
            self._parents[id(child)] = (weakref.ref(child), weakref.ref(parent))

    def holds(self, module: nn.Module, tensor: torch.Tensor | None, at: Place) -> None:
        """A module got a parameter (a hook of torch)."""
        if tensor is not None:
            self.born[id(tensor)] = at
            self._holders[id(tensor)] = (weakref.ref(tensor), weakref.ref(module))

    def is_beside_frozen(self, tensor: torch.Tensor) -> bool:
        """Whether the module of a parameter has another one that requires no gradient."""
        known = self._holders.get(id(tensor))
        holder = known[1]() if known is not None and known[0]() is tensor else None
        return holder is not None and any(not one.requires_grad for one in holder.parameters(recurse=False))

    def root_holding(self, tensor: torch.Tensor) -> nn.Module | None:
        """The root above the module that has this parameter, where it got it while the run was watched."""
        known = self._holders.get(id(tensor))
        holder = known[1]() if known is not None and known[0]() is tensor else None
        return self.root(holder) if holder is not None else None

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

    def __init__(self, tree: ModuleTree) -> None:
        self.tree = tree
        self._by_id: dict[int, Tracked] = {}
        self._taken: dict[str, int] = {}

    def __iter__(self) -> Iterator[tuple[Tracked, torch.Tensor]]:
        for each in list(self._by_id.values()):
            tensor = each.tensor
            if tensor is not None:
                yield each, tensor

    def of(self, tensor: torch.Tensor) -> Tracked:
        """What is known of a parameter; it is tracked from now on."""
        found = self._by_id.get(id(tensor))
        if found is None or found.tensor is not tensor:
            root = self.tree.root_holding(tensor)
            if root is not None:
                self.adopt(root)
            found = self._by_id.get(id(tensor))
        if found is None or found.tensor is not tensor:
            found = self._add(NAMELESS, tensor)
            found.is_nameless = True
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
            elif self._by_id[id(tensor)].is_nameless:
                self._by_id[id(tensor)].rename(self._unique(name))

    def names(self, tensors: Iterable[torch.Tensor]) -> tuple[str, ...]:
        """The names of parameters; they are tracked from now on."""
        return tuple(self.of(tensor).name for tensor in tensors)

    def forget(self) -> None:
        """Nothing is known of values and gradients any more: the run went on unwatched."""
        for each in self._by_id.values():
            each.used = each.left = each.last = each.values = None

    def _add(self, name: str, tensor: torch.Tensor) -> Tracked:
        tracked = self._by_id[id(tensor)] = Tracked(self._unique(name), tensor)
        return tracked

    def _unique(self, name: str) -> str:
        count = self._taken[name] = self._taken.get(name, 0) + 1
        return name if count == 1 else f"{name} ({count})"
