"""Rotations as they are published: a function or class that computes tables, and a function that applies them; or a
class that does both.

What each argument is, its name tells (:mod:`specs.naming.forward`). x is [batch, heads, time, size],
[batch, time, heads, size] or [time, batch, heads, size]; which, the shapes that they return tell, and where several
do, that a rotation differs along time alone. Angles, tables and the rotation are those of the implementation: here
they are only called.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from harness.core.claim import NotSupported
from harness.core.composition import Composition
from harness.core.errors import plain
from specs.naming.forward import APPLIERS, FORWARD, METHODS, ROTATION_SIZES, ROTATION_TENSORS

FAR = 4096
"""Positions that a table which is built once must have."""
SAME = 1e-4
"""Rotated ones that differ by less count as equal."""
Rotation = Callable[[Tensor, Tensor, float], Tensor]
"""x [batch, heads, time, size] at positions [time] or [batch, time], with a base -> x, rotated."""
Axes = tuple[int, int, int, int]
LAYOUTS: tuple[Axes, ...] = ((0, 1, 2, 3), (0, 2, 1, 3), (2, 0, 1, 3))
"""Axes of [batch, heads, time, size] in the order in which an implementation has them."""


def rotations(members: Mapping[str, Any]) -> Iterator[Composition]:
    """Every way to put a rotation together from these, the surest first. None of them is called."""
    fitting = {name: value for name, value in members.items() if not name.startswith("_") and _is_theirs(value)}
    classes = [v for n, v in fitting.items() if inspect.isclass(v) and _named(n, FORWARD["maker"])]
    functions = [v for v in fitting.values() if inspect.isfunction(v)]
    appliers = [f for f in functions if _named(f.__name__, APPLIERS) and _is_applier(f)]
    makers = [f for f in functions if _named(f.__name__, FORWARD["maker"]) and _is_maker(f)]
    for apply in appliers:
        for make in (*makers, *(kind for kind in classes if _is_maker(kind))):
            for axes in LAYOUTS:
                yield _composition(Applied(apply, make, axes), apply, make)
    for kind in classes:
        if _is_maker(kind):
            for method in ("forward", *METHODS):
                if method == "forward" or hasattr(kind, method):
                    for axes in LAYOUTS:
                        yield _composition(Whole(kind, method, axes), kind)


def _is_theirs(value: Any) -> bool:
    module = getattr(value, "__module__", None) or ""
    kinds = inspect.isfunction(value) or (inspect.isclass(value) and issubclass(value, nn.Module))
    return kinds and module.partition(".")[0] not in ("torch", "harness", "specs", "reference_model")


def _named(name: str, fragments: tuple[str, ...]) -> bool:
    return any(fragment in plain(name) for fragment in fragments)


def _composition(rotation: Applied | Whole, *pieces: Any) -> Composition:
    """With a base only where the tables have one."""

    def with_base(x: Tensor, positions: Tensor, base: float = 10000.0) -> Tensor:
        return rotation(x, positions, base)

    def without(x: Tensor, positions: Tensor) -> Tensor:
        return rotation(x, positions, 10000.0)

    words = " and ".join(f"its {piece.__name__}" for piece in pieces)
    function = with_base if _takes_base(rotation.make) else without
    return Composition(function, pieces[0], words, lambda: _differs_along_time_alone(rotation))


def _differs_along_time_alone(rotation: Applied | Whole) -> bool:
    """Whether equal vectors everywhere are rotated alike in all heads and rows, and differently over time."""
    time = 5
    out = rotation(torch.ones(2, 3, time, 4, dtype=torch.float64), torch.arange(time), 10000.0)
    same = bool((out - out[:1, :1]).abs().max() < SAME)
    return same and bool((out[:, :, 1:] - out[:, :, :-1]).abs().amax((0, 1, 3)).min() > SAME)


# arguments -----------------------------------------------------------------------------------------------------------

SIZE, LENGTH, BASE, RECORD, TENSOR, POSITIONS, START, TABLE, COS, SIN = (
    *("size", "length", "base", "record", "tensor", "positions", "start", "table", "cos", "sin"),
)
ROLES: dict[str, str] = {
    **{plain(name): SIZE for name in ROTATION_SIZES},
    **{plain(name): LENGTH for name in (*FORWARD["length"], *FORWARD["lengths"])},
    **{plain(name): BASE for name in FORWARD["base"]},
    **dict.fromkeys(("config", "cfg", "args", "params"), RECORD),
    **{plain(name): POSITIONS for name in FORWARD["positions"]},
    **{plain(name): START for name in FORWARD["start"]},
    **{plain(name): TABLE for name in FORWARD["table"]},
    **{plain(name): COS for name in FORWARD["cos"]},
    **{plain(name): SIN for name in FORWARD["sin"]},
}
TENSORS = {plain(name) for name in ROTATION_TENSORS}


def _roles(function: Any, tensors: bool = False, only: tuple[str, ...] = ()) -> dict[str, str] | None:
    """Name of an argument -> its role; None where it requires one of no known role.

    ``tensors``: whether it is given tensors to rotate. ``only``: the roles that are possible.
    """
    found = {}
    for p in inspect.signature(function).parameters.values():
        if p.name == "self" or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            continue
        word = plain(p.name)
        role = TENSOR if tensors and word in TENSORS else ROLES.get(word)
        if role is not None and (not only or role in only):
            found[p.name] = role
        elif p.default is p.empty:
            return None
    return found


def _is_maker(thing: Any) -> bool:
    """Whether it can be built, or computes tables, from the size of a head, a number of positions and a base."""
    roles = _roles(thing, only=(SIZE, LENGTH, BASE, RECORD))
    return roles is not None and bool({SIZE, RECORD} & set(roles.values()))


def _is_applier(function: Any) -> bool:
    """Whether it takes what is to be rotated, and tables."""
    roles = set((_roles(function, tensors=True) or {}).values())
    return TENSOR in roles and (TABLE in roles or {COS, SIN} <= roles)


def _takes_base(make: Any) -> bool:
    return bool({BASE, RECORD} & set((_roles(make, only=(SIZE, LENGTH, BASE, RECORD)) or {}).values()))


def _made(make: Any, size: int, length: int, base: float) -> Any:
    """The tables, or the module, of these sizes. A record holds them under every usual name."""
    sizes = {"head_dim": size, "hidden_size": size, "num_attention_heads": 1, "head_size": size, "dim": size}
    more = {"n_heads": 1, "n_head": 1, "n_embd": size, "partial_rotary_factor": 1.0, "rope_scaling": None}
    lengths = dict.fromkeys(("max_position_embeddings", "max_seq_len", "block_size", "context_length"), length)
    record = SimpleNamespace(**sizes, **more, **lengths, rope_theta=base, rope_base=base)
    values = {SIZE: size, LENGTH: length, BASE: base, RECORD: record}
    roles = _roles(make, only=(SIZE, LENGTH, BASE, RECORD)) or {}
    return make(**{name: values[role] for name, role in roles.items()})


# rotations -----------------------------------------------------------------------------------------------------------


@dataclass
class Applied:
    """A function that is given tables."""

    apply: Callable[..., Any]
    make: Any
    axes: Axes

    def __post_init__(self) -> None:
        self.built: dict[tuple[int, float], nn.Module] = {}

    def __call__(self, x: Tensor, positions: Tensor, base: float) -> Tensor:
        """The rotation of every row at its own positions."""
        if positions.dim() > 1:
            rows = [self(x[i : i + 1], positions[i % len(positions)], base) for i in range(len(x))]
            return torch.cat(rows)
        roles = _roles(self.apply, tensors=True) or {}
        told = POSITIONS in roles.values() and POSITIONS in _required(self.apply, roles)
        tables = self._tables(x, positions, base, whole=told)
        given = x.permute(self.axes)
        values = {
            TENSOR: given,
            POSITIONS: positions.expand(len(x), -1),
            START: 0,
            TABLE: tables,
            COS: tables[0] if isinstance(tables, tuple) else None,
            SIN: tables[1] if isinstance(tables, tuple) else None,
        }
        names = {n: r for n, r in roles.items() if r in (TENSOR, TABLE, COS, SIN) or r in _required(self.apply, {n: r})}
        if any(values.get(role) is None for role in names.values()):
            raise NotSupported("its tables are of another form")
        returned = self.apply(**{name: values[role] for name, role in names.items()})
        return _one(returned, self.axes)

    def _tables(self, x: Tensor, positions: Tensor, base: float, whole: bool) -> Any:
        """The rows of these positions; of every position from 0 on, where ``whole``."""
        length = int(positions.max()) + 1 if positions.numel() else 1
        if not inspect.isclass(self.make):
            return _rows(_made(self.make, x.shape[-1], length, base), None if whole else positions, x)
        key = (x.shape[-1], base)
        if key not in self.built:
            self.built[key] = _made(self.make, x.shape[-1], FAR, base)
        module = self.built[key]
        roles = _roles(module.forward, tensors=True) or {}
        told = POSITIONS in roles.values()
        every = torch.arange(length) if whole else positions
        values = {TENSOR: x, POSITIONS: every[None], LENGTH: length, START: 0}
        if TENSOR in roles.values() and not told and LENGTH not in roles.values() and not x.shape[-2] >= length:
            values[TENSOR] = x.new_zeros(*x.shape[:-2], length, x.shape[-1])
        tables = module(**{name: values[role] for name, role in roles.items() if role in values})
        return _rows(tables, None if whole or told else positions, x)


def _required(function: Any, roles: Mapping[str, str]) -> set[str]:
    parameters = inspect.signature(function).parameters
    return {role for name, role in roles.items() if parameters[name].default is inspect.Parameter.empty}


def _rows(tables: Any, positions: Tensor | None, x: Tensor) -> Any:
    """The rows of these positions in real tables of the dtype of x, in complex ones, and in pairs of tables."""
    if isinstance(tables, (tuple, list)):
        return tuple(_rows(table, positions, x) for table in tables)
    if not torch.is_tensor(tables):
        raise NotSupported("its tables are of another form")
    if positions is not None:
        needed = int(positions.max()) + 1
        axis = next(i for i, size in enumerate(tables.shape) if size >= needed and i < tables.dim() - 1)
        tables = tables.index_select(axis, positions)
    return tables if tables.is_complex() or not x.is_floating_point() else tables.to(x.dtype)


def _one(returned: Any, axes: Axes) -> Tensor:
    """What was rotated; of queries and keys, which were given the same, the mean: exact where both are the same."""
    if isinstance(returned, (tuple, list)) and len(returned) == 2:
        returned = (returned[0] + returned[1]) / 2
    if not torch.is_tensor(returned):
        raise NotSupported("it returns no tensor")
    back: list[int] = torch.tensor(axes).argsort().tolist()
    return returned.permute(back)


@dataclass
class Whole:
    """A class that rotates what it is given, at positions that it is given, or at those from 0 on."""

    make: Any
    method: str
    axes: Axes

    def __post_init__(self) -> None:
        self.built: dict[tuple[int, float], nn.Module] = {}

    def __call__(self, x: Tensor, positions: Tensor, base: float) -> Tensor:
        """The rotation of every row at its own positions."""
        if positions.dim() > 1:
            rows = [self(x[i : i + 1], positions[i % len(positions)], base) for i in range(len(x))]
            return torch.cat(rows)
        key = (x.shape[-1], base)
        if key not in self.built:
            self.built[key] = _made(self.make, x.shape[-1], FAR, base)
        call = getattr(self.built[key], self.method) if self.method != "forward" else self.built[key]
        roles = _roles(self.built[key].forward if self.method == "forward" else call, tensors=True)
        if roles is None or TENSOR not in roles.values():
            raise NotSupported("it rotates nothing")
        if POSITIONS in roles.values():
            return self._called(call, roles, x, {POSITIONS: positions})
        return self._from_zero(call, roles, x, positions)

    def _called(self, call: Any, roles: Mapping[str, str], x: Tensor, more: Mapping[str, Any]) -> Tensor:
        given = x.permute(self.axes)
        values = {TENSOR: given, LENGTH: x.shape[-2], **more}
        return _one(call(**{n: values[r] for n, r in roles.items() if r in values}), self.axes)

    def _from_zero(self, call: Any, roles: Mapping[str, str], x: Tensor, positions: Tensor) -> Tensor:
        """x at the places of its positions in a longer sequence of zeros; positions that repeat, one after another."""
        length = int(positions.max()) + 1 if positions.numel() else 0
        if torch.equal(positions, torch.arange(len(positions))):
            return self._called(call, roles, x, {})
        out: list[Tensor] = [x] * len(positions)
        left = list(range(len(positions)))
        while left:
            first = {int(positions[i]): i for i in reversed(left)}
            longer = x.new_zeros(*x.shape[:-2], length, x.shape[-1])
            at, take = torch.tensor(list(first)), torch.tensor(list(first.values()))
            longer = longer.index_copy(-2, at, x.index_select(-2, take))
            turned = self._called(call, roles, longer, {})
            for place, i in first.items():
                out[i] = turned[..., place : place + 1, :]
            left = [i for i in left if i not in first.values()]
        return torch.cat(out, -2)
