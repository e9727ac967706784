"""Square matrices that no layer owns are laid out as the code multiplies them; a wrong module stays wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.judging.inspection import Inspection
from harness.judging.loading import inspect_implementation

CODE = """
import torch
from torch import nn

class Attention(nn.Module):
    def __init__(self, d_model, n_heads):
        super().__init__()
        self.n_heads = n_heads
        self.Wq, self.Wk, self.Wv, self.Wo = (nn.Parameter(torch.randn(d_model, d_model)) for _ in range(4))

    def forward(self, x):
        rows, time, width = x.shape
        q, k, v = (
            (x @ m).view(rows, time, self.n_heads, -1).transpose(1, 2) for m in (self.Wq, self.Wk, self.Wv)
        )
        scores = q @ k.mT / (width // self.n_heads) ** 0.5
        scores = scores.masked_fill(torch.ones(time, time, dtype=torch.bool).triu(1), float("-inf"))
        return (scores.softmax(-1) @ v).transpose(1, 2).reshape(rows, time, width) @ self.Wo
"""


@pytest.mark.parametrize(
    ("right", "wrong", "fails"), [("", "", False), ("@ m)", "@ m.mT)", True), ("triu(1)", "triu(2)", True)]
)
def test_squares_are_laid_out_as_they_are_multiplied(right: str, wrong: str, fails: bool, tmp_path: Path) -> None:
    """All from the right: right. Some from the left, or another mistake: no layout makes it right."""
    file = tmp_path / f"squares_{fails}.py"
    file.write_text(CODE.replace(right, wrong) if right else CODE, encoding="utf-8")
    judged: Inspection = inspect_implementation(str(file), cases=3)
    claims = {claim.name: claim for claim in judged.catalogue.claims_of("attention")}
    contract = judged.catalogue.contracts["attention"]
    verdict = judged.bench.judge(contract, claims["agrees_with_the_reference"], shrink=False)[0]
    assert verdict.failing is fails
