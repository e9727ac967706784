"""What is timed of a component, and its result: plain values, informational only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.core.case import Case

BELIEVABLE = 1.25
"""A share of the roofline beyond this is a mistake: work that was left out, or a wrong count. The rate of a matrix
product was seen to differ by 3 % from run to run, that of memory, which other programs share, by more."""

OFF = 0.5
"""Half a power beyond the law is another law. Less is not: caches that no longer hold the data make each step dearer,
and a factor of three over a range of 32 sizes adds 0.3."""


@dataclass(frozen=True)
class Law:
    """The expected exponents of an axis: ``Law("time", 2, 1)`` grows with T squared in time, and with T in memory.

    ``None`` where there is nothing to expect. ``why`` is said beside the measured exponent.
    """

    axis: str
    time: float | None = None
    memory: float | None = None
    why: str = ""


@dataclass(frozen=True)
class Workload:
    """One thing that is timed: which script at which sizes, beside whom.

    ``case(sizes, seed)`` makes the script; its last call is timed, earlier ones prepare (unless ``whole``: then all
    calls but ``build``). ``sizes``: the usual point. ``axes``: the values of one size along which the exponent is
    measured, the others as in ``sizes``. ``laws``: what the reference should follow along each axis. ``peers``: name
    -> ``make(case)``, which returns the call to be timed (no argument), or None where that library is not installed
    or cannot do it; it stands for the timed part of the script alone and must give what the script gives.
    ``operations(sizes)`` and ``bytes(sizes)``: floating-point operations and memory traffic that any implementation
    needs at least, for the roofline. ``amount(sizes)``: how much is done in one call, in ``unit`` ("tokens", "bytes
    of text", "parameters"): throughput. ``backward``: the gradients of the last result are part of what is timed.
    ``fresh``: a timed call changes what it is called on, so that everything before it is run anew for each.
    ``check(case, value)``: what is wrong with a result, in words, where it need not be the reference's number by
    number (an empty text where nothing is). ``remark``: said beneath.
    """

    name: str
    sentence: str
    case: Callable[[Mapping[str, int], int], Case]
    sizes: Mapping[str, int]
    axes: Mapping[str, Sequence[int]] = field(default_factory=dict)
    laws: Sequence[Law] = ()
    peers: Mapping[str, Callable[[Case], Callable[[], Any] | None]] = field(default_factory=dict)
    operations: Callable[[Mapping[str, int]], float] | None = None
    bytes: Callable[[Mapping[str, int]], float] | None = None
    amount: Callable[[Mapping[str, int]], float] | None = None
    unit: str = ""
    backward: bool = False
    whole: bool = False
    fresh: bool = False
    check: Callable[[Case, Any], str] | None = None
    remark: str = ""


@dataclass(frozen=True)
class Interval:
    """A number with the 95 % interval of its estimate. ``noisy``: the interval is too wide to say anything."""

    value: float
    low: float
    high: float
    noisy: bool = False


@dataclass(frozen=True)
class Timing:
    """One contender at one point: median and quartiles of its rounds in seconds, peak memory in bytes."""

    contender: str
    sizes: Mapping[str, int]
    median: float
    lower: float
    upper: float
    rounds: int
    peak_bytes: float | None = None
    share_of_roofline: float | None = None
    """Of the rate that this machine was measured to reach, from 0 to 1; beyond ``BELIEVABLE`` it is not to be
    believed."""


@dataclass(frozen=True)
class Ratio:
    """How many times as long as another a contender takes at one point, both measured in turns."""

    contender: str
    beside: str
    sizes: Mapping[str, int]
    times: Interval


@dataclass(frozen=True)
class Exponent:
    """How a contender's time or memory grows along one axis; ``law``: the expected exponent, ``told``: in words."""

    contender: str
    axis: str
    of: str
    """"time" or "memory"."""
    value: Interval
    law: float | None = None
    told: str = ""


@dataclass(frozen=True)
class Benchmark:
    """All that was measured of one workload. ``wrong``: contenders with a wrong timed result, and how it is wrong."""

    component: str
    workload: str
    sentence: str
    timings: tuple[Timing, ...] = ()
    ratios: tuple[Ratio, ...] = ()
    exponents: tuple[Exponent, ...] = ()
    throughput: Mapping[str, float] = field(default_factory=dict)
    """Contender -> ``unit`` per second, at the usual point."""
    unit: str = ""
    wrong: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
