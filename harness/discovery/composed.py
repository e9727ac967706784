"""Components that are written in pieces: which pieces there are, the sheet says; whether they fit, a trial call."""

from __future__ import annotations

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

MOST_TRIALS, CASES = 24, 3
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
    """The first way to put its pieces together that takes cases and returns results of the right shape.

    What it computes has no say. ``seconds``: processor seconds for one trial call.
    """
    if contract.composed is None:
        return None
    signature = contract.calls[CALL]
    for tried, composition in enumerate(contract.composed(members)):
        if tried >= MOST_TRIALS:
            break
        taken = 0
        for case in sorted(telling_cases(contract), key=_extent, reverse=True):  # generated where there is one to try
            try:
                given = bound(composition.function, signature, case.arguments)
                result = trial_call("calling", composition.source, seconds, given)
                expected = contract.reference(**case.arguments)
            except NotSupported:
                continue  # a setting that it does not take
            except (Exception, TimedOut):
                break
            if not torch.is_tensor(result) or result.shape != expected.shape:
                break
            taken += 1
            if taken == CASES:
                return ComposedAdapter(composition, contract)
    return None


def _extent(case: Case) -> int:
    return min(case.dimensions.values(), default=0)
