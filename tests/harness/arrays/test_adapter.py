"""Components on arrays of NumPy and JAX: plugged by what they refer to, judged with gradients, wrong ones named."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.arrays.adapter import ArrayAdapter
from harness.core.case import Call, Case
from harness.core.errors import UsageError
from harness.core.implementation import Answer, CrashKind, Request
from harness.core.note import Note, NoteCode
from harness.discovery.search import discover
from harness.execution.executor import Executor
from harness.judging.catalogue import load_catalogue

CONTRACTS = load_catalogue().contracts
X = torch.tensor([[1.0, -2.0, 0.5]], dtype=torch.float64)
NUMPY_GELU = """
    import numpy as np
    def gelu(x):
        return 0.5 * x * (1 + np.tanh(0.79788456080286536 * (x + 0.044715 * x**3)))
"""


def offered(folder: Path, source: str) -> Executor:
    """What a file with this source offers."""
    path = folder / "somebody.py"
    path.write_text(textwrap.dedent(source))
    found = discover(str(path), CONTRACTS)
    return Executor(found.name, found.adapters, CONTRACTS)


def run(executor: Executor, component: str = "gelu", case: Case | None = None, **options: Any) -> Answer:
    """The answer to one request."""
    return executor.run(Request(component, case or Case.of({"x": X}), **options))


def test_numpy_forwards_and_no_gradients(tmp_path: Path) -> None:
    """Without a backward function gradients are not offered, and the text says what to write."""
    executor = offered(tmp_path, NUMPY_GELU)
    assert torch.allclose(run(executor).value, torch.nn.functional.gelu(X, approximate="tanh"), atol=1e-15)
    crash = run(executor, gradients=1).crash
    assert crash is not None and crash.kind == CrashKind.NOT_SUPPORTED and "gelu_backward(grad_out, x)" in crash.message
    half = run(executor, case=Case.of({"x": X.bfloat16()})).crash
    assert half is not None and half.kind == CrashKind.NOT_SUPPORTED and "bfloat16" in half.message


def test_a_backward_function_is_judged_in_numpy_and_in_torch(tmp_path: Path) -> None:
    """The offer says where it is; of torch code the hand-written one counts, not autograd."""
    for source in (NUMPY_GELU, "import torch\ndef gelu(x): return torch.tanh(x)\n"):
        executor = offered(
            tmp_path, textwrap.dedent(source) + "\ndef gelu_backward(grad, x):\n    return 0 * grad + 7\n"
        )
        answer, offer = run(executor, gradients=1), executor.offers("gelu")
        assert answer.gradients["x"].tolist() == [[7.0] * 3]
        assert offer is not None and offer.by_hand is not None and offer.by_hand[0] == "gelu_backward"
        assert any("gelu_backward" in note for note in offer.notes)
    found = discover(str(tmp_path / "somebody.py"), CONTRACTS)
    assert found.notes == (
        Note("gelu", NoteCode.GRADIENT, "gelu: gelu_backward is checked as its gradient, instead of autograd's"),
    )


def test_torch_without_a_backward_function_is_left_alone(tmp_path: Path) -> None:
    """As it was before there were other libraries; so is a helper that cannot be meant."""
    executor = offered(tmp_path, "import torch\ndef gelu(x): return torch.tanh(x)\ndef gelu_backward(ctx, g): ...")
    assert not isinstance(executor.adapters["gelu"], ArrayAdapter)
    (note,) = discover(str(tmp_path / "somebody.py"), CONTRACTS).notes
    assert note.code is NoteCode.GRADIENT and note.text.endswith("so autograd's gradient is checked")


def test_writes_show(tmp_path: Path) -> None:
    """Into an argument on the way forth, into an argument or the incoming gradient on the way back."""
    executor = offered(tmp_path, "import numpy as np\ndef gelu(x):\n    x *= 2\n    return np.tanh(x)")
    assert [e.text for e in run(executor).effects] == ["x was changed in place"]
    source = NUMPY_GELU + "\n    def gelu_backward(dout, x):\n        x += 1\n        dout *= 2\n        return dout"
    effects = run(offered(tmp_path, source), gradients=1).effects
    assert {effect.text for effect in effects} == {
        "x was changed in place by its backward function",
        "the incoming gradient was changed in place",
    }


def test_jax_by_vjp(tmp_path: Path) -> None:
    """In float64 and float32, with dtypes kept; what does not depend on an argument gives it no gradient."""
    source = "import jax, jax.numpy as jnp\ndef gelu(x): return jax.nn.gelu(x) + jnp.zeros(3)"
    executor = offered(tmp_path, source)
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        start = X.detach().clone().to(dtype).requires_grad_()
        answer = run(executor, case=Case.of({"x": X.to(dtype)}), gradients=1)
        out = torch.nn.functional.gelu(start, approximate="tanh")
        out.backward(torch.randn(X.shape, generator=torch.Generator().manual_seed(1)).to(dtype))
        bound = 1e-6 if dtype != torch.bfloat16 else 0.02
        assert answer.value.dtype == (dtype if dtype != torch.bfloat16 else torch.float32)
        assert torch.allclose(answer.gradients["x"].to(dtype), start.grad, atol=bound, rtol=bound)
    constant = offered(tmp_path, "import jax.numpy as jnp\ndef gelu(x): return jnp.ones_like(x)")
    assert run(constant, gradients=1).gradients == {"x": None}


def test_objects_in_jax_are_differentiated_through_all_their_calls(tmp_path: Path) -> None:
    """What ``load`` was given, and what an object began with; the frozen base has no gradient."""
    source = """
        import jax, jax.numpy as jnp
        class lora:
            def __init__(self, weight, bias, rank, alpha, dropout=0.0):
                self.weight, self.scale = jax.lax.stop_gradient(weight), alpha / rank
                self.a, self.b = jnp.ones((rank, weight.shape[1])), jnp.zeros((weight.shape[0], rank))
            def load(self, a, b): self.a, self.b = a, b
            def forward(self, x): return x @ self.weight.T + self.scale * (x @ self.a.T) @ self.b.T
            def parameters(self): return {"a": self.a, "b": self.b}
    """
    weight, a, b = (torch.ones(shape, dtype=torch.float64) for shape in ((2, 3), (1, 3), (2, 1)))
    build = Call("build", {"weight": weight, "bias": None, "rank": 1, "alpha": 2.0})
    load, forward = Call("load", {"a": a, "b": b}), Call("forward", {"x": X})
    executor = offered(tmp_path, source)
    loaded = run(executor, "lora", Case((build, load, forward)), gradients=1)
    assert loaded.crash is None and loaded.gradients["weight"] is None
    assert all(bool((loaded.gradients[name] != 0).any()) for name in ("a", "b", "x"))
    first = run(executor, "lora", Case((build, forward)), gradients=1).gradients
    assert bool((first["b"] != 0).any()) and not bool((first["a"] != 0).any())


def test_a_numpy_object_gives_gradients_by_a_method(tmp_path: Path) -> None:
    """``backward(grad_out)`` returns them by name."""
    source = """
        import numpy as np
        class lora:
            def __init__(self, weight, bias, rank, alpha, dropout=0.0): self.weight = np.array(weight)
            def load(self, a, b): self.a, self.b = a, b
            def forward(self, x): return x @ self.weight.T
            def parameters(self): return {}
            def backward(self, grad_out): return {"dx": grad_out @ self.weight, "da": np.zeros((1, 3))}
    """
    weight, a, b = (torch.ones(shape, dtype=torch.float64) for shape in ((2, 3), (1, 3), (2, 1)))
    build = Call("build", {"weight": weight, "bias": None, "rank": 1, "alpha": 2.0})
    script = Case((build, Call("load", {"a": a, "b": b}), Call("forward", {"x": X})))
    answer = run(offered(tmp_path, source), "lora", script, gradients=1)
    assert answer.crash is None and answer.gradients["b"] is None
    assert answer.gradients["x"].shape == X.shape and answer.gradients["a"].tolist() == [[0.0] * 3]


def test_a_module_may_declare_its_library(tmp_path: Path) -> None:
    """For all, or by component; other names are refused with the legal ones."""
    plain = "def gelu(x): return x * (x > 0)\n"
    executor = offered(tmp_path, plain + 'PLUMBLINE = {"framework": "numpy"}')
    assert "its arrays are NumPy's" in executor.adapters["gelu"].notes
    executor = offered(tmp_path, plain + 'PLUMBLINE = {"framework": {"gelu": "jax"}}')
    assert "its arrays are JAX's" in executor.adapters["gelu"].notes
    for wrong in ('"nunpy"', '{"gelu": "tensorflow"}', '{"gleu": "numpy"}', "3"):
        with pytest.raises(UsageError, match=r"legal are torch, jax, mlx, cupy, numpy|no component"):
            offered(tmp_path, plain + f'PLUMBLINE = {{"framework": {wrong}}}')


def test_a_library_that_is_not_installed_is_not_offered(tmp_path: Path) -> None:
    """MLX and CuPy go the same way where they are."""
    executor = offered(tmp_path, 'PLUMBLINE = {"framework": "mlx"}\ndef gelu(x): return x')
    crash = run(executor).crash
    assert crash is None or crash.kind == CrashKind.NOT_SUPPORTED
