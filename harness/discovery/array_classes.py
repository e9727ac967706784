"""Classes that are no torch modules and hold arrays of their own: they are found as module classes are."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from harness.arrays.array_modules import ArrayModule, as_module_class, is_array_class
from harness.arrays.detection import framework_of
from harness.core.contract import Contract
from harness.discovery.bindings import is_foreign
from harness.discovery.resemblance import resemblance
from harness.discovery.target import Target
from harness.execution.session import Adapter


def array_classes(
    target: Target, contracts: Mapping[str, Contract], found: Mapping[str, Adapter]
) -> list[type[ArrayModule]]:
    """Those that are named like a component, each as a module class. ``found``: what is a component already."""
    things = [target.thing] if target.is_one_thing() else [value for _, value in target.members()]
    taken = {id(adapter.source) for adapter in found.values()}
    kinds: list[Any] = [thing for thing in things if inspect.isclass(thing) and id(thing) not in taken]
    functions = [contract for contract in contracts.values() if contract.is_function]
    return [
        as_module_class(kind, framework_of(kind))
        for kind in dict.fromkeys(kinds)
        if is_array_class(kind)
        and (target.is_one_thing() or not is_foreign(kind.__module__, target.module))
        and any(resemblance(kind, contract) for contract in functions)
    ]
