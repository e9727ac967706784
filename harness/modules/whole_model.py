"""A component that is about how a whole model is made and used, not about what one call of it computes.

Whoever has a module for the whole (found among classes, or declared) has these components too: its contract sheet says
how they are run on a built module, see :class:`harness.core.contract.WholeModel`.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy
import torch
from torch import nn

from harness.core.claim import NotSupported
from harness.core.contract import Contract
from harness.core.implementation import Request
from harness.core.tree import map_leaves
from harness.core.values import Settings, TrackedSettings
from harness.execution.environment import restored
from harness.execution.functions import ClassAdapter, FunctionAdapter
from harness.execution.session import Adapter, Session
from harness.modules.adapter import Holder, ModuleAdapter
from harness.modules.parameter_values import values_for
from harness.stubs.dependencies import as_a_whole


class Built:
    """One whole model as its constructor left it. ``module``: theirs."""

    def __init__(self, adapter: ModuleAdapter, config: Settings, made: Holder) -> None:
        self.adapter, self.config, self.holder = adapter, config, made
        self.module: nn.Module = made.inner

    def __call__(self, *inputs: Any) -> Any:
        """What it computes of its inputs: the tensor that its contract speaks of."""
        how = self.adapter.calling
        returned = self.holder(*inputs, **dict.fromkeys(how.options, inputs[0]))
        return self.adapter.output_of(returned, inputs[0])

    def with_tensors(self, named: Mapping[str, torch.Tensor], *inputs: Any) -> Any:
        """What it computes with these tensors in the place of its parameters, each under its own name alone."""
        given = {f"inner.{name}": tensor for name, tensor in named.items()}
        options = dict.fromkeys(self.adapter.calling.options, inputs[0])
        returned = torch.func.functional_call(self.holder, given, inputs, options, tie_weights=False)
        return self.adapter.output_of(returned, inputs[0])

    def around(self, module: nn.Module) -> Built:
        """The same for another module of theirs: a copy of this one, say."""
        return Built(self.adapter, self.config, Holder(module, self.adapter.declaration.call))

    def another(self) -> Built:
        """A second one of the same sizes, built anew."""
        return _built(self.adapter, self.config)

    def places(self, weights: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        """Weights of the contract, each as it would stand in their parameter: by the names of their parameters.

        Every name under which a parameter is known, also where several names are one parameter or hold copies.
        """
        arguments = {self._weights_argument(): weights, "config": self.config}
        plan = self.adapter.plan_for(self.module, arguments)
        given = values_for(plan, self.module, arguments)
        live = dict(self.module.named_parameters(remove_duplicate=False))
        by_tensor = {id(live[name]): value for name, value in given.items()}
        return {name: by_tensor[id(tensor)] for name, tensor in live.items() if id(tensor) in by_tensor}

    def names_of(self, weights: Mapping[str, Any], *names: str) -> list[str]:
        """Under which names their module holds these of the contract's tensors (at the top of ``weights``)."""
        marked = map_leaves(
            dict(weights),
            lambda path, leaf: torch.full_like(leaf, float(path[0] in names)) if torch.is_tensor(leaf) else leaf,
        )
        return [name for name, value in self.places(marked).items() if bool((value == 1).all())]

    def load(self, weights: Mapping[str, Any]) -> None:
        """Copy the contract's weights into their parameters."""
        live = dict(self.module.named_parameters(remove_duplicate=False))
        with torch.no_grad():
            for name, value in self.places(weights).items():
                live[name].copy_(value)

    def weights(self, like: Mapping[str, Any]) -> Any:
        """What their parameters hold, as the contract's weights; None where they have no such tensor. ``like``: the form."""
        sizes: dict[tuple[Any, ...], tuple[int, int]] = {}
        at = 1

        def numbered(path: tuple[Any, ...], leaf: Any) -> Any:
            nonlocal at
            if not torch.is_tensor(leaf):
                return leaf
            sizes[path] = (at, at + leaf.numel())
            at += leaf.numel()
            return torch.arange(*sizes[path], dtype=torch.float64).reshape(leaf.shape)

        places = self.places(map_leaves(dict(like), numbered))
        live = dict(self.module.named_parameters(remove_duplicate=False))
        dtype = next(iter(live.values())).dtype
        flat = torch.zeros(at, dtype=dtype)
        seen = torch.zeros(at, dtype=torch.bool)
        for name, value in reversed(places.items()):  # the first name of a tensor that is held twice counts
            where = value.long().flatten()
            flat[where], seen[where] = live[name].detach().flatten().cpu(), True
        seen[0] = False

        def found(path: tuple[Any, ...], leaf: Any) -> Any:
            if path not in sizes:
                return leaf
            start, stop = sizes[path]
            return flat[start:stop].reshape(leaf.shape).clone() if bool(seen[start:stop].all()) else None

        return map_leaves(dict(like), found)

    def _weights_argument(self) -> str:
        return self.adapter.contract.arguments("parameter")[0].name


def _built(
    adapter: ModuleAdapter, config: Settings, seed: int | None = None, dtype: torch.dtype | None = None
) -> Built:
    if seed is not None:
        torch.manual_seed(seed)
        numpy.random.seed(seed % 2**32)
        random.seed(seed)
    made = adapter.declaration.factory(TrackedSettings(config))
    if not isinstance(made, nn.Module):
        raise NotSupported(f"{adapter.contract.name} is a function: what is built, and how, is not seen")
    return Built(adapter, config, Holder(made.to(dtype) if dtype is not None else made, adapter.declaration.call))


class Making:
    """Builds whole models for a contract sheet."""

    def __init__(self, adapter: ModuleAdapter) -> None:
        self.adapter = adapter

    def __call__(self, config: Settings, *, seed: int | None = None, dtype: torch.dtype | None = None) -> Built:
        """One of these sizes. ``seed``: of all random generators, before its constructor is called."""
        self.adapter._probe()  # how it is called is seen once, on a small case
        if seed is None:
            return _built(self.adapter, config, None, dtype)
        with restored():
            return _built(self.adapter, config, seed, dtype)


class WholeAdapter(Adapter):
    """A component that is run on the modules of another."""

    kind = "class"

    def __init__(self, whole: ModuleAdapter, contract: Contract) -> None:
        assert contract.whole is not None
        self.whole, self.contract = whole, contract
        self.source = made = contract.whole.made(Making(whole))
        self.inner = FunctionAdapter(made) if contract.is_function else ClassAdapter(made)

    @property
    def place(self) -> tuple[str, int]:
        return self.whole.place

    @property
    def to_do(self) -> str:
        """Whether the whole is not written yet."""
        return as_a_whole(self.whole.source, self.whole.contract)

    @property
    def notes(self) -> tuple[str, ...]:
        return (f"run on the module of {self.whole.contract.name}", *self.whole._remarks)

    def session(self, contract: Contract, request: Request) -> Session:
        return self.inner.session(contract, request)


def beside(adapters: Mapping[str, Any], contracts: Mapping[str, Contract]) -> dict[str, WholeAdapter]:
    """The components that come with the modules of others, where nothing else was found for them."""
    found = {}
    for name, contract in contracts.items():
        whole = contract.whole and adapters.get(contract.whole.component)
        if contract.whole is None or name in adapters or not isinstance(whole, ModuleAdapter):
            continue
        if not contract.whole.method or callable(getattr(whole.source, contract.whole.method, None)):
            found[name] = WholeAdapter(whole, contract)
    return found
