"""Which scaling law an adapter follows is told as a fact, for wrong ones too."""

import pytest

from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.reference import reference_executor

KNOWN = load_catalogue()


@pytest.mark.parametrize(
    ("component", "mistake", "law", "slope"),
    [
        ("lora", "", "alpha / r", -1.0),
        ("rslora", "", "alpha / sqrt(r)", 0.0),
        ("rslora", "rslora.alpha_over_rank", "alpha / r", -1.0),
    ],
)
def test_the_law_and_its_slope_are_told(component: str, mistake: str, law: str, slope: float) -> None:
    """In words, with the slope of the variance over the ranks and the scale at each."""
    edits = KNOWN.mistake(mistake).edits if mistake else ()
    (fact,) = Inspection(KNOWN, reference_executor(KNOWN.contracts, edits), seed=3).measurements(component)
    assert f"is scaled by {law}, so" in fact.sentence and f"as r^{slope:.2f}" in fact.sentence
    assert fact.value == pytest.approx(slope, abs=1e-9) and len(fact.series) == 6
