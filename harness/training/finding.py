"""What is found in a training script."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Level(str, Enum):
    """How much a finding weighs. It equals and is written as its text."""

    FAILED = "failed"
    """The script does something else than it is meant to."""
    NOTE = "note"
    """Unusual, and perhaps meant so."""

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class TrainingFinding:
    """One finding. ``kind``: a name for it; ``claim``: the name of the claim that it breaks.

    ``file``, ``line``, ``end_line``, ``text``: the statement at fault, or where a missing one belongs; ``line`` is None
    where nothing in the person's files shows it. ``evidence``: the numbers that it rests on.
    """

    kind: str
    claim: str
    level: Level
    message: str
    file: str = ""
    line: int | None = None
    end_line: int | None = None
    text: str = ""
    evidence: dict[str, Any] = field(default_factory=dict)
