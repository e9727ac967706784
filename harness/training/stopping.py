"""Ends a script that somebody wrote: by an exception at the next event, and harder where the script swallows it."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from harness.training.places import Places


class StopInspection(BaseException):
    """Enough was seen. No Exception, so that ``except Exception`` lets it through."""


class Stopper:
    """Raises :class:`StopInspection`. ``requested``: whether enough was seen.

    A script that catches everything goes on. From its second event on, every line of its own that runs raises
    again, also those of its handlers: so the exception leaves each of them.
    """

    def __init__(self, places: Places) -> None:
        self._places = places
        self.requested = False
        self._raised = 0
        self._before: Any = None
        self._tracing = False

    def stop(self) -> None:
        """Raise, where a stop was requested."""
        if not self.requested:
            return
        self._raised += 1
        if self._raised > 1 and not self._tracing:
            self._trace()
        raise StopInspection

    def _trace(self) -> None:
        self._tracing, self._before = True, sys.gettrace()
        for frame in self._places.frames():
            frame.f_trace = self._each_line
        sys.settrace(self._each_call)

    def _each_call(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self._each_line if self._places.is_own(frame.f_code.co_filename) else None

    def _each_line(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            raise StopInspection
        return self._each_line

    def restore(self) -> None:
        """Take the trace function away."""
        if self._tracing:
            sys.settrace(self._before)
            self._tracing = False
