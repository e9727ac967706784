"""What somebody wrote in other pieces than a contract has: in several functions, or several tensors in one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Composition:
    """One way to put pieces of an implementation together. None of them is called before ``function`` is.

    ``function``: with the contract's arguments. ``source``: the piece that a report points to. ``words``: of what it is
    made, for a note. ``is_plausible``: whether its output has a property that tells this way from others whose output
    has the same shape; no number of the contract has a say.
    """

    function: Callable[..., Any]
    source: Any
    words: str
    is_plausible: Callable[[], bool] | None = None


@dataclass(frozen=True)
class Joined:
    """Tensors of a contract that modules keep in one, one above the other. ``aliases``: its usual names."""

    names: tuple[str, ...]
    aliases: tuple[str, ...]
