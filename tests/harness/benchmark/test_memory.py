"""Peaks that were worked out by hand: what is held at once, in bytes."""

from __future__ import annotations

import math
import os

import pytest
import torch
import torch.nn.functional as F

from harness.benchmark.memory import peak_bytes
from harness.benchmark.scaling import exponent

FLOAT = 4


def test_what_is_freed_makes_room() -> None:
    """1000 floats, 1000 more from them, the first gone, 1000 more: never three at a time."""

    def call() -> torch.Tensor:
        one = torch.empty(1000)
        two = one.exp()
        del one
        return two.exp()

    assert peak_bytes(call) == 2 * 1000 * FLOAT


def test_writing_in_place_needs_nothing_more() -> None:
    """A chain in place holds its one tensor; on an argument it holds nothing."""
    given = torch.ones(1000)
    assert peak_bytes(lambda: torch.empty(1000).fill_(2.0).exp_().sqrt_()) == 1000 * FLOAT
    assert peak_bytes(lambda: given.exp_().sqrt_()) == 0
    assert peak_bytes(lambda: given.exp().sqrt()) == 2 * 1000 * FLOAT


def test_what_was_there_before_does_not_count() -> None:
    """Giving back an older tensor makes no room for a new one."""
    older = [torch.ones(5000)]

    def call() -> torch.Tensor:
        older.clear()
        return torch.ones(1000)

    assert peak_bytes(call) == 1000 * FLOAT


def test_the_graph_is_held_until_the_gradients_are_there() -> None:
    """Three squares deep, every input is kept for backward; without gradients two tensors are enough."""
    x = torch.ones(1000, requires_grad=True)

    def deep() -> torch.Tensor:
        y = x
        for _ in range(3):
            y = y.exp()
        return y

    with torch.no_grad():
        assert peak_bytes(deep) == 2 * 1000 * FLOAT
    assert peak_bytes(deep) == 3 * 1000 * FLOAT
    assert peak_bytes(lambda: torch.autograd.grad(deep(), x, torch.ones(1000))) >= 4 * 1000 * FLOAT


def explicit(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return (q @ k.mT).softmax(-1) @ v


def test_explicit_scores_grow_with_the_square_and_fused_ones_do_not() -> None:
    """By hand: scores and their softmax are both there for a moment, 2 * B H T^2 floats. The law of the fused one is
    linear."""
    sizes = (128, 256, 512, 1024, 2048)
    found: dict[str, list[float]] = {"explicit": [], "fused": []}
    for time in sizes:
        q, k, v = torch.ones(3, 1, 2, time, 16).unbind(0)
        found["explicit"].append(peak_bytes(lambda q=q, k=k, v=v: explicit(q, k, v)) or math.nan)
        found["fused"].append(peak_bytes(lambda q=q, k=k, v=v: F.scaled_dot_product_attention(q, k, v)) or math.nan)
        assert found["explicit"][-1] == 2 * (2 * time * time) * FLOAT
    assert exponent(sizes, found["explicit"]).value == pytest.approx(2, abs=1e-3)
    assert 0.5 < exponent(sizes, found["fused"]).value < 1.4


def test_where_it_is_not_known_there_is_none_and_errors_are_theirs() -> None:
    """Other devices, and a profiler that already runs: None. What the call raises comes through, and the next one
    works."""
    assert peak_bytes(lambda: torch.ones(3), "mps") is None
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]):
        assert peak_bytes(lambda: torch.ones(3)) is None

    def breaks() -> None:
        raise RuntimeError("theirs")

    with pytest.raises(RuntimeError, match="theirs"):
        peak_bytes(breaks)
    assert peak_bytes(lambda: torch.ones(1000)) >= 1000 * FLOAT


def test_standard_error_is_theirs_alone(capfd) -> None:
    """What the call writes there arrives; what the profiler writes does not."""
    peak_bytes(lambda: os.write(2, b"mine\n"))
    assert capfd.readouterr().err == "mine\n"


def test_on_a_gpu_the_allocators_own_mark_is_read(monkeypatch) -> None:
    """Reset before, waited for after, and what was held before is taken off. (The device is run by a list of what is
    called.)"""
    called: list[str] = []
    held = iter([500])
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: called.append("wait"))
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: called.append("reset"))
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: next(held))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 1700)
    assert peak_bytes(lambda: called.append("call"), "cuda") == 1200
    assert called == ["wait", "reset", "call", "wait"]
