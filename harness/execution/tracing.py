"""The trace of a run: every operation of torch that the implementation's own files make, with copies of its results.

A library's layer that a line of the implementation calls belongs to that line. Results can be replaced on the way: the
run goes on with what it is given instead.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from functools import lru_cache
from types import CodeType, FrameType
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from harness.core.steps import Place, Replacement, Site, Step
from harness.core.tree import Path, leaves, map_leaves
from harness.execution import call as chokepoint

MOST_STEPS, MOST_NUMBERS = 3_000, 8_000_000
"""Steps, and numbers in copies of results, after which a trace is cut off."""
STOPPING = ("detach", "detach_", "data")
"""Operations that return their input without its history."""

Stack = tuple[list[FrameType], tuple[int, ...]]
"""Frames of the implementation, the innermost first; and the instructions of the library's frames inside them."""


class Tape(TorchFunctionMode):
    """Records steps while it is in force, and replaces results. ``own``: which files are the implementation's.

    ``records``: whether steps are kept; a run for the sake of its answer needs none.
    """

    def __init__(self, own: Container[str], replacements: Sequence[Replacement] = (), records: bool = True) -> None:
        super().__init__()
        self.own, self.records, self.steps = own, records, list[Step]()
        self._replacements: dict[Site, list[Replacement]] = {}
        for one in replacements:
            self._replacements.setdefault(one.site, []).append(one)
        self._innermost = {one.site.stack[-1] for one in replacements}
        self._codes: dict[CodeType, bool] = {}
        """Functions that were met, and whether they are the implementation's."""
        self._turns: Counter[Site] = Counter()
        self._made: dict[int, int] = {}
        """By identity of a tensor, the step that made it."""
        self._kept: list[Any] = []
        """Those tensors: an identity is not used again while its tensor lives."""
        self._numbers = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        stack = self._stack()
        if stack is None or len(self.steps) >= MOST_STEPS or self._numbers > MOST_NUMBERS:
            return func(*args, **kwargs)
        site = Site(tuple(map(_spot, reversed(stack[0]))), stack[1])
        changes = [(one, self._turns[at]) for at in dict.fromkeys((site, site.loose)) for one in self._of(at)]
        given = [leaf for _, leaf in leaves([list(args), kwargs]) if isinstance(leaf, torch.Tensor)]
        for change, at in changes:
            if change.argument >= 0 and at < len(change.values) and (value := change.values[at]) is not None:
                args, kwargs = _with_argument(args, kwargs, change.argument, value)
        attached = any(change.attached for change, _ in changes)
        out = _attached(func, args, kwargs) if attached else func(*args, **kwargs)
        written = _written(func, args, given, out)
        results = [written] if out is None and written is not None else list(_results(out))
        if not any(isinstance(result, torch.Tensor) for result in results):
            return out
        turn = self._turns[site]
        self._turns.update({site, site.loose})
        changed = _changed(results, changes, written)
        if self.records:
            self._note(stack, site, turn, _name(func), given, changed)
        return out if changed is results or out is None else _like(out, changed)

    def _of(self, site: Site) -> Sequence[Replacement]:
        return self._replacements.get(site, ())

    def _note(
        self,
        stack: Stack,
        site: Site,
        turn: int,
        name: str,
        given: Sequence[torch.Tensor],
        results: Sequence[Any],
    ) -> None:
        inputs = tuple(self._made.get(id(tensor), -1) for tensor in given)
        reads_gradient = any(tensor.requires_grad for tensor in given)
        values = []
        for result in results:
            is_tensor = isinstance(result, torch.Tensor)
            values.append(result.detach().clone() if is_tensor else None)
            if is_tensor:
                self._made[id(result)] = len(self.steps)
                self._numbers += result.numel()
        self._kept.append(results)
        grows = tuple(isinstance(r, torch.Tensor) and r.requires_grad for r in results)
        place, *outer = map(_place, stack[0])
        read = tuple(tensor.detach() for tensor in given)
        self.steps.append(
            Step(site, turn, place, name, inputs, tuple(values), read, grows, reads_gradient, tuple(outer))
        )

    def _stack(self) -> Stack | None:
        """Where the operation stands; None outside the implementation, or where nothing is recorded or replaced."""
        frame: FrameType | None = sys._getframe(2)
        found: list[FrameType] = []
        inner: list[int] = []
        end, codes = chokepoint.invoke.__code__, self._codes
        while frame is not None and (code := frame.f_code) is not end:
            is_own = codes.get(code)
            if is_own is None:
                is_own = codes[code] = code.co_filename in self.own
            if is_own:
                if not (found or self.records or _spot(frame) in self._innermost):
                    return None
                found.append(frame)
            elif not found:
                inner.append(frame.f_lasti)
            frame = frame.f_back
        return (found, tuple(inner)) if found and frame is not None else None


