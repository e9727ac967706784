"""Cases in which an optional parameter is left out."""

from __future__ import annotations

from harness.core.case import Case
from harness.core.contract import Argument, Contract
from harness.core.tree import leaves


def is_bare(contract: Contract, case: Case) -> bool:
    """Whether an optional parameter is None in a case."""
    optional = {name for argument in contract.arguments("parameter") for name in _optional_names(argument)}
    found = (path for call in case.calls for path, leaf in leaves(dict(call.arguments)) if leaf is None and path)
    return any(path[-1] in optional for path in found)


def _optional_names(argument: Argument) -> list[str]:
    below = [name for inner in argument.fields for name in _optional_names(inner)]
    return [argument.name, *below] if argument.optional else below
