"""Forms that are too many to be tried in sets are found one after the other."""

from __future__ import annotations

import pytest
from support_published import FOLDER

from harness.diagnosis.forms import Candidate
from harness.diagnosis.nearer import sample_of, that_come_nearer, that_explain
from harness.judging.inspection import Inspection
from harness.judging.loading import inspect_implementation

GEMMA = {
    "unit_offset": "llama",
    "gelu_tanh": "llama",
    "softcap=50": "llama",
    "root_of_width": "llama",
    "final_softcap=30": "llama",
}


@pytest.fixture(scope="module")
def gemma() -> Inspection:
    """Five forms at once, without its parts' findings. No case of this seed shows its windows."""
    return inspect_implementation(str(FOLDER / "gemma2.py"), seed=0, cases=4)


def candidates(inspection: Inspection) -> list[Candidate]:
    """What one would try, with wrong forms and wrong numbers among them."""
    names = (*GEMMA, "softcap=30", "final_softcap=50", "gelu_erf", "after_rope", "by_head_size", "rotary", "normalised")
    found = {name: inspection.mistake(f"llama.variant={name}") for name in names}
    assert all(found.values()), found
    return [Candidate(form, 1) for form in found.values() if form is not None]


def test_five_forms_are_found_without_a_beginning(gemma: Inspection) -> None:
    """From the plain model on; none of the others comes with them, and none is left out."""
    order = gemma.observations.of("llama")
    search = gemma.diagnostician
    explains = lambda forms: search._misfit(forms, order) is not None  # noqa: E731
    assert sample_of(order), [o.answer.crash for o in order]
    found = that_explain(candidates(gemma), [()], search._made, explains, order, float("inf"))
    assert {form.variant for form in found} == set(GEMMA)


def test_what_brings_nothing_nearer_ends_the_search(gemma: Inspection) -> None:
    """Forms that do not help are not piled up."""
    useless = [c for c in candidates(gemma) if c.form.variant in ("after_rope", "normalised")]
    sample = sample_of(gemma.observations.of("llama"))
    assert list(that_come_nearer(useless, [()], gemma.diagnostician._made, sample, float("inf"))) == []
