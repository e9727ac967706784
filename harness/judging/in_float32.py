"""What explains wrong code that also computes in float32 inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from harness.core.mistake import KnownMistake
from harness.diagnosis.finding import Finding
from harness.diagnosis.matching import Observation, is_wrong
from harness.judging.evidence import Evidence

if TYPE_CHECKING:
    from harness.judging.inspection import Inspection


def found_in_float32(
    inspection: Inspection,
    component: str,
    cases: Sequence[Observation],
    beside: Sequence[Observation],
    first: Sequence[tuple[KnownMistake, ...]],
) -> Finding | None:
    """What explains a component in float32, where nothing does in float64.

    Where it raises, what explains it must raise too; and some of it must be numbers. ``beside``: what else it must
    bring far nearer.
    """
    contract = inspection.catalogue.contracts[component]
    if inspection.bench.precision(contract) != torch.float64 or not any(is_wrong(o) for o in cases):
        return None
    crashed = not any(is_wrong(o) and o.answer.crash is None for o in cases)
    if crashed or not any(o.request.case.tensors() for o in cases):
        return None
    single, diagnostician = inspection.observations.of(component, True), inspection.diagnostician
    found = diagnostician.explain(component, single, first)
    wrong = {(o.request.case.key, o.request.gradients) for o in single if o.wrong}
    told = [o for o in cases if (o.request.case.cast(torch.float32).key, o.request.gradients) in wrong]
    more = [o for o in beside if found is not None and o.wrong and _is_wrong_in_float32(inspection, o)]
    if found is None or not diagnostician.explains_most(found, [*told, *more]):
        return None
    return replace(found, is_coarse=True)


def _is_wrong_in_float32(inspection: Inspection, o: Observation) -> bool:
    """Whether more is wrong with an answer than what float32 rounds."""
    request = o.request.of(o.request.case.cast(torch.float32))
    answer = inspection.bench.implementation.run(request)
    return inspection.observations.of_evidence(Evidence(request, answer)).wrong
