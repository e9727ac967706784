"""Code that takes something else than the contract gives is not checked. What it raises itself is its own crash."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.record import Cause, Status, Verdict
from harness.judging.loading import inspect_implementation

HELPER = """
import torch
def softmax(x, dim=-1):
    return torch.softmax(x, dim)
def block(x, weights, heads, theta, d_ff):
    return x
"""
SCRIPT = """
import torch
data = {"train": torch.arange(900), "val": torch.arange(100)}
def softmax(x, dim=-1):
    return torch.softmax(x, dim)
def get_batch(split):
    starts = torch.randint(len(data[split]) - 8, (4,))
    return tuple(torch.stack([data[split][i + k : i + k + 8] for i in starts]) for k in (0, 1))
"""
ROTATED = """
import torch
from torch import nn
class RMSNorm(nn.Module):
    def __init__(self, dim, eps=1e-5):
        super().__init__()
        self.eps, self.weight = eps, nn.Parameter(torch.ones(dim))
    def forward(self, x, scale_table):
        return x * scale_table * self.weight
"""
OWN_TYPE_ERROR = "def gelu(x):\n    return x + None\n"
OWN_CALL = "def helper(x, y):\n    return x\ndef gelu(x):\n    return helper(x)\n"
UNEXPECTED = """
def inner(x, alpha):
    return x
class Gelu:
    def __call__(self, *given):
        return inner(*given)
gelu = Gelu()
"""


def verdicts(text: str, component: str, folder: Path) -> list[Verdict]:
    """Every claim of a component of a file with this text."""
    (folder / "mine.py").write_text(text, encoding="utf-8")
    judged = inspect_implementation(str(folder / "mine.py"), seed=1, cases=3)
    return [judged.judge(component, claim) for claim in judged.catalogue.claims_of(component)]


@pytest.mark.parametrize(
    ("text", "component", "needs"),
    [(HELPER, "block", "it needs heads, theta and d_ff."), (SCRIPT, "get_batch", "it needs split.")],
)
def test_a_name_alone_makes_no_component(text: str, component: str, needs: str, tmp_path: Path) -> None:
    """A helper called block, a training script's get_batch(split): told what they need, judged in nothing."""
    found = verdicts(text, component, tmp_path)
    assert {v.status for v in found} == {Status.NOT_CHECKED} and {v.cause for v in found} == {Cause.MISFIT}
    assert all(v.message.startswith(needs) and not v.failing for v in found)
    assert not any(v.failing for v in verdicts(text, "softmax", tmp_path))


def test_a_module_that_is_called_without_what_it_needs_is_a_misfit(tmp_path: Path) -> None:
    """The call itself raises: no line of the forward pass ran."""
    found = verdicts(ROTATED, "rms_norm", tmp_path)
    assert not any(v.failing for v in found)
    assert any(v.status is Status.NOT_CHECKED and "scale_table" in v.message for v in found)


@pytest.mark.parametrize("text", [OWN_TYPE_ERROR, OWN_CALL, UNEXPECTED])
def test_a_type_error_inside_their_code_is_their_own_crash(text: str, tmp_path: Path) -> None:
    """It was called with what it takes."""
    found = verdicts(text, "gelu", tmp_path)
    crashed = [v for v in found if v.status is Status.CRASHED]
    assert crashed and all(v.cause is Cause.OWN_CRASH and v.failing for v in crashed)
    assert not any(v.status is Status.NOT_CHECKED for v in found)


def test_every_red_has_its_cause(tmp_path: Path) -> None:
    """Numbers that are not the reference's, and another promise that does not hold."""
    text = "import torch\ncalls = []\ndef gelu(x):\n    calls.append(1)\n    return torch.relu(x) + len(calls)\n"
    causes = {v.claim: v.cause for v in verdicts(text, "gelu", tmp_path) if v.failing}
    assert causes["agrees_with_the_reference"] is Cause.WRONG_NUMBERS
    assert causes["no_memory_of_earlier_calls"] is Cause.BROKEN_CLAIM
    assert all(causes.values())
