"""How much is tried, and what is measured beyond right and wrong."""

from dataclasses import replace

import pytest

from harness.core.claim import Claim, NotSupported
from harness.core.measurement import Measure, Measurement
from harness.core.note import NoteCode
from harness.core.record import RunRecord, Status
from harness.judging.cases import EFFORTS, FEW, FEWEST, FRESH
from harness.judging.catalogue import Catalogue, load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.loading import inspect_implementation
from harness.judging.reference import reference_executor
from harness.judging.telling import telling_set
from harness.reports import json_file

KNOWN = load_catalogue()
GELU = KNOWN.contracts["gelu"]


def inspection(catalogue: Catalogue = KNOWN, **options) -> Inspection:
    return Inspection(catalogue, reference_executor(catalogue.contracts), seed=5, **options)


def with_measures(*measures: Measure) -> Catalogue:
    return replace(KNOWN, contracts={**KNOWN.contracts, "gelu": replace(GELU, measures=measures)})


@pytest.mark.parametrize("effort", EFFORTS)
def test_decks_and_claims_grow_with_the_effort(effort: str) -> None:
    """Beside the chosen ones a few at least, however quick; --impl-cases says it exactly, whatever the effort."""
    bench, chosen = inspection(effort=effort).bench, len(telling_set("gelu").cases)
    share = FRESH if effort == "default" else EFFORTS[effort]
    twice = chosen + max(round(GELU.case_count * share), FEW) - len(bench.cases_of(GELU))
    assert 0 <= twice <= 3, "a fresh case that is one of the chosen ones counts once"
    ten = Claim("ten", "it is", lambda trial: None, max_cases=10)
    assert len(bench.cases_of(GELU, ten)) == min(max(round(10 * EFFORTS[effort]), FEWEST), len(bench.cases_of(GELU)))
    assert len(inspection(effort=effort, cases=6).bench.cases_of(GELU)) == 6


def test_a_random_claim_is_never_tried_more_often_than_its_odds_say() -> None:
    """Its false-alarm probability is stated for so many cases."""
    chance = Claim("chance", "it is", lambda trial: None, max_cases=3, false_alarm=1e-9, power=0.999)
    assert [len(inspection(effort=e).bench.cases_of(GELU, chance)) for e in ("quick", "default", "thorough")] == [
        2,
        3,
        3,
    ]


def test_work_is_shared_between_equal_efforts_only() -> None:
    """Decks of different sizes are different decks."""
    with pytest.raises(ValueError, match="effort"):
        inspection(effort="quick", like=inspection())


def test_facts_carry_the_names_of_their_component_and_measure() -> None:
    """What cannot be measured is left out; so is everything of a component that is not there."""

    def offered(trial):
        return Measurement(f"{trial.run().value.numel()} numbers", "counted", 3.0, "numbers")

    def refused(trial):
        raise NotSupported("no such method")

    known = with_measures(Measure("size", "how many", offered), Measure("none", "nothing", refused))
    (fact,) = inspection(known).measurements("gelu")
    assert (fact.component, fact.name, fact.unit) == ("gelu", "size", "numbers") and fact.sentence.endswith("numbers")
    absent = Inspection(known, reference_executor({n: c for n, c in known.contracts.items() if n != "gelu"}), seed=5)
    assert absent.measurements("gelu") == []


def test_a_fact_survives_the_record(tmp_path) -> None:
    """Written and read back, it is the same."""
    fact = Measurement("holds 96 bytes", "counted", 96.0, "bytes", {"rank 4": 96.0}, "gelu", "memory")
    record = RunRecord("mine", 0, {}, ("gelu",), {}, {}, [], {}, measurements=[fact])
    json_file.write(record, tmp_path / "run.json")
    assert json_file.read(tmp_path / "run.json").measurements == [fact]


def test_a_deck_that_happens_to_lack_a_bias_everywhere_is_no_reason_to_fail_code_that_needs_one(tmp_path) -> None:
    """With few cases (a quick run) none may have all its optional parameters; more are looked at before anything is
    said.

    Seen at 13 of 30 seeds with five cases: a layer norm with a fixed epsilon and ``+ beta``.
    """
    (tmp_path / "own.py").write_text(
        "import torch\n"
        "def layer_norm(x, gamma, beta):\n"
        "    y = (x - x.mean(-1, keepdim=True)) * torch.rsqrt(x.var(-1, keepdim=True, unbiased=False) + 1e-5)\n"
        "    return y * gamma + beta\n"
    )
    for seed in (2, 3, 4, 9):
        judged = inspect_implementation(str(tmp_path / "own.py"), seed=seed, cases=5)
        contract = judged.catalogue.contracts["layer_norm"]
        claim = next(c for c in judged.catalogue.claims_of("layer_norm") if c.name == "agrees_with_the_reference")
        verdict = judged.judge("layer_norm", claim)
        assert verdict.status == Status.PASSED, (seed, verdict.message)
        assert NoteCode.OPTIONAL_PARAMETERS in {note.code for note in judged.bench.notes[contract.name]}
