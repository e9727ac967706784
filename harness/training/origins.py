"""Where tensors of whole numbers come from: the lines that made a batch, or its targets."""

from __future__ import annotations

from typing import NamedTuple

import torch

from harness.training.places import Place

MOST = 4096
"""So many tensors are remembered at once."""


class Origin(NamedTuple):
    """``stack``: the person's lines that were being run, the innermost first. ``memory``: those that filled the memory
    that the tensor is a view of, where that was seen. ``step``: the training step in which it was made."""

    stack: tuple[Place, ...] = ()
    memory: tuple[Place, ...] = ()
    step: int = 0

    @property
    def at(self) -> Place:
        """The line that made it."""
        return self.stack[0] if self.stack else Place()

    @property
    def filled_at(self) -> Place:
        """The line that filled its memory, where that was seen."""
        return self.memory[0] if self.memory else self.at

    def within(self, caller: Place) -> Place:
        """The line of the caller's function that led there; the line that made it where there is none."""
        own = (place for place in self.stack if (place.file, place.function) == (caller.file, caller.function))
        return next(own, self.at)


NOWHERE = Origin()


class Origins:
    """By memory and number of values: a view of the same values in the same step has the same origin."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], tuple[tuple[Place, ...], int]] = {}
        self._filled: dict[int, tuple[Place, ...]] = {}

    def needs(self, made: torch.Tensor, parents: list[torch.Tensor], step: int) -> bool:
        """Whether a new tensor is more than the same values in another shape, and was not made in this step already."""
        before = self._known.get(_key(made))
        if before is None or not _is_view(made, parents):
            return True
        return before[1] != step and all(_key(one) != _key(made) for one in parents)

    def add(self, made: torch.Tensor, parents: list[torch.Tensor], stack: tuple[Place, ...], step: int) -> None:
        """A function of torch made a tensor from others, at these lines."""
        _put(self._known, _key(made), (stack, step))
        if not _is_view(made, parents):
            _put(self._filled, made.untyped_storage().data_ptr(), stack)

    def of(self, tensor: torch.Tensor | None) -> Origin:
        """What is known of a tensor."""
        if tensor is None:
            return NOWHERE
        stack, step = self._known.get(_key(tensor), ((), 0))
        return Origin(stack, self._filled.get(tensor.untyped_storage().data_ptr(), ()), step)


def _key(tensor: torch.Tensor) -> tuple[int, int]:
    return tensor.data_ptr(), tensor.numel()


def _is_view(made: torch.Tensor, parents: list[torch.Tensor]) -> bool:
    memory = made.untyped_storage().data_ptr()
    return any(one.untyped_storage().data_ptr() == memory for one in parents)


def _put(known: dict, key: object, value: object) -> None:  # type: ignore[type-arg]
    known.pop(key, None)
    known[key] = value
    if len(known) > MOST:
        del known[next(iter(known))]
