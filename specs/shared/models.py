"""Small models for code that trains a model, and what the harness reads from them afterwards.

Their modules' names contain every word that code looks for in names: embedding, ln, norm, LayerNorm, attn, mlp.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class Norm(nn.Module):
    """A layer norm in a submodule: its parameters are named ln_1_norm.LayerNorm.weight."""

    def __init__(self, width: int, bias: bool) -> None:
        super().__init__()
        self.LayerNorm = nn.LayerNorm(width, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.LayerNorm(x)
        return out


class Attention(nn.Module):
    """Causal multi-head self-attention."""

    def __init__(self, width: int, heads: int, bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.c_attn = nn.Linear(width, 3 * width, bias=bias)
        self.c_proj = nn.Linear(width, width, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        batch, time, width = x.shape
        q, k, v = (part.view(batch, time, self.heads, -1).transpose(1, 2) for part in self.c_attn(x).split(width, 2))
        scores = q @ k.transpose(-2, -1) / math.sqrt(k.shape[-1])
        hidden = torch.ones(time, time, dtype=torch.bool, device=x.device).triu(1)
        mixed = scores.masked_fill(hidden, -math.inf).softmax(-1) @ v
        out: Tensor = self.c_proj(mixed.transpose(1, 2).reshape(batch, time, width))
        return out


class Block(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, width: int, heads: int, bias: bool, dropout: float) -> None:
        super().__init__()
        self.ln_1_norm = Norm(width, bias)
        self.attn = Attention(width, heads, bias)
        self.ln_2_norm = Norm(width, bias)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width, bias=bias), nn.GELU(), nn.Linear(2 * width, width, bias=bias)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dropout(self.attn(self.ln_1_norm(x)))
        out: Tensor = x + self.dropout(self.mlp(self.ln_2_norm(x)))
        return out


class TinyGPT(nn.Module):
    """``model(ids)`` returns logits; ``model(ids, targets)`` also the mean loss over targets that are not -100."""

    def __init__(
        self, vocabulary: int, context: int, width: int, layers: int, bias: bool, tied: bool, dropout: float
    ) -> None:
        super().__init__()
        self.wte_embedding = nn.Embedding(vocabulary, width)
        self.wpe_embedding = nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width, 2, bias, dropout) for _ in range(layers))
        self.ln_f_norm = Norm(width, bias)
        self.lm_head = nn.Linear(width, vocabulary, bias=False)
        if tied:
            self.lm_head.weight = self.wte_embedding.weight

    def forward(self, ids: Tensor, targets: Tensor | None = None) -> Any:
        x = self.wte_embedding(ids) + self.wpe_embedding(torch.arange(ids.shape[1], device=ids.device))
        for block in self.blocks:
            x = block(x)
        logits = self.lm_head(self.ln_f_norm(x))
        if targets is None:
            return logits
        return logits, functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100)


def tiny_gpt(
    seed: int = 0,
    vocabulary: int = 11,
    width: int = 4,
    layers: int = 1,
    bias: bool = True,
    tied: bool = True,
    dropout: float = 0.0,
    frozen: tuple[str, ...] = (),
    dtype: str = "float64",
) -> TinyGPT:
    """A model of these sizes whose numbers depend on the seed alone. ``frozen``: names of parts not to train."""
    with torch.random.fork_rng(devices=[]):  # torch's own initial numbers are overwritten
        model = TinyGPT(vocabulary, 8, width, layers, bias, tied, dropout).to(getattr(torch, dtype))
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            spread = torch.randn(parameter.shape, generator=source, dtype=torch.float64)
            parameter.copy_(("norm.weight" in name.lower()) + (0.3 if parameter.dim() > 1 else 0.1) * spread)
            parameter.requires_grad_(not any(part in name for part in frozen))
    return model


# what the harness reads ----------------------------------------------------------------------------------------------


def decays(groups: Any, model: nn.Module, weight_decay: float) -> dict[str, list[float]]:
    """The weight decays of each parameter by its name: one for every group that contains it.

    ``groups``: dictionaries with "params", or an optimizer made of them. A group without a decay has ``weight_decay``.
    Tensors that are no parameters of the model count as "a stranger".
    """
    found: dict[str, list[float]] = {name: [] for name, _ in model.named_parameters()}
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for group in getattr(groups, "param_groups", groups):
        params: Iterable[Any] = group["params"]
        for parameter in [params] if torch.is_tensor(params) else params:
            tensor = parameter[1] if isinstance(parameter, tuple) else parameter  # torch also takes (name, parameter)
            decay = float(group.get("weight_decay", weight_decay))
            found.setdefault(names.get(id(tensor), "a stranger"), []).append(decay)
    return found


def gradients(model: nn.Module, start: nn.Module) -> dict[str, Tensor | None]:
    """The gradients after a step: how far an optimizer with a rate of 1 moved the parameters, or else ``.grad``."""
    before, after = dict(start.named_parameters()), dict(model.named_parameters())
    moved = {name: (before[name] - after[name]).detach() for name in after}
    if any(bool((step != 0).any()) for step in moved.values()):
        return dict(moved)
    return {
        name: None if parameter.grad is None else parameter.grad.detach().clone() for name, parameter in after.items()
    }


def loss_in(value: Any) -> Tensor | None:
    """The loss that a step returned: a number or tensor, the first of several values, or an entry of a dictionary."""
    if isinstance(value, dict):
        value = next((value[name] for name in ("loss", "train_loss", "mean_loss") if name in value), None)
    if isinstance(value, (list, tuple)):
        value = value[0] if value else None
    if torch.is_tensor(value) and value.numel() == 1:
        return value.detach().double().reshape(())
    return torch.tensor(float(value), dtype=torch.float64) if isinstance(value, (int, float)) else None
