"""The training loop of the lessons: clipping, schedule and optimiser are components, the user's where offered."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from harness.core.lesson import Components, Object, Setting
from reference_model.config import Config
from reference_model.gpt2 import initialise
from reference_model.lm_loss import lm_loss
from specs.shared.lesson_text import WORST, cut, generator, windows

COMPONENTS = ("block", "adamw", "clip_grad_norm", "lr_schedule")
"""Those that every lesson which trains a GPT-2 takes."""


@dataclass(frozen=True)
class Recipe:
    """How a model is trained. ``clip``: the largest norm of the gradients, 0 for no clipping. ``warmup``: in steps.

    ``decay``: of matrices alone. ``optimizer``: a component with the contract of `adamw`.
    """

    steps: int
    lr: float = 3e-3
    warmup: int = 0
    clip: float = 1.0
    decay: float = 0.1
    floor: float = 0.1
    betas: tuple[float, float] = (0.9, 0.99)
    optimizer: str = "adamw"


def named(weights: Mapping[str, Any]) -> dict[str, Tensor]:
    """Every tensor of a model by a name of its own."""
    found = {name: value for name, value in weights.items() if torch.is_tensor(value)}
    for place, layer in enumerate(weights.get("blocks", ())):
        found |= {f"blocks.{place}.{name}": value for name, value in layer.items()}
    return found


def fresh(config: Config, seed: int, scale: float | None = None) -> dict[str, Any]:
    """Weights as `gpt2` takes them. ``scale``: of the matrices, relative to GPT-2's 0.02.

    Without one it is the root of 768 / width, so that a narrow model's layers begin with outputs as large as those of
    GPT-2, for whose width of 768 the 0.02 was chosen.
    """
    factor = math.sqrt(768 / config.width) if scale is None else scale
    weights = initialise(config, generator(seed, 7))
    for tensor in named(weights).values():
        if tensor.dim() > 1:
            tensor *= factor
    return weights


class Packed:
    """Parameters as two long vectors, matrices and others, so that an optimiser of any speed has little to do."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self.tensors = [tensor.requires_grad_() for tensor in tensors]
        matrices = [place for place, tensor in enumerate(tensors) if tensor.dim() > 1]
        others = [place for place, tensor in enumerate(tensors) if tensor.dim() <= 1]
        self.parts = [part for part in (matrices, others) if part]
        self.are_matrices = [bool(part is matrices) for part in self.parts]

    def joined(self, values: Sequence[Tensor]) -> list[Tensor]:
        """One vector for each part."""
        return [torch.cat([values[place].detach().reshape(-1) for place in part]) for part in self.parts]

    def gradients(self, loss: Tensor) -> list[Tensor]:
        """Of a loss."""
        found = torch.autograd.grad(loss, self.tensors, allow_unused=True)
        return self.joined([torch.zeros_like(t) if g is None else g for g, t in zip(found, self.tensors, strict=True)])

    def write(self, vectors: Sequence[Tensor]) -> None:
        """Put the numbers of the vectors into the tensors."""
        with torch.no_grad():
            for part, vector in zip(self.parts, vectors, strict=True):
                pieces = vector.split([self.tensors[place].numel() for place in part])
                for place, piece in zip(part, pieces, strict=True):
                    self.tensors[place].copy_(piece.view_as(self.tensors[place]))


@dataclass
class Trained:
    """What a run left: the loss before each step, the norm of each gradient before clipping."""

    losses: list[float]
    norms: list[float]
    optimizer: Object

    def late(self, share: float = 0.2) -> float:
        """The mean loss over the last share of the steps."""
        last = self.losses[-max(1, round(share * len(self.losses))) :]
        return sum(last) / len(last)


