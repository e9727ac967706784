"""The form that an implementation has is found whatever the first cases can tell apart."""

from pathlib import Path

import pytest

from harness.judging.loading import inspect_implementation

HALVES = """
import torch


def build_rope_cache(seq_len, n_elem, base=10000):
    theta = 1.0 / (base ** (torch.arange(0, n_elem, 2).float() / n_elem))
    idx_theta = torch.outer(torch.arange(seq_len).float(), theta).repeat(1, 2)
    return torch.cos(idx_theta), torch.sin(idx_theta)


def apply_rope(x, cos, sin):
    half = x.shape[-1] // 2
    rotated = torch.cat((-x[..., half:], x[..., :half]), dim=-1)
    return ((x * cos) + (rotated * sin)).to(dtype=x.dtype)
"""


@pytest.mark.parametrize("seed", [0, 2, 5])
def test_halves_are_no_neighbours_though_two_features_are_both(seed: int, tmp_path: Path) -> None:
    """At seed 2 the first three cases have two features each, where both forms give the same."""
    (tmp_path / "mine.py").write_text(HALVES, encoding="utf-8")
    assert inspect_implementation(str(tmp_path / "mine.py"), seed=seed).variants["rope"] == "halves"
