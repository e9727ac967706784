"""How a model is called so that it returns what its contract asks for: the output of every position, batch first.

A trainer's model often computes the last position alone unless it is given targets, or flattens its output when it is.
That is seen once, from the shapes of one trial call, and noted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from harness.core.parameters import parameter_names
from harness.execution import call
from harness.modules.holder import Holder
from harness.modules.probing import PROBE_SECONDS, trial_call

TARGETS = ("targets", "labels", "target", "y", "label", "target_ids", "tgt")
RESULTS = ("logits", "last_hidden_state", "output", "out", "x", "hidden_states", "prediction_logits")
"""Names under which modules keep their result in what they return, the surest first."""
ORDINALS = ("first", "second", "third")


@dataclass(frozen=True)
class Calling:
    """``options``: names under which the input is passed again (targets). ``flat``: returns [batch * time, last]."""

    options: tuple[str, ...] = ()
    flat: bool = False
    note: str = ""


def result_of(returned: Any) -> tuple[Any, str]:
    """(the tensor in what a module returned, in words where it was); what has no known form comes back as it is."""
    if torch.is_tensor(returned):
        return returned, ""
    for name in RESULTS:
        found = call.invoke(_entry, returned, name)
        if torch.is_tensor(found):
            return found, f"its output is taken from .{name} of the {type(returned).__name__} it returns"
    if isinstance(returned, tuple):
        for i, value in enumerate(returned):
            if torch.is_tensor(value) and (value.dim() or len(returned) == 1):
                which = ORDINALS[i] if i < len(ORDINALS) else f"{i + 1}th"
                return value, f"its output is taken to be the {which} of the {len(returned)} values it returns"
    return returned, ""


def _entry(returned: Any, name: str) -> Any:
    return returned.get(name) if isinstance(returned, Mapping) else getattr(returned, name, None)


def calling(
    holder: Holder,
    inputs: tuple[Any, ...],
    expected: torch.Size,
    source: object = None,
    seconds: float = PROBE_SECONDS,
) -> Calling:
    """How to call the module so that its output has the ``expected`` shape; as it is where nothing else helps.

    Only models of ids [batch, time] with an output [batch, time, last] are tried in other ways. ``source``,
    ``seconds``: what a call that does not end is reported as, and the processor seconds for one call. Raises
    TimedOut.
    """

    def shape(options: dict[str, Any]) -> torch.Size | None:
        try:
            with torch.no_grad():
                value, _ = result_of(trial_call("calling", source, seconds, holder, *inputs, **options))
        except Exception:  # reported when a case is run
            return None
        return value.shape if torch.is_tensor(value) else None

    found = shape({})
    ids = inputs[0] if inputs else None
    is_model = torch.is_tensor(ids) and not ids.is_floating_point() and ids.dim() == 2 and len(expected) == 3
    if not is_model or found is None or found == expected:
        return Calling()
    batch, time, last = expected
    if found == (batch * time, last):
        return Calling((), True, "it returns [batch * time, ...], which is reshaped to [batch, time, ...]")
    if time > 1 and found in ((batch, 1, last), (batch, last)):
        for name in _targets(holder.inner):
            again = shape({name: ids})
            whole = f"without {name} it computes the last position alone; it is given the ids as {name}"
            if again == expected:
                return Calling((name,), False, whole)
            if again == (batch * time, last):
                return Calling((name,), True, f"{whole}, and its [batch * time, ...] is reshaped")
        return Calling((), False, "it returns the last position alone: a model must give logits of every position")
    return Calling()


def _targets(module: nn.Module) -> list[str]:
    """Names of targets that its forward takes, the most usual first."""
    names = parameter_names(module.forward)
    return [name for name in TARGETS if name in names]
