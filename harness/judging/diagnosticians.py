"""Who explains what went wrong: by every result of a script, and by its last result alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from harness.core.implementation import Implementation
from harness.core.mistake import Edit
from harness.diagnosis.literals import literals_in
from harness.diagnosis.search import Diagnostician
from harness.execution.discovered import Discovered
from harness.execution.executor import Executor
from harness.judging.catalogue import Catalogue
from harness.judging.last_result import LastResultOnly
from harness.judging.part_forms import undeclared


def diagnosticians(
    catalogue: Catalogue,
    variants: Mapping[str, str],
    always: tuple[Edit, ...],
    implementation: Implementation,
    executor: Callable[..., Executor],
) -> tuple[Diagnostician, Diagnostician]:
    """Both, knowing all mistakes and the legal forms on axes on which nothing is declared.

    ``always``: the edits of the declared forms. ``executor(edits, trusted=...)``: the reference with more of them.
    """
    found = implementation.found if isinstance(implementation, Discovered) else {}
    contracts = undeclared(catalogue.contracts, variants, found)
    literals = partial(literals_in, implementation)
    quick = partial(executor, trusted=True)
    return (
        Diagnostician(contracts, catalogue.mistakes, executor, quick, always=always, literals=literals),
        Diagnostician(
            contracts,
            catalogue.mistakes,
            lambda edits: LastResultOnly(executor(edits)),
            always=always,
            literals=literals,
        ),
    )
