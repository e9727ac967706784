"""Limits in processor seconds: a busy machine is not a hang, and code that waits for ever is stopped too."""

from __future__ import annotations

import signal
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

from harness.execution.time_limit import WALL_FACTOR, Budget, Clocks, TimedOut, TimeLimit


class FakeClocks:
    """Clocks that stand still until they are moved."""

    def __init__(self) -> None:
        self.processor = self.wall = 0.0

    def budget(self, seconds: float) -> Budget:
        return Budget(seconds, Clocks(lambda: self.processor, lambda: self.wall))


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    """Every limit restores the handler and the timer that it found."""
    before = signal.getsignal(signal.SIGALRM)
    yield
    left = signal.setitimer(signal.ITIMER_REAL, 0.0)
    assert signal.getsignal(signal.SIGALRM) is before and left == (0.0, 0.0)


def spin() -> None:
    while True:
        pass


# the decision, on fake clocks ----------------------------------------------------------------------------------------


def test_wall_time_alone_is_no_reason_to_stop() -> None:
    """On a busy machine ten wall seconds may hold three processor seconds."""
    clocks = FakeClocks()
    budget = clocks.budget(10.0)
    clocks.processor, clocks.wall = 3.0, 12.0
    assert budget.exceeded() == "" and budget.next_look() == 7.0


def test_processor_time_is() -> None:
    """However busy the machine is."""
    clocks = FakeClocks()
    budget = clocks.budget(10.0)
    clocks.processor, clocks.wall = 10.0, 31.0
    assert budget.exceeded() == "took more than 10 s of processor time"


def test_threads_do_not_use_up_the_limit_early() -> None:
    """Eight threads use ten processor seconds in little more than one second."""
    clocks = FakeClocks()
    budget = clocks.budget(10.0)
    clocks.processor, clocks.wall = 10.0, 1.25
    assert budget.exceeded() == "" and budget.next_look() == 8.75


def test_code_that_waits_is_stopped_by_wall_time() -> None:
    """It uses no processor time at all."""
    clocks = FakeClocks()
    budget = clocks.budget(10.0)
    clocks.processor, clocks.wall = 0.02, WALL_FACTOR * 10.0
    assert budget.exceeded() == "took more than 50 s, of which it computed for 0.02 s"


def test_the_next_look_is_not_later_than_the_wall_limit() -> None:
    """And never at once."""
    clocks = FakeClocks()
    budget = clocks.budget(10.0)
    clocks.wall = WALL_FACTOR * 10.0 - 2.0
    assert budget.next_look() == 2.0
    clocks.processor, clocks.wall = 9.9999, 11.0
    assert budget.next_look() == pytest.approx(0.01)


# the alarm -----------------------------------------------------------------------------------------------------------


def test_an_endless_loop_is_stopped() -> None:
    """The message names what ran, the limit and the option."""
    with (
        pytest.raises(TimedOut, match=r"one case took more than 0.05 s of processor time.*--impl-timeout=SECONDS"),
        TimeLimit(0.05),
    ):
        spin()


def test_an_endless_wait_is_stopped() -> None:
    """After the limit in wall time."""
    with (
        pytest.raises(TimedOut, match=r"waiting took more than .* s, of which it computed for"),
        TimeLimit(0.02, "waiting"),
    ):
        time.sleep(600)


def test_a_machine_that_is_too_busy_is_waited_for() -> None:
    """The alarm rings, the processor clock has not moved, so it is set again."""
    looks: list[float] = []

    def processor() -> float:
        looks.append(0.0)
        return 0.0

    with TimeLimit(0.02, clocks=Clocks(processor, lambda: 0.02 * len(looks) if len(looks) < 40 else 1e9)):
        pass
    looks.clear()
    with pytest.raises(TimedOut), TimeLimit(0.02, clocks=Clocks(processor, lambda: 0.0 if len(looks) < 10 else 1e9)):
        time.sleep(600)
    assert len(looks) >= 10


def test_code_that_catches_the_time_out_is_interrupted_again() -> None:
    """A bare ``except`` around one attempt does not end the limit."""
    attempts = 0
    with pytest.raises(TimedOut), TimeLimit(0.02):
        try:
            spin()
        except BaseException:
            attempts += 1
        spin()
    assert attempts == 1


def test_no_limit_where_none_is_asked_for() -> None:
    """0 seconds stand for none."""
    with TimeLimit(0.0):
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_no_limit_in_another_thread() -> None:
    """Signals reach the main thread alone; nothing is raised there."""
    done: list[bool] = []

    def run() -> None:
        with TimeLimit(0.01):
            time.sleep(0.05)
        done.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert done == [True]


# nested --------------------------------------------------------------------------------------------------------------


def test_the_outer_limit_holds_inside_an_inner_one() -> None:
    """And it is the outer one that is reported."""
    with pytest.raises(TimedOut, match="outer") as caught, TimeLimit(0.05, "outer") as outer, TimeLimit(600.0, "inner"):
        spin()
    assert caught.value.limit is outer


def test_the_outer_limit_holds_after_an_inner_one() -> None:
    """The inner one restores it, less what was used meanwhile."""
    with pytest.raises(TimedOut, match="outer"), TimeLimit(0.1, "outer"):
        with pytest.raises(TimedOut, match="inner"), TimeLimit(0.02, "inner"):
            spin()
        spin()


def test_a_foreign_timer_rings_inside_a_limit() -> None:
    """That of pytest-timeout, say: its handler is called when it is due."""
    rung: list[int] = []

    def ring(number: int, frame: FrameType | None) -> None:
        rung.append(number)

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.03)
        with pytest.raises(TimedOut), TimeLimit(0.2):
            spin()
        assert rung == [signal.SIGALRM] and signal.getsignal(signal.SIGALRM) is ring
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def test_a_foreign_timer_is_restored() -> None:
    """With the seconds that are left of it."""
    rung: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, _: rung.append(number))
    try:
        signal.setitimer(signal.ITIMER_REAL, 500.0, 7.0)
        with TimeLimit(600.0):
            time.sleep(0.05)
        left, interval = signal.getitimer(signal.ITIMER_REAL)
        assert 400.0 < left <= 499.96 and interval == 7.0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def test_nothing_is_raised_where_it_would_be_lost() -> None:
    """Python prints what is raised in a callback of a weak reference, and goes on: the limit waits until it is over."""
    code = compile("frame = sys._getframe()", weakref.__file__, "exec")
    names: dict[str, Any] = {"sys": sys}
    exec(code, names)
    clocks, went_on = FakeClocks(), False
    with (
        pytest.raises(TimedOut),
        TimeLimit(1.0, clocks=Clocks(lambda: clocks.processor, lambda: clocks.processor)) as limit,
    ):
        clocks.processor = 2.0
        limit._on_alarm(signal.SIGALRM, names["frame"])
        went_on = True
        limit._on_alarm(signal.SIGALRM, sys._getframe())
    assert went_on
