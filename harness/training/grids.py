"""Ids and targets as grids of (batch, time), whatever shape a loss is given them in."""

from __future__ import annotations

from typing import Any

import torch


def is_positions(ids: torch.Tensor) -> bool:
    """Whether every row counts upwards by one: positions, no tokens."""
    rows = ids.reshape(-1, ids.shape[-1])
    return rows.shape[-1] > 1 and bool((rows.diff() == 1).all())


def grid_of(targets: torch.Tensor, ids: torch.Tensor) -> torch.Tensor | None:
    """Targets of any shape in rows like those of ids, or one shorter; None where their number does not fit."""
    batch, time = ids.shape
    for width in (time, time - 1):
        if width > 0 and targets.numel() == batch * width:
            return targets.reshape(batch, width)
    return None


def token_ids(
    candidates: list[tuple[torch.Tensor, torch.Tensor]], rows: int
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """The ids, as (batch, time), and their embedding, of the last lookup that fits so many rows of logits."""
    for given, output in reversed(candidates):
        ids = given.reshape(1, -1) if given.dim() == 1 else given
        if ids.dim() != 2 or ids.shape[1] < 2 or is_positions(ids):
            continue
        if rows in (ids.numel(), ids.shape[0] * (ids.shape[1] - 1)):
            return ids, output.reshape(*ids.shape, output.shape[-1]) if given.dim() == 1 else output
    return None


def share_of_shift(targets: torch.Tensor, ids: torch.Tensor, shift: int, ignore: int) -> float:
    """Which share of the counted targets is the token so many positions further on in the ids; 0 where none can be."""
    width = targets.shape[1]
    first, last = max(0, -shift), min(width, ids.shape[1] - shift)
    if last - first < 1:
        return 0.0
    wanted, found = targets[:, first:last], ids[:, first + shift : last + shift]
    counted = wanted != ignore
    return float((wanted == found)[counted].float().mean()) if bool(counted.any()) else 0.0


def as_rows(logits: torch.Tensor) -> torch.Tensor:
    """The logits of a cross-entropy, whose classes stand in the second dimension, as (rows, classes)."""
    moved = logits.movedim(1, -1) if logits.dim() > 2 else logits
    return moved.reshape(-1, moved.shape[-1])


def tensors_in(output: Any) -> list[torch.Tensor]:
    """The floating tensors of what a model returns: alone, in a tuple, or in a dictionary or object of some library."""
    if isinstance(output, torch.Tensor):
        return [output] if output.is_floating_point() else []
    if isinstance(output, dict):
        output = list(output.values())
    if isinstance(output, (list, tuple)):
        return [tensor for one in output for tensor in tensors_in(one)]
    return []


Turned = tuple["torch.Tensor | None", "torch.Tensor | None", bool]


def turned(ids: torch.Tensor | None, targets: torch.Tensor | None, ignore: int) -> Turned:
    """Ids and targets as (batch, time), and whether they were (time, batch): then targets follow along the columns."""
    if ids is None or targets is None or targets.shape != ids.shape:
        return ids, targets, False
    along = [share_of_shift(targets, ids, shift, ignore) for shift in (1, 0, 2, -1)]
    across = share_of_shift(targets.T, ids.T, 1, ignore)
    return (ids.T, targets.T, True) if across > 0.9 and max(along) < 0.9 else (ids, targets, False)


def is_reordered(targets: torch.Tensor, ids: torch.Tensor, ignore: int) -> bool:
    """Whether targets would follow their ids if they were flattened along the other dimension."""
    if targets.shape != ids.shape or share_of_shift(targets, ids, 1, ignore) > 0.9:
        return False
    other = targets.reshape(targets.shape[1], targets.shape[0]).T
    return share_of_shift(other, ids, 1, ignore) > 0.9


def counted_positions(targets: torch.Tensor, ignore: int) -> list[int]:
    """The first and the middle one of the positions whose target counts."""
    counted = (targets != ignore).nonzero().flatten().tolist()
    return sorted({counted[0], counted[len(counted) // 2]}) if counted else []
