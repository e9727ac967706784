"""The reference model as an implementation."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any

from harness.core.contract import Contract
from harness.core.mistake import applied
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
