"""A progress line below the cursor of a terminal. It is cleared before anything else is written there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping

AFTER, EVERY = 0.7, 0.2
"""Seconds that something must last before it is shown, and seconds between two changes of the line."""


class LiveLine:
    """``write`` writes to the terminal at once; ``column()`` is where its cursor stands, ``width()`` how wide it is."""

    def __init__(
        self,
        write: Callable[[str], object],
        column: Callable[[], int],
        width: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.write, self.column, self.width, self.clock = write, column, width, clock
        self.since, self.changed, self.shown = clock(), 0.0, False

    def begin(self) -> None:
        """Something else begins. Nothing is shown of it yet."""
        self.clear()
        self.since = self.clock()

    def show(self, text: str) -> None:
        """Show this text, if what it is about has lasted long enough."""
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
        """Up again, to the column where the cursor was. (Saved positions are wrong once the screen has scrolled.)"""
        return f"\x1b[1A\x1b[{self.column() + 1}G"


def is_watched(file: object, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a person looks at the file: a terminal that can move its cursor, and not the one of a CI job."""
    return (
        bool(getattr(file, "isatty", lambda: False)())
        and environment.get("TERM") != "dumb"
        and not environment.get("CI")
    )


def time_left(done: int, planned: int, seconds: float) -> str:
    """``412 of 1014 checks, about 2 min left``; without the time while too few checks are done."""
    counted = f"{done} of {planned} checks"
    if done < 10 or done >= planned:
        return counted
    left = seconds / done * (planned - done)
    return f"{counted}, about {left / 60:.0f} min left" if left >= 90 else f"{counted}, about {left:.0f} s left"
