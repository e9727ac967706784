"""A part that takes more than its input (a mask, positions) is called by the model that it is a part of."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from harness.core.claim import NotSupported
from harness.execution import call as execution
from harness.execution.bound_call import Ready, as_it_is

WHOLE = "_plumbline_whole"
"""Attribute of a part: a list with the model that it was taken out of."""
Given = tuple[tuple[Any, ...], dict[str, Any]]
"""Arguments and options of one call."""


class _Stop(Exception):
    """The part has returned; the rest of the model is not needed."""

    def __init__(self, output: Any) -> None:
        super().__init__()
        self.output = output


class CallInPlace:
    """Calls a part by its model, with the case's input wherever the model passes its own stream [batch, time, width].

    ``path``: where the part is in the model. ``swapped``: it is given time before batch. ``ids``: whether the model
    takes ids rather than a stream. What the model gives beside its stream (a mask, say) stays as the model made it
    for that many positions. ``how``: how the model itself is called, as it is where nobody says how.
    """

    def __init__(self, path: str, swapped: bool, ids: bool, how: Callable[..., Any] | None = None) -> None:
        self.path, self.swapped, self.ids, self.how = path, swapped, ids, how

    def __call__(self, part: nn.Module, x: torch.Tensor) -> Any:
        """The part's output for ``x`` [batch, time, width], batch first.

        Raises NotSupported where ``x`` has other axes, or where the model does not call the part.
        """
        return self._called(part, x)[0]

    def ready(self, part: nn.Module, inputs: list[Any], options: dict[str, Any]) -> Ready:
        """For timing: what the model hands to the part is noted once; then the part is called alone."""
        arguments, given = self._called(part, inputs[0])[1]
        return Ready(partial(part, *arguments, **given), _batch_first if self.swapped else as_it_is)

    def _called(self, part: nn.Module, x: torch.Tensor) -> tuple[Any, Given]:
        """(the part's output, what it was given)."""
        if x.dim() != 3:
            raise NotSupported("its model calls it with [batch, time, width] alone")
        model: nn.Module = part.__dict__[WHOLE][0]
        execution.invoke(model.train, part.training)
        given: list[Given] = []
        before = part.register_forward_pre_hook(self._substitution(x, given), with_kwargs=True)
        after = part.register_forward_hook(_stop)
        try:
            ids = torch.zeros(x.shape[:2], dtype=torch.long, device=x.device)
            given_to_model = ids if self.ids else torch.zeros_like(x)
            if self.how is None:
                execution.invoke(model, given_to_model)
            else:
                execution.invoke(self.how, model, given_to_model)
        except _Stop as stopped:
            return (_batch_first(stopped.output) if self.swapped else stopped.output), given[-1]
        finally:
            before.remove()
            after.remove()
        raise NotSupported(f"its model does not call {self.path}")

    def _substitution(self, x: torch.Tensor, given: list[Given]) -> Callable[..., Given]:
        """A hook that puts ``x`` in the place of the model's own stream."""
        own = x.transpose(0, 1) if self.swapped else x

        def substitute(_: nn.Module, arguments: tuple[Any, ...], options: dict[str, Any]) -> Given:
            stream = next(v for v in (*arguments, *options.values()) if torch.is_tensor(v) and v.is_floating_point())

            def replaced(value: Any) -> Any:
                same = torch.is_tensor(value) and value.shape == stream.shape and value.dtype == stream.dtype
                return own if same and (value is stream or torch.equal(value, stream)) else value

            call = tuple(map(replaced, arguments)), {name: replaced(value) for name, value in options.items()}
            given.append(call)
            return call

        return substitute


def _stop(_: nn.Module, __: Any, output: Any) -> None:
    raise _Stop(output)


def _batch_first(output: Any) -> Any:
    """[time, batch, width] as [batch, time, width]; of several outputs, the first."""
    first = output[0] if isinstance(output, tuple) else output
    return first.transpose(0, 1) if torch.is_tensor(first) and first.dim() == 3 else output
