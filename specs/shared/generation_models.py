"""Models for generation whose next id is never a near tie, and which does not repeat one id."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.contract import Argument
from harness.core.values import Settings
from reference_model.gpt2 import gpt2
from specs.naming.generation import WINDOW
from specs.naming.parameters import GPT2
from specs.naming.sizes import SIZES
from specs.shared.attention import learned


@dataclass(frozen=True, eq=False, repr=False)
class Family:
    """Models that generation is judged on.

    ``model``: from ids, weights and sizes to logits [B, T, V]. ``sizes(context)``: a strategy of their sizes.
    ``weights``: random ones, from the sizes and a seed, with which the next id depends on all ids before it, and on
    their positions. ``fields`` and ``config``: what weights and sizes hold.
    """

    model: Callable[..., torch.Tensor]
    sizes: Callable[[int], st.SearchStrategy[Settings]]
    weights: Callable[[Settings, int], dict[str, Any]]
    fields: tuple[Argument, ...]
    config: tuple[Argument, ...]


@st.composite
def sizes_of_gpt2(draw: st.DrawFn, context: int) -> Settings:
    """Small ones."""
    return Settings(
        vocab_size=draw(st.sampled_from((8, 9, 11))),
        context=context,
        width=draw(st.sampled_from((4, 6))),
        heads=2,
        layers=draw(st.sampled_from((1, 2))),
    )


def weights_of_gpt2(config: Settings, seed: int) -> dict[str, Any]:
    """Random weights with which the next id depends on all ids before it, and on their positions."""
    width = config.width

    def tensor(at: int, *shape: int, scale: float, around: float = 0.0) -> torch.Tensor:
        return learned("normal", shape, 1000 * seed + at, scale, around)

    blocks = []
    for layer in range(config.layers):
        at = 20 * (layer + 1)
        blocks.append(
            {
                "norm_1_weight": tensor(at, width, scale=0.3, around=1.2),
                "norm_1_bias": tensor(at + 1, width, scale=0.3),
                "qkv_weight": tensor(at + 2, 3 * width, width, scale=1.2 / width**0.5),
                "qkv_bias": tensor(at + 3, 3 * width, scale=0.3),
                "out_weight": tensor(at + 4, width, width, scale=1.5 / width**0.5),
                "out_bias": tensor(at + 5, width, scale=0.3),
                "norm_2_weight": tensor(at + 6, width, scale=0.3, around=1.0),
                "norm_2_bias": tensor(at + 7, width, scale=0.3),
                "up_weight": tensor(at + 8, 4 * width, width, scale=1.5 / width**0.5),
                "up_bias": tensor(at + 9, 4 * width, scale=0.3),
                "down_weight": tensor(at + 10, width, 4 * width, scale=1.0 / width**0.5),
                "down_bias": tensor(at + 11, width, scale=0.3),
            }
        )
    return {
        "token_embedding": tensor(0, config.vocab_size, width, scale=0.5),
        "position_embedding": tensor(1, config.context, width, scale=0.8),
        "blocks": blocks,
        "final_norm_weight": tensor(2, width, scale=0.3, around=1.5),
        "final_norm_bias": tensor(3, width, scale=0.2),
    }


CONFIG = tuple(Argument(name, "int", role="setting") for name in ("vocab_size", "context", "width", "heads", "layers"))
GPT2_MODELS = Family(gpt2, sizes_of_gpt2, weights_of_gpt2, GPT2, CONFIG)


def next_logits(
    ids: torch.Tensor, weights: Mapping[str, Any], config: Settings, model: Callable[..., torch.Tensor] = gpt2
) -> torch.Tensor:
    """The logits of the id after these, of which the model sees the last ``context``.  -> [B, V]"""
    return model(ids[:, -config.context :], weights, config)[:, -1].double()


def greedy(
    ids: torch.Tensor, number: int, weights: Mapping[str, Any], config: Settings, model: Callable[..., torch.Tensor]
) -> tuple[torch.Tensor, float]:
    """The prompt with the most likely ids after it, and the smallest margin over the second most likely."""
    nearest = float("inf")
    for _ in range(number):
        two = next_logits(ids, weights, config, model).topk(2, -1)
        nearest = min(nearest, float((two.values[:, 0] - two.values[:, 1]).min()))
        ids = torch.cat([ids, two.indices[:, :1]], 1)
    return ids, nearest


CLEAR, TRIED = 0.02, 40
"""How far the largest logit must be above the second (float32 rounds to 1e-5 of it), and how many models are tried."""


@lru_cache(maxsize=512)
def decisive_model(
    family: Family, config: Settings, seed: int, batch: int, time: int, number: int
) -> tuple[dict[str, Any], torch.Tensor]:
    """(weights, prompt): the next id is never a near tie, and is not always the same."""
    best: tuple[Any, ...] = ()
    for attempt in range(TRIED):
        weights = family.weights(config, seed + 7919 * attempt)
        generator = torch.Generator().manual_seed(seed + attempt)
        ids = torch.randint(0, config.vocab_size, (batch, time), generator=generator)
        whole, nearest = greedy(ids, number, weights, config, family.model)
        kinds = min(len(set(row.tolist())) for row in whole[:, time:]) if number else 1
        best = max(
            best,
            (min(nearest / CLEAR, 1.0), min(kinds, 2 if number > 2 else 1), -attempt, weights, ids),
            key=lambda b: b[:3] or (0,),
        )
        if nearest >= CLEAR and kinds >= min(number, 3):
            break
    return best[3], best[4]


@lru_cache(maxsize=64)
def ending_model(
    family: Family, config: Settings, seed: int, batch: int, time: int, number: int
) -> tuple[dict[str, Any], torch.Tensor]:
    """(weights, prompt): there is an id that one row meets early, with two kinds of ids after it, and another never.

    The best of ``TRIED`` models where there is none.
    """
    weights, ids = decisive_model(family, config, seed, batch, time, number)
    for attempt in range(TRIED):
        whole = greedy(ids, number, weights, config, family.model)[0][:, time:].tolist()
        if any(_ends_apart(whole, end) for end in range(config.vocab_size)):
            break
        weights, ids = decisive_model(family, config, seed + 104729 * (attempt + 1), batch, time, number)
    return weights, ids


def _ends_apart(rows: Sequence[Sequence[int]], end: int) -> bool:
    """Whether one row goes on with two kinds of ids after this one, and another row never meets it."""
    after = [set(row[row.index(end) + 1 :]) - {end} for row in rows if end in row]
    return len(after) < len(rows) and any(len(kinds) > 1 for kinds in after)


class ReferenceModel(torch.nn.Module):
    """The reference with its weights, as a model that functions take. ``form``: what its call returns."""

    def __init__(self, weights: Mapping[str, Any], config: Settings) -> None:
        super().__init__()
        self.weights, self.sizes, self.form = weights, config, "tensor"
        known = config.as_dict()
        names = {name: known[size] for size, usual in SIZES.items() if size in known for name in (size, *usual)}
        self.config = self.cfg = SimpleNamespace(**names)
        for name in WINDOW:
            setattr(self, name, config.context)
        self.vocab_size, self.device = config.vocab_size, torch.device("cpu")
        # A parameter, because code asks the parameters of a model for their device and dtype.
        self.anchor = torch.nn.Parameter(torch.zeros((), dtype=weights["token_embedding"].dtype))

    def forward(self, ids: torch.Tensor, *_: Any, **__: Any) -> Any:
        logits = gpt2(ids, self.weights, self.sizes)
        forms = {"tensor": logits, "tuple": (logits, None), "object": SimpleNamespace(logits=logits, loss=None)}
        return forms[self.form]
