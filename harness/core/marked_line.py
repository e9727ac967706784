"""A line of the implementation's own file that an experiment found to be wrong."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any


class Mark(str, Enum):
    """What is wrong with a marked line. It equals and is written as its text."""

    WRONG = "wrong"
    """It computes something else than it must."""
    MISSING = "missing"
    """It is right; what must come after it is not there."""
    SURPLUS = "surplus"
    """It does something that must not be done; without it the result is right."""
    READER = "reader"
    """It reads the value after which something is missing."""
    NUMBER = "number"
    """It gives a number that a wrong line computes with."""
    GRADIENT = "gradient"
    """Gradients end here, or are wrong from here on."""

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class MarkedLine:
    """A line of the implementation's file, found by experiment.

    Lines count from 1, columns from 0 (-1 where they are not known). ``text``: the line (the statement, where it spans
    several). ``computes``: the expression that is wrong, ``expected``: what the reference has in its place.
    """

    file: str
    line: int
    end_line: int
    column: int = -1
    end_column: int = -1
    text: str = ""
    computes: str = ""
    expected: str = ""
    mark: Mark = Mark.WRONG
    mistake: str = ""
    """The known mistake that it is, where one is known."""
    above: str = ""
    """A few lines of the file before it."""
    below: str = ""
    """A few lines of the file after it."""

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> MarkedLine:
        """The line of plain values. Raises TypeError where a field is unknown, ValueError where the mark is none."""
        return cls(**{**values, "mark": Mark(values.get("mark", Mark.WRONG))})
