"""``plumbline explain``, as it is printed."""

import pytest

from harness.cli import main
from harness.judging.catalogue import load_catalogue

KNOWN = load_catalogue()


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts wrap at the terminal's width: here every line stays whole, wherever the tests run."""
    monkeypatch.setenv("COLUMNS", "200")


def printed(capsys: pytest.CaptureFixture[str], name: str) -> str:
    """What the command prints; it must succeed."""
    assert main(["explain", name]) == 0
    return capsys.readouterr().out


def test_a_component_shows_its_claims_and_known_mistakes(capsys: pytest.CaptureFixture[str]) -> None:
    """All of them, by name, with their sentences."""
    text = printed(capsys, "layer_norm")
    assert text.startswith(f"layer_norm - {KNOWN.contracts['layer_norm'].meaning}")
    for one in (*KNOWN.claims_of("layer_norm"), *KNOWN.mistakes["layer_norm"]):
        assert f"    {one.name} " in text and one.sentence in text


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
def test_a_component_fits_the_terminal(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a terminal no line is wider than it, nor than 120 columns."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("harness.commands._layout.wraps", lambda: True)
    text = printed(capsys, "layer_norm")
    assert max(map(len, text.splitlines())) <= min(columns, 120)
    assert KNOWN.claims_of("layer_norm")[0].name in text


def test_a_long_signature_has_a_line_for_each_argument(capsys: pytest.CaptureFixture[str]) -> None:
    """As Python code is laid out."""
    lines = printed(capsys, "layer_norm").splitlines()
    start = lines.index("    layer_norm(")
    assert lines[start + 1] == "        x: float[..., width]," and lines[start + 5].startswith("    ) -> ")


def test_the_earlier_name_of_a_claim_finds_it(capsys: pytest.CaptureFixture[str]) -> None:
    """With and without its component; the answer says the new name."""
    for given in ("layer_norm::leading_axes_are_free", "leading_axes_are_free"):
        text = printed(capsys, given)
        assert text.startswith("leading_axes_are_free is now called arbitrary_batch_dimensions.\n")
        assert '"' in text and "::arbitrary_batch_dimensions:" in text


def test_a_claim_under_its_own_name_is_not_said_to_be_renamed(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing but the claim."""
    assert printed(capsys, "gelu::deterministic").startswith("gelu::deterministic: ")


def test_a_mistake_is_shown_as_a_diff_with_a_legend(capsys: pytest.CaptureFixture[str]) -> None:
    """Minus is the mistake, plus what is expected."""
    text = printed(capsys, "layer_norm.unbiased_variance")
    minus = next(line for line in text.splitlines() if line.startswith("    -"))
    plus = next(line for line in text.splitlines() if line.startswith("    +"))
    assert "shape[-1] - 1" in minus and "mean(-1" in plus
    assert "(- the mistake, + the expected code)" in text


def test_an_unknown_name_is_a_usage_error_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    """Of components, of claims, of mistakes."""
    for given, near in (
        ("layer_nrm", "layer_norm"),
        ("gelu::determinstic", "deterministic"),
        ("gelu.reluu", "gelu.relu"),
    ):
        assert main(["explain", given]) == 4
        assert f"did you mean {near}" in capsys.readouterr().err
