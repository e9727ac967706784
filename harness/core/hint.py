"""How much of what is wrong a report shows."""

from __future__ import annotations

from enum import Enum


class Hint(str, Enum):
    """A level; each shows what those before it show, and more. It equals and is written as its text."""

    CLAIM = "claim"
    """Which claim fails, and on which case."""
    FINDING = "finding"
    """Also what is wrong, in words: the known mistake, the error, the worst element."""
    LINE = "line"
    """Also where: the line of the implementation, and the reference's line in its place."""
    CHANGE = "change"
    """Also a change of the implementation's file that is proven to fix it."""

    def __str__(self) -> str:
        return self.value
