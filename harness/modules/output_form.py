"""How a whole module wants to be called so that it returns what its contract speaks of: every position, batch first.

A trainer's model often computes the last position alone unless it is given targets, or flattens what it returns when it
is. That is seen once, on its shapes, and said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from harness.core.parameters import parameter_names

TARGETS = ("targets", "labels", "target", "y", "label", "target_ids", "tgt")
RESULTS = ("logits", "last_hidden_state", "output", "out", "x", "hidden_states", "prediction_logits")
"""Under which names modules keep their result in what they return, the surest first."""


@dataclass(frozen=True)
class Calling:
    """``options``: names under which the input is handed over once more (targets). ``flat``: [B T, V] comes back."""

    options: tuple[str, ...] = ()
    flat: bool = False
    note: str = ""


def result_of(returned: Any) -> tuple[Any, str]:
    """The tensor in what a module returned, and in words where it stood; what is no known form comes back as it is."""
    if torch.is_tensor(returned):
        return returned, ""
    for name in RESULTS:
        found = returned.get(name) if isinstance(returned, Mapping) else getattr(returned, name, None)
        if torch.is_tensor(found):
            return found, f"its output is taken from .{name} of the {type(returned).__name__} it returns"
    if isinstance(returned, tuple):
        for i, value in enumerate(returned):
            if torch.is_tensor(value) and (value.dim() or len(returned) == 1):
                which = ("first", "second", "third")[i] if i < 3 else f"{i + 1}th"
                return value, f"its output is taken as the {which} of the {len(returned)} things it returns"
    return returned, ""


def calling(module: nn.Module, call: Callable[..., Any], inputs: tuple[Any, ...], expected: torch.Size) -> Calling:
    """How to call it so that its output has the ``expected`` shape; as it is where nothing else helps."""
    ids = inputs[0] if inputs else None
    if not torch.is_tensor(ids) or ids.is_floating_point() or ids.dim() != 2 or len(expected) != 3:
        return Calling()
    found = _shape(call, inputs, {})
    if found is None or found == expected:
        return Calling()
    batch, time, last = expected
    if found == (batch * time, last):
        return Calling((), True, "it returns [batch x time, ...]; taken apart again")
    if time > 1 and found in ((batch, 1, last), (batch, last)):
        for name in _targets(module):
            again = _shape(call, inputs, {name: ids})
            whole = f"without {name} it computes the last position alone; it is given the ids as {name}"
            if again == expected:
                return Calling((name,), False, whole)
            if again == (batch * time, last):
                return Calling((name,), True, f"{whole}, and its [batch x time, ...] is taken apart again")
        return Calling((), False, "it returns the last position alone: a model must give logits of every position")
    return Calling()


def _targets(module: nn.Module) -> list[str]:
    names = parameter_names(module.forward)
    return [name for name in TARGETS if name in names]


def _shape(call: Callable[..., Any], inputs: tuple[Any, ...], options: dict[str, Any]) -> torch.Size | None:
    try:
        with torch.no_grad():
            value, _ = result_of(call(*inputs, **options))
    except Exception:  # told when a case is run
        return None
    return value.shape if torch.is_tensor(value) else None
