"""Whether a result is the kind of thing that the contract declares: a tensor where one is due, and not None."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from harness.core.case import CALL, Call
from harness.core.claim import Violation
from harness.core.contract import Contract


@dataclass(frozen=True)
class WrongKind:
    """A result of another kind than declared: what came back, and the whole message."""

    returned: str
    message: str

    def violation(self) -> Violation:
        """The same mistake whatever claim meets it."""
        return Violation(self.message, returned=self.returned)


def wrong_kind(contract: Contract, calls: Sequence[Call], outputs: Sequence[Any]) -> WrongKind | None:
    """The first result of a case's calls that is of another kind than declared, or None.

    A result that is declared as a tensor must be one. No declared result may be None.
    """
    for call, output in zip(calls, outputs, strict=False):
        signature = contract.calls.get(call.method)
        if signature is None or call.method == "build" or signature.returns_nothing:
            continue
        if output is None:
            what = contract.name if call.method == CALL else f"{call.method}()"
            why = f"{what} must return {signature.result}: is a `return` missing?"
            return WrongKind("None", f"it returned None where {why}")
        if signature.returns_tensor and not torch.is_tensor(output):
            returned = described(output)
            why = f"one tensor is due, {signature.result}{_hint(output)}"
            return WrongKind(returned, f"it returned {returned} where {why}")
    return None


def described(value: Any) -> str:
    """``float32[2, 3]``, ``a tuple of 2 (float64[2, 3], None)``, ``a list of 3``."""
    if torch.is_tensor(value):
        return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
    if isinstance(value, tuple) and len(value) <= 4:
        return f"a tuple of {len(value)} ({', '.join('None' if v is None else described(v) for v in value)})"
    if isinstance(value, (list, tuple)):
        return f"a {type(value).__name__} of {len(value)}"
    return f"{'an' if type(value).__name__[:1].lower() in 'aeiou' else 'a'} {type(value).__name__}"


def _hint(value: Any) -> str:
    """What to do about it, where that is known."""
    if isinstance(value, (list, tuple)) and value and torch.is_tensor(value[0]):
        first = "return the first of them alone" if isinstance(value, tuple) else "torch.stack makes one of them"
        return f": {first}"
    if hasattr(value, "__array__"):
        return ": .numpy() and numpy functions lose the gradients; stay with torch from beginning to end"
    if isinstance(value, (list, tuple, float, int)):
        return ": torch.tensor makes one of it, but without gradients; compute with tensors throughout"
    return ""
