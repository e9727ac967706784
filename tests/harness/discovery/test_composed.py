"""A rotation that is written in pieces is put together, and a mistake in a piece stays a mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
from support_plugging import KNOWN, compared

from harness.discovery.search import discover

STYLES = Path(__file__).parents[2] / "styles"
FORMS = {
    "rope_complex": (),
    "rope_cached_class": ("halves",),
    "rope_einops": (),
    "rope_position_ids": ("halves",),
    "rope_tune": (),
    "rope_time_first": ("halves",),
    "rope_batch_time": (),
    "llama_course": (),
    "llama_meta": (),
    "llama_transformers": ("halves",),
    "llama_lit": ("halves",),
}
MISTAKES = [
    ("rope_complex", "torch.arange(end,", "torch.arange(1, end + 1,"),
    ("rope_complex", "torch.view_as_real(xk_ * freqs_cis)", "torch.view_as_real(xk_)"),
    ("rope_cached_class", "torch.cat((-second, first), dim=-1)", "torch.cat((second, -first), dim=-1)"),
    ("rope_cached_class", "< time or", "< 0 or"),
    ("rope_position_ids", "(base ** (torch", "(base ** (2 * torch"),
    ("rope_position_ids", "cos[position_ids]", "cos[0 * position_ids]"),
    ("rope_tune", "else self.cache[input_pos]", "else self.cache[:seq_len]"),
    ("rope_einops", "t * freqs.cos()", "t * freqs.sin()"),
    ("rope_time_first", "torch.arange(x.shape[0]", "torch.arange(1, 1 + x.shape[0]"),
    ("rope_batch_time", "places[:, None] *", "places[:1, None] *"),
]


@pytest.mark.parametrize("style", FORMS)
def test_pieces_are_put_together_with_nothing_written(style):
    implementation = discover(str(STYLES / f"{style}.py"), KNOWN)
    assert compared(implementation, "rope", *FORMS[style], count=16).right
    assert "put together from its " in implementation.adapters["rope"].notes[0]
    assert implementation.accepted["rope"] == ("", "halves")


@pytest.mark.parametrize(("style", "right", "wrong"), MISTAKES)
def test_a_mistake_in_a_piece_shows(style, right, wrong, tmp_path):
    """In neither of the two forms it is right; or it fails."""
    text = (STYLES / f"{style}.py").read_text(encoding="utf-8")
    assert right in text
    path = tmp_path / f"{style}.py"
    path.write_text(text.replace(right, wrong, 1), encoding="utf-8")
    implementation = discover(str(path), KNOWN)
    assert all(compared(implementation, "rope", *form, count=16).differ for form in ((), ("halves",)))


def test_what_only_turns_signs_is_no_rotation(tmp_path):
    """Without something that computes tables, nothing is put together."""
    path = tmp_path / "pieces.py"
    text = "import torch\ndef softmax(x, dim):\n    return x.softmax(dim)\ndef rotate_half(x):\n    return -x\n"
    path.write_text(text, encoding="utf-8")
    assert set(discover(str(path), KNOWN).adapters) == {"softmax"}


def test_a_function_of_queries_keys_and_values_has_any_name(tmp_path):
    """It returns its weights too; a mistake in it shows."""
    text = """import torch
def heads_attend(query, key, value, mask=None, dropout=None):
    scores = query @ key.transpose(-2, -1) / query.size(-1) ** 0.5
    if mask is not None:
        scores = scores.masked_fill(mask == 0, float("-inf"))
    weights = scores.softmax(-1)
    return weights @ value, weights
"""
    path = tmp_path / "pieces.py"
    path.write_text(text, encoding="utf-8")
    assert compared(discover(str(path), KNOWN), "scaled_dot_product_attention").right
    path.write_text(text.replace("** 0.5", "** 1.0"), encoding="utf-8")
    assert compared(discover(str(path), KNOWN), "scaled_dot_product_attention").differ