def train(
    components: Components,
    tensors: Sequence[Tensor],
    loss: Callable[[int], Tensor],
    recipe: Recipe,
    spoil: Callable[[int], float] = lambda step: 1.0,
    after: Callable[[int], None] = lambda step: None,
) -> Trained:
    """Train tensors in place. ``spoil(step)``: a factor of the gradients of that step. ``after(step)``: called then.

    A loss that is not finite ends it: the rest of the losses are `WORST`.
    """
    packed = Packed(tensors)
    optimizer = optimizer_of(components, packed, recipe)
    done = Trained([], [], optimizer)
    for step in range(recipe.steps):
        now = loss(step)
        done.losses.append(cut(float(now.detach())))
        if not torch.isfinite(now):
            done.losses += [WORST] * (recipe.steps - step - 1)
            break
        grads = [grad * spoil(step) for grad in packed.gradients(now)]
        done.norms.append(float(torch.stack([grad.pow(2).sum() for grad in grads]).sum().sqrt()))
        if recipe.clip:
            grads = clipped(components, grads, recipe.clip)
        optimizer.call("set_lr", lr=rate(components, recipe, step))
        packed.write(optimizer.call("step", grads=grads))
        after(step)
    return done


def optimizer_of(components: Components, packed: Packed, recipe: Recipe) -> Object:
    """An optimiser of the packed parameters, which decays matrices alone."""
    return components.build(
        recipe.optimizer,
        params=packed.joined(packed.tensors),
        groups=[
            {"params": [at], "weight_decay": recipe.decay if is_matrix else 0.0}
            for at, is_matrix in enumerate(packed.are_matrices)
        ],
        lr=recipe.lr,
        betas=recipe.betas,
        eps=1e-8,
        weight_decay=recipe.decay,
    )


def clipped(components: Components, grads: list[Tensor], limit: float) -> list[Tensor]:
    """What the component `clip_grad_norm` makes of gradients; it may return them alone, or with their norm."""
    found = components.call("clip_grad_norm", grads=list(grads), max_norm=limit)
    return list(found[0] if isinstance(found[0], (list, tuple)) else found)


def rate(components: Components, recipe: Recipe, step: int) -> float:
    """The learning rate of a step: the schedule's, from step 1 of it on, so that the first step has one."""
    lowest = recipe.floor * recipe.lr
    found = components.call(
        "lr_schedule", step=step + 1, warmup=recipe.warmup, total=recipe.steps, peak=recipe.lr, floor=lowest
    )
    return float(found)


def hidden(components: Components, ids: Tensor, weights: Mapping[str, Any], heads: int) -> Tensor:
    """The stream behind the last block and the final norm of a GPT-2.  -> [B, T, D]"""
    stream = weights["token_embedding"][ids] + weights["position_embedding"][: ids.shape[1]]
    for layer in weights["blocks"]:
        stream = components.call("block", x=stream, weights=layer, n_heads=heads)
    return torch.nn.functional.layer_norm(
        stream, stream.shape[-1:], weights["final_norm_weight"], weights["final_norm_bias"]
    )


def logits(components: Components, ids: Tensor, weights: Mapping[str, Any], heads: int) -> Tensor:
    """Of a GPT-2 whose blocks are components.  -> [B, T, V]; the head is tied unless there is a `head_weight`."""
    head = weights.get("head_weight", weights["token_embedding"])
    found: Tensor = hidden(components, ids, weights, heads) @ head.T
    return found


def text_loss(
    setting: Setting, weights: Mapping[str, Any], heads: int, data: Tensor, batch: int, length: int, order: int = 1
) -> Callable[[int], Tensor]:
    """The loss of step i on windows that are the same for every arm of one seed."""
    draws = generator(setting.seed, order)

    def loss(step: int) -> Tensor:
        ids, targets = windows(data, batch, length, draws)
        return lm_loss(logits(setting.components, ids, weights, heads), targets)

    return loss


@torch.no_grad()
def evaluate(setting: Setting, weights: Mapping[str, Any], heads: int, data: Tensor, length: int) -> float:
    """The mean loss on 64 windows, the same for every arm and every time."""
    ids, targets = windows(data, 64, length, generator(setting.seed, 99))
    return cut(float(lm_loss(logits(setting.components, ids, weights, heads), targets)))
