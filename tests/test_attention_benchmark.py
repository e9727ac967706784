"""The benchmark of how attention grows: everything is right, and memory grows as it must. Times are never judged."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

SIZES = (16, 32, 64, 128)


@pytest.fixture(scope="module")
def script():
    path = Path(__file__).with_name("benchmarks") / "attention_scaling.py"
    spec = importlib.util.spec_from_file_location("_plumbline_attention_scaling", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_scores_are_quadratic_in_memory_and_everybody_is_right(script) -> None:
    """All three ways give the same; explicit scores hold T^2. The sentence of each exponent is that of its number."""
    everyone = {
        "explicit": (script.explicit, 2, 2),
        "fused": (script.fused, 2, 1),
        "prefix": (script.prefix_by_prefix, 2, 2),
    }
    with torch.no_grad():
        found = script.measured("forward", "It is measured.", everyone, SIZES, 0.2)
    assert not found.wrong and len(found.timings) == 3 * len(SIZES) and len(found.ratios) == 2
    held = {e.contender: e.value.value for e in found.exponents if e.of == "memory"}
    assert 1.5 < held["explicit"] < 2.1 and held["fused"] < 1.5
    assert {(e.contender, e.of) for e in found.exponents} == {
        (who, of) for who in everyone for of in ("time", "memory")
    }
    assert all(e.told for e in found.exponents)


def test_a_wrong_contender_is_found(script) -> None:
    """One without the mask is off by more than float32 may be."""
    with torch.no_grad():
        found = script.measured(
            "forward",
            "It is measured.",
            {
                "explicit": (script.explicit, 2, None),
                "unmasked": (lambda q, k, v: (q @ k.mT / 8).softmax(-1) @ v, 2, None),
            },
            SIZES,
            0.1,
        )
    assert list(found.wrong) == ["unmasked"]


def test_a_step_with_a_cache_is_the_last_row(script) -> None:
    """With and without a cache the newest position sees the same."""
    q, k, v = torch.randn(3, 1, 4, 9, 64, generator=torch.Generator().manual_seed(0)).unbind(0)
    torch.testing.assert_close(script.cached_step(q, k, v), script.uncached_step(q, k, v))
