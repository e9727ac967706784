"""SIGINT and SIGTERM stop a run where pytest and the record can bear it.

A KeyboardInterrupt at any moment can strike while pytest makes a traceback, or while a report is on its way. Then
pytest ends in an internal error, and a verdict is lost. So the signal is only noted, and the run stops at the next safe
place. Where code runs that may never end (a check, a test, a measurement), KeyboardInterrupt is raised at once.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType

import pytest

INSIST = 3
"""From so many SIGINT on, KeyboardInterrupt is raised wherever it strikes: then something hangs that should not."""


class Interruption:
    """What has stopped a run, if anything has. ``reason``: in words; empty where nothing has."""

    def __init__(self) -> None:
        self.reason = ""
        self._session: pytest.Session | None = None
        self._count = 0
        self._may_raise = False
        self._is_pending = False
        self._handled: list[signal.Signals] = []

    def watch(self, session: pytest.Session) -> None:
        """Handle the signals from now on. Handlers that others have set, and a debugger's SIGINT, are left alone."""
        self._session = session
        if current_thread() is not main_thread():
            return
        debugs = session.config.getoption("usepdb", False) or session.config.getoption("trace", False)
        usual = {signal.SIGTERM: signal.SIG_DFL, **({} if debugs else {signal.SIGINT: signal.default_int_handler})}
        for number, handler in usual.items():
            if signal.getsignal(number) is handler:
                signal.signal(number, self._strike)
                self._handled.append(number)

    def unwatch(self) -> None:
        """Give the signals their usual handlers back."""
        for number in self._handled:
            if signal.getsignal(number) == self._strike:
                signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        self._handled.clear()

    def note(self, reason: str) -> None:
        """Something stopped the run; the first reason stays."""
        self.reason = self.reason or reason

    def _strike(self, number: int, frame: FrameType | None) -> None:
        self.note(f"stopped by {signal.Signals(number).name}")
        self._count += number == signal.SIGINT
        if self._session is not None:
            self._session.shouldstop = self.reason
        if self._may_raise or self._count >= INSIST:
            self._may_raise = self._is_pending = False
            raise KeyboardInterrupt(self.reason)
        self._is_pending = True

    def stop_here(self) -> None:
        """This is a safe place. Raises KeyboardInterrupt where a signal came before."""
        if self._is_pending:
            self._is_pending = False
            raise KeyboardInterrupt(self.reason)

    @contextmanager
    def raised_at_once(self) -> Iterator[None]:
        """In here a signal raises KeyboardInterrupt where it strikes."""
        before, self._may_raise = self._may_raise, True
        try:
            self.stop_here()
            yield
        finally:
            self._may_raise = before

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """In here a signal is noted only; around it, it may raise."""
        before, self._may_raise = self._may_raise, False
        try:
            yield
        finally:
            self._may_raise = before
        if before:
            self.stop_here()

    @contextmanager
    def shown_without_frames(self) -> Iterator[None]:
        """Raise a signal's KeyboardInterrupt anew from here: pytest cannot show a frame that has no line just then."""
        try:
            yield
        except KeyboardInterrupt as stop:
            if not self.reason or type(stop) is not KeyboardInterrupt:
                raise
            raise KeyboardInterrupt(*stop.args) from None
