"""The form that a part has because it was found inside a model is no declaration."""

from __future__ import annotations

from support_published import FOLDER

from harness.judging.loading import inspect_implementation


def test_another_form_than_the_implied_one_is_named() -> None:
    """Llama 2 rotates neighbours, where the parts of a Llama are judged with halves."""
    judged = inspect_implementation(str(FOLDER / "llama2.py"), seed=1, cases=3)
    assert judged.variants["grouped_query_attention"] == "rotary_halves"
    for component in ("grouped_query_attention", "llama_block"):
        finding = judged.finding_of(component)
        assert finding is not None and finding.names == ("grouped_query_attention.variant=rotary",)


def test_what_is_declared_is_not_looked_for() -> None:
    """The same form, declared, is right; the implied one is in force nowhere."""
    judged = inspect_implementation(str(FOLDER / "llama2.py"), seed=1, cases=3, variants="positions=rotary")
    assert judged.variants["grouped_query_attention"] == "rotary"
    assert judged.agrees("llama_block")
    assert not [c for c in judged.diagnostician.contracts["llama_block"].variants if c.axis == "positions"]


def test_a_part_that_a_helper_calls_is_judged_beside_a_declared_form() -> None:
    """Norms after each half are still RMS norms, though the reference of the block names none itself."""
    judged = inspect_implementation(str(FOLDER / "olmo2.py"), seed=1, cases=3, variants="norm_place=output_norm")
    assert {"rms_norm", "swiglu", "llama_block", "llama"} <= set(judged.implementation.components)
    assert judged.agrees("rms_norm") and judged.agrees("swiglu")
