"""A name is told of a component only if it explains what is shown, and of several names as few as explain all.

A finding is tried on the case that is printed beside it, and on what was answered where earlier claims failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.core.claim import Claim
from harness.core.record import Status, Verdict
from harness.diagnosis.finding import Finding
from harness.judging.evidence import Evidence
from harness.judging.observations import is_offered

if TYPE_CHECKING:
    from harness.judging.inspection import Inspection

TIMES = 2
"""Names that the printed case of a component may refute: then none is looked for any more."""


@dataclass(frozen=True)
class Broken:
    """A claim that failed, the names that explain it, and what was answered there."""

    claim: str
    names: tuple[str, ...]
    evidence: Sequence[Evidence]


@dataclass
class TrueNames:
    """What is known of the broken claims of each component, and what speaks against a name."""

    inspection: Inspection
    broken: dict[str, list[Broken]] = field(default_factory=dict)
    against: dict[str, list[Evidence]] = field(default_factory=dict)
    """What was answered to printed cases that refuted a name: every other name must explain it too."""
    refuted: dict[str, int] = field(default_factory=dict)

    def note(self, component: str, claim: str, finding: Finding | None, evidence: Sequence[Evidence]) -> None:
        """A claim failed."""
        self.broken.setdefault(component, []).append(Broken(claim, finding.names if finding else (), tuple(evidence)))

    def covered_by(self, component: str, claim: str, finding: Finding) -> tuple[str, ...]:
        """Claims that failed before under other names, or none, which this finding explains too."""
        others = [b for b in self.broken.get(component, ()) if b.claim != claim and b.names != finding.names]
        return tuple(b.claim for b in others if b.evidence and self._explains(component, finding, b.evidence))

    def is_refuted(self, claim: Claim, verdict: Verdict, finding: Finding) -> bool:
        """Whether the smallest case, which is printed, is answered otherwise than the finding says.

        It is kept then: another name must explain it.
        """
        inspection, component = self.inspection, verdict.component
        case = inspection.bench.smallest.get(verdict.case_id)
        if verdict.status is not Status.FAILED or case is None or self.refuted.get(component, 0) >= TIMES:
            return False
        contract = inspection.catalogue.contracts[component]
        evidence = inspection.bench.judge(contract, claim, shrink=False, only=(case,))[1]
        evidence = [item for item in evidence if is_offered(item.answer)]
        if not evidence or self._explains(component, finding, evidence):
            return False
        self.refuted[component] = self.refuted.get(component, 0) + 1
        self.against.setdefault(component, []).extend(evidence)
        return True

    def _explains(self, component: str, finding: Finding, evidence: Sequence[Evidence]) -> bool:
        diagnostician, observations = self.inspection.observed(component, evidence)
        if finding.is_coarse:
            return diagnostician.explains_most(finding, observations)
        return diagnostician.explains(finding.mistakes, observations)
