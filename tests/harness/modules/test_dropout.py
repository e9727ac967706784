"""Dropout is switched on for one call, and a mask that is lost in training is seen."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from harness.core.record import Status
from harness.judging.loading import inspect_implementation
from harness.modules.dropout import with_dropout

LOST = """
import torch
from torch import nn
from torch.nn import functional as F

class CausalSelfAttention(nn.Module):
    def __init__(self, n_embd, n_head, dropout=0.1):
        super().__init__()
        self.n_head, self.dropout = n_head, dropout
        self.c_attn, self.c_proj = nn.Linear(n_embd, 3 * n_embd), nn.Linear(n_embd, n_embd)

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = (t.view(B, T, self.n_head, -1).transpose(1, 2) for t in self.c_attn(x).chunk(3, -1))
        if self.training and self.dropout > 0:
            scores = q @ k.mT * q.shape[-1] ** -0.5
            y = F.dropout(scores.softmax(-1), self.dropout) @ v
        else:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).reshape(B, T, C))
"""
KEPT = LOST.replace("scores.softmax", "scores.masked_fill(torch.ones(T, T).triu(1) > 0, -torch.inf).softmax")


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.attn_drop, self.rate = nn.Dropout(0.0), 0.0, 0.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(self.layer(x), self.attn_drop)


def test_rates_are_on_for_a_while_and_draw_the_same_each_time() -> None:
    module, x, state = Twice(), torch.ones(400), torch.get_rng_state()
    with with_dropout(module, "dropout"):
        once = module(x)
        assert module.layer.p == module.attn_drop == 0.5 and module.rate == 0.0
    with with_dropout(module, "dropout"):
        assert torch.equal(module(x), once)
    assert 0.1 < float((once != 0).float().mean()) < 0.4
    assert module.layer.p == module.attn_drop == 0.0 and torch.equal(torch.get_rng_state(), state)
    assert torch.equal(module(x), x)


def test_a_faint_rate_drops_nothing_and_takes_the_branch() -> None:
    module, x = Twice(), torch.ones(1000, dtype=torch.float64)
    with with_dropout(module, "faint dropout"):
        torch.testing.assert_close(module(x), x, rtol=1e-14, atol=0.0)
        assert module.attn_drop > 0.0
    with with_dropout(module, "train"):
        assert module.attn_drop == 0.0


def status(text: str, folder: Path, name: str = "causal_in_training") -> Status:
    (folder / "mine.py").write_text(text, encoding="utf-8")
    judged = inspect_implementation(str(folder / "mine.py"), seed=1, cases=3)
    claim = next(c for c in judged.catalogue.claims_of("attention") if c.name == name)
    return judged.bench.judge(judged.catalogue.contracts["attention"], claim, shrink=False)[0].status


def test_a_mask_that_training_lacks_is_seen(tmp_path: Path) -> None:
    """The same code with the mask passes."""
    (tmp_path / "right").mkdir()
    assert status(LOST, tmp_path) is Status.FAILED
    assert status(KEPT, tmp_path / "right") is Status.PASSED


def test_a_scale_that_training_lacks_is_seen(tmp_path: Path) -> None:
    """Its causal mask is right: the branch is compared with evaluation mode where dropout drops nothing."""
    (tmp_path / "right").mkdir()
    unscaled = KEPT.replace(" * q.shape[-1] ** -0.5", "")
    assert unscaled != KEPT
    assert status(unscaled, tmp_path, "train_and_eval_agree") is Status.FAILED
    assert status(KEPT, tmp_path / "right", "train_and_eval_agree") is Status.PASSED
