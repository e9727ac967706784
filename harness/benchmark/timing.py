"""Times contenders in turns, so that a busy machine slows all alike; ratios with distribution-free intervals."""

from __future__ import annotations

import gc
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy

from harness.core.workload import Interval
from harness.execution import call

SHORTEST = 1e-3
"""Seconds that a timed part lasts at least: the clock's own grain and call are then below a thousandth of it."""
MOST_REPEATS = 1000
SCHEDULE = Path("/proc/thread-self/schedstat")
"""Linux: nanoseconds that this thread has run, and that it was ready and waited for a processor."""
OVERRUN = 3
"""At most so many times the budget is spent to reach ``least_rounds``; the intervals tell of fewer rounds."""
NOISY, HOPELESS = 1.5, 3.0
"""A ratio is called noisy where its interval's ends are further apart than the first factor and 1 lies between them, so
that not even the faster one is known; or further apart than the second."""


@dataclass(frozen=True)
class Contender:
    """``prepare()`` returns the call to be timed, on fresh inputs and state; it is never timed itself.

    ``synchronise`` waits until a device has done what was asked of it (``torch.cuda.synchronize``): called before the
    clock is read, at both ends. Without it the time of a GPU is that of queueing.
    """

    name: str
    prepare: Callable[[], Callable[[], Any]]
    synchronise: Callable[[], None] | None = None


@dataclass(frozen=True)
class Rounds:
    """``seconds`` of one call, round by round: the same index is the same round in every contender timed with it.

    ``last``: what the last timed call returned. ``error``: what was raised, in words; the rounds before it remain.
    ``repeats``: how many calls, each freshly prepared, make one round.
    """

    seconds: tuple[float, ...]
    last: Any = field(default=None, repr=False)
    error: str = ""
    repeats: int = 1


@dataclass
class _Runner:
    contender: Contender
    seconds: list[float] = field(default_factory=list)
    last: Any = None
    error: str = ""
    repeats: int = 1

    def play(self, repeats: int) -> float:
        """Seconds per call; infinite once something was raised, and from then on nothing is called."""
        if self.error:
            return math.inf
        try:
            calls = [self.contender.prepare() for _ in range(repeats)]
            with _undisturbed():
                taken, self.last = call.invoke(_timed, calls, self.contender.synchronise)
        except Exception as error:  # somebody's code: whatever it raises is told, and the others go on
            self.error = f"{type(error).__name__}: {error}"
            return math.inf
        return taken / repeats


def interleaved(
    contenders: Sequence[Contender],
    seconds: float,
    least_rounds: int = 7,
    most_rounds: int = 200,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Rounds]:
    """Time all contenders in turns for about ``seconds``, preparing and warming up included.

    Every round times each contender once. The order is shuffled from round to round, and every second round is the one
    before it backwards, so that whoever goes before whom is balanced. Sizes can be contenders too: an exponent is best
    fitted to rounds that were shared. Raises ValueError where two contenders share a name or nothing is to be timed.
    """
    names = [contender.name for contender in contenders]
    if not names or len(set(names)) != len(names):
        raise ValueError(f"contenders need a name each, all different; got {names}")
    started = time.perf_counter()
    runners = [_Runner(contender) for contender in contenders]
    gc.collect()
    for runner in runners:
        _tell(progress, f"warming up {runner.contender.name}")
        _warm(runner, seconds / len(runners))
    order, shuffle = list(runners), random.Random(0)
    done, longest = 0, 0.0
    while done < most_rounds and not all(runner.error for runner in runners):
        spent = time.perf_counter() - started
        limit = seconds if done >= least_rounds else OVERRUN * seconds
        if done and spent + longest > limit:
            break
        _tell(progress, f"round {done + 1}, {spent:.1f} of {seconds:.1f} s")
        order.reverse() if done % 2 else shuffle.shuffle(order)
        for runner in order:
            taken = runner.play(runner.repeats)
            if taken < math.inf:
                runner.seconds.append(taken)
        done += 1
        longest = max(longest, time.perf_counter() - started - spent)
    return {r.contender.name: Rounds(tuple(r.seconds), r.last, r.error, r.repeats) for r in runners}


