"""The reference model as an implementation."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any

from harness.core.contract import Contract
from harness.core.implementation import Answer, Implementation, Offer, Request
from harness.core.mistake import applied
from harness.execution.caching import CachingImplementation
from harness.execution.executor import Executor
from harness.execution.functions import ClassAdapter, FunctionAdapter


def reference_executor(contracts: Mapping[str, Contract], edits: tuple[Any, ...] = (), **options: Any) -> Executor:
    """The reference as an implementation, with edits in force during every run. Its lines are not traced."""
    adapters = {
        name: FunctionAdapter(contract.reference) if contract.is_function else ClassAdapter(contract.reference)
        for name, contract in contracts.items()
    }
    around: Any = partial(applied, edits) if edits else nullcontext
    name = options.pop("name", "the reference")
    return Executor(name, adapters, contracts, around=around, traced=False, **options)


class ByComponent:
    """An implementation of which some components are another one's."""

    def __init__(self, usual: Implementation, others: Mapping[str, Implementation]) -> None:
        self.usual, self.others, self.name = usual, others, usual.name
        self.components = usual.components

    def offers(self, component: str) -> Offer | None:
        """How a component is called, None where there is none."""
        return self.others.get(component, self.usual).offers(component)

    def run(self, request: Request) -> Answer:
        """The answer of the one whose component it is."""
        return self.others.get(request.component, self.usual).run(request)


def own_references(contracts: Mapping[str, Contract], others: Mapping[str, Contract]) -> list[str]:
    """Components that have another reference than among ``others``: those that are run on a whole model."""
    return [name for name, c in contracts.items() if name in others and c.reference is not others[name].reference]


def with_own(
    shared: Implementation, others: Mapping[str, Contract], contracts: Mapping[str, Contract], edits: tuple[Any, ...]
) -> Implementation:
    """A shared reference of ``others``, but for the components that have another one here."""
    if not (own := own_references(contracts, others)):
        return shared
    executor = CachingImplementation(reference_executor(contracts, edits, time_limit=0.0, trusted=True))
    return ByComponent(shared, dict.fromkeys(own, executor))
