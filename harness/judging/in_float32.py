"""What explains wrong code that also computes in float32 inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from harness.core.mistake import KnownMistake
from harness.diagnosis.finding import Finding
from harness.diagnosis.matching import Observation, is_wrong

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
    if found is None or not diagnostician.explains_most(found, [*told, *beside]):
        return None
    return replace(found, is_coarse=True)
