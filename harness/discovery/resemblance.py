"""How much a class is named like a component: a proposal, which its parameters must confirm."""

from __future__ import annotations

from collections.abc import Collection

from harness.core.contract import Contract
from harness.core.errors import plain


def resemblance(kind: type, contract: Contract) -> int:
    """How much a class is named like a component: the length of the longest of its usual names that it ends in."""
    whole = plain(kind.__name__)
    stem = whole.rstrip("0123456789")
    names: Collection[str] = (plain(contract.name), *contract.classes)
    return max((len(n) for n in names if stem.endswith(n) or whole.endswith(n)), default=0)
