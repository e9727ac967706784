"""A legal other order of the rows of one matrix for queries, keys and values: head by head, as GPT-NeoX keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from harness.core.contract import Variant
from harness.core.mistake import Edit
from reference_model.attention import attention

JOINED = ("qkv_weight", "qkv_bias")


def head_by_head(rows: Tensor, n_heads: int) -> Tensor:
    """Rows [q, k, v; head; feature] in the order [head; q, k, v; feature].  [3D, ...] -> [3D, ...]

    A tensor whose rows these heads do not divide stays: code must refuse it.
    """
    return _exchanged(rows, 3, n_heads)


def part_by_part(rows: Tensor, n_heads: int) -> Tensor:
    """The way back: rows [head; q, k, v; feature] in the order of the contract.  [3D, ...] -> [3D, ...]"""
    return _exchanged(rows, n_heads, 3)


def _exchanged(rows: Tensor, outer: int, inner: int) -> Tensor:
    if outer < 1 or inner < 1 or rows.shape[0] % (outer * inner):
        return rows
    return rows.reshape(outer, inner, -1).transpose(0, 1).reshape(rows.shape)


def _heads(arguments: Mapping[str, Any]) -> int:
    heads: int = arguments["n_heads"] if "n_heads" in arguments else arguments["config"].heads
    return heads


def _tensor(name: str) -> Any:
    return lambda a: head_by_head(a[name], a["n_heads"]) if torch.is_tensor(a[name]) else a[name]


def _of_record(record: Mapping[str, Any], n_heads: int) -> dict[str, Any]:
    held = {name: record.get(name) for name in JOINED}
    return {**record, **{name: head_by_head(rows, n_heads) for name, rows in held.items() if torch.is_tensor(rows)}}


def _of_block(a: Mapping[str, Any]) -> Any:
    return _of_record(a["weights"], a["n_heads"])


def _of_model(a: Mapping[str, Any]) -> Any:
    blocks = [_of_record(block, a["config"].heads) for block in a["weights"]["blocks"]]
    return {**a["weights"], "blocks": blocks}


BY_HEAD = Variant(
    "by_head",
    "One matrix holds the queries, keys and values head by head, as in GPT-NeoX; in GPT-2 all queries stand first, "
    "then all keys, then all values.",
    (
        Edit(
            attention,
            "q, k, v = qkv.split(width, dim=-1)",
            "q, k, v = qkv.reshape(batch, time, n_heads, 3, head_size).unbind(3)",
        ),
    ),
    axis="qkv_order",
    given={name: _tensor(name) for name in JOINED},
    gradients=dict.fromkeys(JOINED, lambda a, gradient: part_by_part(gradient, _heads(a))),
)
"""Of attention. Where it is declared, the implementation is given its rows in that order."""
BLOCK_BY_HEAD = replace(BY_HEAD, given={"weights": _of_block})
MODEL_BY_HEAD = replace(BY_HEAD, given={"weights": _of_model})
