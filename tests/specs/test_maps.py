"""The attention weights of an implementation, recovered from its outputs, match the reference's for right code."""

import pytest
import torch
from torch.nn import functional

from harness.execution.executor import Executor
from harness.execution.functions import FunctionAdapter
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.loading import inspect_implementation
from harness.judging.reference import reference_executor

KNOWN = load_catalogue()
BOTH = ("attention", "scaled_dot_product_attention")


def measured(executor, component="attention", seed=3, **variants):
    found = Inspection(KNOWN, executor, seed=seed, cases=4, variants=variants).measurements(component)
    return next((fact for fact in found if fact.name == "weights"), None)


def offering(function, component="attention", **variants):
    return measured(Executor("theirs", {component: FunctionAdapter(function)}, KNOWN.contracts), component, **variants)


@pytest.mark.parametrize("component", BOTH)
def test_of_the_reference_they_are_its_own(component) -> None:
    """Rows sum to 1, nothing later is seen; what they show and do not show is said."""
    fact = measured(reference_executor(KNOWN.contracts), component)
    assert fact is not None and fact.value == 0 and fact.sentence == "its weights match the reference's, exactly"
    heads = 3 if component == "attention" else 2
    assert list(fact.grids) == [f"{whose}, head {n + 1}" for n in range(heads) for whose in ("yours", "reference")]
    for grid in fact.grids.values():
        weights = torch.tensor(grid)
        assert torch.allclose(weights.sum(-1), torch.ones(len(grid)), atol=1e-5) and not weights.triu(1).any()
        assert weights.tril().gt(0).sum() > len(grid)  # not one key alone
    assert fact.grids["reference, head 1"] != fact.grids["reference, head 2"]
    assert "random" in fact.how and "Jain and Wallace 2019" in fact.how and "Wiegreffe and Pinter 2019" in fact.how


@pytest.mark.parametrize(
    ("mistake", "seen"),
    [
        ("attention.one_future_position", lambda yours, reference: yours.triu(1).any()),
        ("attention.no_mask", lambda yours, reference: bool((yours > 0).all())),
        (
            "attention.softmax_over_queries",
            lambda yours, reference: torch.allclose(yours.sum(-2), torch.ones(7), atol=1e-5),
        ),
        ("attention.unscaled", lambda yours, reference: bool(yours.max(-1)[0].sum() > reference.max(-1)[0].sum())),
        (
            "scaled_dot_product_attention.unscaled",
            lambda yours, reference: bool(yours.max(-1)[0].sum() > reference.max(-1)[0].sum()),
        ),
        ("scaled_dot_product_attention.is_causal_always", None),
    ],
)
def test_a_mistake_is_seen(mistake, seen) -> None:
    """In the maps and in the number; a mistake that changes no weight leaves the number at 0."""
    component = mistake.partition(".")[0]
    fact = next(
        f
        for f in inspect_implementation(f"mistake:{mistake}", seed=3, cases=4).measurements(component)
        if f.name == "weights"
    )
    if seen is None:  # the map is causal anyway
        assert fact.value == 0
        return
    yours, reference = (torch.tensor(fact.grids[f"{whose}, head 1"]) for whose in ("yours", "reference"))
    assert fact.value > 0.01 and seen(yours, reference)
    assert "differ by up to" in fact.sentence and len(fact.sentence) < 70


def fused(x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads):
    q, k, v = functional.linear(x, qkv_weight, qkv_bias).unflatten(-1, (3, n_heads, -1)).permute(2, 0, 3, 1, 4)
    mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    return functional.linear(mixed.transpose(1, 2).flatten(2), out_weight, out_bias)


def rotated(x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads):
    """Rotary positions, features in halves."""
    q, k, v = functional.linear(x, qkv_weight, qkv_bias).unflatten(-1, (3, n_heads, -1)).permute(2, 0, 3, 1, 4)
    size = q.shape[-1]
    angles = torch.arange(x.shape[1], dtype=x.dtype)[:, None] / 10000.0 ** (
        torch.arange(0, size, 2, dtype=x.dtype) / size
    )

    def turn(t):
        first, second = t.chunk(2, -1)
        return torch.cat(
            [first * angles.cos() - second * angles.sin(), first * angles.sin() + second * angles.cos()], -1
        )

    mixed = functional.scaled_dot_product_attention(turn(q), turn(k), v, is_causal=True)
    return functional.linear(mixed.transpose(1, 2).flatten(2), out_weight, out_bias)


def test_legal_forms_are_measured_as_what_they_are() -> None:
    """A fused kernel; rotary positions, declared and not."""
    fact = offering(fused)
    assert fact.value < 1e-12 and "the reference's to" in fact.sentence
    assert offering(rotated, attention="rotary_halves").value < 1e-6
    assert offering(rotated).value > 0.01


def test_what_cannot_be_measured_is_left_out() -> None:
    """Another form of the result, an error, nothing finite to be seen: no fact, or one that says so."""
    assert offering(lambda x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads: x[..., :1]) is None
    assert offering(lambda x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads: 1 / 0) is None
    fact = offering(lambda x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads: x * float("nan"))
    assert fact.value == float("inf") and "not finite" in fact.sentence


def test_a_model_without_biases_is_measured() -> None:
    """What it does not have is not given."""
    from torch import nn

    from harness.core.declaration import Declaration
    from harness.modules.adapter import ModuleAdapter

    class Attention(nn.Module):
        def __init__(self, width, heads):
            super().__init__()
            self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
            self.heads = heads

        def forward(self, x):
            return fused(x, self.qkv.weight, None, self.out.weight, None, self.heads)

    declared = Declaration("attention", lambda config: Attention(config.width, config.heads))
    adapter = ModuleAdapter(declared, KNOWN.contracts["attention"])
    fact = measured(Executor("theirs", {"attention": adapter}, KNOWN.contracts))
    assert fact is not None and fact.value < 1e-12
