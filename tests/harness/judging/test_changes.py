"""A change is shown only where every claim passes with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.change import Change
from harness.judging.inspection import Inspection
from harness.judging.loading import inspect_implementation

NORM = """\
import torch


def mean_square(x):
    return (x * x).mean(-1, keepdim=True)


def rms_norm(x, weight, eps):
    y = x * torch.rsqrt(mean_square(x) + eps)
    return y * weight
"""
CLASS = """\
import torch
from torch import nn


class RMSNorm(nn.Module):
    def __init__(self, width, eps=1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight
"""


def inspected(folder: Path, text: str) -> Inspection:
    file = folder / "norms.py"
    file.write_text(text)
    return inspect_implementation(str(file), seed=1, cases=4)


@pytest.mark.parametrize(
    ("text", "right", "wrong"),
    [
        (NORM, "(x * x).mean(-1, keepdim=True)", "(x + x).mean(-1, keepdim=True)"),
        (NORM, "y * weight", "y + weight"),
        (CLASS, "self.eps = eps", "self.eps = 100 * eps"),
    ],
    ids=["a helper", "an operator", "a constructor"],
)
def test_the_change_fixes_it(tmp_path: Path, text: str, right: str, wrong: str) -> None:
    """Every claim passes with it, and it is the text that was right."""
    judged = inspected(tmp_path, text.replace(right, wrong))
    found = judged.changes.of("rms_norm")
    assert found is not None and found.held > 5
    assert found.changes[0].after == text


def test_what_breaks_another_claim_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Right numbers are no proof: this change writes to its argument."""
    wrong = NORM.replace("y * weight", "y + weight")
    spoils = NORM.replace("y * weight", "x.copy_(y * weight)")
    judged = inspected(tmp_path, wrong)
    file = str(tmp_path / "norms.py")
    monkeypatch.setattr("harness.judging.changes.changes", lambda *_: [Change(file, wrong, spoils)])
    assert judged.changes.of("rms_norm") is None
    monkeypatch.setattr("harness.judging.changes.changes", lambda *_: [Change(file, wrong, NORM)])
    assert inspected(tmp_path, wrong).changes.of("rms_norm") is not None


def test_right_code_has_no_change(tmp_path: Path) -> None:
    judged = inspected(tmp_path, NORM)
    assert judged.changes.failing("rms_norm") == [] and judged.changes.of("rms_norm") is None


def test_changes_are_sought_one_component_after_the_other(tmp_path: Path) -> None:
    """With the number of checks behind each; none is begun when the time is over."""
    judged = inspected(tmp_path, NORM.replace("y * weight", "y + weight"))
    assert list(judged.changes.of_all(["rms_norm"], seconds=-1.0)) == []
    [(name, found)] = judged.changes.of_all(["rms_norm"], seconds=60.0)
    assert name == "rms_norm" and found is not None and found.run >= found.held > 5
    told = found.in_record(tmp_path)
    assert told.diff.startswith("--- a/norms.py\n+++ b/norms.py\n") and (told.checks_held, told.checks_run)
    assert "+    return y * weight\n" in told.diff


def test_a_number_may_be_one_of_a_part(tmp_path: Path) -> None:
    """The constant of GELU stands in another function of the reference; an epsilon stands in none."""
    text = (
        "import math\n\nimport torch\n\n\n"
        "def mlp(x, up_weight, up_bias, down_weight, down_bias):\n"
        "    h = x @ up_weight.T + up_bias\n"
        "    g = 0.5 * h * (1 + torch.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h**3)))\n"
        "    return g @ down_weight.T + down_bias\n"
    )
    judged = inspected(tmp_path, text.replace("0.044715", "0.44715"))
    found = judged.changes.of("mlp")
    assert found is not None and found.changes[0].after == text
    assert {1e-5, 1e-6} <= set(judged.changes._numbers_of("rms_norm"))


@pytest.mark.parametrize("cast", ["x", "x * 1.0"], ids=["rounded at the end", "rounded inside"])
def test_code_that_rounds_to_float32_is_fixed_too(tmp_path: Path, cast: str) -> None:
    """Its right answers miss the tolerance of float64, in which it is judged while it is wrong."""
    text = NORM.replace("y = x *", "wide = x\n    x = x.float()\n    y = x *").replace(
        "y * weight", "y.to(wide.dtype) * weight"
    )
    text = text.replace("wide = x\n", f"wide = {cast}\n")
    found = inspected(tmp_path, text.replace("(x * x).mean", "(x * x).sum")).changes.of("rms_norm")
    assert found is not None and found.changes[0].after == text
