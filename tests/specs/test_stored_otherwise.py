"""Tensors that are not contiguous: a wrong number fails, a refusal does not."""

from pathlib import Path

import pytest

from harness.core.record import Status
from harness.judging.loading import inspect_implementation

CLIP = """
import torch


def clip_grad_norm(grads, max_norm):
    present = [g for g in grads if g is not None]
    norm = torch.sqrt(sum((numbers(g).pow(2).sum() for g in present), torch.zeros(())))
    share = torch.clamp(max_norm / (norm + 1e-6), max=1.0)
    return [None if g is None else g * share for g in grads], norm
"""
IN_PLACE = """
import torch


def clip_grad_norm_(parameters, max_norm):
    grads = [p.grad for p in parameters if p.grad is not None]
    norm = torch.sqrt(sum((numbers(g).pow(2).sum() for g in grads), torch.zeros(())))
    for g in grads:
        g.mul_(torch.clamp(max_norm / (norm + 1e-6), max=1.0))
    return norm
"""
ADAM = """
import torch


class adamw:
    def __init__(self, params, groups=None, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        self.params, self.settings, self.t = [p.clone() for p in params], (lr, *betas, eps, weight_decay), 0
        self.m, self.v = ([torch.zeros_like(p) for p in params] for _ in range(2))

    def step(self, grads):
        lr, b1, b2, eps, decay = self.settings
        self.t += 1
        for i, g in enumerate(grads):
            g = numbers(g).reshape(g.shape)
            self.m[i], self.v[i] = b1 * self.m[i] + (1 - b1) * g, b2 * self.v[i] + (1 - b2) * g * g
            move = self.m[i] / (1 - b1**self.t) / ((self.v[i] / (1 - b2**self.t)).sqrt() + eps)
            self.params[i] = self.params[i] * (1 - lr * decay) - lr * move
        return self.params
"""
RIGHT, REFUSES = "lambda g: g.reshape(-1)", "lambda g: g.view(-1)"
WRONG = "lambda g: g.as_strided((g.numel(),), (1,)) if 0 not in g.stride() else g[:1]"
ORDER = "lambda g: g.as_strided((g.numel(),), (1,))"


@pytest.mark.parametrize(
    ("text", "component", "claim", "numbers", "status"),
    [
        (CLIP, "clip_grad_norm", "stored_otherwise_is_clipped_alike", RIGHT, Status.PASSED),
        (CLIP, "clip_grad_norm", "stored_otherwise_is_clipped_alike", REFUSES, Status.PASSED),
        (CLIP, "clip_grad_norm", "stored_otherwise_is_clipped_alike", WRONG, Status.FAILED),
        (IN_PLACE, "clip_grad_norm", "stored_otherwise_is_clipped_alike", RIGHT, Status.PASSED),
        (IN_PLACE, "clip_grad_norm", "stored_otherwise_is_clipped_alike", REFUSES, Status.NOT_APPLICABLE),
        (ADAM, "adamw", "stored_transposed_moves_the_same", RIGHT, Status.PASSED),
        (ADAM, "adamw", "stored_transposed_moves_the_same", REFUSES, Status.NOT_APPLICABLE),
        (ADAM, "adamw", "stored_transposed_moves_the_same", ORDER, Status.FAILED),
    ],
)
def test_refusing_is_no_mistake(
    text: str, component: str, claim: str, numbers: str, status: Status, tmp_path: Path
) -> None:
    """A ``view`` of a transposed gradient raises, an expanded one has a view; as_strided gives other numbers."""
    (tmp_path / "mine.py").write_text(f"{text}\n\nnumbers = {numbers}\n", encoding="utf-8")
    judged = inspect_implementation(str(tmp_path / "mine.py"), seed=1, cases=6)
    found = next(one for one in judged.catalogue.claims_of(component) if one.name == claim)
    verdict, _ = judged.bench.judge(judged.catalogue.contracts[component], found, shrink=False)
    assert verdict.status is status, verdict.message
