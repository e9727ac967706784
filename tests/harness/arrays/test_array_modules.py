"""Classes that are no torch modules, and hold arrays, are built, filled and differentiated as torch modules are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from harness.arrays.array_modules import ArrayModule, as_module_class, is_array_class
from harness.arrays.held import held_by
from harness.core.claim import NotSupported
from harness.core.record import Status
from harness.judging.inspection import Inspection
from harness.judging.loading import inspect_implementation

AGREES, GRADIENTS = "agrees_with_the_reference", "gradients_agree"


class Scale:
    """A NumPy layer with a hand-written backward pass."""

    def __init__(self, width):
        self.gain, self.dgain = np.ones(width), np.zeros(width)
        self.mask = np.tril(np.ones((3, 3)))

    def forward(self, x):
        self.x = x
        return x * self.gain

    def backward(self, grad):
        self.dgain = (grad * self.x).reshape(-1, grad.shape[-1]).sum(0)
        return grad * self.gain


class Silent(Scale):
    """The same without one."""

    backward = None


class Matrix:
    """A JAX layer for one sequence, which draws its matrix from a key."""

    def __init__(self, key, width):
        self.layers = [{"w": jax.random.normal(key, (width, width))}]

    def __call__(self, x):
        _, _ = x.shape
        return x @ self.layers[0]["w"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Frozen:
    """What JAX takes apart, and nobody may write to."""

    w: jax.Array

    def __call__(self, x):
        return jnp.tanh(x * self.w)


class Tensors:
    """A plain class over tensors that keeps its last output."""

    def __init__(self, width):
        self.w = torch.ones(width)

    def __call__(self, x):
        self.out = x * self.w
        return self.out


def filled(module: ArrayModule, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(a weight other than its own, the output with it, an input), all with gradients."""
    (name, own), *rest = module.named_parameters()
    assert not rest
    weight = torch.linspace(0.5, 2.0, own.numel(), dtype=x.dtype).reshape(own.shape).requires_grad_()
    x = x.clone().requires_grad_()
    return weight, torch.func.functional_call(module, {name: weight}, (x,)), x


X = torch.linspace(-1, 1, 30, dtype=torch.float64).reshape(2, 3, 5)


def by_formula(kind: type, weight: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    product = x @ weight if kind is Matrix else x * weight
    return product.tanh() if kind is Frozen else product


@pytest.mark.parametrize("kind, library", [(Scale, "numpy"), (Matrix, "jax"), (Tensors, "torch")])
def test_arrays_are_exchanged_for_one_call(kind: type, library: str) -> None:
    """The output and both gradients are those of the given weight, in float64; its own array stays."""
    module = as_module_class(kind, library)(width=5)
    before = next(module.parameters()).clone()
    weight, out, x = filled(module, X)
    expected = by_formula(kind, weight, x)
    assert out.dtype == torch.float64 and torch.allclose(out, expected, rtol=1e-12)
    for got, want in zip(
        torch.autograd.grad(out.square().sum(), (weight, x)),
        torch.autograd.grad(expected.square().sum(), (weight, x)),
        strict=True,
    ):
        assert torch.allclose(got, want, rtol=1e-12)
    assert torch.equal(next(module.parameters()), before)


def test_what_jax_takes_apart_is_made_anew() -> None:
    """An object that nobody may write to."""
    own = jnp.ones(5)
    held = held_by(Frozen(own))
    assert list(held.arrays) == [("w",)]
    with held.given({("w",): 3 * own}) as other:
        assert float(other(jnp.ones(5))[0]) == pytest.approx(np.tanh(3.0))
    assert held.made.w is own


def test_tables_and_gradients_are_no_parameters() -> None:
    """A mask, and the place in which a gradient is kept."""
    assert [name for name, _ in as_module_class(Scale, "numpy")(width=5).named_parameters()] == ["gain"]


def test_numpy_without_a_backward_has_no_gradients() -> None:
    """That is said, and is no wrong gradient; 16-bit numbers are not judged."""
    module = as_module_class(Silent, "numpy")(width=5)
    _, out, x = filled(module, X)
    with pytest.raises(NotSupported):
        torch.autograd.grad(out.sum(), x)
    with pytest.raises(NotSupported):
        filled(module, X.bfloat16())


class Doubled(torch.autograd.Function):
    """No layer, though it has a forward."""

    @staticmethod
    def forward(ctx, x):
        return 2 * x


def test_only_what_is_called_is_such_a_class() -> None:
    """Neither a configuration, nor an error, nor a torch module or function."""
    assert is_array_class(Scale) and is_array_class(Matrix)
    assert not any(map(is_array_class, (int, ValueError, torch.nn.Linear, Doubled, type("Config", (), {}))))


WRONG_AND_RIGHT = """
import numpy as np

class LayerNorm:
    def __init__(self, width, eps=1e-5):
        self.gamma, self.beta, self.eps = np.ones(width), np.zeros(width), eps

    def __call__(self, x):
        centred = x - x.mean(-1, keepdims=True)
        self.normal = centred / np.sqrt(x.var(-1, keepdims=True, ddof=1) + self.eps)
        return self.gamma * self.normal + self.beta

class MLP:
    def __init__(self, w1, b1, w2, b2):
        self.w1, self.b1, self.w2, self.b2 = w1, b1, w2, b2

    def __call__(self, x):
        return np.maximum(x @ self.w1 + self.b1, 0) @ self.w2 + self.b2
"""


def test_a_mistake_in_one_is_named(tmp_path: Path) -> None:
    """As in a torch module; and of a class that is given its arrays it is said what to write."""
    file = tmp_path / "layers_of_numpy.py"
    file.write_text(WRONG_AND_RIGHT, encoding="utf-8")
    judged: Inspection = inspect_implementation(str(file), cases=4)
    claims = {claim.name: claim for claim in judged.catalogue.claims_of("layer_norm")}
    verdict = judged.judge("layer_norm", claims[AGREES])
    assert verdict.status is Status.FAILED and verdict.finding == ("layer_norm.unbiased_variance",)
    needs = judged.implementation.offers("mlp")
    assert needs is not None and "its constructor takes its arrays (w1, b1, w2, b2)" in needs.misfit
