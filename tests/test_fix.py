"""``plumbline fix``: the patch, the exit code, and what is written."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from harness import cli

RIGHT = """\
import torch


def softmax(x):
    e = torch.exp(x - x.amax(-1, keepdim=True))
    return e / e.sum(-1, keepdim=True)


def gelu(x):
    return 0.5 * x * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3)))
"""
WRONG = RIGHT.replace("0.044715 * x**3", "0.044715 * x**2")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "mine.py"


def fix(*arguments: str) -> int:
    return cli.main(["fix", "--impl=mine.py", "--cases=4", *arguments])


def test_the_patch_alone_goes_to_standard_output(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is said of it goes to standard error, and nothing is written."""
    file.write_text(WRONG)
    assert fix("gelu") == 0
    said = capsys.readouterr()
    assert said.out.startswith("--- a/mine.py\n+++ b/mine.py\n@@")
    assert "+    return 0.5 * x * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3)))" in said.out
    assert "gelu: all" in said.err and file.read_text() == WRONG


@pytest.mark.parametrize(("answer", "after"), [("y\n", RIGHT), ("\n", WRONG)])
def test_it_asks_before_it_writes(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: str, after: str
) -> None:
    file.write_text(WRONG)
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    assert fix("gelu", "--write") == 0
    assert file.read_text() == after
    assert "Write this into mine.py? [y/N]" in capsys.readouterr().err


def test_yes_writes_without_asking_and_keeps_line_breaks(file: Path) -> None:
    file.write_bytes(WRONG.replace("\n", "\r\n").encode())
    assert fix("gelu", "--write", "--yes") == 0
    assert file.read_bytes() == RIGHT.replace("\n", "\r\n").encode()


def test_right_code_is_left_alone(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(RIGHT)
    assert fix("gelu") == 0
    assert "nothing to fix" in capsys.readouterr().err


def test_a_legal_form_can_be_declared(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is undeclared is told as a form, not as a wrong line."""
    exact = "import torch\n\n\ndef gelu(x):\n    return x * (1 + torch.erf(x / 2**0.5)) / 2\n"
    file.write_text(exact)
    assert fix("gelu") == 1 and "declare it: --variant=activation=gelu_erf" in capsys.readouterr().err
    assert fix("gelu", "--variant=activation=gelu_erf") == 0 and "nothing to fix" in capsys.readouterr().err


def test_what_cannot_be_fixed_is_an_exit_code_of_1(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(RIGHT.replace("0.5 * x *", "0.5 * x.flip(-1).cumsum(-1) *"))
    assert fix("gelu") == 1
    said = capsys.readouterr()
    assert said.out == "" and "gelu: " in said.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["gelu", "--yes"], "--yes goes with --write"), (["gleu"], "did you mean gelu"), (["mlp"], "has no mlp")],
)
def test_wrong_usage_is_told(file: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str) -> None:
    file.write_text(WRONG)
    assert fix(*arguments) == 4
    assert says in capsys.readouterr().err


def test_what_raises_is_told_with_its_line(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(RIGHT.replace("0.5 * x *", "0.5 * y *"))
    assert fix("gelu") == 1
    assert "gelu: it raises NameError: name 'y' is not defined in" in (said := capsys.readouterr().err)
    assert "mine.py:10" in said
