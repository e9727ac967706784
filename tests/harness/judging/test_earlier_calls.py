"""A failure that is none in a fresh instance is told as what it is, with the call before it and what that changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.record import Verdict
from harness.execution.held_state import changed, held_in
from harness.judging.loading import inspect_implementation

GLOBAL = """
import torch
SEEN = {}
def layer_norm(x, weight, bias, eps=1e-5):
    eps = SEEN.setdefault("eps", eps)
    y = (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, unbiased=False) + eps).sqrt() * weight
    return y if bias is None else y + bias
"""
EVERY_THIRD = """
import torch
from torch import nn
class LayerNorm(nn.Module):
    def __init__(self, width, eps=1e-5):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.eps, self.calls = eps, 0
    def forward(self, x):
        self.calls += 1
        y = nn.functional.layer_norm(x, x.shape[-1:], self.weight, self.bias, self.eps)
        return y if self.calls % 3 else 1.01 * y
"""
WRONG_ALWAYS = """
import torch
CALLS = []
def layer_norm(x, weight, bias, eps=1e-5):
    CALLS.append(len(CALLS))
    y = (x - x.mean(-1, keepdim=True)).tanh() * weight
    return y if bias is None else y + bias
"""


def judged(text: str, folder: Path, *claims: str) -> list[Verdict]:
    (folder / "mine.py").write_text(text, encoding="utf-8")
    found = inspect_implementation(str(folder / "mine.py"), seed=1, cases=10)
    found.diagnostician.seconds = found.diagnostician.form_seconds = found.diagnostician.relation_seconds = 0.2
    found.bench.smaller = lambda contract, claim, verdict: verdict  # type: ignore[method-assign]
    known = {claim.name: claim for claim in found.catalogue.claims_of("layer_norm")}
    return [found.judge("layer_norm", known[name]) for name in claims]


@pytest.mark.parametrize(
    ("text", "name", "claims"),
    [
        (GLOBAL, "SEEN", ("agrees_with_the_reference", "gradients_agree")),
        (EVERY_THIRD, "LayerNorm.calls", ("no_memory_of_earlier_calls", "shift_invariant")),
    ],
)
def test_what_earlier_calls_leave_behind_is_named(
    text: str, name: str, claims: tuple[str, ...], tmp_path: Path
) -> None:
    """One finding for every claim that fails for it."""
    verdicts = judged(text, tmp_path, *claims)
    assert all(verdict.failing for verdict in verdicts)
    for verdict in verdicts:
        assert verdict.depends_on_earlier_calls and not verdict.finding
        assert "depends on earlier calls" in verdict.message and name in verdict.message
    assert len({verdict.message for verdict in verdicts}) == 1


def test_what_fails_in_a_fresh_instance_too_does_not_depend_on_earlier_calls(tmp_path: Path) -> None:
    (verdict,) = judged(WRONG_ALWAYS, tmp_path, "agrees_with_the_reference")
    assert verdict.failing and not verdict.depends_on_earlier_calls
    mistakes, _, relations = verdict.searched
    assert mistakes > 20 and relations > 20, "what was tried without success is told"


def test_a_change_inside_a_container_is_seen() -> None:
    class Held:
        def __init__(self) -> None:
            self.kept, self.name = {"rows": [1, 2]}, "held"

    one = Held()
    before = held_in(one)
    one.kept["rows"].append(3)
    assert changed(before, held_in(one)) == ["Held.kept"]
