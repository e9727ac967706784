"""A timed call forwards and back: gradients of all arguments and parameters, for fixed incoming gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from harness.core.case import is_float
from harness.core.tree import Path, leaves
from harness.execution.bound_call import Ready

Reader = Callable[[Any], tuple[Any, dict[str, Any]]]
"""What a timed call returned -> (the result as the contract speaks of it, gradients by label)."""


def forward_only(ready: Ready) -> tuple[Callable[[], Any], Reader]:
    """The call as it is, and a reader without gradients."""
    return ready.call, lambda raw: (ready.value(raw), {})


def without_autograd(
    ready: Ready, incoming: Sequence[torch.Tensor], labels: Mapping[Path, str]
) -> tuple[Callable[[], Any], Reader]:
    """The same where the code gives its gradients itself: ``ready.backward`` is not None."""
    assert ready.backward is not None
    call, found = ready.backward(incoming, labels)

    def read(raw: Any) -> tuple[Any, dict[str, Any]]:
        result, gradients = found(raw)
        return None if result is None else ready.value(result), gradients

    return call, read


def with_autograd(
    ready: Ready, incoming: Sequence[torch.Tensor], wanted: Mapping[str, torch.Tensor]
) -> tuple[Callable[[], Any], Reader]:
    """One call and ``torch.autograd.grad``. ``wanted``: tensors whose gradients are asked for, by label."""
    made, passed = [m for m, _ in ready.handed], [leaf for _, leaf in ready.handed]
    inputs, value, call, gradient = [*wanted.values(), *passed], ready.value, ready.call, torch.autograd.grad

    def there_and_back() -> Any:
        result = call()
        outputs = [leaf for _, leaf in leaves(value(result)) if is_float(leaf)]
        return result, gradient(outputs, inputs, incoming, allow_unused=True)

    def read(pair: Any) -> tuple[Any, dict[str, Any]]:
        result, found = pair
        gradients = dict(zip(wanted, found, strict=False))
        reached = zip(made, found[len(wanted) :], strict=True)
        through = [(m, g) for m, g in reached if g is not None and m.requires_grad]
        if through:
            tensors, slopes = [m for m, _ in through], [g for _, g in through]
            more = gradient(tensors, list(wanted.values()), slopes, retain_graph=True, allow_unused=True)
            for name, one in zip(wanted, more, strict=True):
                if one is not None:
                    gradients[name] = one if gradients[name] is None else gradients[name] + one
        return value(result), gradients

    return there_and_back, read
