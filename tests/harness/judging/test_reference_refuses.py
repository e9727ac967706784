"""A reference that is made on somebody's own model may refuse a case. No claim fails for that."""

from __future__ import annotations

import pytest

from harness.core.implementation import Answer, Crash, CrashKind, Request
from harness.core.record import Status
from harness.execution.executor import Executor
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.reference import reference_executor


class Refuses(Executor):
    """As a case made on a model does where the model has no such form."""

    def run(self, request: Request) -> Answer:
        return Answer(crash=Crash(CrashKind.NOT_SUPPORTED, "Refusal", "the model has no such form"))


@pytest.mark.parametrize("name", ["output_shape_and_dtype", "finite_for_finite_inputs", "deterministic"])
def test_what_the_reference_refuses_is_not_applicable(name: str) -> None:
    """A claim that does not ask the reference is judged as ever."""
    known = load_catalogue()
    gelu = {"gelu": known.contracts["gelu"]}
    judged = Inspection(known, reference_executor(gelu), cases=2)
    claim = next(c for c in known.claims_of("gelu") if c.name == name)
    judged.bench.cases_of(gelu["gelu"], claim)
    judged.bench.precision(gelu["gelu"])
    judged.bench.reference = Refuses("refuses", {}, gelu)
    verdict = judged.judge("gelu", claim)
    assert verdict.status == (Status.PASSED if name == "deterministic" else Status.NOT_APPLICABLE)
