"""A function of a component's name with another meaning is not checked; one that is wrong is judged all the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from support_styles import inspect_style, outcome

STRANGERS = {
    "a range of numbers": "def linear(start, stop, steps):\n    return torch.linspace(start, stop, steps)\n",
    "an index": "def linear(x, table, layer):\n    return table[layer + 0] * x\n",
    "a dictionary": "def linear(x, params):\n    return x @ params['w'] + params['b']\n",
}
OWN_MISTAKES = {
    "its own names": "def linear(inputs, kernel, shift=None):\n    return inputs @ kernel.T * 2\n",
    "a shape that does not fit": "def linear(inputs, kernel, shift=None):\n    return inputs @ kernel\n",
    "a slip in an attribute": "def linear(inputs, multiplier, offset=None):\n    return inputs.matmull(multiplier.T)\n",
    "a wrong call among published names": "def linear(inputs, W, b):\n    return torch.cat(inputs, W)\n",
    "the contract's names": "def linear(x, weight, bias=None):\n    return x @ weight['w']\n",
}

BLOCKS = {
    "another layout": ('params["ln_1"]', "not checked"),
    "a slip in an entry": ('params["norm_1_wieght"]', "fails"),
}


@pytest.mark.parametrize(("entry", "status"), BLOCKS.values(), ids=BLOCKS)
def test_a_missing_entry_is_another_layout_or_a_slip(entry: str, status: str, tmp_path: Path) -> None:
    """One that is nearly an entry of the contract is a slip."""
    (tmp_path / "given.py").write_text(f"def block(x, params, n_head):\n    return x * {entry}\n", encoding="utf-8")
    assert outcome(inspect_style(str(tmp_path / "given.py")), "block").status == status


def status_of(text: str, folder: Path) -> tuple[str, str]:
    path = folder / "given.py"
    path.write_text(f"import torch\n\n\n{text}", encoding="utf-8")
    found = outcome(inspect_style(str(path)), "linear")
    return found.status, found.why


@pytest.mark.parametrize("text", STRANGERS.values(), ids=STRANGERS)
def test_what_takes_something_else_is_not_checked(text: str, tmp_path: Path) -> None:
    """Its names are not the contract's, and no trial call gets through."""
    status, why = status_of(text, tmp_path)
    assert status == "not checked"
    assert "it needs" in why


@pytest.mark.parametrize("text", OWN_MISTAKES.values(), ids=OWN_MISTAKES)
def test_a_mistake_of_its_own_is_judged(text: str, tmp_path: Path) -> None:
    """Wrong numbers, a wrong shape, and a wrong type where the names say what is meant."""
    assert status_of(text, tmp_path)[0] == "fails"
