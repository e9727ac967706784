"""Which library's arrays somebody's function takes."""

from __future__ import annotations

import functools
import types

import jax
import numpy
import pytest
import torch

from harness.arrays.detection import framework_of

SOURCES = {
    "def f(x: np.ndarray): return x": "numpy",
    "def f(x: 'jnp.ndarray') -> 'Array': return x": "jax",
    "def f(x: 'torch.Tensor'): return np.tanh(x)": "torch",
    "def f(x: list[torch.Tensor] | None): return x": "torch",
    "def f(x): return np.tanh(x)": "numpy",
    "def f(x): return jnp.tanh(x * np.sqrt(2 / np.pi))": "jax",
    "def f(x): return torch.tanh(x) * np.array([1.0])": "torch",
    "def f(x): return [(lambda: jax.nn.gelu(x))() for _ in range(1)][0]": "jax",
    "def g(x): return np.exp(x)\ndef f(x): return g(x)": "numpy",
    "TABLE = np.zeros(3)\ndef f(x): return TABLE[x]": "numpy",
    "class f:\n    def forward(self, x): return jnp.dot(x, x)": "jax",
    "class f:\n    @staticmethod\n    def forward(x): return np.dot(x, x)": "numpy",
    "class f(torch.nn.Module):\n    def forward(self, x): return x": "torch",
    "f = jax.jit(lambda x: x)": "jax",
    "f = functools.partial(lambda x, n: jnp.sum(x) + n, n=1)": "jax",
    "f = np.vectorize(abs)": "numpy",
    "f = torch.tanh": "torch",
    "f = np.tanh": "numpy",
}


def made(source: str, **more: object) -> dict[str, object]:
    """What a module with this source holds."""
    module = types.ModuleType("somebody")
    names = {"np": numpy, "jnp": jax.numpy, "jax": jax, "torch": torch, "functools": functools}
    inside = {**{n: m for n, m in names.items() if n in source}, **more, "__name__": "somebody"}
    vars(module).update(inside)
    exec(source, vars(module))
    return vars(module)


@pytest.mark.parametrize("source", SOURCES)
def test_annotations_then_what_the_code_refers_to(source: str) -> None:
    """In functions that it calls, nested ones, methods and base classes too; jitted functions say so themselves."""
    assert framework_of(made(source)["f"]) == SOURCES[source]


def test_code_that_refers_to_nothing_goes_with_its_neighbours_then_with_its_imports() -> None:
    """``weight[ids]`` is any library's."""
    inside = made("def f(ids, weight): return weight[ids]\ndef g(x): return np.tanh(x)", torch=torch)
    assert framework_of(inside["f"], [inside["g"]]) == "numpy"
    assert framework_of(inside["f"]) == "torch"
    assert framework_of(made("def f(x): return x", np=numpy)["f"]) == "numpy"
    assert framework_of(made("def f(x): return x", np=numpy)["f"], imports=False) == "torch"
    assert framework_of(made("def f(x): return x")["f"]) == "torch"


def test_numpy_for_constants_alone_is_torch() -> None:
    """``x / np.sqrt(8)`` in a file that works on tensors."""
    inside = made("def f(x): return x * np.sqrt(2 / np.pi)\ndef g(x): return torch.tanh(x)")
    assert framework_of(inside["f"], [inside["g"]]) == "torch"
    assert framework_of(made("def f(x): return x * np.sqrt(2 / np.pi)", torch=torch)["f"]) == "torch"
