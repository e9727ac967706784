"""How a component is written down: its calls as Python would have them."""

from __future__ import annotations

from harness.core.case import CALL
from harness.core.contract import Contract


def in_one_line(contract: Contract) -> str:
    """``def gelu(x)``, or ``class tokenizer with __init__(ranks), encode(text), decode(ids)``."""
    calls = {
        method: f"({', '.join(a.name for a in signature.arguments)})" for method, signature in contract.calls.items()
    }
    if contract.is_function:
        return f"def {contract.name}{calls[CALL]}"
    needed = [m for m in calls if m not in contract.optional_methods]
    return f"class {contract.name} with " + ", ".join(
        f"{'__init__' if method == 'build' else method}{calls[method]}" for method in needed
    )
