"""What a forward pass computes, line by line, and the first of it that depends on later positions."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch.overrides import TorchFunctionMode

from harness.training.places import Place, Places

NONE = 1e-7
"""A gradient this much smaller than the largest is none."""


class Result(NamedTuple):
    """A tensor in the graph, the person's line that computed it, and the tensors that it was computed from."""

    place: Place
    tensor: torch.Tensor
    inputs: tuple[torch.Tensor, ...]


class Recorder(TorchFunctionMode):
    """Keeps the floating results of all functions of torch that are called inside, where they have a gradient."""

    def __init__(self, places: Places) -> None:
        super().__init__()
        self._places = places
        self._finished = False
        self.results: list[Result] = []
        self._depth = 0

    def finish(self) -> None:
        """Keep nothing from now on."""
        self.results, self._finished = [], True

    def is_paused(self) -> bool:
        """Whether a function of torch is running under it, so that it cannot be left."""
        return self._depth > 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """See ``torch.overrides``."""
        self._depth += 1
        try:
            output = func(*args, **(kwargs or {}))
        finally:
            self._depth -= 1
        if not isinstance(output, torch.Tensor):
            return output
        inputs = [one for one in (*args, *(kwargs or {}).values()) if isinstance(one, torch.Tensor)]
        if not self._finished and output.is_floating_point() and output.grad_fn is not None:
            self.results.append(Result(self._places.here(), output, tuple(inputs)))
        return output


def seen_by(row: torch.Tensor, embedding: torch.Tensor, time_major: bool = False) -> tuple[int, bool] | None:
    """The last position of the first sequence that some values depend on, and whether they depend on other sequences.

    None where they depend on nothing, or the gradient is no number. ``embedding``: (batch, time, width), or
    (time, batch, width).
    """
    weights = torch.cos(torch.arange(row.numel(), device=row.device) * 1.7 + 0.3).to(row.dtype).reshape(row.shape)
    (gradient,) = torch.autograd.grad((row * weights).sum(), embedding, retain_graph=True, allow_unused=True)
    if gradient is not None and time_major:
        gradient = gradient.transpose(0, 1)
    if gradient is None or gradient.dim() != 3 or not bool(gradient.isfinite().all()):
        return None
    sizes = gradient.detach().float().abs().amax(-1)
    least = float(sizes.max()) * NONE
    if not least:
        return None
    places = (sizes[0] > least).nonzero().flatten()
    return int(places.max()) if len(places) else -1, bool((sizes[1:] > least).any())


def first_ahead(results: list[Result], embedding: torch.Tensor) -> tuple[Place, bool] | None:
    """The line of the first result that depends on later positions; and whether a mask takes part in it.

    Scores of every position with every other one depend on both by their nature. Where they led there, the line is
    that at which they were masked, or, without a mask, that at which they were used last.
    """
    batch, time = embedding.shape[:2]
    position = max(time // 2 - 1, 0)
    for number, result in enumerate(results):
        if _is_square(result.tensor, time) and embedding.shape[-1] != time:
            continue
        row = _row(result.tensor, batch, time, position)
        seen = seen_by(row, embedding) if row is not None else None
        if seen is None or (seen[0] <= position and not seen[1]):
            continue
        scores = [one for one in results[:number] if _is_square(one.tensor, time)]
        used = any(_is_square(one, time) and one.requires_grad for one in result.inputs)
        if not scores or not used:
            return result.place, any(_is_mask(one, time) for one in result.inputs)
        masked = [one for one in scores if any(_is_mask(tensor, time) for tensor in one.inputs)]
        return (masked[-1].place, True) if masked else (scores[-1].place, False)
    return None


def _row(tensor: torch.Tensor, batch: int, time: int, position: int) -> torch.Tensor | None:
    """The values of the first sequence at one position; None where its layout is not known."""
    if tensor.dim() == 3 and tensor.shape[:2] == (batch, time):
        return tensor[0, position]
    if tensor.dim() == 4 and tensor.shape[0] == batch:
        if tensor.shape[2] == time and tensor.shape[3] != time:
            return tensor[0, :, position]
        if tensor.shape[1] == time and tensor.shape[2] != time:
            return tensor[0, position]
    return None


def _is_square(tensor: torch.Tensor, time: int) -> bool:
    return tensor.dim() >= 3 and tensor.shape[-2:] == (time, time)


def _is_mask(tensor: torch.Tensor, time: int) -> bool:
    return not tensor.requires_grad and tensor.dim() >= 2 and tensor.shape[-2:] == (time, time)
