"""How a tensor of a contract can be laid out in somebody's parameter of a given shape."""

from __future__ import annotations

import math
from typing import NamedTuple

from torch import Tensor

from harness.modules.expected_parameters import ExpectedParameter


class Layout(NamedTuple):
    """How a tensor of the contract becomes theirs. ``ones``: axes of theirs that are always of size one."""

    kind: str
    ones: tuple[int, ...] = ()


def ways(slot: ExpectedParameter, shape: tuple[int, ...]) -> list[Layout]:
    """How a tensor of the slot's shape can be laid out in ``shape``, the likeliest first."""
    ones = (
        tuple(i for i, size in enumerate(shape) if size == 1)
        if len(shape) != len(slot.shape) and 1 not in slot.shape
        else ()
    )
    bare = tuple(size for i, size in enumerate(shape) if i not in ones)
    found = [Layout(kind, ones) for kind in _kinds(slot.shape, bare, slot.part is not None or bool(slot.parts))]
    return found


def _kinds(ours: tuple[int, ...], theirs: tuple[int, ...], splits_rows: bool) -> list[str]:
    if ours == theirs:
        return ["as is", "turned"] if len(ours) == 2 and ours[0] == ours[1] else ["as is"]
    if len(ours) == 2 and theirs == ours[::-1]:
        return ["turned"]
    if len(ours) == 1 and len(theirs) == 2:
        return ["pieces"] if math.prod(theirs) == ours[0] else []
    if len(ours) == 2 and len(theirs) == 3:
        rows = [kind for kind in _ROW_KINDS if _SPLIT[kind](ours, theirs)]
        columns = [kind for kind in _COLUMN_KINDS if _SPLIT[kind](ours, theirs)]
        return rows + columns if splits_rows else columns + rows
    return []


_SPLIT = {
    "[piece, out, in]": lambda s, t: t[0] * t[1] == s[0] and t[2] == s[1],
    "[piece, in, out]": lambda s, t: t[0] * t[2] == s[0] and t[1] == s[1],
    "[in, piece, out]": lambda s, t: t[0] == s[1] and t[1] * t[2] == s[0],
    "[out, piece, in]": lambda s, t: t[0] == s[0] and t[1] * t[2] == s[1],
    "[pieces of in, out]": lambda s, t: t[0] * t[1] == s[1] and t[2] == s[0],
    "[pieces of in: out, in]": lambda s, t: t[0] * t[2] == s[1] and t[1] == s[0],
}
_ROW_KINDS = ("[piece, out, in]", "[piece, in, out]", "[in, piece, out]")
_COLUMN_KINDS = ("[pieces of in, out]", "[pieces of in: out, in]", "[out, piece, in]")


def laid_out(value: Tensor, way: Layout, shape: tuple[int, ...]) -> Tensor:
    """The tensor of the contract as theirs; gradients flow back. Raises ValueError where the sizes differ."""
    bare = tuple(size for i, size in enumerate(shape) if i not in way.ones)
    if way.kind not in _all_kinds(tuple(value.shape), bare):
        raise ValueError(f"{shown(tuple(value.shape))} cannot be laid out as {shown(shape)} {way.kind}")
    if way.kind == "turned":
        turned = value.t()
    elif way.kind == "[piece, in, out]":
        turned = value.reshape(bare[0], bare[2], bare[1]).transpose(1, 2)
    elif way.kind in ("[in, piece, out]", "[pieces of in, out]"):
        turned = value.t().reshape(bare)
    elif way.kind == "[pieces of in: out, in]":
        turned = value.t().reshape(bare[0], bare[2], bare[1]).transpose(1, 2)
    else:
        turned = value.reshape(bare)
    return turned.contiguous().reshape(shape)


def _all_kinds(ours: tuple[int, ...], theirs: tuple[int, ...]) -> list[str]:
    return _kinds(ours, theirs, True)


def shown(shape: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, shape))}]"
