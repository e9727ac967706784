"""A known mistake is made in somebody else's file by the same operation, with the names that stand there."""

from __future__ import annotations

import pytest

from harness.core.mistake import Edit
from harness.mutation.transplants import transplants

FILE = """\
import torch
import torch.nn.functional as F


def other(a, b):
    return F.softmax(a + b, dim=-1)


def mine(att, v, out_bias):
    p = F.softmax(att, dim=-1)
    y = (p @ v).transpose(1, 2)
    return y + out_bias
"""


def made(right: str, wrong: str, text: str = FILE) -> list[str]:
    """The lines of ``mine`` with the edit in each place where it fits."""
    found = []
    for place in transplants(Edit(made, right, wrong), text, 9, 12):
        assert text[place.start :].startswith(place.right)
        edited = text[: place.start] + place.wrong + text[place.start + len(place.right) :]
        compile(edited, "file", "exec")
        found += [new.strip() for old, new in zip(text.splitlines(), edited.splitlines(), strict=True) if old != new]
    return found


@pytest.mark.parametrize(
    ("right", "wrong", "expected"),
    [
        ("weights = softmax(scores, dim=-1)", "weights = softmax(scores, dim=-2)", ["p = F.softmax(att, dim=-2)"]),
        ("weights = scores.softmax(-1)", "weights = scores.softmax(-1) * 0.9", ["p = (att.softmax(-1) * 0.9)"]),
        ("merged = heads.transpose(1, 2)", "merged = heads", ["y = (p @ v)"]),
        ("return product + bias", "return product", ["return y"]),
        ("return product + bias", "return product - bias", ["return (y - out_bias)"]),
    ],
)
def test_the_operation_is_the_same_and_the_names_are_theirs(right: str, wrong: str, expected: list[str]) -> None:
    """In the lines that were asked for and in no other; a function is known by its last name."""
    found = [line.replace("p @ v.", "(p @ v).") for line in made(right, wrong)]
    assert found == expected


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("return product + shift", "return product"),  # any two values are added somewhere
        ("weights = scores.softmax(0)", "weights = scores.softmax(1)"),  # another axis
        ("weights = softmax(scores, dim=-1)", "weights = softmax(scores * scale, dim=-1)"),  # no such name is known
        ("if causal:\n    x = 1", "if not causal:\n    x = 1"),
        ("q, k = qkv", "k = qkv[0]\nq = qkv[1]"),
    ],
)
def test_what_does_not_fit_is_left_alone(right: str, wrong: str) -> None:
    """Also an edit of more than one expression."""
    assert made(right, wrong) == []
