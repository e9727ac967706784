"""Workloads of the sheets at sizes that take no time, for tests that ask for results and never for seconds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.core.workload import Workload
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.loading import inspect_implementation
from harness.judging.reference import reference_executor

SMALL = {"B": 2, "T": 6, "D": 16, "H": 2, "G": 1, "F": 10, "L": 2, "V": 19, "R": 3}
NUMBERS = {"tokenizer": 300, "adamw": 4096, "adamw_8bit": 16384}
"""Of the last, four matrices are just large enough for eight bits."""
MATRIX = {"quantize_int8": 8, "quantize_4bit": 8}


def small(component: str, workload: Workload, axes: bool = False) -> Workload:
    """The same at sizes of a few numbers; ``axes``: with four sizes along each."""
    own = {"N": NUMBERS.get(component, 0), **({"D": MATRIX[component]} if component in MATRIX else {})}
    sizes = {name: {**SMALL, **own}[name] for name in workload.sizes}
    return replace(
        workload, sizes=sizes, axes={a: [sizes[a] * k for k in (1, 2, 3, 4)] for a in workload.axes} if axes else {}
    )


def workloads() -> list[tuple[str, Workload]]:
    """Every workload of every sheet, at small sizes."""
    contracts = load_catalogue().contracts
    return [(name, small(name, w)) for name, contract in contracts.items() for w in contract.workloads]


def named(component: str, name: str, **options: Any) -> Workload:
    found = next(w for w in load_catalogue().contracts[component].workloads if w.name == name)
    return small(component, found, **options)


def implementation(impl: str, **options: Any) -> Inspection:
    return inspect_implementation(impl, **options)


def reference() -> Any:
    return reference_executor(load_catalogue().contracts, time_limit=0.0, trusted=True)
