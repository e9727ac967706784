"""Turns, budgets and errors of the stopwatch; and that its intervals hold what they say, however the machine
behaves."""

from __future__ import annotations

import gc
import itertools
import time
import weakref

import numpy
import pytest

from harness.benchmark import timing
from harness.benchmark.timing import Contender, Rounds, interleaved, order_statistics, ratio, summary
from harness.numerics.statistics import binomial_two_sided

FALSE_ALARM = 1e-6
"""How often a right interval would fail a test of its coverage, if the seed were drawn anew."""


class Clock:
    """A clock that goes on only when told to: no test depends on how fast this machine is."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def thread_time(self) -> float:
        return 0.0

    def takes(self, seconds: float, value: object = None):
        """A call that lasts this long."""

        def call():
            self.now += seconds
            return value

        return call


@pytest.fixture
def clock(monkeypatch) -> Clock:
    found = Clock()
    monkeypatch.setattr("harness.benchmark.timing.time", found)
    monkeypatch.setattr("harness.benchmark.timing._waited", lambda: 0.0)
    return found


def test_every_round_times_everyone_in_changing_order(clock) -> None:
    """Each contender is called equally often, whoever goes first changes, and a pair of rounds is balanced."""
    log: list[str] = []

    def contender(name: str) -> Contender:
        return Contender(name, lambda: lambda: (log.append(name), clock.takes(0.01)()))

    found = interleaved([contender("a"), contender("b"), contender("c")], seconds=60, most_rounds=8)
    assert {name: len(rounds.seconds) for name, rounds in found.items()} == {"a": 8, "b": 8, "c": 8}
    timed = log[6:]  # two calls each to warm up
    orders = [tuple(timed[start : start + 3]) for start in range(0, len(timed), 3)]
    assert all(sorted(order) == ["a", "b", "c"] for order in orders)
    assert all(two == one[::-1] for one, two in zip(orders[::2], orders[1::2], strict=True))
    assert len(set(orders)) > 2


def test_a_call_has_a_preparation_of_its_own_and_both_ends_are_synchronised(clock) -> None:
    """State that a call uses up is fresh in every one, also where several make a round; preparing is outside the
    clock."""
    waits: list[str] = []

    def prepare():
        state = [0]
        waits.append("prepare")
        clock.takes(2**-13)()

        def call() -> int:
            state[0] += 1
            waits.append(f"call {state[0]}")
            clock.takes(2**-13)()
            return state[0]

        return call

    rounds = interleaved([Contender("short", prepare, lambda: waits.append("wait"))], seconds=1.0, most_rounds=3)[
        "short"
    ]
    assert rounds.repeats == 9 and rounds.last == 1
    assert rounds.seconds == pytest.approx((2**-13,) * 3)
    assert waits[-20:] == ["prepare"] * 9 + ["wait"] + ["call 1"] * 9 + ["wait"]


def test_calls_are_repeated_only_as_far_as_preparing_them_can_be_paid(clock) -> None:
    """A call of ten microseconds whose inputs take 5 ms is not prepared a hundred times a round; a long one is called
    once."""
    dear = Contender("dear", lambda: (clock.takes(5e-3)(), clock.takes(1e-5))[1])
    cheap = Contender("cheap", lambda: clock.takes(1e-5))
    found = interleaved([dear, cheap, Contender("long", lambda: clock.takes(2e-3))], seconds=3.0, most_rounds=5)
    assert 1 <= found["dear"].repeats <= 4 and found["cheap"].repeats in (100, 101) and found["long"].repeats == 1
    assert ratio(found["long"], found["cheap"]).value == pytest.approx(200)
    assert summary(found["long"]) == pytest.approx((2e-3, 2e-3, 2e-3))


def test_waiting_for_a_processor_is_no_time_of_the_call(clock, monkeypatch) -> None:
    """Three seconds, of which other programs had two; but never more than the call took, for the two clocks are read
    one after the other."""
    waited = [0.0]
    monkeypatch.setattr("harness.benchmark.timing._waited", lambda: waited[0])

    def call(others: float) -> None:
        clock.takes(3.0)()
        waited[0] += others

    found = interleaved(
        [Contender("two", lambda: lambda: call(2.0)), Contender("more", lambda: lambda: call(3.1))],
        seconds=60,
        most_rounds=4,
    )
    assert found["two"].seconds == pytest.approx((1.0,) * 4) and found["more"].seconds == pytest.approx((3.0,) * 4)


def test_the_system_is_asked_how_long_it_kept_us_waiting(monkeypatch, tmp_path) -> None:
    """The second number of the file, in nanoseconds; 0 where there is none, or something else."""
    monkeypatch.setattr(timing, "SCHEDULE", tmp_path / "schedstat")
    assert timing._waited() == 0.0
    timing.SCHEDULE.write_text("1010046 5334681 4\n")
    assert timing._waited() == pytest.approx(5.334681e-3)
    timing.SCHEDULE.write_text("nothing of the kind\n")
    assert timing._waited() == 0.0


def test_whoever_raises_is_told_and_the_others_go_on(clock) -> None:
    """In preparing or in the fourth round: rounds before it are kept, and a ratio of those timed by both is still to
    be had."""
    calls = itertools.count()

    def breaks() -> None:
        clock.takes(0.01)()
        if next(calls) >= 5:
            raise RuntimeError("out of luck")

    def unprepared():
        raise KeyError("no weights")

    three = [
        Contender("breaks", lambda: breaks),
        Contender("unprepared", unprepared),
        Contender("fine", lambda: clock.takes(0.01)),
    ]
    found = interleaved(three, seconds=5, most_rounds=9)
    assert len(found["breaks"].seconds) == 3 and found["breaks"].error == "RuntimeError: out of luck"
    assert found["unprepared"].seconds == () and "no weights" in found["unprepared"].error
    assert len(found["fine"].seconds) == 9 and not found["fine"].error
    assert ratio(found["breaks"], found["fine"]).noisy
    with pytest.raises(ValueError, match="no weights"):
        summary(found["unprepared"])
    with pytest.raises(ValueError, match="no weights"):
        ratio(found["unprepared"], found["fine"])


def test_the_budget_bounds_the_rounds(clock) -> None:
    """Within it as many as there is time for; the least number may overrun it threefold and no more."""
    tenth = Contender("tenth", lambda: clock.takes(0.1))
    assert len(interleaved([tenth], seconds=2.05)["tenth"].seconds) == 18  # and two to warm up
    assert len(interleaved([tenth], seconds=0.5, least_rounds=7)["tenth"].seconds) == 7
    assert len(interleaved([tenth], seconds=0.25, least_rounds=100)["tenth"].seconds) == 6  # of 0.75 s, one to warm up
    assert len(interleaved([tenth], seconds=60, most_rounds=9)["tenth"].seconds) == 9
    minute = interleaved([Contender("minute", lambda: clock.takes(60.0))], seconds=1)["minute"]
    assert minute.seconds == (60.0,) and ratio(minute, minute).noisy


def test_progress_is_told(clock) -> None:
    """Who is warmed up, then the rounds with the time spent."""
    told: list[str] = []
    interleaved([Contender("sleeps", lambda: clock.takes(0.1))], seconds=5, most_rounds=2, progress=told.append)
    assert told == ["warming up sleeps", "round 1, 0.2 of 5.0 s", "round 2, 0.3 of 5.0 s"]


def test_nothing_is_collected_inside_the_clock_and_the_collector_is_left_as_it_was(clock) -> None:
    """Garbage collection is off during the call and on again after it, or off where it was off; cycles are gone
    afterwards."""
    seen: list[bool] = []
    dead: list[weakref.ref] = []

    class Cycle:
        pass

    def call() -> None:
        seen.append(gc.isenabled())
        one = Cycle()
        one.itself = one
        dead.append(weakref.ref(one))
        clock.takes(0.1)()

    interleaved([Contender("c", lambda: call)], seconds=5, most_rounds=2)
    assert not any(seen) and gc.isenabled() and not any(ref() for ref in dead)
    gc.disable()
    try:
        interleaved([Contender("c", lambda: call)], seconds=5, most_rounds=2)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_real_clock_tells_more_work_from_less() -> None:
    """No clock of ours: a hundred times the work takes longer, however busy the machine."""
    long, short = (
        Contender(name, lambda n=n: lambda: sum(range(n))) for name, n in (("long", 100_000), ("short", 1_000))
    )
    found = interleaved([long, short], seconds=0.5, most_rounds=15)
    assert ratio(found["long"], found["short"]).value > 1


def test_names_must_differ() -> None:
    """Nothing, or two of one name, is refused with the names."""
    with pytest.raises(ValueError, match="'same', 'same'"):
        interleaved([Contender("same", lambda: int)] * 2, seconds=1)
    with pytest.raises(ValueError, match="a name each"):
        interleaved([], seconds=1)


@pytest.mark.parametrize(("rounds", "rank"), [(6, 0), (7, 0), (8, 0), (9, 1), (17, 4), (100, 39)])
def test_ranks_are_those_of_the_tables(rounds: int, rank: int) -> None:
    """Ranks of the 95 % interval of a median as tabulated (Conover, Practical Nonparametric Statistics, table A3 for
    p = 1/2)."""
    assert order_statistics(rounds) == (rank, True)
    assert order_statistics(5) == (0, False)


@pytest.mark.parametrize("rounds", [7, 15, 40])
@pytest.mark.parametrize("machine", ["quiet", "drifting", "outliers"])
def test_the_interval_of_a_ratio_holds_the_true_ratio(rounds: int, machine: str) -> None:
    """1000 simulated runs: the share of intervals with the true ratio in them is the one that the binomial
    distribution gives.

    Drifting: the load of the machine walks by 30 % a round, common to both. Outliers: a tenth of all calls take up to
    several times as long. The law is exact, so the test is two-sided: an interval that is too wide fails it as well.
    """
    draw = numpy.random.default_rng(5)
    true, repetitions = 1.3, 1000
    rank, _ = order_statistics(rounds)
    exact = 1 - 2 * sum(float(c) for c in _binomial(rounds)[: rank + 1])
    hits = 0
    for _ in range(repetitions):
        load = numpy.exp(numpy.cumsum(draw.normal(0, 0.3, rounds))) if machine == "drifting" else numpy.ones(rounds)
        noise = numpy.exp(draw.normal(0, 0.05, (2, rounds)))
        if machine == "outliers":
            noise = noise * numpy.where(draw.random((2, rounds)) < 0.1, 1 + draw.exponential(2.0, (2, rounds)), 1.0)
        one, other = (Rounds(tuple(load * noise[0] * true)), Rounds(tuple(load * noise[1])))
        found = ratio(one, other)
        hits += found.low <= true <= found.high
        if machine == "drifting":
            assert found.high / found.low < 1.6  # what slows both is not in it
    assert binomial_two_sided(hits, repetitions, exact) > FALSE_ALARM
    assert exact >= 0.95


def _binomial(n: int) -> list[float]:
    row = [1.0]
    for _ in range(n):
        row = [0.5 * (a + b) for a, b in zip([0.0, *row], [*row, 0.0], strict=True)]
    return row


def test_a_ratio_nobody_can_tell_is_noisy() -> None:
    """Few rounds, or ends too far apart; where the faster one is plain all the same, it is not."""
    wild = Rounds((1.0, 5.0, 1.0, 6.0, 0.5, 4.0, 1.0))
    calm = Rounds((1.0,) * 7)
    assert ratio(wild, calm).noisy and not ratio(calm, calm).noisy
    assert ratio(Rounds((1.0,) * 5), calm).noisy
    assert ratio(calm, calm).value == 1.0
    plain = Rounds((8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0))
    assert ratio(plain, calm).high > 1.7 * ratio(plain, calm).low and not ratio(plain, calm).noisy


def test_waiting_between_the_two_clocks_takes_nothing_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is kept waiting after the first look at what was waited, and before the clock starts: 63 µs were once told
    of 4 ms."""
    told = iter((0.0, 0.019))
    monkeypatch.setattr("harness.benchmark.timing._waited", lambda: next(told))

    def busy() -> None:
        until = time.thread_time() + 0.02
        while time.thread_time() < until:
            pass

    seconds, _ = timing._timed([busy], None)
    assert seconds >= 0.02
