"""One call of the implementation with everything at hand, to be timed: the harness works before and after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch


def as_it_is(value: Any) -> Any:
    """The value itself: what was returned is what the contract speaks of."""
    return value


@dataclass(frozen=True)
class Ready:
    """``call()`` is the implementation and nothing else; ``value`` reads what it returned as the contract speaks of it.

    ``wait``: waits until a returned value is computed, where a library computes in the background; it is timed too.
    ``handed``: (made, leaf) for each tensor that was made of arguments and is passed as a leaf of its own, so that
    gradients can be followed back. ``notes``: what a person should know, in words.
    ``backward``: for code that autograd does not see. From (incoming gradients, where each argument stands -> its
    label) to a call forwards and back, and a reader of what that returns: (result or None, gradients by label).
    """

    call: Callable[[], Any]
    value: Callable[[Any], Any] = as_it_is
    wait: Callable[[Any], Any] | None = None
    handed: tuple[tuple[torch.Tensor, torch.Tensor], ...] = ()
    backward: Callable[..., tuple[Callable[[], Any], Callable[[Any], tuple[Any, dict[str, Any]]]]] | None = None
    notes: tuple[str, ...] = ()
