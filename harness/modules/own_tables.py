"""Tables of a rotation as the implementation computes them: by a function, or a class, beside the module."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import nn

from harness.core.errors import plain
from harness.core.parameters import parameters_of
from harness.execution import call
from harness.modules.construction import construct
from harness.modules.forward_roles import Extent, Form, Role
from harness.modules.size_names import Sizes

ROTATED = ("d", "dim", "size", "n_elem", "dims", "rotary_dim", "rot_dim", "head_size", "width", "features", "d_model")
"""What such a function may call the size of a head."""
LENGTHS = ("end", "length", "n_positions", "seqlen")
"""What it may call the number of positions, beside the usual names."""


class OwnTables:
    """What the module of a class holds that computes tables. ``names``: those of the contract, by role."""

    def __init__(self, kind: type, names: Mapping[str, tuple[str, ...]]) -> None:
        self.kind, self.names = kind, names
        self.namespace = vars(sys.modules[kind.__module__])

    def forms(self) -> Iterator[Form]:
        """Each function or class that may compute tables, as one way to give them; it fails where it does not."""
        fragments = self.names.get("maker", ())
        for name, value in self.namespace.items():
            known = getattr(value, "__module__", None) not in (None, "torch") and value is not self.kind
            if not known or not any(fragment in plain(name) for fragment in fragments):
                continue
            if inspect.isfunction(value):
                yield Form(f"the tables of its {name}", partial(self._of_function, value))
            elif inspect.isclass(value) and issubclass(value, nn.Module):
                yield Form(f"the tables of its {name}", partial(self._of_class, value))

    def objects(self) -> Iterator[Form]:
        """The classes among them, for a forward that is given such a module itself."""
        for name, value in self.namespace.items():
            fitting = any(fragment in plain(name) for fragment in self.names.get("maker", ()))
            if fitting and inspect.isclass(value) and issubclass(value, nn.Module) and value is not self.kind:
                yield Form(f"its {name}", partial(self._made, value))

    def _of_function(self, function: Callable[..., Any], e: Extent) -> Any:
        return self._cut(construct(function, self._sizes_of(function, e), self.namespace), e)

    def _made(self, kind: type, e: Extent) -> Any:
        made = construct(kind, self._sizes_of(kind, e), self.namespace)
        return made.to(e.device)

    def _of_class(self, kind: type, e: Extent) -> Any:
        made = self._made(kind, e)
        given: dict[str, Any] = {}
        roles = {plain(name): role for role in Role for name in self.names.get(role.value, ())}
        for p in parameters_of(made.forward) or ():
            role = roles.get(plain(p.name))
            if role is Role.POSITIONS:
                given[p.name] = torch.arange(e.start + e.time, device=e.device)[None]
            elif role is Role.LENGTH:
                given[p.name] = e.start + e.time
            elif role is Role.START and p.default is p.empty:
                given[p.name] = 0
            elif p.default is p.empty:
                given[p.name] = torch.zeros(1, e.start + e.time, e.size, dtype=e.real, device=e.device)
        return self._cut(call.invoke(made, **given), e)

    def _sizes_of(self, thing: Any, e: Extent) -> Sizes:
        """The sizes as such a function calls them: its dimension is that of a head, unless a record holds all."""
        names = {plain(p.name) for p in parameters_of(thing) or ()}
        takes_size = bool(names & {plain(name) for name in ROTATED})
        values = {**e.sizes.values, "context": e.start + e.time}
        usual = {size: list(known) for size, known in e.sizes.names.items()}
        usual["head_size"] = [*usual.get("head_size", ()), *ROTATED]
        usual["context"] = [*usual.get("context", ()), *LENGTHS]
        usual["width"] = [] if takes_size else usual.get("width", [])
        return Sizes(values, usual)

    def _cut(self, tables: Any, e: Extent) -> Any:
        """The rows of these positions. Raises ValueError where this is no table of so many positions."""
        if isinstance(tables, (tuple, list)):
            if len(tables) != 2 or not all(torch.is_tensor(t) and t.is_floating_point() for t in tables):
                raise ValueError("no pair of tables")
            return tuple(self._cut(t, e) for t in tables)
        if not torch.is_tensor(tables):
            raise ValueError("no table")
        axis = _rows(tables, e.size)
        if tables.shape[axis] < e.start + e.time:
            raise ValueError("too short a table")
        rows = tables.narrow(axis, e.start, e.time)
        if rows.is_complex():
            return rows.to(torch.complex128 if e.real == torch.float64 else torch.complex64)
        return rows.to(e.real)


def _rows(table: torch.Tensor, size: int) -> int:
    """The axis of positions: before that of the features, and of the pair of numbers where there is one."""
    features = (size // 2,) if table.is_complex() else (size, size // 2)
    for axis in (-1, -2):
        if table.dim() > -axis and table.shape[axis] in features and (axis == -1 or table.shape[-1] == 2):
            before = [i for i in range(table.dim() + axis) if table.shape[i] != 1]
            if len(before) < 2:
                return before[0] if before else table.dim() + axis - 1
    raise ValueError("no table of a head's features")
