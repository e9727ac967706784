"""The last result of a script alone: what is handed on between its calls is the implementation's own business."""

from __future__ import annotations

from dataclasses import replace

import torch

from harness.core.case import is_float
from harness.core.implementation import Answer, Implementation, Offer, Request
from harness.core.tree import leaves
from harness.diagnosis.matching import Observation
from harness.numerics.tolerance import magnitude


class LastResultOnly:
    """An implementation of whose script only the last result is seen."""

    def __init__(self, implementation: Implementation) -> None:
        self.implementation, self.name, self.components = implementation, implementation.name, implementation.components

    def offers(self, component: str) -> Offer | None:
        return self.implementation.offers(component)

    def run(self, request: Request) -> Answer:
        return last_result(self.implementation.run(request))


def last_result_alone(o: Observation) -> Observation:
    """The last results of a script, to be compared as closely as float32 allows, or as their own dtype, if coarser."""
    answer, reference = last_result(o.answer), last_result(o.reference)
    floats = [leaf.dtype for _, leaf in leaves(list(answer.outputs)) if is_float(leaf)]
    coarsest = max(torch.finfo(dtype).eps for dtype in (torch.float32, *floats))
    bound = 8 * coarsest * magnitude(list(reference.outputs))
    return replace(o, answer=answer, reference=reference, tolerance=Answer((bound,)))


def last_result(answer: Answer) -> Answer:
    """The answer without the results of the calls before the last one."""
    return replace(answer, outputs=answer.outputs[-1:])
