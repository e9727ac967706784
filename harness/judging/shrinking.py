"""A smaller case that violates the same claim."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.core.case import Case
from harness.core.claim import Claim, ToDo
from harness.core.contract import Contract
from harness.core.formatting import weight
from harness.judging.telling import chosen_draws
from harness.judging.trial import RanOutOfTime, outcome_of
from harness.strategies.sampling import shrunk

if TYPE_CHECKING:
    from harness.judging.judge import Bench

SHRINK_SECONDS = 6.0
"""A smaller case is worth this long; the smallest found by then is shown."""


def smallest_violation(
    bench: Bench, contract: Contract, claim: Claim, like: type[Exception]
) -> tuple[Case, Exception] | None:
    """The smallest case found on which the claim ends in the same kind of exception, and that exception.

    The search ends with the first case that the implementation does not finish: each further one could cost as much.
    """
    generated = bench.generated
    strategy, _ = generated.strategy(contract, claim)
    found: list[tuple[Case, Exception]] = []
    unfinished: list[Exception] = []

    def violates(case: Case) -> bool:
        if unfinished or generated.is_refused_bare(contract, case):
            return False
        if "invalid" not in claim.tags and not generated.fits_declared_forms(contract, case):
            return False
        bench.progress(f"{contract.name}::{claim.name}: looking for a smaller case")
        try:
            trial = bench.trial(contract, generated.restricted(contract, case))
            outcome = outcome_of(claim, trial)
        except (RanOutOfTime, ToDo) as problem:
            unfinished.append(problem)
            return False
        if not isinstance(outcome, like):
            return False
        found.append((trial.case, outcome))
        return True

    singles = chosen_draws(contract, strategy)
    shrunk(strategy(), bench.seed, generated.size(contract), violates, SHRINK_SECONDS, singles)
    return min(found, key=lambda pair: weight(pair[0])) if found else None
