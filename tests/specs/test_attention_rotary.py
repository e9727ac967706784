"""Attention with rotary positions passes where declared and is named where not; its layouts are distinguished."""

import pytest
import torch
from torch.nn import functional

from harness.execution.executor import Executor
from harness.execution.functions import FunctionAdapter
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection

KNOWN = load_catalogue()


def halves(x, cos, sin):
    first, second = x.chunk(2, -1)
    return x * torch.cat((cos, cos), -1) + torch.cat((-second, first), -1) * torch.cat((sin, sin), -1)


def neighbours(x, cos, sin):
    """As complex numbers."""
    rotated = torch.view_as_complex(x.double().unflatten(-1, (-1, 2))) * torch.complex(cos.double(), sin.double())
    return torch.view_as_real(rotated).flatten(-2).to(x.dtype)


def attention_with(turn, dtype=torch.float32):
    def attention(x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads):
        q, k, v = functional.linear(x, qkv_weight, qkv_bias).unflatten(-1, (3, n_heads, -1)).permute(2, 0, 3, 1, 4)
        size = q.shape[-1]
        angles = torch.arange(x.shape[1]).to(dtype)[:, None] / 10000.0 ** (torch.arange(0, size, 2).to(dtype) / size)
        q, k = (turn(t, angles.cos().to(x.dtype), angles.sin().to(x.dtype)) for t in (q, k))
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return functional.linear(mixed.transpose(1, 2).flatten(2), out_weight, out_bias)

    return attention


def judged(turn, claims=None, seed=2, dtype=torch.float32, named=True, **variants):
    executor = Executor("theirs", {"attention": FunctionAdapter(attention_with(turn, dtype))}, KNOWN.contracts)
    inspection = Inspection(KNOWN, executor, seed=seed, cases=14, variants=variants)
    chosen = [claim for claim in KNOWN.claims_of("attention") if claims is None or claim.name in claims]
    if named:
        return [inspection.judge("attention", claim) for claim in chosen]
    return [inspection.bench.judge(KNOWN.contracts["attention"], claim, shrink=False)[0] for claim in chosen]


@pytest.mark.parametrize(("turn", "form"), [(neighbours, "rotary"), (halves, "rotary_halves")])
def test_declared_every_claim_holds(turn, form) -> None:
    """Tables in float32, as most are."""
    failing = [(v.claim, v.message, v.worst) for v in judged(turn, attention=form) if v.failing]
    assert not failing


@pytest.mark.parametrize(
    ("turn", "form", "dtype"),
    [
        (neighbours, "rotary", torch.float64),
        (halves, "rotary_halves", torch.float64),
        (halves, "rotary_halves", torch.float32),
    ],
)
def test_undeclared_it_is_named(turn, form, dtype) -> None:
    """Though a head of an odd size ends in an error of its own kind; with tables in float32 too."""
    (verdict,) = judged(turn, {"agrees_with_the_reference"}, dtype=dtype)
    assert verdict.finding == (f"attention.variant={form}",)


def test_the_other_layout_fails() -> None:
    """What is declared must be what is there."""
    (verdict,) = judged(halves, {"agrees_with_the_reference"}, named=False, attention="rotary")
    assert verdict.failing
