"""What is going on, in one line below the cursor of a terminal; it is gone before anything else is written there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

AFTER, EVERY = 0.7, 0.2
"""Seconds that something must last before it is shown, and between two changes: what is quick needs no telling."""


class LiveLine:
    """``write`` writes to the terminal at once; ``column()`` is where its cursor stands, ``width()`` how wide it is."""

    def __init__(
        self,
        write: Callable[[str], Any],
        column: Callable[[], int],
        width: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.write, self.column, self.width, self.clock = write, column, width, clock
        self.since, self.changed, self.shown = clock(), 0.0, False

    def begin(self) -> None:
        """Something else begins: nothing is shown of it yet."""
        self.clear()
        self.since = self.clock()

    def show(self, text: str) -> None:
        """The line says this now, if what it is about has lasted."""
        now = self.clock()
        if now - self.since < AFTER or now - self.changed < EVERY:
            return
        self.changed, self.shown = now, True
        self.write(f"\n\r\x1b[2K\x1b[2m{text[: self.width() - 1]}\x1b[0m{self._back()}")

    def clear(self) -> None:
        if self.shown:
            self.shown = False
            self.write(f"\n\r\x1b[2K{self._back()}")

    def _back(self) -> str:
        """Up again, and to the column where the cursor was. (Saved positions are wrong once the screen has moved up.)"""
        return f"\x1b[1A\x1b[{self.column() + 1}G"


def is_watched(file: Any, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether somebody looks on: a terminal that understands more than lines, and not a CI job's."""
    return (
        bool(getattr(file, "isatty", lambda: False)())
        and environment.get("TERM") != "dumb"
        and not environment.get("CI")
    )


def time_left(done: int, planned: int, seconds: float) -> str:
    """``412 of 1014 checks, about 2 min left``; of the time nothing while too little is known."""
    counted = f"{done} of {planned} checks"
    if done < 10 or done >= planned:
        return counted
    left = seconds / done * (planned - done)
    return f"{counted}, about {left / 60:.0f} min left" if left >= 90 else f"{counted}, about {left:.0f} s left"
