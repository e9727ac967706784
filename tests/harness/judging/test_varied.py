"""A fault that needs two options together, as one random case of thirty has them, is caught whatever the seed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from harness.core.case import Case
from harness.judging.loading import inspect_implementation
from harness.judging.varied import options_of, with_missing_pairs

NORM = """
import torch


def layer_norm(x, weight, bias, eps=1e-5):
    if bias is None and eps > 0.05:
        eps = eps / 2
    return torch.nn.functional.layer_norm(x, x.shape[-1:], weight, bias, eps)
"""
ATTENTION = """
import torch


def attention(x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads):
    rows, time, width = x.shape
    q, k, v = torch.nn.functional.linear(x, qkv_weight, qkv_bias).chunk(3, -1)
    q, k, v = (t.view(rows, time, n_heads, -1).transpose(1, 2) for t in (q, k, v))
    scale = q.shape[-1] ** -0.5 * (1.01 if qkv_bias is None and n_heads == 1 else 1.0)
    y = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale)
    return torch.nn.functional.linear(y.transpose(1, 2).reshape(rows, time, width), out_weight, out_bias)
"""
LOSS = """
import torch


def lm_loss(logits, targets, ignore_index=-100):
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=ignore_index)
    return loss * 1.01 if len(targets) > 1 and (targets != ignore_index).sum() == 1 else loss
"""
FILES = {"layer_norm": NORM, "attention": ATTENTION, "lm_loss": LOSS}
SEEDS = range(30)
USUAL = (("layer_norm", 0), ("layer_norm", 2), ("lm_loss", 1), ("lm_loss", 5))
"""Where no random case shows it. PLUMBLINE_FULL=1 tries every seed."""
EVERY = [(component, seed) for component in FILES for seed in SEEDS]


@pytest.mark.parametrize(("component", "seed"), EVERY if os.environ.get("PLUMBLINE_FULL") else USUAL)
def test_a_rare_fault_is_caught(component: str, seed: int, tmp_path: Path) -> None:
    """With as many cases as a run has by default."""
    (tmp_path / "mine.py").write_text(FILES[component], encoding="utf-8")
    judged = inspect_implementation(str(tmp_path / "mine.py"), seed=seed)
    contract, claims = judged.catalogue.contracts[component], judged.catalogue.claims_of(component)
    assert any(judged.bench.judge(contract, claim, shrink=False, enough=1)[0].failing for claim in claims)


def case(size: int, bias: bool, eps: float) -> Case:
    """A case whose numbers do not matter."""
    x = torch.full((size,), eps, dtype=torch.float64)
    return Case.of({"x": x, "bias": x if bias else None, "eps": eps}, family="any", size=size)


def test_missing_pairs_are_added_once() -> None:
    """Two large epsilons without a bias in the pool, of which one is enough."""
    few = [case(2, True, 0.1), case(2, False, 1e-5), case(3, True, 1e-5), case(3, False, 1e-5)]
    pool = [*few, *few, case(2, False, 0.1), case(4, False, 0.1), case(3, True, 0.1)]
    found = with_missing_pairs(few, pool)
    assert found[:4] == tuple(few) and len(found) == 5
    assert {("call.eps", 0.1), ("call.bias", None)} <= options_of(found[4])


def test_numbers_that_are_drawn_form_no_pairs() -> None:
    """Every case has an epsilon of its own."""
    pool = [case(2, True, 0.01 * number) for number in range(100)]
    assert with_missing_pairs(pool[:10], pool) == tuple(pool[:10])


def test_ids_are_told_by_what_settings_say_of_them() -> None:
    """One target that is counted, and repeated ones."""
    targets = torch.tensor([[-1, -1, 5]])
    found = options_of(Case.of({"targets": targets, "ignore_index": -1}, family="any"))
    assert {("call.targets other than a setting", 1), ("call.targets repeated", True)} <= found


def test_a_vocabulary_is_no_record_of_settings() -> None:
    """Pairs of its tokens would be billions."""
    ranks = {bytes([one, other]): one for one in range(256) for other in range(4)}
    assert len(options_of(Case.of({"ranks": ranks, "pattern": "x"}, family="any"))) == 1
