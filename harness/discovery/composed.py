"""Components that are written in pieces: which pieces there are, the sheet says; whether they fit, a trial call."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import torch

from harness.core.case import CALL, Case
from harness.core.claim import NotSupported
from harness.core.composition import Composition
from harness.core.contract import Contract
from harness.core.implementation import Request
from harness.execution.arguments import bound
from harness.execution.functions import FunctionAdapter
from harness.execution.misfits import PlugIn
from harness.execution.session import Session
from harness.execution.time_limit import TimedOut
from harness.modules.probing import trial_call
from harness.modules.telling_cases import telling_cases

MOST_TRIALS, CASES = 36, 3
"""Ways to put pieces together that are tried, and cases that each must take."""


class ComposedAdapter(FunctionAdapter):
    """A component that is put together from pieces. ``accepts``: its legal forms; the one that it has is judged."""

    def __init__(self, composition: Composition, contract: Contract) -> None:
        super().__init__(composition.source)
        self.composition = composition
        self.accepts = ("", *(variant.name for variant in contract.variants))

    @property
    def notes(self) -> tuple[str, ...]:
        """Of which pieces."""
        return (f"put together from {self.composition.words}",)

    def session(self, contract: Contract, request: Request) -> Session:
        """A session for one request."""
        return FunctionAdapter(self.composition.function).session(contract, request)

    def plug_in(self, contract: Contract) -> PlugIn:
        """Nothing: it was seen to take what the contract gives."""
        return PlugIn()


def composed(contract: Contract, members: Mapping[str, Any], seconds: float) -> ComposedAdapter | None:
    """The first way to put its pieces together that takes cases, returns results of the right shape and is plausible.

    Where none is plausible, the first of the right shape: it is wrong, and judged. What it computes has no other say.
    ``seconds``: processor seconds for one trial call.
    """
    if contract.composed is None:
        return None
    first: ComposedAdapter | None = None
    for composition in itertools.islice(contract.composed(members), MOST_TRIALS):
        if not _takes_cases(composition, contract, seconds):
            continue
        adapter = ComposedAdapter(composition, contract)
        if _is_plausible(composition, seconds):
            return adapter
        first = first or adapter
    return first


def _takes_cases(composition: Composition, contract: Contract, seconds: float) -> bool:
    """Whether it takes a few cases, and returns tensors of the right shape."""
    taken = 0
    for case in sorted(telling_cases(contract), key=_extent, reverse=True):  # generated where there is one to try
        try:
            given = bound(composition.function, contract.calls[CALL], case.arguments)
            result = trial_call("calling", composition.source, seconds, given)
            expected = contract.reference(**case.arguments)
        except NotSupported:
            continue  # a setting that it does not take
        except (Exception, TimedOut):
            return False
        if not torch.is_tensor(result) or result.shape != expected.shape:
            return False
        taken += 1
        if taken == CASES:
            return True
    return False


def _is_plausible(composition: Composition, seconds: float) -> bool:
    if composition.is_plausible is None:
        return True
    try:
        return bool(trial_call("calling", composition.source, seconds, composition.is_plausible))
    except (Exception, TimedOut):
        return False


def _extent(case: Case) -> int:
    return min(case.dimensions.values(), default=0)
