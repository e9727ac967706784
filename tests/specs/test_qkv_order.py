"""Queries, keys and values head by head in one matrix: undeclared it is told, declared it is right, gradients too."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from harness.judging.loading import inspect_implementation
from specs.shared.qkv_order import head_by_head, part_by_part

STYLES = Path(__file__).parents[1] / "styles"
FORMS = "activation=gelu_erf,tied=untied,positions=rotary_halves,norm_place=parallel"


def test_one_order_is_the_way_back_of_the_other() -> None:
    """Three parts, two heads of two features; rows that the heads do not divide stay."""
    rows = torch.arange(12)
    assert head_by_head(rows, 2).tolist() == [0, 1, 4, 5, 8, 9, 2, 3, 6, 7, 10, 11]
    assert torch.equal(part_by_part(head_by_head(rows, 2), 2), rows)
    assert torch.equal(head_by_head(torch.arange(10), 4), torch.arange(10))


@pytest.mark.parametrize("component", ["attention", "block", "gpt2"])
def test_numbers_and_gradients_agree_where_it_is_declared(component: str) -> None:
    """A GPT-NeoX of its own wording."""
    path = str(STYLES / "gpt_heads_joined.py")
    judged = inspect_implementation(path, cases=4, variants=f"{FORMS},qkv_order=by_head")
    assert judged.agrees(component)


def test_undeclared_it_is_told_beside_other_forms() -> None:
    judged = inspect_implementation(str(STYLES / "gpt_heads_joined.py"), cases=12, variants=FORMS)
    finding = judged.finding_of("attention")
    assert finding is not None and finding.names == ("attention.variant=by_head",)
