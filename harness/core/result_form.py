"""What kind of thing came back: told once, in words, where it is not what the contract asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from harness.core.case import CALL, Call
from harness.core.contract import Contract

TENSORS = ("float[", "int[", "int8[")
RETURNED = "it returned "
"""Every text about another kind of result begins like this: whatever claim meets it, it is one mistake."""


def other_kind(contract: Contract, calls: Sequence[Call], outputs: Sequence[Any]) -> str:
    """Why what a script's calls returned is of another kind than declared, or an empty text.

    A result that is declared as a tensor must be one; nothing that is declared at all may be None.
    """
    for call, output in zip(calls, outputs, strict=False):
        signature = contract.calls.get(call.method)
        if signature is None or call.method == "build" or signature.result.startswith("nothing"):
            continue
        if output is None:
            what = contract.name if call.method == CALL else f"{call.method}()"
            return f"{RETURNED}None where {what} must return {signature.result}: is a `return` missing?"
        if signature.result.startswith(TENSORS) and not torch.is_tensor(output):
            return f"{RETURNED}{described(output)} where one tensor is due, {signature.result}{_hint(output)}"
    return ""


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
    if isinstance(value, (list, tuple)) and value and torch.is_tensor(value[0]):
        first = "return the first of them alone" if isinstance(value, tuple) else "torch.stack makes one of them"
        return f": {first}"
    if hasattr(value, "__array__"):
        return ": .numpy() and numpy functions lose the gradients; stay with torch from beginning to end"
    if isinstance(value, (list, tuple, float, int)):
        return ": torch.tensor makes one of it, but without gradients; compute with tensors throughout"
    return ""
