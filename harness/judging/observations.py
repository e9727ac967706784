"""What an implementation answers over the cases of its components, beside the reference: what a diagnosis goes by."""

from __future__ import annotations

from dataclasses import replace

import torch

from harness.core.implementation import Answer, Request
from harness.diagnosis.matching import Observation
from harness.judging.evidence import COTANGENT_SEED, Evidence
from harness.judging.judge import Bench

WITH_GRADIENTS = 12
"""Cases of which the gradients are looked at, too."""


class Observations:
    """Observations of the implementation at a bench, made once per component."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._made: dict[tuple[str, bool], list[Observation]] = {}

    def of(self, component: str, single: bool = False) -> list[Observation]:
        """What it answers over its cases, in its working precision or in float32."""
        key = (component, single)
        if key not in self._made:
            contract, seen = self.bench.contracts[component], []
            dtype = torch.float32 if single else self.bench.precision(contract)
            for index, case in enumerate(self.bench.cases_of(contract)):
                case = case.cast(dtype)
                both = contract.differentiable and index < WITH_GRADIENTS
                for gradients in (None, COTANGENT_SEED) if both else (None,):
                    request = Request(component, case, gradients=gradients)
                    answer = self.bench.implementation.run(request)
                    if is_offered(answer):
                        seen.append(self.of_evidence(Evidence(request, answer)))
            self._made[key] = seen if contract.agrees else []
        return self._made[key]

    def of_evidence(self, item: Evidence) -> Observation:
        """One answer beside the reference's."""
        request = item.request
        reference = self.bench.reference.run(replace(request, fresh=False))
        floats = [leaf.dtype for _, leaf in request.case.tensors() if leaf.is_floating_point()]
        dtype = floats[0] if floats else self.bench.precision(self.bench.contracts[request.component])
        _, tolerance = self.bench.agreement(request.component, request.case, dtype, request.gradients is not None)
        return Observation(
            request, item.answer, reference, tolerance if tolerance.crash is None else Answer(), item.effects
        )


def is_offered(answer: Answer) -> bool:
    """Whether it says anything of what the implementation computes."""
    return answer.crash is None or not answer.crash.kind.says_nothing
