"""Somebody's call with everything at hand, for timing it: what is ours is done before and after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch


def as_it_is(value: Any) -> Any:
    """What was returned is what the contract speaks of."""
    return value


@dataclass(frozen=True)
class Ready:
    """``call()`` is theirs and nothing else; ``value`` reads what it returned as the contract speaks of it.

    ``wait``: where what is returned may still be being computed; it is waited for inside what is timed.
    ``handed``: (made, leaf) for each tensor that was made of arguments and for which a leaf of its own was handed over.
    ``backward``: for code of which autograd knows nothing, from (what a call returned, the incoming gradients, where
    each argument stands -> its label) to a call forwards and back, and a reader of its (result or None, gradients by
    label).
    """

    call: Callable[[], Any]
    value: Callable[[Any], Any] = as_it_is
    wait: Callable[[Any], Any] | None = None
    handed: tuple[tuple[torch.Tensor, torch.Tensor], ...] = ()
    backward: Callable[..., tuple[Callable[[], Any], Callable[[Any], tuple[Any, dict[str, Any]]]]] | None = None
    notes: tuple[str, ...] = ()
