"""``plumbline list``, as it is printed."""

import pytest

from harness.cli import main
from harness.judging.catalogue import load_catalogue

KNOWN = load_catalogue()


def test_all_components_are_listed_with_their_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    """One line a component, and the sum last."""
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == list(KNOWN.contracts)
    assert lines[-1].startswith(f"{len(KNOWN.contracts)} components, ")
    assert lines[-1].endswith(f"{len(KNOWN.all_mistakes())} known mistakes")


def test_a_component_is_listed_with_its_claims(capsys: pytest.CaptureFixture[str]) -> None:
    """Each claim by its name, under the component's line."""
    assert main(["list", "gelu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[0] == "gelu"
    assert [line.split()[0] for line in lines[1:]] == [claim.name for claim in KNOWN.claims_of("gelu")]


def test_the_known_mistakes_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """``--bugs`` prints the mistakes in place of the claims."""
    assert main(["list", "--bugs", "gelu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [mistake.full_name for mistake in KNOWN.mistakes["gelu"]]
