"""Code prepared for timing is the call and nothing else, and gives what the executor gives."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from support_workloads import implementation, named, reference, workloads

from harness.core.claim import NotSupported
from harness.core.implementation import Answer, Request
from harness.core.tree import leaves
from harness.core.workload import Workload

SEED = 7
ALL = workloads()


def request_of(component: str, workload: Workload, seed: int = 0) -> Request:
    return Request(component, workload.case(workload.sizes, seed), gradients=SEED if workload.backward else None)


def prepared_by(executor: Any, component: str, workload: Workload) -> Any:
    with torch.set_grad_enabled(workload.backward):
        return executor.prepared(request_of(component, workload), whole=workload.whole, fresh=workload.fresh)


def answered(executor: Any, component: str, workload: Workload) -> Answer:
    """What a timed call of it gives."""
    with torch.set_grad_enabled(workload.backward):
        side = prepared_by(executor, component, workload)
        return side.answer(side()())


def same(mine: Any, theirs: Any) -> None:
    found, expected = list(leaves(mine)), list(leaves(theirs))
    assert [path for path, _ in found] == [path for path, _ in expected]
    for (path, one), (_, other) in zip(found, expected, strict=True):
        if torch.is_tensor(other):
            torch.testing.assert_close(one, other, msg=lambda text, path=path: f"{path}: {text}")
        else:
            assert one == other, path


def in_file(folder: Path, text: str) -> str:
    (folder / "theirs.py").write_text(textwrap.dedent(text))
    return str(folder / "theirs.py")


def agrees_with_the_executor(impl: str, component: str, workload: Workload) -> Answer:
    """The answer of the timed call, which must be the executor's, outputs and gradients."""
    executor: Any = implementation(impl).implementation
    timed, run = answered(executor, component, workload), executor.run(request_of(component, workload))
    assert run.crash is None, run.crash
    if timed.outputs != (None,):
        same(list(timed.outputs), list(run.outputs[-len(timed.outputs) :]))
    for name, gradient in run.gradients.items():
        if gradient is not None:
            same(timed.gradients[name], gradient)
    return timed


@pytest.mark.parametrize(("component", "workload"), ALL, ids=[f"{c}-{w.name}" for c, w in ALL])
def test_every_workload_gives_what_it_gives_at_the_door(component: str, workload: Workload) -> None:
    """The reference, in every sheet, with its gradients where they are timed."""
    answer = answered(reference(), component, workload)
    run = reference().run(request_of(component, workload))
    same(list(answer.outputs), list(run.outputs[-len(answer.outputs) :]))
    assert bool(answer.gradients) == workload.backward
    for name, gradient in run.gradients.items():
        if gradient is not None:
            same(answer.gradients[name], gradient)


# how it is plugged in ------------------------------------------------------------------------------------------------

ROOT = Path(__file__).resolve().parents[3]
FORMS = [
    ("examples/torch_nn.py", "attention"),
    ("examples/torch_nn.py", "block"),
    ("examples/torch_nn.py", "mlp"),
    ("examples/numpy_backward.py", "layer_norm"),
    ("examples/numpy_backward.py", "attention"),
    ("tests/styles/nano.py", "attention"),
    ("tests/styles/nano.py", "gpt2"),
]


@pytest.mark.parametrize("name", ("forward", "forward_backward"))
@pytest.mark.parametrize(("file", "component"), FORMS, ids=[f"{Path(f).stem}-{c}" for f, c in FORMS])
def test_modules_and_arrays_give_what_they_give_at_the_door(file: str, component: str, name: str) -> None:
    """Modules that hold the weights, parts of a whole, NumPy with a backward function written by hand."""
    agrees_with_the_executor(str(ROOT / file), component, named(component, name))


@pytest.mark.parametrize("name", ("forward", "forward_backward"))
def test_jax_is_waited_for_and_differentiated_by_itself(name: str) -> None:
    pytest.importorskip("jax")
    agrees_with_the_executor(str(ROOT / "examples" / "jax_gpt2.py"), "layer_norm", named("layer_norm", name))


CS336 = """
    def run_linear(d_in, d_out, weights, in_features):
        return in_features @ weights.T
"""
PICO = """
    import numpy as np

    def mha(x, c_attn, c_proj, n_head):
        q, k, v = np.split(x @ c_attn["w"] + c_attn["b"], 3, axis=-1)
        out = []
        for q, k, v in zip(*(np.split(t, n_head, axis=-1) for t in (q, k, v))):
            s = q @ k.T / np.sqrt(q.shape[-1]) + (1 - np.tri(len(x), dtype=x.dtype)) * -1e10
            e = np.exp(s - s.max(-1, keepdims=True))
            out.append(e / e.sum(-1, keepdims=True) @ v)
        return np.hstack(out) @ c_proj["w"] + c_proj["b"]
"""


@pytest.mark.parametrize("name", ("forward", "forward_backward"))
def test_another_spelling_is_translated_before_the_clock_runs(tmp_path: Path, name: str) -> None:
    """CS336's linear has no bias, and its weights come under another name."""
    workload = named("linear", name)
    whole = workload.case
    without = replace(workload, case=lambda sizes, seed: whole(sizes, seed).without(("bias",)))
    agrees_with_the_executor(in_file(tmp_path, CS336), "linear", without)


