"""A component that is run on a whole model reads otherwise there, also beside inspections that share their work."""

from __future__ import annotations

from pathlib import Path

from harness.core.record import Status
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.loading import inspect_implementation
from harness.judging.reference import reference_executor

STYLES = Path(__file__).parents[2] / "styles"


def test_what_is_shared_is_not_taken_for_another_model() -> None:
    """The cases of a Llama's initialisation are its own, though those of GPT-2 were generated first."""
    known = load_catalogue()
    first = Inspection(known, reference_executor(known.contracts), cases=2)
    first.bench.cases_of(known.contracts["initialisation"])
    found = inspect_implementation(str(STYLES / "llama_single_file.py"), cases=2)
    judged = Inspection(found.catalogue, found.implementation, cases=2, like=first)
    contract = found.catalogue.contracts["initialisation"]
    assert contract is not known.contracts["initialisation"]
    verdicts = [judged.judge("initialisation", claim) for claim in contract.claims]
    assert {v.status for v in verdicts} == {Status.PASSED, Status.NOT_APPLICABLE}  # it draws nothing itself
    config = judged.bench.cases_of(contract)[0].calls[0].arguments["config"]
    assert "kv_heads" in config.as_dict()


def test_nothing_changes_where_there_is_no_model() -> None:
    """The catalogue of other implementations is as it is."""
    found = inspect_implementation(str(STYLES / "norm_from_formula.py"), cases=2)
    assert found.catalogue.contracts["initialisation"] is load_catalogue().contracts["initialisation"]
