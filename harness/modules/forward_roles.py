"""What a forward takes beside its input, and in which forms it may want it: masks, tables of a rotation, positions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import torch
from torch import nn

from harness.core.errors import plain
from harness.core.parameters import parameters_of
from harness.modules.size_names import Sizes

SIZES = "_plumbline_sizes"
"""Attribute of a module: the sizes that it was built with."""


class Role(Enum):
    """What an argument of a forward stands for. The value is the key of its names in a contract."""

    MASK = "mask"
    CAUSAL = "causal"
    TABLE = "table"
    COS = "cos"
    SIN = "sin"
    POSITIONS = "positions"
    START = "start"
    LENGTH = "length"
    NOTHING = "nothing"
    SAME = "same"
    OFF = "off"


TABLES = (Role.TABLE, Role.COS, Role.SIN)


@dataclass(frozen=True)
class Extent:
    """What a value beside the input is made for: so many rows and positions, the first of them at ``start``.

    ``sizes``: those that the module was built with.
    """

    batch: int
    time: int
    dtype: torch.dtype
    device: torch.device
    sizes: Sizes
    start: int = 0

    @property
    def size(self) -> int:
        """Features of one head."""
        return int(self.sizes.values["head_size"])

    @property
    def real(self) -> torch.dtype:
        """The dtype of real tables: that of the input, or the default one where the input is ids."""
        return self.dtype if self.dtype.is_floating_point else torch.get_default_dtype()


def extent_of(x: torch.Tensor, module: nn.Module, start: int = 0) -> Extent:
    """That of an input [batch, time, width] or [batch, time] of ids."""
    dtype = x.dtype if x.is_floating_point() else next((p.dtype for p in module.parameters()), x.dtype)
    axis = -2 if x.is_floating_point() else -1
    time = x.shape[axis] if x.dim() >= -axis else 1
    sizes = module.__dict__.get(SIZES) or Sizes({"head_size": 1, "rope_base": 10000.0}, {})
    return Extent(x.shape[0] if x.dim() > -axis else 1, time, dtype, x.device, sizes, start)


Make = Callable[[Extent], Any]


@dataclass(frozen=True)
class Form:
    """One way to give a value: in words, and how it is made."""

    words: str
    make: Make


@dataclass(frozen=True)
class More:
    """One argument beside the input. ``needed``: it has no default."""

    name: str
    role: Role | None
    needed: bool


def beside_the_input(forward: object, names: Mapping[str, tuple[str, ...]], inputs: int) -> list[More]:
    """The arguments of a forward after its first ``inputs``; those that have a default and no known role are left out.

    None of an open-ended signature.
    """
    parameters = parameters_of(forward) if callable(forward) else None
    if parameters is None:
        return []
    roles = {plain(name): role for role in Role for name in names.get(role.value, ())}
    found = []
    for p in parameters[inputs:]:
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            continue
        role = roles.get(plain(p.name))
        needed = p.default is inspect.Parameter.empty
        if needed or role is not None:
            found.append(More(p.name, role, needed))
    return found


# masks ---------------------------------------------------------------------------------------------------------------


def masks() -> Iterator[Form]:
    """Causal masks [time, time] in every usual form, the surest first; last one of a batch that hides nothing."""
    kinds: tuple[tuple[str, Callable[[torch.Tensor, Extent], torch.Tensor]], ...] = (
        ("true where a position is seen", lambda seen, _: seen),
        ("1 where a position is seen, 0 elsewhere", lambda seen, e: seen.to(e.real)),
        ("0 where a position is seen, minus infinity elsewhere", _added),
        ("true where a position is hidden", lambda seen, _: ~seen),
        ("1 where a position is hidden, 0 elsewhere", lambda seen, e: (~seen).to(e.real)),
    )
    for words, kind in kinds:
        yield Form(words, lambda e, kind=kind: kind(_seen(e), e))  # type: ignore[misc]
        yield Form(f"[1, 1, time, time], {words}", lambda e, kind=kind: kind(_seen(e), e)[None, None])  # type: ignore[misc]
        yield Form(f"[1, time, time], {words}", lambda e, kind=kind: kind(_seen(e), e)[None])  # type: ignore[misc]
    yield Form("[batch, time], all ones", lambda e: torch.ones(e.batch, e.time, dtype=torch.long, device=e.device))


def _seen(e: Extent) -> torch.Tensor:
    return torch.ones(e.time, e.time, dtype=torch.bool, device=e.device).tril()


def _added(seen: torch.Tensor, e: Extent) -> torch.Tensor:
    return torch.zeros(seen.shape, dtype=e.real, device=e.device).masked_fill(~seen, float("-inf"))


# positions -----------------------------------------------------------------------------------------------------------


def positions() -> Iterator[Form]:
    """The positions [time], or those of every row."""
    yield Form("the positions [time]", _positions)
    yield Form("the positions [batch, time]", lambda e: _positions(e).expand(e.batch, -1))


def _positions(e: Extent) -> torch.Tensor:
    return torch.arange(e.start, e.start + e.time, device=e.device)


# tables --------------------------------------------------------------------------------------------------------------


def computed_tables() -> Iterator[Form]:
    """Tables of a rotation from the formula, in every usual layout of one argument."""
    yield Form("complex numbers [time, size / 2]", lambda e: _complex(_angles(e), e))
    yield from computed_pairs()
    yield Form(
        "cosines and sines [time, size / 2, 2]",
        lambda e: torch.stack((_angles(e).cos(), _angles(e).sin()), -1).to(e.real),
    )
    yield Form("angles [time, size / 2]", lambda e: _angles(e).to(e.real))


def _angles(e: Extent) -> torch.Tensor:
    """[time, size / 2]"""
    halves = torch.arange(0, e.size, 2, dtype=torch.float64, device=e.device) / e.size
    steps: torch.Tensor = float(e.sizes.values["rope_base"]) ** -halves
    return _positions(e)[:, None] * steps


def _complex(angles: torch.Tensor, e: Extent) -> torch.Tensor:
    table = torch.polar(torch.ones_like(angles), angles)
    return table if e.real == torch.float64 else table.to(torch.complex64)


def computed_pairs() -> Iterator[Form]:
    """The pairs (cosines, sines) among them."""
    layouts: tuple[tuple[str, Make], ...] = (
        ("[time, size], halves", lambda e: torch.cat((_angles(e), _angles(e)), -1)),
        ("[time, size / 2]", _angles),
        ("[time, size], neighbours", lambda e: _angles(e).repeat_interleave(2, -1)),
    )
    for words, columns in layouts:
        for lead, axes in (("", ()), ("[1, 1, ...] ", (0, 0)), ("[1, ...] ", (0,)), ("[1, time, 1, ...] ", (0, 2))):
            yield Form(f"a pair of cosines and sines {lead}{words}", _pair(columns, axes))


def _pair(columns: Make, axes: tuple[int, ...]) -> Make:
    def make(e: Extent) -> tuple[torch.Tensor, torch.Tensor]:
        angles = columns(e)
        tables = [angles.cos().to(e.real), angles.sin().to(e.real)]
        for axis in axes:
            tables = [table.unsqueeze(axis) for table in tables]
        return tuple(tables)

    return make
