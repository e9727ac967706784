"""Module classes with low-rank matrices, as published code writes them: a mistake in one is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from support_styles import STYLES, inspect_style, outcome

MISTAKES = [
    ("lora_wraps", "(self.alpha / self.rank)", "self.alpha", "lora.scaled_by_alpha"),
    ("lora_wraps", "self.linear(x) + self.lora(x)", "self.linear(x) - self.lora(x)", "lora.update_subtracted"),
    ("lora_subclass", "sign = -1 if mode else 1", "sign = 1", "lora.unmerged_with_the_wrong_sign"),
]


@pytest.mark.parametrize(("style", "right", "wrong", "name"), MISTAKES)
def test_a_mistake_in_a_class_is_named(style: str, right: str, wrong: str, name: str, tmp_path: Path) -> None:
    """The scale, the update, and merging in eval()."""
    text = (STYLES / f"{style}.py").read_text(encoding="utf-8")
    assert right in text
    path = tmp_path / f"{style}.py"
    path.write_text(text.replace(right, wrong), encoding="utf-8")
    judged = inspect_style(str(path), cases=4)
    verdicts = [judged.judge("lora", claim) for claim in judged.catalogue.claims_of("lora")]
    assert {v.finding for v in verdicts if v.failing} == {(name,)}


def test_a_class_without_matrices_is_not_checked(tmp_path: Path) -> None:
    """Its name and its sizes are not enough."""
    path = tmp_path / "named.py"
    path.write_text(
        "from torch import nn\n\n\nclass LoRALinear(nn.Linear):\n"
        "    def __init__(self, in_features, out_features, r=4):\n"
        "        super().__init__(in_features, out_features)\n",
        encoding="utf-8",
    )
    assert outcome(inspect_style(str(path)), "lora").status == "not checked"
