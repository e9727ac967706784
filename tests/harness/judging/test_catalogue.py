"""The catalogue finds claims and known mistakes, under their earlier names too."""

from collections import Counter
from pathlib import Path

import pytest
from support_runs import Runs

from harness.core.errors import UsageError
from harness.core.note import NoteCode
from harness.judging.catalogue import load_catalogue
from harness.judging.loading import inspect_implementation

KNOWN = load_catalogue()


def test_an_earlier_name_leads_to_one_claim_or_mistake() -> None:
    """Of one component no two share an earlier name, and none is the name of another today."""
    for component in KNOWN.contracts:
        for things in (KNOWN.claims_of(component), KNOWN.mistakes.get(component, ())):
            names = Counter([*(one.name for one in things), *(old for one in things for old in one.aliases)])
            assert [name for name, count in names.items() if count > 1] == [], component


def test_every_earlier_name_is_understood() -> None:
    """Each leads to the thing that has it among its aliases."""
    names = KNOWN.names()
    for mistake in KNOWN.all_mistakes():
        for old in mistake.aliases:
            assert names.mistake(f"{mistake.component}.{old}") == mistake.full_name
    for component in KNOWN.contracts:
        for claim in KNOWN.claims_of(component):
            assert [names.claim(component, old) for old in claim.aliases] == [claim.name] * len(claim.aliases)


def test_a_mistake_is_found_by_its_name_its_earlier_name_and_as_a_variant() -> None:
    """A misspelt name says what is near."""
    assert KNOWN.mistake("gelu.root_of_two_by_pi") is KNOWN.mistake("gelu.pi_outside_the_root")
    assert KNOWN.mistake("gelu.variant=erf").name == "variant=erf"
    with pytest.raises(KeyError, match=r"did you mean gelu\.pi_outside_the_root"):
        KNOWN.mistake("gelu.pi_outside_the_rot")


@pytest.mark.parametrize("prefix", ["mistake:", "bug:"])
def test_both_prefixes_name_known_mistakes_and_earlier_names_work(prefix: str) -> None:
    """One note says what the mistake is called now; a current name needs none."""
    assert inspect_implementation(f"{prefix}gelu.pi_outside_the_root").notes == ()
    (note,) = inspect_implementation(f"{prefix}gelu.root_of_two_by_pi + gelu.sigmoid_of_u").notes
    assert note.code is NoteCode.RENAMED
    assert "gelu.root_of_two_by_pi is now gelu.pi_outside_the_root" in note.text
    assert "gelu.sigmoid_of_u is now gelu.sigmoid_without_factor_2" in note.text
    with pytest.raises(UsageError, match=r"no known mistake .gelu\.nothing_like_it"):
        inspect_implementation(f"{prefix}gelu.nothing_like_it")


def test_a_run_understands_earlier_names_everywhere(runs: Runs, tmp_path: Path) -> None:
    """On the command line, in the project's table of expected failures; one note says so, and the run is green."""
    (tmp_path / "pyproject.toml").write_text(
        '[tool.plumbline.expected]\n"gelu::tails_are_right" = "a different constant"\n', encoding="utf-8"
    )
    arguments = ["--impl=mistake:gelu.pi_outside_the_root", "gelu::tails_are_right", "gelu::leaves_arguments_alone"]
    done = runs.start(tmp_path, arguments)
    assert done.code == 0, done.output
    assert "gelu::tails_are_right is now gelu::accurate_in_the_tails" in done.output
    assert "gelu::leaves_arguments_alone is now gelu::arguments_not_modified" in done.output
    assert done.output.count("names that have changed") == 1
    assert "gelu::accurate_in_the_tails is failed; expected: a different constant" in done.output
    refused = runs.start(tmp_path, ["--impl=mistake:gelu.relu", "gelu::tails_are_rigth"])
    assert refused.code == 4 and "gelu has no check 'tails_are_rigth'" in refused.output
