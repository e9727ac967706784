"""The backward pass of one case: random incoming gradients for its last result, and where they arrive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from harness.core.case import is_float
from harness.core.claim import NotSupported
from harness.core.implementation import Effect, EffectKind, Phase, Request
from harness.core.tree import Path, leaves
from harness.execution import call
from harness.execution.session import Session
from harness.execution.tensor_copies import gradient_of, is_unchanged

Pairs = list[tuple[torch.Tensor, torch.Tensor]]
"""Each floating-point tensor of a result, with its incoming gradient."""


def incoming_gradients(result: Any, request: Request) -> Pairs:
    """Normally distributed in float32 from the seed of the request, then in the dtype of the result.

    Zero outside the part of the output that the request is about.
    """
    generator = torch.Generator().manual_seed(request.gradients or 0)
    pairs: Pairs = []
    for _, leaf in leaves(result):
        if is_float(leaf):
            values = torch.randn(leaf.shape, generator=generator, dtype=torch.float32)
            if request.output_part is not None:
                values = _only(values, *request.output_part)
            pairs.append((leaf, values.to(leaf.dtype).to(leaf.device)))
    return pairs


def _only(values: torch.Tensor, axis: int, start: int, stop: int) -> torch.Tensor:
    """The values from ``start`` to ``stop`` along an axis (where there is such an axis), zeros elsewhere."""
    if values.dim() <= axis:
        return values
    place = torch.arange(values.shape[axis]).view(-1, *(1,) * (values.dim() - axis - 1))
    return torch.where((place >= start) & (place < stop), values, torch.zeros_like(values))


class _Start(torch.autograd.Function):
    """A number whose gradient hands the incoming gradients on as they are.

    ``torch.autograd.backward`` with gradients of its own loads a library for symbols (0.4 s) to compare two shapes.
    """

    @staticmethod
    def forward(ctx: Any, incoming: list[torch.Tensor], *results: torch.Tensor) -> torch.Tensor:
        """Zero, in the dtype of the first result."""
        ctx.incoming = incoming
        return results[0].new_zeros(())

    @staticmethod
    def backward(ctx: Any, *_: Any) -> tuple[Any, ...]:
        """The incoming gradients, the very tensors."""
        return None, *ctx.incoming


class Backward:
    """The backward pass of a session's last call.

    ``arguments``: the differentiable arguments of the case by label. ``labels``: where they stand, and their labels.
    ``effects``: side effects, to which this one adds its own.
    """

    def __init__(
        self, arguments: Mapping[str, torch.Tensor], labels: Mapping[Path, str], effects: list[Effect]
    ) -> None:
        self.arguments, self.labels, self.effects = arguments, labels, effects

    def run(self, session: Session, result: Any, request: Request, changed: Callable[[], list[str]]) -> dict[str, Any]:
        """Gradients by label, None where none arrived. ``changed``: arguments that were written to, by their labels.

        Raises whatever the implementation raises.
        """
        pairs = incoming_gradients(result, request)
        before = [gradient.clone() for _, gradient in pairs]
        if session.gives_gradients:
            given = call.invoke(session.gradients, [gradient for _, gradient in pairs], self.labels)
            found = {**dict.fromkeys(self.arguments), **given}
            self._note_changes(changed())
        else:
            found = self._by_autograd(session, pairs)
        if any(not is_unchanged(gradient, old) for (_, gradient), old in zip(pairs, before, strict=True)):
            text = "the incoming gradient was changed in place"
            self.effects.append(Effect(EffectKind.INCOMING_GRADIENT, text, phase=Phase.BACKWARD))
        return found

    def _by_autograd(self, session: Session, pairs: Pairs) -> dict[str, Any]:
        learned = call.invoke(session.parameters)
        live = {name: value for name, value in learned.items() if torch.is_tensor(value)}
        for value in live.values():
            if value.requires_grad and value.is_leaf:
                value.grad = None
        found: dict[str, Any] = dict.fromkeys((*self.arguments, *live))
        if pairs and all(leaf.is_inference() for leaf, _ in pairs):  # decorated so, as code that only generates is
            raise NotSupported("it runs in inference mode, in which there are no gradients")
        pairs = [(leaf, gradient) for leaf, gradient in pairs if leaf.requires_grad]
        if pairs:
            incoming = [gradient for _, gradient in pairs]
            start = _Start.apply(incoming, *(leaf for leaf, _ in pairs))  # type: ignore[no-untyped-call]
            call.invoke(start.backward)
            for name, leaf in (*self.arguments.items(), *live.items()):
                gradient = gradient_of(leaf)
                if gradient is not None:  # of an argument and a live tensor of one name, the one that was reached
                    found[name] = gradient
        session.after_backward(found)
        return found

    def _note_changes(self, labels: list[str]) -> None:
        """Arguments that a backward function wrote to, where that was not noticed before."""
        known = {effect.argument for effect in self.effects if effect.kind is EffectKind.ARGUMENT}
        self.effects += [
            Effect(
                EffectKind.ARGUMENT,
                f"{label} was changed in place by its backward function",
                label,
                phase=Phase.BACKWARD,
            )
            for label in labels
            if label not in known
        ]
