"""A class whose parameters are not the contract's is compared with itself: told, and never a verdict."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.record import Cause, Status
from harness.judging.grounds import grounds_of
from harness.judging.loading import inspect_implementation
from harness.judging.structural import structure_of, with_structure

TEXT = """
import torch
from torch import nn
class Gelu(nn.Module):
    def forward(self, x):
        return nn.functional.gelu(x, approximate="tanh")
class CausalSelfAttention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.h, self.shared = config.n_head, nn.Parameter(torch.randn(config.n_embd, config.n_embd))
        self.up, self.down = nn.Linear(config.n_embd, 3 * config.n_embd), nn.Linear(3 * config.n_embd, config.n_embd)
    def forward(self, x):
        B, T, C = x.shape
        q = (x @ self.shared).view(B, T, self.h, -1).transpose(1, 2)
        y = nn.functional.scaled_dot_product_attention(q, q, q, is_causal=True)
        return self.down(self.up(y.transpose(1, 2).reshape(B, T, C)))
"""


@pytest.mark.parametrize(
    ("right", "wrong", "failed"),
    [
        ("", "", set()),
        ("is_causal=True", "is_causal=False", {"is_causal", "prefix_consistent"}),
        ("return self.down(", "return x.mean(0) + self.down(", {"rows_of_a_batch_are_independent"}),
    ],
    ids=["right", "sees the future", "mixes rows"],
)
def test_what_holds_for_any_weights_is_tested(right: str, wrong: str, failed: set[str], tmp_path: Path) -> None:
    """Nine statements, without a reference."""
    (tmp_path / "odd.py").write_text(TEXT.replace(right, wrong) if right else TEXT, encoding="utf-8")
    judged = inspect_implementation(str(tmp_path / "odd.py"), seed=1, cases=3)
    structure = structure_of(judged, "attention")
    assert set(structure.failed) == failed and len(structure.passed) == 9 - len(failed)
    claim = judged.catalogue.claims["is_causal"]
    verdict = with_structure(judged, judged.judge("attention", claim))
    assert verdict.status is Status.NOT_CHECKED and verdict.cause is Cause.MISFIT and not verdict.failing
    assert verdict.message.startswith(f"not compared with a reference; {9 - len(failed)} of 9 structural checks passed")
    grounds = grounds_of(judged, "attention")
    assert grounds.structure == str(structure) and "its parameters do not fit" in grounds.needs
    assert grounds.plug_in[1] == '@implements("attention")'


def test_a_component_that_is_compared_has_none(tmp_path: Path) -> None:
    """Nothing is said of it twice."""
    (tmp_path / "odd.py").write_text(TEXT, encoding="utf-8")
    judged = inspect_implementation(str(tmp_path / "odd.py"), seed=1, cases=3)
    verdict = judged.judge("gelu", judged.catalogue.claims["deterministic"])
    assert str(structure_of(judged, "gelu")) == "" and with_structure(judged, verdict) is verdict
