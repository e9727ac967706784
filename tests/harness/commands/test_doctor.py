"""``plumbline doctor``, as it is printed."""

from pathlib import Path

import pytest

from harness.cli import main

FUNCTIONS = """
def gelu(x):
    return x


def layer_norm(x, weight, bias, eps):
    raise NotImplementedError
"""
MODULE = """
import torch
from torch import nn

from plumbline import implements


class Feed(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.c_fc, self.c_proj = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x):
        return self.c_proj(nn.functional.gelu(self.c_fc(x), approximate="tanh"))


@implements("mlp")
def build(config):
    return Feed(config.width, config.hidden)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_functions_are_shown_with_their_lines(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is there, what is begun, and what is to do."""
    (folder / "mine.py").write_text(FUNCTIONS)
    assert main(["doctor", "mine.py"]) == 0
    text = capsys.readouterr().out
    assert "2 of " in text and " components found" in text
    assert "gelu        function at mine.py:2" in text
    assert "layer_norm  to do at mine.py:6" in text
    absent = text.partition("to do (")[2]
    assert "attention" in absent and "gelu" not in absent and "plumbline explain tokenizer" in absent


def test_the_parameters_of_a_module_are_shown_in_a_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Which of the component's parameters is which of the module's."""
    (folder / "model.py").write_text(MODULE)
    assert main(["doctor", "model.py"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    head = next(line for line in lines if line[:1] == ["parameter"])
    assert head[:4] == ["parameter", "in", "your", "module"]
    assert ["up_weight", "c_fc.weight"] in [line[:2] for line in lines]


@pytest.mark.parametrize("option", ["--refresh", "--anew"])
def test_the_option_and_its_earlier_name_are_taken(
    option: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is written where nothing is matched."""
    (folder / "mine.py").write_text(FUNCTIONS)
    assert main(["doctor", option, "mine.py"]) == 0
    assert sorted(path.name for path in folder.iterdir() if path.suffix) == ["mine.py"]
