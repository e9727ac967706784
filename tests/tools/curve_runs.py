"""Real training runs, each under a second of processor time, with one known fault or none: labelled loss curves.

A decoder of about 5,000 parameters learns text of made-up words. Every run is fixed by its recipe and its seed. What
goes wrong is put into the training itself (a rate that grows, a checkpoint that is not loaded), never into the curve.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

VOCABULARY, CONTEXT, WIDTH, HEADS = 64, 24, 16, 2


@dataclass(frozen=True)
class Recipe:
    """How one run is made. Rates are those of the optimiser; steps are optimiser steps; ``fault_at`` is a step."""

    kind: str = "healthy"
    shape: str = ""
    """What a healthy run is an example of, or which form of a fault."""
    steps: int = 400
    rate: float = 1e-2
    schedule: str = "cosine"
    warmup: int = 10
    optimiser: str = "adamw"
    beta2: float = 0.99
    rows: int = 8
    tokens: int = 60_000
    dropout: float = 0.0
    clip: float = 1.0
    epoch_steps: int = 0
    """Steps of an epoch, in which each window comes once; 0: windows are drawn at random."""
    shuffled: bool = True
    causal: bool = True
    log_every: int = 1
    log_mean: bool = False
    evaluate_every: int = 20
    evaluation_rows: int = 24
    planned: int = 0
    """Steps that the schedule is made for, where the run ends before."""
    fault_at: int = 0
    fault_size: float = 0.0
    fault_count: int = 1
    pretrained: int = 0
    """Steps of training on another text before the run."""
    by_epoch: bool = False
    """Logged as means of the epochs."""


@dataclass
class Curve:
    """What a run logged, and what is wrong with it. A value that was not logged is None; ``onset`` counts as
    ``step``."""

    recipe: Recipe
    seed: int
    step: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    valid: list[float | None] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    norm: list[float] = field(default_factory=list)
    onset: float | None = None
    unit: str = "step"
    clean: list[float] = field(default_factory=list)
    """Validation losses over 199 rows, which the log does not show."""

    @property
    def name(self) -> str:
        return f"{self.recipe.kind}-{self.recipe.shape or 'plain'}-{self.seed}"

    def columns(self) -> dict[str, list[Any]]:
        """As a log names them."""
        shown = {self.unit: self.step, "loss": self.loss, "val_loss": self.valid}
        return {**shown, "lr": self.rate, "grad_norm": self.norm}


class Decoder(nn.Module):
    """One block of a decoder with learned positions and a tied head; ids [B, T] -> logits [B, T, V]."""

    def __init__(self, dropout: float, causal: bool) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(3))
        self.into, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.drop, self.causal = nn.Dropout(dropout), causal
        for table in (self.tokens, self.places):
            nn.init.normal_(table.weight, std=0.02)

    def forward(self, ids: Tensor) -> Tensor:
        rows, time = ids.shape
        x = self.drop(self.tokens(ids) + self.places.weight[:time])
        q, k, v = self.into(self.norms[0](x)).view(rows, time, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        x = x + self.drop(self.out(mixed.transpose(1, 2).reshape(rows, time, WIDTH)))
        x = x + self.drop(self.down(F.gelu(self.up(self.norms[1](x)))))
        return F.linear(self.norms[2](x), self.tokens.weight)


@lru_cache(maxsize=8)
def text(seed: int, length: int) -> Tensor:
    """Ids of made-up words: 120 words with Zipf frequencies. A word has a few likely followers, and so has a letter."""
    random = np.random.default_rng(seed)
    letters = random.dirichlet(np.full(VOCABULARY - 1, 0.6))
    after = np.stack([0.3 * letters + 0.7 * random.dirichlet(np.full(VOCABULARY - 1, 0.04)) for _ in letters])
    words = []
    for _ in range(120):
        word = [int(random.choice(VOCABULARY - 1, p=letters))]
        for _ in range(random.integers(1, 7)):
            word.append(int(random.choice(VOCABULARY - 1, p=after[word[-1]])))
        words.append(1 + np.array(word))
    share = 1 / np.arange(1, 121)
    follow = np.stack([0.4 * share / share.sum() + 0.6 * random.dirichlet(np.full(120, 0.05)) for _ in range(120)])
    sums, at, found, count = follow.cumsum(1), 0, [], 0
    while count < length:
        at = min(int(np.searchsorted(sums[at], random.random() * sums[at][-1])), 119)
        found.append(np.append(words[at], 0))
        count += len(found[-1])
    return torch.from_numpy(np.concatenate(found)[:length])


def rate_at(recipe: Recipe, step: int) -> float:
    """The learning rate of a step by the schedule, without what a fault does to it."""
    end = recipe.planned or recipe.steps
    if step < recipe.warmup:
        return recipe.rate * (step + 1) / recipe.warmup
    done = (step - recipe.warmup) / max(1, end - recipe.warmup)
    if recipe.schedule == "cosine":
        return recipe.rate * (0.1 + 0.45 * (1 + math.cos(math.pi * min(1, done))))
    if recipe.schedule == "linear":
        return recipe.rate * max(0.0, 1 - done)
    if recipe.schedule == "steps":
        return recipe.rate * 0.2 ** int(min(done, 0.999) * 3)
    if recipe.schedule == "restarts":
        return recipe.rate * (0.02 + 0.49 * (1 + math.cos(math.pi * (done * 4 % 1))))
    if recipe.schedule == "wsd":
        return recipe.rate * (1 if done < 0.8 else max(0.0, (1 - done) / 0.2))
    return recipe.rate


class Trainer:
    """One run. ``train()`` returns its curve."""

    def __init__(self, recipe: Recipe, seed: int) -> None:
        self.recipe, self.seed = recipe, seed
        torch.manual_seed(seed)
        self.random = np.random.default_rng([seed, 1])
        source = text(seed % 7, 120_000)
        self.train_ids, self.valid_ids = source[: recipe.tokens], source[-20_000:]
        self.model = Decoder(recipe.dropout, recipe.causal)
        self.optimiser = self.new_optimiser()
        places = np.random.default_rng([seed, 2]).integers(0, 19_000, recipe.evaluation_rows)
        self.held_out = self.batch(self.valid_ids, places)
        self.many = self.batch(self.valid_ids, np.arange(0, 19_900, 100))
        self.order: np.ndarray = np.arange(0)
        self.curve = Curve(recipe, seed)
        self.sums: list[float] = []

    def new_optimiser(self) -> torch.optim.Optimizer:
        found = self.model.parameters()
        if self.recipe.optimiser == "sgd":
            return torch.optim.SGD(found, lr=self.recipe.rate, momentum=0.9)
        return torch.optim.AdamW(found, lr=self.recipe.rate, betas=(0.9, self.recipe.beta2), weight_decay=0.01)

    def batch(self, ids: Tensor, places: np.ndarray) -> tuple[Tensor, Tensor]:
        rows = torch.as_tensor(places)[:, None] + torch.arange(CONTEXT + 1)
        found = ids[rows]
        return found[:, :-1], found[:, :-1] if self.recipe.shape == "unshifted" else found[:, 1:]

    def next_batch(self, step: int) -> tuple[Tensor, Tensor]:
        r = self.recipe
        if not r.epoch_steps:
            return self.batch(self.train_ids, self.random.integers(0, len(self.train_ids) - CONTEXT - 1, r.rows))
        within = step % r.epoch_steps
        if within == 0 and (r.shuffled or not len(self.order)):
            self.order = self.random.permutation(r.epoch_steps * r.rows)
        places = self.order[within * r.rows : (within + 1) * r.rows] * CONTEXT
        return self.batch(self.train_ids, places % (len(self.train_ids) - CONTEXT - 1))

    def loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        return F.cross_entropy(self.model(batch[0]).flatten(0, 1), batch[1].flatten())

    def evaluate(self) -> float:
        self.model.eval()
        with torch.no_grad():
            found = float(self.loss(self.held_out))
            if self.recipe.kind == "overfit":
                self.curve.clean.append(float(self.loss(self.many)))
        self.model.train()
        return found

    def pretrain(self) -> None:
        other = text(self.seed % 7 + 1, 120_000)
        for _ in range(self.recipe.pretrained):
            places = self.random.integers(0, 100_000, 8)
            self.optimiser.zero_grad()
            self.loss(self.batch(other, places)).backward()
            self.optimiser.step()
        self.optimiser = self.new_optimiser()

    def before_step(self, step: int, rate: float) -> float:
        """What the fault does before a step; returns the rate of the step."""
        r = self.recipe
        if r.kind == "divergence" and step >= r.fault_at:
            grown = r.fault_size ** (step - r.fault_at) if r.shape == "growing" else r.fault_size
            return rate * min(grown, 1e4)
        if r.kind == "spikes" and r.shape == "rate":
            near = [(step - r.fault_at * (n + 1)) for n in range(r.fault_count)]
            return rate * r.fault_size if any(0 <= n < 2 for n in near) else rate
        if r.kind == "resume" and step == r.fault_at:
            if r.shape == "moments":
                for state in self.optimiser.state.values():
                    state["exp_avg"].zero_()
                    state["exp_avg_sq"].zero_()
            if r.shape == "weights":
                for module in self.model.modules():
                    if isinstance(module, (nn.Linear, nn.LayerNorm, nn.Embedding)):
                        module.reset_parameters()
                for table in (self.model.tokens, self.model.places):
                    nn.init.normal_(table.weight, std=0.02)
                self.optimiser = self.new_optimiser()
        return rate

    def step(self, step: int) -> tuple[float, float, float]:
        r = self.recipe
        rate = self.before_step(step, rate_at(r, step))
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        ids, targets = self.next_batch(step)
        if r.kind == "nan" and step == r.fault_at:
            targets = torch.full_like(targets, -100)
        events = [r.fault_at * (n + 1) for n in range(r.fault_count)]
        if r.kind == "spikes" and r.shape == "batch" and step in events:
            targets = torch.from_numpy(self.random.integers(0, VOCABULARY, targets.shape))
            for group in self.optimiser.param_groups:
                group["lr"] = rate * r.fault_size
        loss = self.loss((ids, targets))
        self.optimiser.zero_grad()
        loss.backward()
        limit = r.clip or math.inf
        norm = float(nn.utils.clip_grad_norm_(self.model.parameters(), limit))
        self.optimiser.step()
        return float(loss.detach()), rate, norm

    def log(self, step: int, loss: float, rate: float, norm: float) -> None:
        r, c = self.recipe, self.curve
        self.sums.append(loss)
        every = r.epoch_steps if r.by_epoch else r.log_every
        is_due = (step + 1) % every == 0 if r.by_epoch or r.log_mean else step % every == 0
        evaluated = is_due if r.by_epoch else step % r.evaluate_every == 0
        if not (is_due or evaluated):
            return
        c.step.append((step + 1) // every - 1 if r.by_epoch else step)
        c.loss.append(float(np.mean(self.sums)) if r.by_epoch or r.log_mean else loss)
        c.valid.append(self.evaluate() if evaluated else None)
        c.rate.append(rate)
        c.norm.append(norm)
        self.sums = []

    def train(self) -> Curve:
        if self.recipe.pretrained:
            self.pretrain()
        after = 0
        for step in range(self.recipe.steps):
            loss, rate, norm = self.step(step)
            self.log(step, loss, rate, norm)
            after += not math.isfinite(loss)
            if after > 20:
                break
        self.curve.unit = "epoch" if self.recipe.by_epoch else "step"
        self.curve.onset = truth(self.curve)
        return self.curve


def truth(curve: Curve) -> float | None:
    """The step at which the fault shows, from the run itself: where it was put in, or where the clean curve turns."""
    r, step = curve.recipe, np.array(curve.step)
    if r.kind in ("nan", "resume", "spikes") or (r.kind, r.shape) == ("divergence", "jump"):
        return float(r.fault_at)
    if r.kind == "overfit":
        evaluated = [s for s, v in zip(curve.step, curve.valid, strict=True) if v is not None]
        return float(evaluated[int(np.argmin(curve.clean))])
    if r.kind == "divergence":
        loss = np.nan_to_num(np.array(curve.loss), nan=1e9)
        smooth = np.array([np.median(loss[max(0, i - 2) : i + 3]) for i in range(len(loss))])
        low = smooth.min() + 0.5
        return float(step[np.flatnonzero(smooth <= low)[-1]])
    return None


def make(recipe: Recipe, seed: int) -> Curve:
    """Train one run. The same recipe and seed give the same curve on one machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return Trainer(recipe, seed).train()
    finally:
        torch.set_num_threads(threads)
