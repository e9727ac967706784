"""Components that cannot be compared with a reference: what holds for any weights is tested all the same.

What comes of them is told, and is never a verdict: a class may be another thing than its name says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from harness.core.record import Cause, Status, Verdict
from harness.execution.caching import CachingImplementation
from harness.execution.discovered import Discovered
from harness.judging.inspection import Inspection
from harness.judging.judge import Bench

CASES = 8
"""Cases that each statement is tested on."""


@dataclass(frozen=True)
class Structure:
    """Names of the structural claims that were tested, by what came of them."""

    passed: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()

    def __str__(self) -> str:
        """In words; empty where nothing was tested."""
        if not (self.passed or self.failed):
            return ""
        broken = f", not {', '.join(self.failed)}" if self.failed else ""
        run = len(self.passed) + len(self.failed)
        return f"not compared with a reference; {len(self.passed)} of {run} structural checks passed{broken}"


def structure_of(inspection: Inspection, component: str) -> Structure:
    """What came of the structural claims of a class that could not be plugged in; tested once."""
    kept = inspection.bench.structures
    if component not in kept:
        kept[component] = Structure()
        implementation = inspection.implementation
        own = implementation.as_built(component) if isinstance(implementation, Discovered) else None
        if own is not None:
            kept[component] = _tested(inspection, component, own)
    found: Structure = kept[component]
    return found


def with_structure(inspection: Inspection, verdict: Verdict) -> Verdict:
    """The verdict; of a misfit, with what came of its structural claims in the message."""
    if verdict.cause is not Cause.MISFIT or not (said := str(structure_of(inspection, verdict.component))):
        return verdict
    return replace(verdict, message=f"{said}. {verdict.message}")


def _tested(inspection: Inspection, component: str, executor: Discovered) -> Structure:
    catalogue, contract = inspection.catalogue, inspection.catalogue.contracts[component]
    bench = Bench(
        catalogue.contracts,
        CachingImplementation(executor),
        inspection.bench.reference,
        seed=inspection.seed,
        cases=CASES,
    )
    claims = [claim for claim in catalogue.claims_of(component) if claim.structural]
    verdicts = [bench.judge(contract, claim, shrink=False)[0] for claim in claims]
    passed = [v.claim for v in verdicts if v.status is Status.PASSED]
    return Structure(tuple(passed), tuple(v.claim for v in verdicts if v.failing))