def _with_argument(
    args: tuple[Any, ...], kwargs: dict[str, Any], number: int, value: torch.Tensor
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of an operation with another value in the place of one of the tensors among them."""
    at = -1

    def exchanged(_: Path, leaf: Any) -> Any:
        nonlocal at
        if not isinstance(leaf, torch.Tensor):
            return leaf
        at += 1
        return value.to(leaf.dtype).to(leaf.device) if at == number else leaf

    changed_args, changed_kwargs = map_leaves([list(args), kwargs], exchanged)
    return tuple(changed_args), changed_kwargs


def _attached(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The result with its history, also where the operation leaves that out."""
    if _name(func) in STOPPING and args:
        return args[0]
    with torch.enable_grad():
        return func(*args, **kwargs)


def _changed(results: list[Any], changes: Sequence[tuple[Replacement, int]], written: torch.Tensor | None) -> list[Any]:
    """The results after the replacements, each at its turn; the very list where nothing is replaced."""
    for change, turn in changes:
        if change.order and sorted(change.order) == list(range(len(results))):
            results = [results[i] for i in change.order]
        if change.argument >= 0 or turn >= len(change.values) or change.result >= len(results):
            continue
        value, result = change.values[turn], results[change.result]
        if value is None or not isinstance(result, torch.Tensor):
            continue
        if result is written:
            if value.shape == result.shape:
                result.data.copy_(value)
            continue
        results = [*results]
        results[change.result] = value.to(result.dtype).to(result.device).clone()
    return results


def _written(
    func: Callable[..., Any], args: tuple[Any, ...], given: Sequence[torch.Tensor], out: Any
) -> torch.Tensor | None:
    """The tensor that the operation wrote to, None where it wrote to none."""
    if out is None and _name(func) == "__setitem__" and args and isinstance(args[0], torch.Tensor):
        return args[0]
    is_given = isinstance(out, torch.Tensor) and any(out is tensor for tensor in given)
    return out if is_given and _writes(_name(func)) else None


def _writes(name: str) -> bool:
    """Whether an operation of this name writes to its input: ``add_``, ``__iadd__``. Others may hand their input back
    as it is (``contiguous``, ``to``), and then another value goes to the readers of the result alone."""
    return name.startswith("__i") or (name.endswith("_") and not name.endswith("__"))


def _results(out: Any) -> Iterator[Any]:
    if isinstance(out, (tuple, list)):
        yield from out
    else:
        yield out


def _like(out: Any, results: Sequence[Any]) -> Any:
    """The results in the form in which they came."""
    if isinstance(out, (tuple, list)):
        return type(out)(results)
    return results[0]


def _name(func: Callable[..., Any]) -> str:
    """The name of an operation; of an attribute that is read, the attribute's."""
    name = str(getattr(func, "__name__", func))
    if name == "__get__":
        return str(getattr(getattr(func, "__self__", None), "__name__", name))
    return name


def _spot(frame: FrameType) -> tuple[str, int, int]:
    return (frame.f_code.co_filename, frame.f_code.co_firstlineno, frame.f_lasti)


def _place(frame: FrameType) -> Place:
    code = frame.f_code
    line, end_line, column, end_column = _positions(code)[frame.f_lasti // 2]
    line = line or frame.f_lineno
    known = column is not None and end_column is not None
    start, end = (column, end_column) if known else (-1, -1)
    return Place(code.co_filename, line, end_line or line, start, end, code.co_firstlineno)  # type: ignore[arg-type]


@lru_cache(maxsize=512)
def _positions(code: CodeType) -> list[tuple[int | None, int | None, int | None, int | None]]:
    """Where each instruction stands in the file."""
    if sys.version_info >= (3, 11):
        return list(code.co_positions())
    return [(None, None, None, None)] * (len(code.co_code) // 2 + 1)
