"""Model classes are judged as they are, and a measured share is told."""

from pathlib import Path

import pytest
from support_told import told as declaration_told

from harness.core.record import Status
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.loading import inspect_implementation
from harness.judging.reference import reference_executor

STYLES = Path(__file__).parents[1] / "styles"
TIED = "self.transformer.wte.weight = self.lm_head.weight"


def failing(text: str, folder: Path, variants: str = "") -> dict[str, str]:
    path = folder / "mine.py"
    path.write_text(text, encoding="utf-8")
    judged = inspect_implementation(str(path), cases=2, variants=variants)
    contract = judged.catalogue.contracts["weight_tying"]
    verdicts = [judged.bench.judge(contract, c, shrink=False)[0] for c in judged.catalogue.claims_of("weight_tying")]
    assert sum(v.status == Status.PASSED for v in verdicts) >= 4
    return {v.claim: v.message for v in verdicts if v.failing}


def style(name: str) -> str:
    return (STYLES / f"{name}.py").read_text(encoding="utf-8")


def test_one_parameter_under_two_names(tmp_path: Path) -> None:
    """The embedding is the head's weight."""
    assert failing(style("nano"), tmp_path) == {}


@pytest.mark.parametrize(
    ("wrong", "claims", "told"),
    [
        ("pass", {"one_tensor", "gradient_sums_both_uses", "updated_once_per_step"}, "a separate tensor"),
        (
            "self.transformer.wte.weight.data = self.lm_head.weight.data",
            {"one_tensor", "updated_once_per_step"},
            "two parameters",
        ),
        (
            "self.transformer.wte.weight = nn.Parameter(self.lm_head.weight.detach().clone())",
            {"one_tensor"},
            "a separate tensor",
        ),
    ],
)
def test_what_is_not_one_parameter_is_told(wrong: str, claims: set[str], told: str, tmp_path: Path) -> None:
    """Each in words; a head that is meant to be another tensor can be declared."""
    found = failing(style("nano").replace(TIED, wrong), tmp_path)
    assert claims <= set(found) and told in found["one_tensor"]


def test_a_head_of_its_own_is_told_as_a_form() -> None:
    """It stands in the one declaration that the run tells."""
    judged = inspect_implementation(str(STYLES / "book.py"), seed=1, cases=2)
    claim = next(c for c in judged.catalogue.claims_of("weight_tying") if c.name == "one_tensor")
    verdict = judged.judge("weight_tying", claim)
    assert verdict.finding == ("weight_tying.variant=untied",)
    assert declaration_told(judged, [verdict]) == "tied=untied"


def test_a_detached_use_is_told(tmp_path: Path) -> None:
    """It is one tensor, and learns from one use alone."""
    text = style("nano").replace("logits = self.lm_head(x)\n", "logits = F.linear(x, self.lm_head.weight.detach())\n")
    assert "as head" in failing(text, tmp_path)["gradient_sums_both_uses"]


def test_a_head_of_its_own_may_be_declared(tmp_path: Path) -> None:
    """Nothing of what is one tensor is judged then."""
    assert failing(style("book"), tmp_path, "weight_tying=untied") == {}


def test_what_it_saves() -> None:
    """31 % for the small model, under 1 % at many billions."""
    known = load_catalogue()
    contract = known.contracts["weight_tying"]
    judged = Inspection(known, reference_executor(known.contracts), seed=1, cases=2)
    fact = judged.bench.measure(contract, contract.measures[0])
    assert fact is not None and fact.value == pytest.approx(31.0, abs=0.1) and fact.name == "share_saved"
    shares = list(fact.series.values())
    assert shares == sorted(shares, reverse=True) and fact.series["GPT-3 175B"] < 1.0 and "31 %" in fact.sentence
