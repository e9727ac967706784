"""A limit for code that may never return, counted in processor seconds: a busy machine is not a hang.

The alarm goes off in wall time. Its handler looks at how many processor seconds the process has used since the start of
the limit, and sets the alarm again where these are too few. Code that sleeps or waits uses none, so that there is a
second, generous limit in wall time.
"""

from __future__ import annotations

import math
import signal
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any

WALL_FACTOR = 5.0
"""Wall seconds allowed for each processor second of a limit.

With four busy neighbours a process gets a fifth of a core.
"""
SHORTEST_ALARM = 0.01
"""Seconds between two looks at the clocks at least."""


class TimedOut(BaseException):
    """Code ran longer than it may.

    Not an Exception, so that a broad ``except Exception`` in that code does not catch it.
    ``limit``: the limit that was hit, which tells an outer limit from an inner one.
    """

    def __init__(self, message: str, limit: TimeLimit) -> None:
        super().__init__(message)
        self.limit = limit


@dataclass(frozen=True)
class Clocks:
    """Where the seconds come from. Tests put clocks of their own here."""

    processor: Callable[[], float] = time.process_time
    wall: Callable[[], float] = time.monotonic


@dataclass
class Budget:
    """Seconds that were allowed and used. Looks at the clocks, sets no alarm.

    ``seconds``: processor seconds allowed. Wall seconds allowed are ``WALL_FACTOR`` times as many.
    """

    seconds: float
    clocks: Clocks

    def __post_init__(self) -> None:
        self._processor, self._wall = self.clocks.processor(), self.clocks.wall()

    def used(self) -> tuple[float, float]:
        """(processor seconds, wall seconds) since the start."""
        return self.clocks.processor() - self._processor, self.clocks.wall() - self._wall

    def exceeded(self) -> str:
        """Which limit was hit, in words; an empty text where none was.

        Several threads can use more processor seconds than wall seconds: both must have passed.
        """
        processor, wall = self.used()
        if processor >= self.seconds and wall >= self.seconds:
            return f"took more than {self.seconds:g} s of processor time"
        if wall >= WALL_FACTOR * self.seconds:
            return f"took more than {wall:.3g} s, of which it computed for {processor:.2g} s"
        return ""

    def next_look(self) -> float:
        """Seconds of wall time until a limit can be hit."""
        processor, wall = self.used()
        left = max(self.seconds - processor, self.seconds - wall)
        return max(min(left, WALL_FACTOR * self.seconds - wall), SHORTEST_ALARM)


class TimeLimit:
    """Interrupts the Python code of a ``with`` block: raises TimedOut where a limit is hit.

    ``seconds``: processor seconds; 0 or less for no limit. ``what``: what runs, the subject of the message ("importing
    model.py"). Limits can be nested: the outer one is in force inside the inner one, and so is any other timer that was
    set (its handler is called when it is due). Works in the main thread of POSIX systems only; elsewhere there is no
    limit.

    An operation of a library written in C is interrupted when it returns to Python.
    """

    def __init__(self, seconds: float, what: str = "one case", clocks: Clocks | None = None) -> None:
        self.seconds, self.what = seconds, what
        self._clocks = clocks or Clocks()
        self._active = False
        self._previous: Any = None
        self._outer_due, self._outer_interval = math.inf, 0.0

    def __enter__(self) -> TimeLimit:
        if not (self.seconds > 0 and _can_interrupt()):
            return self
        self._budget = Budget(self.seconds, self._clocks)
        self._previous = signal.signal(signal.SIGALRM, self._on_alarm)
        self._active = True
        self._note_outer_timer(*signal.setitimer(signal.ITIMER_REAL, 0.0))
        self._set_alarm(self._budget.next_look())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if not self._active:
            return
        self._active = False
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, self._previous)
        if self._outer_due < math.inf:
            left = self._outer_due - time.monotonic()
            signal.setitimer(signal.ITIMER_REAL, max(left, SHORTEST_ALARM), self._outer_interval)

    def _on_alarm(self, number: int, frame: FrameType | None) -> None:
        if _is_entering_or_leaving(frame) or _is_lost_in(frame):
            signal.setitimer(signal.ITIMER_REAL, SHORTEST_ALARM)
            return
        if time.monotonic() >= self._outer_due:
            try:
                self._call_outer_handler(number, frame)
            finally:
                self._set_alarm(self._budget.next_look())
        reason = self._budget.exceeded()
        if not reason:
            self._set_alarm(self._budget.next_look())
            return
        self._set_alarm(max(self.seconds, 1.0))  # again, where the code catches this one and goes on
        raise TimedOut(
            f"{self.what} {reason}. Is there a loop that never ends? If it is only slow: --impl-timeout=SECONDS", self
        )

    def _set_alarm(self, seconds: float) -> None:
        signal.setitimer(signal.ITIMER_REAL, max(min(seconds, self._outer_due - time.monotonic()), SHORTEST_ALARM))

    def _note_outer_timer(self, left: float, interval: float) -> None:
        self._outer_due = time.monotonic() + left if left > 0 else math.inf
        self._outer_interval = interval

    def _call_outer_handler(self, number: int, frame: FrameType | None) -> None:
        """Do what would have happened without this limit: the handler may raise, or set its own alarm again."""
        interval = self._outer_interval
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        self._note_outer_timer(interval, interval)
        if callable(self._previous):
            try:
                self._previous(number, frame)
            finally:
                left, again = signal.setitimer(signal.ITIMER_REAL, 0.0)
                if left > 0:
                    self._note_outer_timer(left, again)
        elif self._previous == signal.SIG_DFL:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.raise_signal(signal.SIGALRM)


def _is_entering_or_leaving(frame: FrameType | None) -> bool:
    """Whether a limit is just being set or removed: nothing may be raised in the middle of that."""
    for _ in range(3):
        if frame is None:
            return False
        if frame.f_code in (TimeLimit.__enter__.__code__, TimeLimit.__exit__.__code__):
            return True
        frame = frame.f_back
    return False


def _is_lost_in(frame: FrameType | None) -> bool:
    """Whether what is raised there would be printed and forgotten: in what is called when an object goes away."""
    return frame is not None and frame.f_code.co_filename == weakref.__file__


def _can_interrupt() -> bool:
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
