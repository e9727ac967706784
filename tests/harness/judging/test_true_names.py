"""A name is true of what the code does, or it is not told; a plain relation is told where no name fits."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.record import Verdict
from harness.judging.loading import inspect_implementation

EPSILON = """
import torch
class adamw:
    def __init__(self, params, groups=None, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2):
        usual = dict(lr=lr, betas=betas, weight_decay=weight_decay)
        self.groups = [{**usual, **g} for g in groups or [{"params": range(len(params))}]]
        self.w = [p.clone() for p in params]
        self.state = [[0, torch.zeros_like(p), torch.zeros_like(p)] for p in params]
    def step(self, grads):
        for g in self.groups:
            (a, b), lr = g["betas"], g["lr"]
            for i in g["params"]:
                if grads[i] is not None:
                    n, m, v = self.state[i]
                    n, m, v = n + 1, a * m + (1 - a) * grads[i], b * v + (1 - b) * grads[i].square()
                    self.state[i] = [n, m, v]
                    move = m / (1 - a**n) / ((v / (1 - b**n)).sqrt() + 1e-6)
                    self.w[i] = (1 - lr * g["weight_decay"]) * self.w[i] - lr * move
        return [w.clone() for w in self.w]
"""
SQUARE = """
import torch
def clip_grad_norm(grads, max_norm):
    grads = list(grads)
    squared = sum((g.pow(2).sum() for g in grads if g is not None), torch.zeros(()))
    if squared > max_norm:
        grads = [None if g is None else g * (max_norm / squared.sqrt()) for g in grads]
    return grads, squared.sqrt()
"""
LOWERED = """
import torch
def scaled_dot_product_attention(q, k, v, mask=None):
    scores = q @ k.mT / q.shape[-1] ** 0.5
    if mask is not None:
        scores = scores - 100.0 * (~mask).to(scores.dtype)
    return scores.softmax(-1) @ v
"""
HALVED = """
import torch
def mlp(x, up_weight, up_bias, down_weight, down_bias):
    hidden = torch.nn.functional.gelu(torch.nn.functional.linear(x, up_weight, up_bias), approximate="tanh")
    return torch.nn.functional.linear(hidden, down_weight, down_bias) / 2
"""
CASES = {
    # what it is: (source, claim, cases, finding, a part of the message)
    "an epsilon fixed at another value is not one inside the root": (
        EPSILON,
        "adamw::agrees_with_the_reference",
        4,
        ("adamw.eps_fixed_at_1e_6",),
        "",
    ),
    "a square compared with the limit is not clipping always": (
        SQUARE,
        "clip_grad_norm::scaled_by_max_norm_over_norm",
        24,
        ("clip_grad_norm.square_compared",),
        "",
    ),
    "a mask of minus 100 is not one of minus 1e4": (
        LOWERED,
        "scaled_dot_product_attention::stable_at_large_logits",
        14,
        ("scaled_dot_product_attention.mask_adds_minus_100",),
        "",
    ),
    "an output that is halved": (
        HALVED,
        "mlp::agrees_with_the_reference",
        5,
        ("mlp.output_times_0.5",),
        "",
    ),
}


def judged(text: str, claim: str, cases: int, folder: Path) -> Verdict:
    (folder / "mine.py").write_text(text, encoding="utf-8")
    component, name = claim.split("::")
    found = inspect_implementation(str(folder / "mine.py"), seed=1, cases=cases)
    found.bench.smaller = lambda contract, claim, verdict: verdict  # type: ignore[method-assign]
    return found.judge(component, next(c for c in found.catalogue.claims_of(component) if c.name == name))


@pytest.mark.parametrize("what", CASES)
def test_what_is_told_is_what_the_code_does(what: str, tmp_path: Path) -> None:
    text, claim, cases, finding, said = CASES[what]
    verdict = judged(text, claim, cases, tmp_path)
    assert verdict.failing
    assert verdict.finding == finding
    assert said in verdict.message
