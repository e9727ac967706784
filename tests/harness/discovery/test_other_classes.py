"""Several models in one file, and classes that are merely a base."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.note import NoteCode
from harness.discovery.search import Found, discover
from harness.judging.catalogue import load_catalogue

CONTRACTS = load_catalogue().contracts
MODELS = """
import torch
from torch import nn
from torch.nn import functional as F

class BaseAttention(nn.Module):
    def __init__(self, n_embd, n_head):
        super().__init__()
        self.n_head = n_head
        self.c_attn, self.c_proj = nn.Linear(n_embd, 3 * n_embd), nn.Linear(n_embd, n_embd)
    def heads(self, x):
        return (z.unflatten(-1, (self.n_head, -1)).transpose(1, 2) for z in self.c_attn(x).chunk(3, -1))
    def forward(self, x):
        raise NotImplementedError

class FusedAttention(BaseAttention):
    def forward(self, x):
        y = F.scaled_dot_product_attention(*self.heads(x), is_causal=True)
        return self.c_proj(y.transpose(1, 2).flatten(-2))

class PlainAttention(BaseAttention):
    def forward(self, x):
        q, k, v = self.heads(x)
        hidden = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
        weights = (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(hidden, float("-inf")).softmax(-1)
        return self.c_proj((weights @ v).transpose(1, 2).flatten(-2))

class Block(nn.Module):
    def __init__(self, n_embd, n_head):
        super().__init__()
        self.ln_1, self.attn, self.ln_2 = nn.LayerNorm(n_embd), PlainAttention(n_embd, n_head), nn.LayerNorm(n_embd)
        self.up, self.down = nn.Linear(n_embd, 4 * n_embd), nn.Linear(4 * n_embd, n_embd)
    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.down(F.gelu(self.up(self.ln_2(x)), approximate="tanh"))

class BigramModel(nn.Module):
    def __init__(self, vocab_size):
        super().__init__()
        self.table = nn.Embedding(vocab_size, vocab_size)
    def forward(self, ids):
        return self.table(ids)

class GPT(nn.Module):
    def __init__(self, vocab_size, block_size, n_embd, n_head, n_layer):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocab_size, n_embd), nn.Embedding(block_size, n_embd)
        self.h = nn.ModuleList(Block(n_embd, n_head) for _ in range(n_layer))
        self.ln_f = nn.LayerNorm(n_embd)
    def forward(self, ids):
        x = self.wte(ids) + self.wpe(torch.arange(ids.shape[1]))
        for block in self.h:
            x = block(x)
        return self.ln_f(x) @ self.wte.weight.T

class WarmGPT(GPT):
    def forward(self, ids):
        return super().forward(ids) / 0.9
"""


def found(folder: Path, text: str, name: str = "") -> Found:
    (folder / "models.py").write_text(text)
    return discover(f"{folder / 'models.py'}{name}", CONTRACTS)


def not_checked(seen: Found) -> list[str]:
    return [note.text for note in seen.notes if note.code is NoteCode.NOT_CHECKED]


def test_what_the_largest_model_uses_is_the_component_and_the_others_are_named(tmp_path: Path) -> None:
    """With the option that checks each. A part of a model, and a model that is none, are not mentioned."""
    seen = found(tmp_path, MODELS)
    assert seen.adapters["attention"].source.__name__ == "PlainAttention"
    assert seen.adapters["gpt2"].source.__name__ == "GPT"
    told = not_checked(seen)
    assert [text.partition(" ")[0] for text in told] == ["FusedAttention", "WarmGPT"]
    where = f"--impl={tmp_path}/models.py:FusedAttention"
    assert told[0].endswith(f"it is attention too: that of PlainAttention is. To check it: {where}")


@pytest.mark.parametrize(("name", "component"), [("WarmGPT", "gpt2"), ("FusedAttention", "attention")])
def test_another_one_is_checked_where_it_is_named(tmp_path: Path, name: str, component: str) -> None:
    assert found(tmp_path, MODELS, f":{name}").adapters[component].source.__name__ == name


def test_a_class_that_is_only_a_base_is_no_component(tmp_path: Path) -> None:
    """It raises NotImplementedError for those that derive from it; alone, it is to do."""
    attention = MODELS.partition("class Block")[0]
    assert found(tmp_path, attention).adapters["attention"].source.__name__ == "FusedAttention"
    alone = MODELS.partition("class FusedAttention")[0]
    assert found(tmp_path, alone).adapters["attention"].source.__name__ == "BaseAttention"


def test_what_another_class_has_beside_the_model_is_checked_too(tmp_path: Path) -> None:
    """Its own norm is no part of the first model."""
    norm = """
class RMSNorm(nn.Module):
    def __init__(self, n_embd, eps=1e-5):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(n_embd)), eps
    def forward(self, x):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.weight
"""
    seen = found(tmp_path, MODELS + norm)
    assert seen.adapters["rms_norm"].source.__name__ == "RMSNorm" and "layer_norm" in seen.adapters
