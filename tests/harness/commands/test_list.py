"""``plumbline list``, as it is printed."""

import json
from typing import Any

import pytest

from harness.cli import main
from harness.judging.catalogue import load_catalogue

KNOWN = load_catalogue()


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts wrap at the terminal's width: here every line stays whole, wherever the tests run."""
    monkeypatch.setenv("COLUMNS", "200")


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the command prints; it must succeed."""
    assert main(["list", *arguments]) == 0
    return capsys.readouterr().out


def as_json(capsys: pytest.CaptureFixture[str], *components: str) -> dict[str, Any]:
    """The catalogue as a program reads it."""
    return json.loads(printed(capsys, "--json", *components))


def test_all_components_are_listed_with_their_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    """A title, one line a component, and the sum last."""
    head, *lines, last = printed(capsys).splitlines()
    assert head.split()[:3] == ["component", "claims", "mistakes"]
    assert [line.split()[0] for line in lines] == list(KNOWN.contracts)
    assert [int(line.split()[1]) for line in lines] == [len(KNOWN.claims_of(name)) for name in KNOWN.contracts]
    assert [int(line.split()[2]) for line in lines] == [len(KNOWN.mistakes.get(name, ())) for name in KNOWN.contracts]
    assert last.startswith(f"{len(KNOWN.contracts)} components, ")
    assert last.endswith(f"{len(KNOWN.all_mistakes())} known mistakes")


def test_a_component_is_listed_with_its_claims(capsys: pytest.CaptureFixture[str]) -> None:
    """Each claim by its name, under the component's line and the count."""
    lines = printed(capsys, "gelu").splitlines()
    assert lines[0].split()[0] == "gelu"
    assert lines[1] == f"{len(KNOWN.claims_of('gelu'))} claims, {len(KNOWN.mistakes['gelu'])} known mistakes"
    assert [line.split()[0] for line in lines[2:]] == [claim.name for claim in KNOWN.claims_of("gelu")]


@pytest.mark.parametrize("option", ["--mistakes", "--bugs"])
def test_the_known_mistakes_are_listed(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """``--mistakes`` prints them in place of the claims; so does the option's earlier name."""
    lines = printed(capsys, option, "gelu").splitlines()
    assert [line.split()[0] for line in lines] == [mistake.full_name for mistake in KNOWN.mistakes["gelu"]]


def test_json_holds_the_whole_catalogue(capsys: pytest.CaptureFixture[str]) -> None:
    """Every component in reading order, each claim and mistake with its sentence and earlier names."""
    body = as_json(capsys)
    assert list(body) == ["version", "components"] and body["version"] == 1
    assert [one["name"] for one in body["components"]] == list(KNOWN.contracts)
    for one in body["components"]:
        contract = KNOWN.contracts[one["name"]]
        assert one["meaning"] == contract.meaning and tuple(one["parts"]) == contract.parts
        assert [v["name"] for v in one["variants"]] == [v.name for v in contract.variants]
        claims = [
            {"name": c.name, "sentence": c.sentence, "aliases": list(c.aliases)} for c in KNOWN.claims_of(one["name"])
        ]
        assert one["claims"] == claims
        assert [m["name"] for m in one["mistakes"]] == [m.name for m in KNOWN.mistakes.get(one["name"], ())]


def test_the_keys_of_json_stand_in_the_documented_order(capsys: pytest.CaptureFixture[str]) -> None:
    """``plumbline list --help`` promises it."""
    (gelu,) = as_json(capsys, "gelu")["components"]
    assert list(gelu) == ["name", "meaning", "signature", "parts", "variants", "numbers", "claims", "mistakes"]
    assert list(gelu["claims"][0]) == list(gelu["mistakes"][0]) == ["name", "sentence", "aliases"]
    with pytest.raises(SystemExit):
        main(["list", "--help"])
    text = capsys.readouterr().out
    assert all(key in text for key in (*gelu, "sentence", "aliases", "version", "components"))
    assert "--mistakes" in text and "--bugs" not in text


def test_mistakes_and_json_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    """The JSON holds the mistakes already."""
    with pytest.raises(SystemExit) as ended:
        main(["list", "--mistakes", "--json"])
    assert ended.value.code == 4 and "not allowed with" in capsys.readouterr().err
