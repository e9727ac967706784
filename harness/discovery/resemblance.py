"""How much the name of a class is that of a component."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable

from harness.core.contract import Contract
from harness.core.errors import plain
from harness.core.parameters import parameter_names


def resemblance(kind: type, contract: Contract) -> int:
    """How much a class is named like a component: the length of the longest of its usual names that it ends in."""
    return _alike(kind, (plain(contract.name), *contract.classes, *contract.shared_classes))


def _alike(kind: type, names: Collection[str]) -> int:
    """The length of the longest of these names that a class ends in."""
    whole = plain(kind.__name__)
    stem = whole.rstrip("0123456789")
    return max((len(n) for n in names if stem.endswith(n) or whole.endswith(n)), default=0)


def not_told(kind: type, contract: Contract, read: Container[str]) -> str:
    """What its constructor does not take, by which a class of a shared name would be this component; else empty.

    ``read``: the sizes that the constructor took.
    """
    lacking = [size for size in contract.told_by if size not in read]
    named = _alike(kind, (plain(contract.name), *contract.classes))
    return "" if named or not lacking else f"its constructor takes no {' and no '.join(lacking)}"


def may_be_another(kind: type, contract: Contract, contracts: Iterable[Contract]) -> bool:
    """Whether a class that says nothing of itself is named as much like a component that comes before this one."""
    own = resemblance(kind, contract)
    return any(c.inside and c.order < contract.order and resemblance(kind, c) >= own for c in contracts)


WHOLE = ("vocab_size", "layers")
"""Sizes that the constructor of a whole model takes, and that of no part of one."""


def takes_sizes_of_a_whole(kind: type, contract: Contract) -> bool:
    """Whether the arguments of a constructor are named like all sizes that make a model whole."""
    taken = {plain(name) for name in parameter_names(kind)}
    return all(not taken.isdisjoint(map(plain, contract.size_names.get(size, ()))) for size in WHOLE)
