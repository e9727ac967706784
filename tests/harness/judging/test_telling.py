"""Telling sets in a run: first the chosen cases, then fresh ones, always; fresh ones where a case is made otherwise."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import About
from harness.core.note import NoteCode
from harness.judging import telling
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.reference import reference_executor
from harness.judging.telling import TellingCase, TellingSet, fingerprint, telling_set
from harness.project.epsilon import with_eps

KNOWN = load_catalogue()
COMPONENT = "softmax"
SHEET = KNOWN.contracts[COMPONENT]
CHOSEN = telling_set(COMPONENT)


def inspection(contract=SHEET, **options) -> Inspection:
    contracts = {**KNOWN.contracts, contract.name: contract}
    return Inspection(replace(KNOWN, contracts=contracts), reference_executor(contracts), **options)


def cases_of(contract=SHEET, claim: str = "", **options) -> tuple[Case, ...]:
    found = inspection(contract, **options)
    claims = {one.name: one for one in found.catalogue.claims_of(contract.name)}
    return found.bench.cases_of(contract, claims[claim] if claim else None)


@pytest.fixture
def other_sets(monkeypatch: pytest.MonkeyPatch):
    """Other telling sets than those of the files."""

    def put(chosen: TellingSet) -> None:
        monkeypatch.setattr(telling, "telling_set", lambda component: chosen)
        telling._chosen.cache_clear()

    yield put
    telling._chosen.cache_clear()


@pytest.mark.parametrize("effort", ["quick", "default"])
def test_the_chosen_cases_come_first_and_fresh_ones_follow(effort: str) -> None:
    one, other = (cases_of(seed=seed, effort=effort) for seed in (1, 2))
    chosen = [case.key for case in one if case.chosen]
    assert chosen == [case.key for case in one[: len(CHOSEN.cases)]] == [case.key for case in other if case.chosen]
    fresh = [{case.key for case in cases if not case.chosen} for cases in (one, other)]
    assert all(len(keys) >= 3 for keys in fresh) and len(fresh[0] & fresh[1]) <= 1, "the simplest is in all"


def test_in_a_declared_form_as_many_are_fresh_as_where_none_were_chosen() -> None:
    """The chosen cases need not tell what is wrong in a form that is judged only where it is declared."""
    sheet = KNOWN.contracts["gelu"]
    plain, declared = (cases_of(sheet, effort="default", variants=forms) for forms in ({}, {"gelu": "erf"}))
    fresh = [sum(not case.chosen for case in cases) for cases in (plain, declared)]
    assert fresh[0] < 0.7 * sheet.case_count < 0.9 * sheet.case_count < fresh[1], "the simplest may be a chosen one"


def test_a_number_that_is_asked_for_is_all_fresh() -> None:
    assert [bool(case.chosen) for case in cases_of(cases=6)] == [False] * 6


def test_a_claim_begins_with_the_cases_that_few_others_can_stand_for() -> None:
    needed = [case.needed_by for case in CHOSEN.cases]
    claim = next(name for names in needed for name in names if "no_memory" not in name)
    cases = cases_of(claim=claim)
    test = next(one.test for one in KNOWN.claims_of(COMPONENT) if one.name == claim)
    first = [test in case.chosen.needed_by for case in cases if case.chosen]
    assert first == sorted(first, reverse=True) and first[0]


def test_a_claim_is_not_known_by_its_name() -> None:
    """With another name it has the same cases, also of a strategy of its own."""
    for claim in SHEET.claims:
        renamed = replace(claim, name="another", sentence="other words")
        contract = replace(SHEET, claims=tuple(renamed if one is claim else one for one in SHEET.claims))
        assert [c.key for c in cases_of(contract, "another")] == [c.key for c in cases_of(SHEET, claim.name)]


def test_sizes_at_the_edges_of_blocks_are_for_agreement_alone() -> None:
    names = {claim.name: About.NUMBERS in claim.about for claim in KNOWN.claims.values() if claim.needs(SHEET)}
    edges = {
        name: sum(bool(case.chosen and case.chosen.is_edge) for case in cases_of(claim=name, effort="quick"))
        for name in ("agrees_with_the_reference", "deterministic")
    }
    assert names["agrees_with_the_reference"] and not names["deterministic"]
    assert edges["agrees_with_the_reference"] >= 3 and not edges["deterministic"]


def test_a_changed_strategy_is_noticed_and_fresh_cases_stand_in(other_sets) -> None:
    """Never an error: a note says so."""
    others = [replace(case, fingerprint="another") for case in CHOSEN.cases[:2]]
    other_sets(replace(CHOSEN, cases=(*others, *CHOSEN.cases[2:])))
    found = inspection(seed=1)
    cases = found.bench.cases_of(SHEET)
    assert sum(bool(case.chosen) for case in cases) == len(CHOSEN.cases) - 2
    (note,) = (note for note in found.bench.notes[COMPONENT] if note.code is NoteCode.TELLING_SET)
    assert f"2 of {len(CHOSEN.cases)} chosen cases" in note.text


def test_a_component_with_another_strategy_has_no_chosen_cases() -> None:
    """One that is run on a whole model, say."""
    case = cases_of(seed=1)[0]
    assert not any(one.chosen for one in cases_of(replace(SHEET, cases=lambda: st.just(replace(case, chosen=None)))))


def test_a_declared_epsilon_is_in_the_chosen_cases_too() -> None:
    plain, other = KNOWN.contracts["layer_norm"], with_eps(KNOWN.contracts["layer_norm"], 3e-4)
    before = [case.arguments["eps"] for case in cases_of(plain, seed=1) if case.chosen]
    after = [case.arguments["eps"] for case in cases_of(other, seed=1) if case.chosen]
    assert 1e-5 in before and after == [3e-4 if eps == 1e-5 else eps for eps in before]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"cases": 3}', '{"cases": [{"seed": "x"}]}', '{"cases": [[]]}'])
def test_an_unreadable_file_counts_as_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "softmax.json").write_text(text, encoding="utf-8")
    assert telling_set("softmax", tmp_path) == TellingSet("softmax")
    assert telling_set("no_such_component", tmp_path).cases == ()


def test_a_file_reads_back_as_it_was(tmp_path: Path) -> None:
    CHOSEN.save(tmp_path)
    assert telling_set(COMPONENT, tmp_path) == CHOSEN
    values = json.loads((tmp_path / f"{COMPONENT}.json").read_text(encoding="utf-8"))
    assert values["component"] == COMPONENT and len(values["cases"]) == len(CHOSEN.cases)


def test_a_fingerprint_sees_another_case_and_no_other_rounding() -> None:
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    case = Case.of({"x": x, "n": 3, "text": "ab"})
    assert fingerprint(case) == fingerprint(Case.of({"x": x * (1 + 1e-15), "n": 3, "text": "ab"}))
    others = [{"x": x.flip(0)}, {"x": x * 1.01}, {"x": x.float()}, {"x": x[:3]}, {"n": 4}, {"text": "ba"}, {"x": -x}]
    keys = [fingerprint(Case.of({"x": x, "n": 3, "text": "ab", **other})) for other in others]
    assert fingerprint(case) not in keys and len(set(keys)) == len(keys)
    balanced = torch.tensor([1.0, -1.0], dtype=torch.float64)
    assert fingerprint(Case.of({"x": balanced})) == fingerprint(Case.of({"x": balanced + 1e-16}))


def test_a_seed_that_makes_no_case_gives_none() -> None:
    def never(case: Case) -> Case:
        raise ValueError("no such size")

    assert TellingCase(0, "x").drawn(SHEET.cases().map(never)) is None
