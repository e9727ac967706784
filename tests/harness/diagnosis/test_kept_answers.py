"""What the reference with one known mistake answers is kept, and shared by all that are compared with it."""

from dataclasses import replace

import pytest
import torch

from harness.core.case import Case
from harness.core.implementation import Answer, Request
from harness.diagnosis import matching
from harness.diagnosis.matching import KeptAnswers
from harness.execution.executor import Executor
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.reference import reference_executor

KNOWN = load_catalogue()
REQUEST = Request("gelu", Case.of({"x": torch.ones(3)}))


class Counted:
    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, request: Request) -> Answer:
        self.runs += 1
        return Answer(outputs=(self.runs,))


def test_an_equal_request_is_answered_once() -> None:
    """Not to another mistake, to another request, with side effects watched, or fresh."""
    kept, run = KeptAnswers(), Counted()
    equal = Request("gelu", Case.of({"x": torch.ones(3)}))
    assert kept.of("one", False, REQUEST, run) is kept.of("one", False, equal, run) and run.runs == 1
    others = [("two", False, REQUEST), ("one", True, REQUEST), ("one", False, replace(REQUEST, gradients=1))]
    others.append(("one", False, Request("gelu", Case.of({"x": torch.zeros(3)}))))
    for number, (mistake, watched, request) in enumerate(others, 2):
        kept.of(mistake, watched, request, run)
        assert run.runs == number
    fresh = replace(REQUEST, fresh=True)
    assert kept.of("one", False, fresh, run) is not kept.of("one", False, fresh, run)


def test_what_was_not_asked_for_lately_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that memory stays bounded."""
    monkeypatch.setattr(matching, "KEPT", 2)
    kept, run = KeptAnswers(), Counted()
    for mistake in ("one", "two", "one", "three", "one"):
        kept.of(mistake, False, REQUEST, run)
    assert run.runs == 3
    kept.of("two", False, REQUEST, run)
    assert run.runs == 4


def test_a_diagnosis_with_kept_answers_is_the_same_and_runs_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """The third of three alike: every mistake was tried before."""
    runs: list[str] = []
    run = Executor.run
    monkeypatch.setattr(Executor, "run", lambda self, request: (runs.append(self.name), run(self, request))[1])

    def finding(name: str, like: Inspection | None) -> tuple[str, ...]:
        edits = KNOWN.mistake(name).edits
        inspection = Inspection(KNOWN, reference_executor(KNOWN.contracts, edits, name="theirs"), cases=6, like=like)
        found = inspection.finding_of("gelu")
        assert found is not None
        return found.names

    name = "gelu.relu"
    alone = finding(name, None)
    right = Inspection(KNOWN, reference_executor(KNOWN.contracts), cases=6)
    assert finding(name, right) == alone == (name,)
    runs.clear()
    assert finding(name, right) == alone
    assert set(runs) == {"theirs"}
