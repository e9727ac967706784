"""How far the implementation is kept apart."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any


class Level(str, Enum):
    """Where the implementation runs, and what it cannot do there. Each level has what those before it have."""

    NONE = "none"
    """In the judge's process."""
    PROCESS = "process"
    """In a process of its own: it cannot touch what the judge holds, nor end it."""
    LIMITS = "limits"
    """With limits on memory, the size of a file, open files and, but for the administrator, processes."""
    SANDBOX = "sandbox"
    """It reads Python, the libraries and its own folder, writes to its scratch folder, and has no network, no other
    processes and no signals to others."""

    def __str__(self) -> str:
        return self.value

    @property
    def includes(self) -> tuple[Level, ...]:
        """This level and those before it."""
        every = tuple(Level)
        return every[: every.index(self) + 1]


@dataclass(frozen=True)
class Limits:
    """What a process may use. ``memory_mb``: beyond what it has before the implementation is loaded."""

    memory_mb: int = 4000
    file_mb: int = 64
    open_files: int = 256
    processes: int = 64

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)
