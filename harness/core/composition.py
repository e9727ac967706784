"""A component that somebody wrote in pieces: a function that computes tables, and one that uses them, say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Composition:
    """One way to put pieces of theirs together. Nothing of theirs is called before ``function`` is.

    ``function``: with the contract's arguments. ``source``: the piece that a report points to. ``words``: of what it is
    made, for a note.
    """

    function: Callable[..., Any]
    source: Any
    words: str
