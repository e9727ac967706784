"""The benchmark of gradient checks runs, and our checks find every mistake planted there. Times are never judged."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch


@pytest.fixture(scope="module")
def benchmark_module():
    path = Path(__file__).with_name("benchmarks") / "gradient_checks.py"
    spec = importlib.util.spec_from_file_location("_plumbline_gradient_checks", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_our_checks_find_every_planted_mistake(benchmark_module, record_property) -> None:
    """One component on one input: the right function passes all tools, each of our two checks finds all mistakes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows = benchmark_module.findings("attention", 1)
    finally:
        torch.set_num_threads(before)
    right, wrong = [r for r in rows if not r["mistake"]], [r for r in rows if r["mistake"]]
    assert len(right) == 1 and not any(right[0]["found"].values())
    for tool in benchmark_module.TOOLS:
        record_property(f"found by {tool}", f"{sum(row['found'][tool] for row in wrong)} of {len(wrong)}")
    for tool in benchmark_module.OURS:
        assert [row["mistake"] for row in wrong if not row["found"][tool]] == []


def test_at_least_twelve_mistakes_are_planted(benchmark_module) -> None:
    """Each is named once within its part, and every part belongs to a component."""
    planted = [(part, mistake) for part, (_, _, mistakes) in benchmark_module.PARTS.items() for mistake in mistakes]
    assert len(planted) >= 12 and len(planted) == len(set(planted))
    assert {part for parts in benchmark_module.MADE_OF.values() for part in parts} == set(benchmark_module.PARTS)
