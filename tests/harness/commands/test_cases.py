"""`plumbline cases` shows, checks and makes telling sets."""

from dataclasses import replace

import pytest

from harness.cli import main
from harness.commands import cases as command
from harness.judging.telling import TellingSet, telling_set

COMPONENT = "softmax"
CHOSEN = telling_set(COMPONENT)


def test_it_shows_which_case_tells_which_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cases", COMPONENT]) == 0
    shown = capsys.readouterr().out
    assert f"{COMPONENT}: {len(CHOSEN.cases)} cases" in shown
    assert all(f"seed {case.seed}" in shown and case.looks in shown for case in CHOSEN.cases)
    (row,) = (line for line in shown.splitlines() if line.split()[:1] == ["not_normalised"])
    assert [int(n) for n in row.split()[1:] if n != "."] == CHOSEN.told_by["not_normalised"]


def test_a_set_that_is_what_its_file_says_passes_the_check(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "telling_set", lambda name: replace(CHOSEN, cases=CHOSEN.cases[:1], claims={}))
    assert main(["cases", COMPONENT, "--check"]) == 0
    assert "1 cases tell what they told" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fingerprint": "another"}, "gives another case"),
        ({"tells": ("maximum_not_subtracted",)}, "maximum_not_subtracted is not told"),
        ({"tells": ("no_such_mistake",)}, "no_such_mistake is not told"),
    ],
)
def test_a_set_that_is_not_fails_it(
    change, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = replace(CHOSEN, cases=(replace(CHOSEN.cases[0], **change),), claims={})
    monkeypatch.setattr(command, "telling_set", lambda name: wrong)
    assert main(["cases", COMPONENT, "--check"]) == 1
    shown = capsys.readouterr().out
    assert said in shown and f"plumbline cases {COMPONENT} --regenerate" in shown


def test_a_component_without_a_set_fails_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "telling_set", TellingSet)
    assert main(["cases", COMPONENT, "--check"]) == 1
    assert f"{COMPONENT} has no telling set" in capsys.readouterr().out


def test_a_claim_that_is_gone_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "telling_set", lambda name: replace(CHOSEN, claims={"gone": CHOSEN.cases[:1]}))
    assert main(["cases", COMPONENT, "--check"]) == 1
    assert "no claim 'gone'" in capsys.readouterr().out


def test_what_is_chosen_anew_is_written_down(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[TellingSet] = []
    monkeypatch.setattr(command, "choose", lambda known, name: replace(CHOSEN, component=name))
    monkeypatch.setattr(TellingSet, "save", lambda self: saved.append(self))
    assert main(["cases", COMPONENT, "--regenerate"]) == 0
    assert saved == [CHOSEN] and "known mistakes told" in capsys.readouterr().out


def test_an_unknown_component_is_wrong_usage() -> None:
    assert main(["cases", "softmx"]) == 4
