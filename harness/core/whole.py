"""Components that are about how a whole model is made and used, and that are run on the modules of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


def as_it_is(contract: Any, build: Callable[..., Any]) -> Any:
    """The contract itself: its own reference is right for the modules of a model too."""
    return contract


@dataclass(frozen=True)
class WholeModel:
    """How a component is run on the modules of another one, so that a person who has those writes nothing for it.

    ``component``: whose modules; of several, the first that is there. ``made``: from what builds one
    (``build(config, seed=..., dtype=...)`` gives a harness.modules.whole_model.BuiltModel) to a class or function
    with this contract's calls. ``method``: a method that their class must have for that; ``fits``: what else their
    class must be like. ``contract``: from the contract and what builds a module to the contract as it is judged
    there: with the cases and the claims of that model, and a reference that asks the module itself.
    """

    component: str | tuple[str, ...]
    made: Callable[[Callable[..., Any]], Callable[..., Any]]
    method: str = ""
    fits: Callable[[Any], bool] = lambda kind: True
    contract: Callable[[Any, Callable[..., Any]], Any] = as_it_is

    @property
    def models(self) -> tuple[str, ...]:
        """The components on whose modules it may be run."""
        return (self.component,) if isinstance(self.component, str) else self.component


def models_of(contracts: Mapping[str, Any]) -> set[str]:
    """The components that are whole models: those on whose modules others are run."""
    return {name for contract in contracts.values() if contract.whole is not None for name in contract.whole.models}