def summary(rounds: Rounds) -> tuple[float, float, float]:
    """Median, lower and upper quartile of the seconds per call. Raises ValueError where nothing was timed."""
    if not rounds.seconds:
        raise ValueError(f"no round was timed{': ' + rounds.error if rounds.error else ''}")
    lower, median, upper = numpy.percentile(rounds.seconds, [25, 50, 75])
    return float(median), float(lower), float(upper)


def ratio(a: Rounds, b: Rounds) -> Interval:
    """How many times as long ``a`` takes as ``b``: the median over rounds timed by both, with its 95 % interval.

    The interval's ends are two of the ratios themselves, chosen by the binomial distribution: exact for the median of
    independent rounds, whatever their distribution (David and Nagaraja, Order Statistics, section 7.1). What slows a
    whole round cancels in its ratio. It takes six rounds to reach 95 %; fewer are noisy.
    """
    pairs = list(zip(a.seconds, b.seconds, strict=False))
    if not pairs:
        raise ValueError(f"no round was timed by both: {a.error or b.error or 'one of them has none'}")
    ratios = sorted(one / other for one, other in pairs)
    rank, enough = order_statistics(len(ratios))
    low, high = ratios[rank], ratios[-1 - rank]
    middle = math.exp(float(numpy.median(numpy.log(ratios))))
    return Interval(middle, low, high, noisy=not enough or high > (NOISY if low <= 1 <= high else HOPELESS) * low)


def order_statistics(n: int, confidence: float = 0.95) -> tuple[int, bool]:
    """The rank (from 0, counted from both ends) of the sorted values between which the median lies with this
    confidence.

    And whether there is one: the outermost two of five values hold it with 93.75 %.
    """
    rank, tail = -1, 0.5**n
    while 2 * tail <= 1 - confidence:
        rank += 1
        tail += 0.5**n * math.comb(n, rank + 1)
    return max(rank, 0), rank >= 0


def _warm(runner: _Runner, share: float) -> None:
    """Warm up with two calls, or one where it uses up the share, and choose the calls per round.

    As many as last a millisecond together, but no more than can be prepared in a fiftieth of its share.
    """
    first = runner.play(1)
    if first > share / 4:
        return
    before = time.perf_counter()
    taken = runner.play(1)
    whole = time.perf_counter() - before
    if taken < SHORTEST:
        wanted, affordable = math.ceil(SHORTEST / max(taken, 1e-9)), int(share / 50 / max(whole, 1e-9))
        runner.repeats = max(1, min(wanted, affordable, MOST_REPEATS))


def _timed(calls: list[Callable[[], Any]], synchronise: Callable[[], None] | None) -> tuple[float, Any]:
    """Seconds of all calls one after the other, and what the last one returned.

    What the calling thread waited for a processor is taken off: on a busy machine it falls on long calls and spares
    short ones, so that it would make right code grow faster than it does. Never less is left than the thread was busy:
    who is kept waiting between the two clocks has waited outside of what is timed.
    """
    result: Any = None
    if synchronise is not None:
        synchronise()
    before = _waited()
    start, busy = time.perf_counter(), time.thread_time()
    for one in calls:
        result = one()
    if synchronise is not None:
        synchronise()
    busy, taken = time.thread_time() - busy, time.perf_counter() - start
    waited = _waited() - before
    left = taken - waited if waited < taken else taken
    return max(left, min(busy, taken), 1e-9), result


def _waited() -> float:
    """Seconds that this thread has waited for a processor so far; always 0 where the system does not tell."""
    try:
        return int(SCHEDULE.read_bytes().split()[1]) * 1e-9
    except (OSError, IndexError, ValueError):
        return 0.0


@contextmanager
def _undisturbed() -> Iterator[None]:
    """No garbage collection inside; what has just become garbage in cycles is taken away afterwards, memory and all."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
        gc.collect(1)


def _tell(progress: Callable[[str], None] | None, text: str) -> None:
    if progress is not None:
        progress(text)
