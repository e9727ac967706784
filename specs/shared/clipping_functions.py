"""Gradient clipping as torch and CS336 spell it: in place, over parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from harness.core.claim import NotSupported
from harness.core.contract import Dialect
from specs.naming.cs336 import CS336


class Parameters(Iterator[Any]):
    """Like ``model.parameters()``, an iterator that can be used once. ``each``: the parameters themselves."""

    def __init__(self, grads: Sequence[torch.Tensor | None]) -> None:
        if any(g is not None and 0 in g.stride() and g.numel() > 1 for g in grads):
            raise NotSupported("no gradient is expanded in .grad: backward() lays it out")
        self.each = [torch.nn.Parameter(torch.zeros(()) if g is None else torch.zeros_like(g)) for g in grads]
        self.before = [None if g is None else g.clone() for g in grads]
        for parameter, grad in zip(self.each, grads, strict=True):
            parameter.grad = None if grad is None else grad.clone()
        self.rest = iter(self.each)

    def __next__(self) -> Any:
        return next(self.rest)


def clipped_in_place(given: Mapping[str, Any], value: Any) -> tuple[list[Any], Any]:
    """The gradients afterwards, and the norm that was returned, a tensor or a number (nan for None)."""
    clipped = [p.grad for p in _parameters(given).each]
    value = float("nan") if value is None else value
    dtype = next((g.dtype for g in clipped if g is not None), torch.float32)
    is_number = torch.is_tensor(value) or isinstance(value, (int, float))
    return clipped, torch.as_tensor(value, dtype=dtype) if is_number else value


def clipped_without_norm(given: Mapping[str, Any], value: Any) -> tuple[list[Any], Any]:
    """The gradients afterwards. No norm is returned (``absent``): the norm before stands for it and is not checked."""
    present = [g.reshape(-1) for g in _parameters(given).before if g is not None]
    return clipped_in_place(given, torch.linalg.vector_norm(torch.cat(present) if present else torch.zeros(1)))


def _parameters(given: Mapping[str, Any]) -> Parameters:
    return next(value for value in given.values() if isinstance(value, Parameters))


def _clip(project: str, function: str, parameters: str, limit: str, returns: bool) -> Dialect:
    return Dialect(
        project,
        function,
        (parameters, limit),
        lambda a: {parameters: Parameters(a["grads"]), limit: a["max_norm"]},
        absent=() if returns else ("norm",),
        written=clipped_in_place if returns else clipped_without_norm,
        entry=function.startswith("run_"),
    )


CLIPS = (
    _clip(CS336, "run_gradient_clipping", "parameters", "max_l2_norm", returns=False),
    *(
        _clip("torch", function, parameters, limit, returns=True)
        for function in ("clip_grad_norm_", "clip_grad_norm")
        for parameters in ("parameters", "params")
        for limit in ("max_norm", "max_l2_norm")
    ),
    *(
        _clip(CS336, function, parameters, limit, returns=False)
        for function in ("gradient_clipping", "clip_gradients")
        for parameters in ("parameters", "params")
        for limit in ("max_norm", "max_l2_norm")
    ),
)
