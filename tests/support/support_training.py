"""Tiny training scripts: one healthy script in pieces that a test exchanges, and how they are inspected."""

from __future__ import annotations

from pathlib import Path

from harness.training import InspectionResult, inspect_script

SCRIPT = """\
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(1)
V, T, D = 13, 8, 16
data = torch.randint(V, (400,))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.tok, self.pos = nn.Embedding(V, D), nn.Embedding(T, D)
        self.qkv, self.out = nn.Linear(D, 3 * D), nn.Linear(D, D)
        self.norm = nn.LayerNorm(D)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Linear(D, V)

    def forward(self, x):
        t = x.shape[1]
        h = self.tok(x) + self.pos.weight[:t]
        q, k, v = self.qkv(self.norm(h)).chunk(3, -1)
        w = q @ k.transpose(-2, -1) / D**0.5
        w = w.masked_fill(torch.ones(t, t).tril() == 0, float("-inf"))
        h = h + self.drop(self.out(w.softmax(-1) @ v))
        return self.head(h)


def batch():
    at = torch.randint(0, len(data) - T - 1, (4,))
    x = torch.stack([data[a:a + T] for a in at])
    y = torch.stack([data[a + 1:a + T + 1] for a in at])
    return x, y


model = Model()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
for step in range(12):
    x, y = batch()
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
"""Twelve steps of a small causal model. It is healthy."""


def edited(*changes: tuple[str, str]) -> str:
    """The script with pieces of its text exchanged. Raises ValueError where a piece does not occur exactly once."""
    text = SCRIPT
    for old, new in changes:
        if text.count(old) != 1:
            raise ValueError(f"{old!r} occurs {text.count(old)} times")
        text = text.replace(old, new)
    return text


def inspected(folder: Path, text: str, steps: int = 3, arguments: tuple[str, ...] = ()) -> InspectionResult:
    """The result for a script of this text."""
    file = folder / "train.py"
    file.write_text(text)
    return inspect_script(file, arguments, steps)


def kinds(result: InspectionResult) -> list[str]:
    """The kinds of the findings that are no notes; a script that broke is an error of the test."""
    if result.crash is not None:
        raise result.crash
    return [each.kind for each in result.failed]


def line_of(text: str, piece: str) -> int:
    """The number of the line that holds a piece of text, from 1."""
    return next(number for number, line in enumerate(text.splitlines(), 1) if piece in line)
