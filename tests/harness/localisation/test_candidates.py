"""Small changes of a marked line: the right one is among them, and all are Python."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from harness.core.marked_line import MarkedLine
from harness.localisation.repair.candidates import changes

HEAD = """\
import torch

EPS = 1e-6


def part(x, weight, bias, n_heads, eps):
    size = x.shape[-1]
"""
TAIL = "\n    return x\n"

PAIRS = [
    ("y = x / (x.std(-1) + eps)", "y = x / ((x.std(-1) ** 2 + eps) ** 0.5)"),
    ("y = torch.sqrt(x) + eps", "y = torch.sqrt(x + eps)"),
    ("y = x * torch.rsqrt(weight) + eps", "y = x * torch.rsqrt(weight + eps)"),
    ("y = x.var(-1, keepdim=True)", "y = x.var(-1, keepdim=True, unbiased=False)"),
    ("y = x.mean(1)", "y = x.mean(2)"),
    ("y = x.mean(1)", "y = x.mean(-1)"),
    ("y = x * (1 + weight)", "y = x * weight"),
    ("y = x @ weight", "y = x @ weight.T"),
    ("y = x @ weight.T", "y = x @ weight"),
    ("y = x @ weight", "y = x @ weight + bias"),
    ("y = x / size ** 0.5", "y = x / n_heads ** 0.5"),
    ("y = x - bias", "y = x + bias"),
    ("mask = torch.tril(x)", "mask = torch.triu(x)"),
    ("mask = torch.tril(x, diagonal=1)", "mask = torch.tril(x)"),
    ("mask = size < n_heads", "mask = size <= n_heads"),
    ("q, k, v = x.split(size)", "k, q, v = x.split(size)"),
    ("y = x.detach() * weight", "y = x * weight"),
    ("y = x[:-1]", "y = x[:]"),
    ("y = torch.nn.functional.gelu(x)", 'y = torch.nn.functional.gelu(x, approximate="tanh")'),
    ("x += bias", "x -= bias"),
    ("y = x if size else weight", "y = weight if size else x"),
    ("y = x + 1e-5", "y = x + EPS"),
    ("y = x ** 0.25", "y = x ** 0.5"),
    ("y = x.reshape(1, n_heads, size, 2)", "y = x.reshape(1, size, n_heads, 2).transpose(1, 2)"),
    ("y = x.view(1, 2, size, n_heads)", "y = x.view(1, 2, size, n_heads).transpose(2, 3)"),
    ("y = x.permute(0, 3, 1, 2)", "y = x.permute(0, 2, 1, 3)"),
    ("y = x.view(1, 2, size, n_heads).permute(0, 3, 1, 2)", "y = x.view(1, 2, n_heads, size).transpose(1, 2)"),
    ("y = x / x.sum()", "y = x / x.sum(-1, keepdim=True)"),
    ("y = x / x.sum()", "y = x / x.sum(n_heads, keepdim=True)"),
    ("y = x * torch.tanh(weight)", "y = x * (1 + torch.tanh(weight))"),
    ("y = x.cos() * size - weight * x.sin()", "y = x.sin() * size - weight * x.cos()"),
    ("y = torch.tanh(x) * weight", "y = torch.tanh(weight) * x"),
    ("y = x @ weight[size].T", "y = x @ weight[size].T + bias[size]"),
]


def texts(folder: Path, wrong: str, expected: str = "") -> list[str]:
    file = folder / "a.py"
    file.write_text(f"{HEAD}    {wrong}{TAIL}")
    line = HEAD.count("\n") + 1
    found = changes([MarkedLine(str(file), line, line, expected=expected)], numbers=(0.5, 2.0))
    assert [one.cost for one in found] == sorted(one.cost for one in found)
    return [one.after for one in found]


@pytest.mark.parametrize(("wrong", "right"), PAIRS)
def test_the_right_text_is_among_them(tmp_path: Path, wrong: str, right: str) -> None:
    after = texts(tmp_path, wrong)
    assert f"{HEAD}    {right}{TAIL}" in after
    assert f"{HEAD}    {wrong}{TAIL}" not in after and len(after) == len(set(after)) < 2000


def test_everything_else_stays_as_it_is_written(tmp_path: Path) -> None:
    """Comments, spaces and quotes of the same line too; each text is Python."""
    for after in texts(tmp_path, "y = x  /  (weight+eps)  # 'as it is'"):
        assert "# 'as it is'" in after and after.startswith(HEAD.partition("    size")[0])
        ast.parse(after)


def test_the_reference_s_expression_comes_in_the_file_s_own_names(tmp_path: Path) -> None:
    after = texts(tmp_path, "y = x - size", expected="variance * eps")
    assert f"{HEAD}    y = weight * eps{TAIL}" in after


def test_an_unreadable_file_has_none() -> None:
    assert changes([MarkedLine("/nowhere/a.py", 1, 1), MarkedLine(__file__.replace(".py", ".ipynb"), 1, 1)]) == []
