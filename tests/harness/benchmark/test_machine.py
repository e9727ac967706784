"""The roofs of this machine, and shares of them."""

from __future__ import annotations

import pytest
import torch

from harness.benchmark import machine
from harness.benchmark.machine import Rates, describe, rates, share_of_roofline

ROOFS = Rates(1e9, 1e11, ((1000, 8e9), (10_000, 4e9), (100_000, 1e9)))


def test_the_lower_roof_is_the_one_that_holds() -> None:
    """Worked out by hand: bound by operations, by bytes, and by bytes that fit a cache."""
    assert share_of_roofline(2.0, 1e11, 1e6, ROOFS) == pytest.approx(0.5)
    assert share_of_roofline(2.0, 1e6, 1e9, ROOFS) == pytest.approx(0.5)
    assert share_of_roofline(1e-5, 1.0, 40_000, ROOFS) == pytest.approx(1.0)
    assert share_of_roofline(1e-5, 1.0, 40_000, Rates(1e9, 1e11)) == pytest.approx(4.0)


@pytest.mark.parametrize(("size", "rate"), [(10, 8e9), (1000, 8e9), (9_999, 8e9), (10_000, 4e9), (1e9, 1e9)])
def test_the_roof_of_a_working_set_is_that_of_the_next_smaller_one(size: float, rate: float) -> None:
    """What fits a smaller cache is never held against a larger one's rate."""
    assert ROOFS.copying(size) == rate


def test_both_roofs_are_measured(monkeypatch) -> None:
    """Small arrays here: both positive, in order, and for the dtype that was asked for."""
    monkeypatch.setattr(machine, "WORKING_SETS", (1 << 16, 1 << 18))
    monkeypatch.setattr(machine, "BEYOND_CACHE", {"cpu": 1 << 22})
    monkeypatch.setattr(machine, "LARGEST_PRODUCT", {"cpu": 256})
    found = rates(torch.float64)
    sizes, speeds = zip(*found.by_working_set, strict=True)
    assert sizes == (1 << 16, 1 << 18, 1 << 22) and list(speeds) == sorted(speeds, reverse=True)
    assert found.copy_bytes_per_second == speeds[-1] > 0 and found.operations_per_second > 0


def test_the_machine_is_described_in_plain_values() -> None:
    """Text and numbers alone, so that the record holds them; the dtype is the one that was measured in."""
    found = describe(torch.bfloat16)
    assert found["dtype"] == "bfloat16" and found["device"] == "cpu" and found["torch"] == torch.__version__
    assert found["cpu"] and found["cores"] >= 1 and found["threads"] == torch.get_num_threads()
    assert all(isinstance(value, (str, int)) for value in found.values())
