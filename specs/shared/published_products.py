"""Attention of given queries to given keys under another name: ``attention(query, key, value, mask=None)``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor

from harness.core.composition import Composition

QUERIES, KEYS, VALUES = ("q", "query", "queries", "Q"), ("k", "key", "keys", "K"), ("v", "value", "values", "V")
MASKS = ("mask", "attn_mask", "attention_mask")


def products(members: Mapping[str, Any]) -> Iterator[Composition]:
    """Every function of queries, keys, values and a mask that requires nothing else. None of them is called."""
    for name, value in members.items():
        if inspect.isfunction(value) and not name.startswith("_") and not value.__module__.startswith("torch"):
            parameters = list(inspect.signature(value).parameters.values())
            first = [p.name for p in parameters[:4]]
            known = (QUERIES, KEYS, VALUES, MASKS)
            fits = len(first) == 4 and all(n in usual for n, usual in zip(first, known, strict=True))
            if fits and all(p.default is not p.empty for p in parameters[4:]):
                yield Composition(_with_a_mask(value), value, f"its {name}")


def _with_a_mask(function: Callable[..., Any]) -> Callable[..., Any]:
    def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Any:
        returned = function(q, k, v, mask)
        return returned[0] if isinstance(returned, tuple) and returned else returned  # the weights come second

    return attend
