"""``plumbline doctor``, as it is printed."""

import re
from pathlib import Path

import pytest

from harness.cli import main

FUNCTIONS = """
def gelu(x):
    return x


def layer_norm(x, weight, bias, eps):
    raise NotImplementedError
"""
MISFITS = """
def helper():
    return 1


def rms_norm(x, *, g):
    return x


def softmax(x, dim, approximate=False):
    return x.softmax(dim)
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
    assert "1 of " in text and " components judged, 1 to do" in text
    assert "gelu        judged as a function at mine.py:2" in text
    assert re.search(r"\n    (\d\d) of \1 cases given\n", text)
    assert "layer_norm  to do at mine.py:6" in text
    assert "more components have not been begun" in text and "attention" not in text


def test_what_does_not_fit_is_shown_with_the_lines_that_plug_it_in(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A function and a class with other arguments; what is no component is named once."""
    (folder / "mine.py").write_text(FUNCTIONS + MISFITS)
    assert main(["doctor", "mine.py"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "rms_norm not checked" in text.replace("  ", " ") and "it needs g." in text
    assert '@implements("rms_norm") def plugged_in(x, weight, eps): return rms_norm(x=x, g=...)' in text
    assert "no component: helper" in text and "never given: approximate" in text


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
