"""Mutants before the judge: a fixed small sample here, all of the usual ones with PLUMBLINE_FULL=1."""

from __future__ import annotations

import pytest
from support_lanes import FULL

from harness.cli import main
from harness.commands import mutants
from harness.core.record import Status
from harness.judging.catalogue import load_catalogue
from harness.mutation import trials
from harness.mutation.stored import Kind, Stored, stored_of
from harness.mutation.sweep import Score
from harness.mutation.trials import Effort, Outcome, Place, population, try_mutant

KNOWN = load_catalogue()
SAMPLE = (("gelu", 6), ("linear", 4), ("softmax", 6), ("mlp", 3), ("rms_norm", 4))
"""Components that are judged fast, and how many mutants of each."""
GELU = population(KNOWN, "gelu", 2)


@pytest.mark.parametrize(("component", "most"), SAMPLE)
def test_the_checks_notice_mutants(component: str, most: int) -> None:
    """Each of the sample, but for those of which the project says why not."""
    stored = {entry.key for entry in stored_of(component)}
    for mutant in population(KNOWN, component, most):
        outcome = try_mutant(KNOWN, mutant, Effort(effort="quick"))
        assert (outcome.killed_by is None) <= (mutant.key in stored), mutant
        assert outcome.reached


@pytest.mark.skipif(not FULL, reason="PLUMBLINE_FULL=1 tries the mutants of every component")
def test_the_checks_notice_nearly_all_mutants() -> None:
    """As the command counts."""
    assert main(["mutants", "--brief", "--jobs", "2"]) == 0


def test_the_choice_stays_when_others_come() -> None:
    """A larger sample holds the smaller one, in the order of the lines."""
    few, many = (population(KNOWN, "rope", most) for most in (8, 20))
    assert len(few) == 8 and len(many) == 20 and set(few) <= set(many)
    assert few == [mutant for mutant in many if mutant in few]
    assert [mutant.line for mutant in many] == sorted(mutant.line for mutant in many)


def test_code_that_only_a_form_runs_is_judged_in_that_form() -> None:
    """A scaling of rotary positions is used beside rotary positions only."""
    everything = population(KNOWN, "grouped_query_attention")
    scaling = next(m for m in everything if m.of.endswith(".ntk_scaling") and m.after == "return frequencies")
    outcome = try_mutant(KNOWN, scaling, Effort(effort="quick"))
    assert outcome.reached and outcome.killed_by and "+" in outcome.place.form


def test_what_no_component_comes_to_is_left_out() -> None:
    """The number of parameters of a configuration is for people; what a model is initialised with is judged."""
    components = ("gpt2", "llama_block", "grouped_query_attention")
    functions = {mutant.of.split(".")[1] for name in components for mutant in population(KNOWN, name)}
    assert "llama_parameter_count" not in functions and {"initialise", "LlamaConfig", "ntk_scaling"} <= functions


def test_a_form_of_the_same_function_is_judged_too() -> None:
    """The plain form comes to the line of a cap on the logits, and returns before the cap."""
    (capped,) = (m for m in population(KNOWN, "llama") if m.after.endswith("softcap * torch.tanh(logits)"))
    forms = [place.form for place in trials._forms_of(KNOWN, capped, Place("llama"))]
    assert any(form.startswith("final_softcap=") for form in forms)
    assert trials._forms_of(KNOWN, capped, Place("llama", forms[0])) == []


def test_a_line_that_nothing_runs_is_told(monkeypatch) -> None:
    """A survivor, and no check is to blame for what it sees."""
    mutant = GELU[0]
    monkeypatch.setattr(trials, "_reaches", lambda *_: False)
    monkeypatch.setattr(trials, "_first_failure", lambda *_: (None, None))
    outcome = try_mutant(KNOWN, mutant, Effort())
    assert outcome.killed_by is None and not outcome.reached and outcome.place == Place("gelu")


def outcome(mutant, killed_by=None, status=None) -> Outcome:
    return Outcome(mutant.key, Place("gelu"), killed_by, status, True, 0.1)


def scored(*rows) -> Score:
    return Score("gelu", list(rows), [])


ONE, OTHER = GELU
EQUIVALENT = Stored(ONE.key, Kind.EQUIVALENT, "It is the same for every call.")
OPEN = Stored(ONE.key, Kind.OPEN, "No check looks at it yet.")


@pytest.mark.parametrize(
    ("score", "code", "told"),
    (
        (scored((ONE, outcome(ONE, "a", Status.FAILED), None)), 0, "1 of   1 noticed (100.0 %)"),
        (
            scored((ONE, outcome(ONE), EQUIVALENT), (OTHER, outcome(OTHER, "a", Status.CRASHED), None)),
            0,
            "1 by a crash",
        ),
        (scored((ONE, outcome(ONE), None)), 1, "survives: not explained"),
        (scored((ONE, outcome(ONE), OPEN)), 1, "survives: No check looks at it yet."),
        (
            scored((ONE, outcome(ONE, "a", Status.FAILED), EQUIVALENT)),
            1,
            "stored as equivalent, but gelu::a notices it",
        ),
        (Score("gelu", [(ONE, outcome(ONE, "a", Status.FAILED), None)], [EQUIVALENT]), 1, "there is no such mutant"),
    ),
)
def test_a_hole_or_a_wrong_entry_is_a_failure(score, code, told, monkeypatch, capsys) -> None:
    """Exit code 1, and the line says what to look at."""
    monkeypatch.setattr(mutants, "sweep", lambda *_: iter([score]))
    assert main(["mutants", "gelu"]) == code
    assert told in capsys.readouterr().out


def test_the_page_has_a_line_for_each_and_one_for_all(monkeypatch, tmp_path) -> None:
    """At two efforts, with the survivors and their reasons below."""
    noticed, alive = (ONE, outcome(ONE, "a", Status.FAILED), None), (ONE, outcome(ONE), OPEN)
    by_effort = {"default": scored(noticed, (OTHER, outcome(OTHER, "a", Status.CRASHED), None)), "quick": scored(alive)}
    monkeypatch.setattr(mutants, "sweep", lambda _, effort, *__: iter([by_effort[effort.effort]]))
    page = tmp_path / "MUTANTS.md"
    assert main(["mutants", "gelu", "--write", str(page)]) == 0
    table = page.read_text()
    assert "| gelu | 2 | 0 | 2 | 1 | 100.0 % | 0.0 % |" in table and "| **all** | 2 |" in table
    assert "## Survivors" not in table
    by_effort["default"] = scored(alive)
    assert main(["mutants", "gelu", "--write", str(page)]) == 1
    assert f"becomes `{ONE.after}`. No check looks at it yet." in page.read_text()


def test_processes_share_the_work(capsys) -> None:
    """Two components in two processes, in order."""
    assert main(["mutants", "rms_norm", "linear", "--most", "2", "--jobs", "2"]) == 0
    out = capsys.readouterr().out
    assert out.index("rms_norm") < out.index("linear") and "4 mutants of 2 components, effort default" in out