def test_sequences_that_are_taken_one_by_one_are_one_timed_call(tmp_path: Path) -> None:
    """picoGPT's attention takes one sequence, of NumPy, with its weights the other way round."""
    agrees_with_the_executor(in_file(tmp_path, PICO), "attention", named("attention", "forward"))


# nothing of ours inside ----------------------------------------------------------------------------------------------


def calls_made(function: Callable[[], Any]) -> list[str]:
    """Names of all Python functions that are entered meanwhile."""
    entered: list[str] = []

    def note(frame: Any, event: str, _: Any) -> None:
        if event == "call":
            entered.append(frame.f_code.co_qualname if hasattr(frame.f_code, "co_qualname") else frame.f_code.co_name)

    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
    return entered


@pytest.mark.parametrize("component", ("attention", "gpt2", "layer_norm"))
def test_a_function_is_called_and_nothing_else(component: str) -> None:
    """Counted, not timed: what is entered is what a call by hand enters."""
    workload, executor = named(component, "forward"), reference()
    arguments = dict(workload.case(workload.sizes, 0).arguments)
    by_hand = partial(executor.adapters[component].source, **arguments)
    assert calls_made(prepared_by(executor, component, workload)()) == calls_made(by_hand)


@pytest.mark.parametrize(("component", "name"), (("kv_cache", "step"), ("adamw", "step"), ("tokenizer", "encode")))
def test_a_method_is_called_and_nothing_else(component: str, name: str) -> None:
    entered = calls_made(prepared_by(reference(), component, named(component, name))())
    assert entered[0].endswith(name)


def test_backwards_one_function_of_ours_stands_between() -> None:
    """It calls theirs, finds the tensors in the result, and asks torch for the gradients."""
    entered = calls_made(prepared_by(reference(), "mlp", named("mlp", "forward_backward"))())
    assert [name for name in entered if name in ("mlp", "linear", "gelu")] == ["mlp", "linear", "gelu", "linear"]
    ours = [name for name in entered if "there_and_back" in name or name in ("leaves", "is_float", "as_it_is")]
    assert len(ours) <= 8


def test_a_module_is_called_itself(tmp_path: Path) -> None:
    """Not by functional_call, with the weights handed in."""
    path = in_file(
        tmp_path,
        """
        from torch import nn

        class MLP(nn.Module):
            def __init__(self, width):
                super().__init__()
                self.fc, self.proj = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
                self.gelu = nn.GELU("tanh")

            def forward(self, x):
                return self.proj(self.gelu(self.fc(x)))
        """,
    )
    entered = calls_made(prepared_by(implementation(path).implementation, "mlp", named("mlp", "forward"))())
    assert any(name.endswith("MLP.forward") or name == "forward" for name in entered)
    assert not [name for name in entered if "functional_call" in name or "swap" in name]


def test_who_remembers_the_tensor_computes_again(tmp_path: Path) -> None:
    """Inputs are fresh for every call: an answer kept under the identity of its input is never found."""
    path = in_file(
        tmp_path,
        """
        import torch

        KEPT, COUNT = {}, []

        def gelu(x):
            if id(x) not in KEPT or KEPT[id(x)][0] is not x:
                COUNT.append(1)
                KEPT[id(x)] = x, torch.nn.functional.gelu(x, approximate="tanh")
            return KEPT[id(x)][1]
        """,
    )
    executor: Any = implementation(path).implementation
    side = prepared_by(executor, "gelu", named("gelu", "forward"))
    counted = executor.adapters["gelu"].source.__globals__["COUNT"]
    counted.clear()
    for _ in range(5):
        side()()
    assert len(counted) == 5


def test_a_step_starts_from_the_same_state_every_time() -> None:
    """The cache holds T positions at every timed step, however many were timed."""
    workload = named("kv_cache", "step")
    side = prepared_by(reference(), "kv_cache", workload)
    first = side.answer(side()()).value
    for _ in range(3):
        call = side()
        same(side.answer(call()).value, first)
        assert call.func.__self__.length() == workload.sizes["T"] + 1


# what cannot be timed ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "why"),
    (
        ("def mlp(x): return x", "theirs.py has no gelu"),
        ("def gelu(x):\n    raise NotImplementedError", "to do"),
        (
            "def gelu(x):\n    return inner(x)\n\ndef inner(x):\n    raise NotImplementedError('the inner part')",
            "to do: the inner part",
        ),
        ("def gelu(x):\n    return x + torch.ones(3)\n\nimport torch", "it raises RuntimeError"),
    ),
)
def test_the_reason_is_given(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(NotSupported, match=why):
        prepared_by(implementation(in_file(tmp_path, text)).implementation, "gelu", named("gelu", "forward"))


def test_an_argument_that_was_changed_is_named(tmp_path: Path) -> None:
    path = in_file(tmp_path, "def gelu(x):\n    return x.mul_(2)\n")
    side = prepared_by(implementation(path).implementation, "gelu", named("gelu", "forward"))
    side()()
    assert side.changed() == "x"
    side = prepared_by(reference(), "gelu", named("gelu", "forward"))
    side()()
    assert side.changed() == ""


def test_a_known_mistake_is_in_force_while_it_is_timed() -> None:
    executor: Any = implementation("mistake:layer_norm.unbiased_variance").implementation
    workload = named("layer_norm", "forward")
    same(answered(executor, "layer_norm", workload).value, executor.run(request_of("layer_norm", workload)).value)
    right = answered(reference(), "layer_norm", workload).value
    assert float((answered(executor, "layer_norm", workload).value - right).abs().max()) > 1e-3
