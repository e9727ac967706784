"""A component that is about how a whole model is made and used, not about what one call of it computes.

An implementation that has a module for the model (found among classes, or declared) has these components too: their
contract sheet says how they are run on a built module, see :class:`harness.core.contract.WholeModel`.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping
from typing import Any

import numpy
import torch
from torch import nn

from harness.core.claim import NotSupported
from harness.core.contract import Contract
from harness.core.errors import OtherSize
from harness.core.implementation import OfferKind, Request
from harness.core.tree import Path, map_leaves
from harness.core.values import Settings, TrackedSettings
from harness.execution import call
from harness.execution.environment import restored
from harness.execution.functions import ClassAdapter, FunctionAdapter
from harness.execution.session import Adapter, Session
from harness.modules.adapter import ModuleAdapter
from harness.modules.holder import Holder
from harness.modules.parameter_values import values_for
from harness.stubs.dependencies import as_a_whole


class BuiltModel:
    """One model as its constructor left it. ``module``: the implementation's own."""

    def __init__(self, adapter: ModuleAdapter, config: Settings, made: Holder) -> None:
        self.adapter, self.config, self.holder = adapter, config, made
        self.module: nn.Module = made.inner

    def __call__(self, *inputs: Any) -> Any:
        """The tensor that its contract asks for. Raises TimedOut where a trial call of the model did not end."""
        return self.adapter.output_of(self.returned(*inputs), inputs[0])

    def returned(self, *inputs: Any, **more: Any) -> Any:
        """What it returns as it is, with ``more`` arguments of its own forward pass. Raises TimedOut too."""
        self.adapter.raise_timed_out()
        options = dict.fromkeys(self.adapter.calling.options, inputs[0])
        return call.invoke(self.holder, *inputs, **options, **more)

    def with_tensors(self, named: Mapping[str, torch.Tensor], *inputs: Any) -> Any:
        """Its output with these tensors in the place of its parameters, each under its own name alone."""
        self.adapter.raise_timed_out()
        given = {f"inner.{name}": tensor for name, tensor in named.items()}
        options = dict.fromkeys(self.adapter.calling.options, inputs[0])
        run = torch.func.functional_call
        returned = call.invoke(run, self.holder, given, inputs, options, tie_weights=False)
        return self.adapter.output_of(returned, inputs[0])

    def __deepcopy__(self, memo: dict[int, Any]) -> BuiltModel:
        """A copy of the module alone: how it is built and called stays the same."""
        return BuiltModel(self.adapter, self.config, copy.deepcopy(self.holder, memo))

    def around(self, module: nn.Module) -> BuiltModel:
        """The same for another module of the implementation: a copy of this one, say."""
        return BuiltModel(self.adapter, self.config, Holder(module, self.adapter.declaration.call))

    def another(self) -> BuiltModel:
        """A second one of the same sizes, newly built."""
        return _built(self.adapter, self.config)

    def places(self, weights: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        """Weights of the contract, each as it would be in the module's parameter, by the names of the parameters.

        Every name under which a parameter is known, also where several names are one parameter or hold copies. Raises
        CannotMatch where the parameters do not fit, NotSupported where they have other sizes.
        """
        arguments = {self.adapter.contract.arguments("parameter")[0].name: weights, "config": self.config}
        plan = self.adapter.plan_for(self.module, arguments)
        try:
            given = values_for(plan, self.module, arguments)
        except OtherSize as error:  # a size that its constructor rounds, or does not take
            text = f"it was built at other sizes than the case has: {str(error).partition(';')[0]}"
            raise NotSupported(text) from None
        live = dict(self.module.named_parameters(remove_duplicate=False))
        by_tensor = {id(live[name]): value for name, value in given.items()}
        return {name: by_tensor[id(tensor)] for name, tensor in live.items() if id(tensor) in by_tensor}

    def names_of(self, weights: Mapping[str, Any], *names: str) -> list[str]:
        """The names under which the module holds these of the contract's tensors (at the top of ``weights``)."""
        marked = map_leaves(
            dict(weights),
            lambda path, leaf: torch.full_like(leaf, float(path[0] in names)) if torch.is_tensor(leaf) else leaf,
        )
        return [name for name, value in self.places(marked).items() if bool((value == 1).all())]

    def load(self, weights: Mapping[str, Any]) -> None:
        """Copy the contract's weights into the module's parameters."""
        live = dict(self.module.named_parameters(remove_duplicate=False))
        with torch.no_grad():
            for name, value in self.places(weights).items():
                live[name].copy_(value)

    def weights(self, like: Mapping[str, Any]) -> Any:
        """What the module's parameters hold, as the contract's weights; None where there is no such tensor.

        ``like``: weights of the contract, whose form is returned. Each of their numbers is given an index; where the
        indices land in the module's parameters shows which number is which, whatever the layout.
        """
        spans: dict[Path, tuple[int, int]] = {}
        indexed = map_leaves(dict(like), lambda path, leaf: _indexed(path, leaf, spans))
        places = self.places(indexed)
        live = dict(self.module.named_parameters(remove_duplicate=False))
        size = max((stop for _, stop in spans.values()), default=1)
        flat = torch.zeros(size, dtype=next(iter(live.values())).dtype)
        seen = torch.zeros(size, dtype=torch.bool)
        for name, value in reversed(places.items()):  # the first name of a tensor that is held twice counts
            where = value.long().flatten()
            flat[where], seen[where] = live[name].detach().flatten().cpu(), True
        seen[0] = False

        def found(path: Path, leaf: Any) -> Any:
            if path not in spans:
                return leaf
            start, stop = spans[path]
            return flat[start:stop].reshape(leaf.shape).clone() if bool(seen[start:stop].all()) else None

        return map_leaves(dict(like), found)


def _indexed(path: Path, leaf: Any, spans: dict[Path, tuple[int, int]]) -> Any:
    """A tensor of the same shape that holds the indices from 1 on, those of each path noted in ``spans``."""
    if not torch.is_tensor(leaf):
        return leaf
    start = max((stop for _, stop in spans.values()), default=1)
    spans[path] = (start, start + leaf.numel())
    return torch.arange(*spans[path], dtype=torch.float64).reshape(leaf.shape)


def _built(
    adapter: ModuleAdapter, config: Settings, seed: int | None = None, dtype: torch.dtype | None = None
) -> BuiltModel:
    if seed is not None:
        torch.manual_seed(seed)
        numpy.random.seed(seed % 2**32)
        random.seed(seed)
    made = call.invoke(adapter.declaration.factory, TrackedSettings(config))
    if not isinstance(made, nn.Module):
        raise NotSupported(f"{adapter.contract.name} is a function: what is built, and how, is not seen")
    if dtype is not None:
        made = call.invoke(made.to, dtype)
    return BuiltModel(adapter, config, Holder(made, adapter.declaration.call))


class ModelBuilder:
    """Builds whole models for a contract sheet."""

    def __init__(self, adapter: ModuleAdapter) -> None:
        self.adapter = adapter

    def __call__(self, config: Settings, *, seed: int | None = None, dtype: torch.dtype | None = None) -> BuiltModel:
        """One of these sizes. ``seed``: of all random generators, before its constructor is called.

        Raises NotSupported where the implementation has a function, TimedOut where building did not end.
        """
        self.adapter.probe()  # how it is called is seen once, on a small case
        if self.adapter.plan is None:
            self.adapter.raise_timed_out()
        if seed is None:
            return _built(self.adapter, config, None, dtype)
        with restored():
            return _built(self.adapter, config, seed, dtype)


class WholeAdapter(Adapter):
    """A component that is run on the modules of another."""

    kind = OfferKind.CLASS
    has_own_code = False

    def __init__(self, whole: ModuleAdapter, contract: Contract) -> None:
        assert contract.whole is not None
        self.whole, self.contract, self.build = whole, contract, ModelBuilder(whole)
        self.source: Any = contract.whole.made(self.build)
        self.inner = FunctionAdapter(self.source) if contract.is_function else ClassAdapter(self.source)

    @property
    def place(self) -> tuple[str, int]:
        """That of the module."""
        return self.whole.place

    @property
    def absent(self) -> tuple[str, ...]:
        """Optional parameters that the module does not have, where the cases have weights."""
        return self.whole.absent if self.contract.arguments("parameter") else ()

    def contract_there(self, contract: Contract) -> Contract:
        """The contract as it is judged on the modules of that model."""
        assert contract.whole is not None
        there: Contract = contract.whole.contract(contract, self.build)
        return there

    @property
    def to_do(self) -> str:
        """Whether the model is not written yet."""
        return as_a_whole(self.whole.source, self.whole.contract)

    @property
    def notes(self) -> tuple[str, ...]:
        """Which module it is run on, and what is known of that."""
        return (f"run on the module of {self.whole.contract.name}", *self.whole.remarks)

    def session(self, contract: Contract, request: Request) -> Session:
        """A session on a newly built model."""
        return self.inner.session(contract, request)


def with_whole_model(adapters: Mapping[str, Adapter], contracts: Mapping[str, Contract]) -> dict[str, WholeAdapter]:
    """The components that are run on the modules of others, where nothing else was found for them."""
    found = {}
    for name, contract in contracts.items():
        if contract.whole is None or name in adapters:
            continue
        models = [adapters.get(model) for model in contract.whole.models]
        whole = next((model for model in models if isinstance(model, ModuleAdapter)), None)
        if whole is None:
            continue
        has_method = not contract.whole.method or callable(getattr(whole.source, contract.whole.method, None))
        if has_method and contract.whole.fits(whole.source):
            found[name] = WholeAdapter(whole, contract)
    return found
