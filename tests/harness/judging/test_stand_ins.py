"""A component that includes another one is judged in its place where that is missing."""

from __future__ import annotations

from pathlib import Path

from support_runs import Runs

from harness.core.note import NoteCode
from harness.judging.catalogue import load_catalogue
from harness.judging.loading import inspect_implementation
from harness.judging.stand_ins import stand_ins, with_forms_of_missing
from harness.project.variants import Declared

CONTRACTS = load_catalogue().contracts
GROUPED = """
from reference_model import grouped_query_attention as reference

def grouped_query_attention(x, query_weight, key_weight, value_weight, out_weight, n_heads, n_kv_heads):
    return reference(x, query_weight, key_weight, value_weight, out_weight, n_heads, n_kv_heads)
"""


def test_what_is_there_needs_no_stand_in() -> None:
    assert stand_ins(CONTRACTS, ["grouped_query_attention", "attention"]) == {}
    assert stand_ins(CONTRACTS, ["grouped_query_attention"]) == {"attention": "grouped_query_attention"}
    assert stand_ins(CONTRACTS, ["gelu"]) == {}


def test_what_is_declared_of_the_missing_one_holds_for_its_stand_in() -> None:
    declared = Declared({"attention": "rotary_halves"})
    alone = with_forms_of_missing(declared, CONTRACTS, ["grouped_query_attention"])
    assert alone.variants["grouped_query_attention"] == "rotary_halves"
    both = with_forms_of_missing(declared, CONTRACTS, ["grouped_query_attention", "attention"])
    assert both.variants == declared.variants


def test_its_own_declaration_goes_first() -> None:
    declared = Declared({"attention": "rotary_halves", "grouped_query_attention": "rotary"})
    found = with_forms_of_missing(declared, CONTRACTS, ["grouped_query_attention"])
    assert found.variants["grouped_query_attention"] == "rotary"


def test_a_note_says_what_is_judged_in_the_place_of_what(tmp_path: Path) -> None:
    (tmp_path / "grouped.py").write_text(GROUPED)
    notes = inspect_implementation(str(tmp_path / "grouped.py")).notes
    assert [n.component for n in notes if n.code is NoteCode.STANDS_IN] == ["grouped_query_attention"]


def test_it_is_selected_by_the_name_of_the_missing_one(runs: Runs, tmp_path: Path) -> None:
    """With ``-m``, and as an argument."""
    (tmp_path / "grouped.py").write_text(GROUPED)
    for chosen in (("-m", "attention"), ("attention",)):
        done = runs.start(tmp_path, ["--impl=grouped", "--impl-cases=2", "-k", "deterministic", "-v", *chosen])
        assert done.code == 0 and "grouped_query_attention::deterministic PASSED" in done.output, done.output
