"""The matrix of known mistakes, as a person and a gate read it."""

import json
from dataclasses import replace

import pytest

from harness.cli import main
from harness.commands import matrix
from harness.core.claim import Claim
from harness.judging.catalogue import load_catalogue

KNOWN = load_catalogue()


def test_every_row_says_what_catches_it_and_the_sum_stands_last(tmp_path, capsys) -> None:
    """One process or two give the same rows in the same order, all of them caught and named."""
    file = tmp_path / "rows.json"
    assert main(["matrix", "gelu", "--cases", "10", "--json", str(file)]) == 0
    told = capsys.readouterr().out.splitlines()
    rows = json.loads(file.read_text())
    mistakes = KNOWN.mistakes["gelu"]
    assert [row["name"] for row in rows] == [mistake.full_name for mistake in mistakes]
    assert all(row["caught_by"] and row["named"] and 0 < row["drawn"] < 200 for row in rows)
    assert len(told) == len(mistakes) + 1 and all(
        f" {mistake.full_name} " in line for mistake, line in zip(mistakes, told, strict=False)
    )
    assert told[-1].startswith(
        f"{len(mistakes)} known mistakes of 1 components: {len(mistakes)} caught, {len(mistakes)} named (100.0 %)"
    )
    assert main(["matrix", "gelu", "--cases", "10", "--first", "--jobs", "2", "--json", str(file)]) == 0
    quick = json.loads(file.read_text())
    assert [row["name"] for row in quick] == [row["name"] for row in rows]
    assert all(len(one["caught_by"]) <= len(other["caught_by"]) for one, other in zip(quick, rows, strict=True))


def test_what_is_missed_not_named_or_seen_too_late_is_a_failure(monkeypatch, capsys) -> None:
    """Exit code 1, and with --brief the row that is to blame is the one that is printed."""
    good = {
        "name": "gelu.x",
        "caught_by": ["a"],
        "finding": ["gelu.x"],
        "named": True,
        "toothless": [],
        "drawn": 50,
        "unnamed_because": "",
        "seconds": 0.1,
    }
    spoiled = (
        {"caught_by": [], "finding": [], "named": False},
        {"finding": [], "named": False, "unnamed_because": "no reason"},
        {"drawn": 200},
        {"toothless": ["never_looks"]},
    )
    for changes in spoiled:
        rows = [good, {**good, "name": "gelu.y", **changes}]
        monkeypatch.setattr(matrix, "_rows", lambda *_, rows=rows: iter(rows))
        assert main(["matrix", "gelu", "--brief"]) == 1
        told = capsys.readouterr().out
        assert "gelu.y" in told and "gelu.x" not in told
    monkeypatch.setattr(matrix, "_rows", lambda *_: iter([good]))
    assert main(["matrix", "gelu", "--brief"]) == 0


def test_a_mistake_with_a_reason_not_to_be_named_says_it(monkeypatch) -> None:
    """The row carries the reason of the record."""
    mistake = replace(KNOWN.mistakes["gelu"][0], unnamed_because="it is a test")
    row = matrix.try_mistake(KNOWN, mistake, cases=6, every_claim=False)
    assert row["unnamed_because"] == "it is a test" and row["caught_by"]


def test_a_claim_that_its_mistake_does_not_break_is_toothless() -> None:
    """A claim that names the mistake in broken_by and passes all the same is in the row, with --first too."""
    mistake, contract = KNOWN.mistakes["gelu"][0], KNOWN.contracts["gelu"]
    idle = Claim("never_looks", "it never looks", lambda trial: None, broken_by=mistake.name)
    claims = tuple(replace(claim, broken_by="") for claim in contract.claims)
    known = replace(KNOWN, contracts={**KNOWN.contracts, "gelu": replace(contract, claims=(*claims, idle))})
    for every_claim in (False, True):
        row = matrix.try_mistake(known, mistake, cases=6, every_claim=every_claim)
        assert row["toothless"] == ["never_looks"] and row["caught_by"]


@pytest.mark.parametrize(
    ("arguments", "told"), [(["nonsense"], "there is no component"), (["gelu", "--jobs", "0"], "--jobs")]
)
def test_wrong_use_is_told(arguments, told, capsys) -> None:
    """Exit code 4 and the value."""
    assert main(["matrix", *arguments]) == 4
    assert told in capsys.readouterr().err
