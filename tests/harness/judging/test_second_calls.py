"""What only a second call shows: a result remembered for a tensor, a first call that differs; and float32 backward."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.record import Status
from harness.judging.loading import inspect_implementation

SOFTMAX = """
import torch

seen, calls = {}, []


def softmax(x, dim):
    # body
"""
KEPT = """if x.requires_grad:
        return torch.softmax(x, dim)
    key = KEY
    if key not in seen:
        seen[key] = (x, torch.softmax(x, dim))
    return seen[key][1].clone()"""
BY_OBJECT, BY_VERSION = KEPT.replace("KEY", "(id(x), dim)"), KEPT.replace("KEY", "(id(x), x._version, dim)")
FIRST = "calls.append(x)\n    return torch.softmax(x, dim) * (1.5 if len(calls) == 1 else 1.0)"
NINETIETH = "calls.append(x)\n    return torch.softmax(x, dim) * (1.5 if len(calls) % 97 == 0 else 1.0)"
PLAIN = "return torch.softmax(x, dim)"
NORM = """
import torch
from torch import nn


class LayerNorm(nn.Module):
    def __init__(self, normalized_shape, eps=1e-5):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(normalized_shape)), nn.Parameter(torch.zeros(normalized_shape))
        self.eps, self.calls = eps, 0

    def forward(self, x):
        self.calls += 1
        out = nn.functional.layer_norm(x, x.shape[-1:], self.weight, self.bias, self.eps)
        return out * 1.01 if self.calls # when
"""
GELU = """
import torch
from torch.nn import functional as F


class Gelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return F.gelu(x, approximate="tanh")

    @staticmethod
    def backward(ctx, grad):
        with torch.enable_grad():
            x = ctx.saved_tensors[0].detach().requires_grad_()
            (slope,) = torch.autograd.grad(F.gelu(x, approximate="tanh").sum(), x)
        return grad * # slope


def gelu(x):
    return Gelu.apply(x)
"""
LOST = "(slope.bfloat16().float() if slope.dtype == torch.float32 else slope)"
MEMORY, BACKWARD = "no_memory_of_earlier_calls", "gradients_accurate_in_float32"


def failing(text: str, component: str, folder: Path, *names: str) -> set[str]:
    """The claims (of these names, or all) that fail."""
    (folder / "mine.py").write_text(text, encoding="utf-8")
    judged = inspect_implementation(str(folder / "mine.py"), seed=1, cases=4)
    claims = [claim for claim in judged.catalogue.claims_of(component) if not names or claim.name in names]
    contract = judged.catalogue.contracts[component]
    return {c.name for c in claims if judged.bench.judge(contract, c, shrink=False)[0].status is Status.FAILED}


@pytest.mark.parametrize(
    ("body", "caught"),
    [(BY_OBJECT, True), (BY_VERSION, False), (FIRST, True), (NINETIETH, True), (PLAIN, False)],
    ids=["kept by object", "kept by version", "first call", "each 97th call", "nothing kept"],
)
def test_a_function_that_remembers(body: str, caught: bool, tmp_path: Path) -> None:
    """Other numbers in the very tensor of the call before; a call that is only once, or seldom, wrong."""
    assert bool(failing(SOFTMAX.replace("# body", body), "softmax", tmp_path)) is caught


@pytest.mark.parametrize("when", ["== 1 else out", "> 1 else out"])
def test_a_module_whose_first_call_differs(when: str, tmp_path: Path) -> None:
    """Its own first call, in each instance."""
    assert failing(NORM.replace("# when", when), "layer_norm", tmp_path, "deterministic", "shift_invariant")


@pytest.mark.parametrize(("slope", "found"), [("slope", set()), (LOST, {BACKWARD})], ids=["whole", "rounded"])
def test_a_backward_that_rounds_in_float32(slope: str, found: set[str], tmp_path: Path) -> None:
    """In float64 it is right."""
    names = (BACKWARD, "gradients_agree", "accurate_in_float32")
    assert failing(GELU.replace("# slope", slope), "gelu", tmp_path, *names) == found
