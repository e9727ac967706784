"""How a tensor of a contract can be laid out in a module's parameter of a given shape.

The contract keeps a weight as [out, in]. Modules also keep it transposed, cut in equal pieces (one per head), or with
axes of size one (as a convolution does).
"""

from __future__ import annotations

import math
from enum import Enum
from typing import NamedTuple

import torch
from torch import Tensor, nn

from harness.modules.expected_parameters import ExpectedParameter

MOST_ROWS_BEFORE = 2
"""Rows that a table of positions may have before the first position."""


class Arrangement(Enum):
    """How the axes of the contract's tensor [out, in] stand in the parameter. The value is what a report shows."""

    AS_IS = "as is"
    TRANSPOSED = "transposed"
    PIECES = "pieces"
    """A vector [pieces * size] kept as [pieces, size]."""
    PIECE_OUT_IN = "[piece, out, in]"
    PIECE_IN_OUT = "[piece, in, out]"
    IN_PIECE_OUT = "[in, piece, out]"
    OUT_PIECE_IN = "[out, piece, in]"
    IN_PIECES_OUT = "[pieces of in, out]"
    IN_PIECES_OUT_IN = "[pieces of in: out, in]"
    ROWS_BEFORE = "[rows before it, then out; in]"
    """A table with a few rows more, of its own, before those of the contract."""


class Layout(NamedTuple):
    """How a tensor of the contract becomes a parameter. ``ones``: axes of the parameter that are always of size one."""

    kind: Arrangement
    ones: tuple[int, ...] = ()


def ways(slot: ExpectedParameter, shape: tuple[int, ...]) -> list[Layout]:
    """Every layout of a tensor of the slot's shape in ``shape``, the most usual first; none where the sizes differ."""
    has_ones = len(shape) != len(slot.shape) and 1 not in slot.shape
    ones = tuple(i for i, size in enumerate(shape) if size == 1) if has_ones else ()
    bare = tuple(size for i, size in enumerate(shape) if i not in ones)
    splits_rows = slot.part is not None or bool(slot.parts)
    return [Layout(kind, ones) for kind in _arrangements(slot.shape, bare, splits_rows)]


def with_rows_before(slot: ExpectedParameter, shape: tuple[int, ...], owner: nn.Module) -> list[Layout]:
    """The layout of a table of positions with one or two rows before those of the contract, as in fairseq and OPT.

    None unless it stands in an embedding whose forward pass is the implementation's own: that adds to what it looks up.
    """
    is_own = isinstance(owner, nn.Embedding) and type(owner).forward is not nn.Embedding.forward
    if not is_own or slot.sizes[:1] != ("context",) or len(shape) != 2 or len(slot.shape) != 2:
        return []
    more = shape[0] - slot.shape[0]
    return [Layout(Arrangement.ROWS_BEFORE)] if shape[1] == slot.shape[1] and 0 < more <= MOST_ROWS_BEFORE else []


def _arrangements(expected: tuple[int, ...], shape: tuple[int, ...], splits_rows: bool) -> list[Arrangement]:
    """``splits_rows``: whether pieces of the output are likelier than pieces of the input."""
    if expected == shape:
        square = len(expected) == 2 and expected[0] == expected[1]
        return [Arrangement.AS_IS, Arrangement.TRANSPOSED] if square else [Arrangement.AS_IS]
    if len(expected) == 2 and shape == expected[::-1]:
        return [Arrangement.TRANSPOSED]
    if len(expected) == 1 and len(shape) == 2:
        return [Arrangement.PIECES] if math.prod(shape) == expected[0] else []
    if len(expected) == 2 and len(shape) == 3:
        rows = [kind for kind in _ROWS_SPLIT if _FITS[kind](expected, shape)]
        columns = [kind for kind in _COLUMNS_SPLIT if _FITS[kind](expected, shape)]
        return rows + columns if splits_rows else columns + rows
    return []


_FITS = {
    Arrangement.PIECE_OUT_IN: lambda s, t: t[0] * t[1] == s[0] and t[2] == s[1],
    Arrangement.PIECE_IN_OUT: lambda s, t: t[0] * t[2] == s[0] and t[1] == s[1],
    Arrangement.IN_PIECE_OUT: lambda s, t: t[0] == s[1] and t[1] * t[2] == s[0],
    Arrangement.OUT_PIECE_IN: lambda s, t: t[0] == s[0] and t[1] * t[2] == s[1],
    Arrangement.IN_PIECES_OUT: lambda s, t: t[0] * t[1] == s[1] and t[2] == s[0],
    Arrangement.IN_PIECES_OUT_IN: lambda s, t: t[0] * t[2] == s[1] and t[1] == s[0],
}
_ROWS_SPLIT = (Arrangement.PIECE_OUT_IN, Arrangement.PIECE_IN_OUT, Arrangement.IN_PIECE_OUT)
_COLUMNS_SPLIT = (Arrangement.IN_PIECES_OUT, Arrangement.IN_PIECES_OUT_IN, Arrangement.OUT_PIECE_IN)


def laid_out(value: Tensor, way: Layout, shape: tuple[int, ...]) -> Tensor:
    """The contract's tensor in the layout of a parameter of this shape, contiguous; gradients flow back to ``value``.

    Raises ValueError where the sizes differ.
    """
    bare = tuple(size for i, size in enumerate(shape) if i not in way.ones)
    if way.kind is Arrangement.ROWS_BEFORE and 0 < shape[0] - len(value) <= MOST_ROWS_BEFORE:
        return torch.cat((value.new_zeros(shape[0] - len(value), *shape[1:]), value))
    if way.kind not in _arrangements(tuple(value.shape), bare, True):
        raise ValueError(f"{shown(tuple(value.shape))} cannot be laid out as {shown(shape)} {way.kind.value}")
    match way.kind:
        case Arrangement.TRANSPOSED:
            arranged = value.t()
        case Arrangement.PIECE_IN_OUT:
            arranged = value.reshape(bare[0], bare[2], bare[1]).transpose(1, 2)
        case Arrangement.IN_PIECE_OUT | Arrangement.IN_PIECES_OUT:
            arranged = value.t().reshape(bare)
        case Arrangement.IN_PIECES_OUT_IN:
            arranged = value.t().reshape(bare[0], bare[2], bare[1]).transpose(1, 2)
        case _:
            arranged = value.reshape(bare)
    return arranged.contiguous().reshape(shape)


def shown(shape: tuple[int, ...]) -> str:
    """A shape as a report shows it: ``[12, 4]``."""
    return f"[{', '.join(map(str, shape))}]"
