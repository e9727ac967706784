"""Processor seconds that were spent for this thread: its own, and those of a process that computes for it."""

from __future__ import annotations

import threading
import time


class _Elsewhere(threading.local):
    seconds = 0.0


_elsewhere = _Elsewhere()


def processor_seconds() -> float:
    """What this thread has used, and what other processes have used for it."""
    return time.thread_time() + _elsewhere.seconds


def add(seconds: float) -> None:
    """Another process has computed so long for this thread."""
    _elsewhere.seconds += max(seconds, 0.0)
