"""How cost grows with size: the exponent of a power law with an offset, fitted to medians, with an interval for it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy
from numpy.typing import NDArray

from harness.benchmark.timing import Rounds, order_statistics, ratio
from harness.core.workload import OFF, Interval
from harness.numerics.statistics import normal_quantile

Array = NDArray[numpy.float64]
LEAST_SIZES = 4
"""Offset, factor and exponent are three unknowns; a fourth size is the first that could contradict."""
LEAST_ROUNDS = 6
GRID = numpy.arange(-1.0, 6.0001, 0.01)
"""Exponents that are tried."""
STILL = math.log(1.1)
"""A cost that grows by less than a tenth over all sizes, or by less than its noise, is taken for constant."""
NOISY = 1.0
"""An interval wider than one power cannot tell linear from quadratic."""
WORDS = {0: "constant", 1: "linear", 2: "quadratic", 3: "cubic", 4: "to the fourth power"}
STUDENT = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 7: 2.36, 8: 2.31, 9: 2.26, 10: 2.23}
"""97.5 % quantiles of Student's t by degrees of freedom; beyond ten, 2.2 is a little wide."""


def exponent(sizes: Sequence[int], costs: Sequence[Rounds] | Sequence[float]) -> Interval:
    """The k of ``cost = offset + factor * size ** k`` over the range measured, with its 95 % interval.

    The offset takes up what a call costs whatever the size; it may be negative, so that nothing is presumed about how
    the power law is approached. Terms of lower order (``b T`` beside ``c T^2``) are not told apart from it: they pull
    the exponent below the true one, the less the larger the sizes. A cost that does not grow over the range has the
    slope of its logarithm, about 0.

    ``costs``: rounds, one for each size. Each size has its median, after what slowed a whole round is taken off (rounds
    that were shared have the same index). The interval is that of a linear function of medians (Bonett and Price 2002),
    which asks nothing of the distribution. Where the medians scatter about the curve by more than their noise, it is
    widened by that factor (Birge 1932). Numbers instead of rounds have no noise: there the scatter about the curve is
    all there is.

    Raises ValueError for fewer than four different sizes, or costs that are not positive.
    """
    n = numpy.asarray(sizes, dtype=float)
    if len(n) != len(costs) or len(set(sizes)) < LEAST_SIZES or n.min() <= 0:
        raise ValueError(f"{LEAST_SIZES} different positive sizes with a cost each are needed; sizes: {list(sizes)}")
    logs, errors, exact, enough = _levels(costs)
    steps, y = numpy.log(n), logs
    weight = 1 / numpy.maximum(errors, 1e-12) if not exact else numpy.ones_like(y)
    spread = steps - (weight**2 * steps).sum() / (weight**2).sum()
    slope_of = weight**2 * spread / (weight**2 * spread**2).sum()
    rise = float(y[n.argmax()] - y[n.argmin()])
    noise_of_rise = math.hypot(errors[n.argmax()], errors[n.argmin()])
    if abs(rise) < max(STILL, 3 * noise_of_rise):
        k, gradient, residual, free = float(slope_of @ y), slope_of, y - y.mean() - (slope_of @ y) * spread, len(y) - 2
        at_the_edge = False
    else:
        k, gradient, residual = _fitted(steps, y, weight)
        free = len(y) - 3
        at_the_edge = not GRID[0] < k < GRID[-1]
    scatter = math.sqrt(float((residual**2).sum() if exact else ((weight * residual) ** 2).sum()) / free)
    if exact:
        half = STUDENT.get(free, 2.2) * scatter * float(numpy.linalg.norm(gradient))
    else:
        half = normal_quantile(0.975) * max(1.0, scatter) * float(numpy.linalg.norm(gradient * errors))
    return Interval(k, k - half, k + half, noisy=not enough or at_the_edge or not 2 * half <= NOISY)


def slope_at_the_end(sizes: Sequence[int], rounds: Sequence[Rounds]) -> Interval:
    """The exponent between the two largest sizes alone, no model beside it: exact for rounds that were shared."""
    (small, one), (large, other) = sorted(zip(sizes, rounds, strict=True), key=lambda pair: pair[0])[-2:]
    steps, times = math.log(large / small), ratio(other, one)
    low, high = math.log(times.low) / steps, math.log(times.high) / steps
    return Interval(
        math.log(times.value) / steps, low, high, noisy=not order_statistics(len(one.seconds))[1] or high - low > NOISY
    )


def told(exponent: Interval, law: float | None, axis: str = "T") -> str:
    """The exponent in words, compared with its law: off it only if its whole interval lies half a power beyond."""
    low, middle, high = (f"{round(x, 2) + 0.0:.2f}" for x in (exponent.low, exponent.value, exponent.high))
    number = f"{axis}^{middle}" + (f" ({low} to {high})" if low != high else "")
    nearest = round(exponent.value)
    if exponent.noisy:
        return f"too uncertain to say: between {axis}^{low} and {axis}^{high}"
    grows = f"stays about the same: {number}" if abs(exponent.value) < OFF / 2 else f"grows like {number}"
    if law is None:
        return grows
    if exponent.low > law + OFF:
        word = WORDS.get(nearest) if abs(exponent.value - nearest) <= OFF / 2 else None
        return f"{grows}: {word} where the law is {law:g}" if word else f"{grows}: faster than the law, {axis}^{law:g}"
    if exponent.high < law and exponent.value < law - OFF / 2:
        return f"{grows}: less than the law, {axis}^{law:g}, over this range"
    if exponent.low > law and exponent.value > law + OFF / 2:
        return f"{grows}: a little faster than the law, {axis}^{law:g}; caches that no longer hold the data can do that"
    return f"{grows}, as it should"


def _levels(costs: Sequence[Rounds] | Sequence[float]) -> tuple[Array, Array, bool, bool]:
    """Per size the log of the cost and its standard error; whether costs are numbers; whether rounds suffice."""
    rounds = [cost for cost in costs if isinstance(cost, Rounds)]
    if len(rounds) < len(costs):
        values = numpy.asarray(costs, dtype=float)
        if not (values > 0).all():
            raise ValueError(f"costs must be positive numbers; got {values.tolist()}")
        return numpy.log(values), numpy.zeros(len(values)), True, True
    if not all(r.seconds for r in rounds):
        raise ValueError(
            f"a size has no round: {next(r.error for r in rounds if not r.seconds) or 'nothing was timed'}"
        )
    logs = [numpy.log(r.seconds) for r in rounds]
    shared = min(map(len, logs))
    middle = [numpy.median(log) for log in logs]
    beside = numpy.sort([log[:shared] - m for log, m in zip(logs, middle, strict=True)], axis=0)
    load = beside[1:-1].mean(axis=0)  # of a round, without the size it was kindest to and the one it hit hardest
    freed = [numpy.concatenate([log[:shared] - load, log[shared:]]) for log in logs]
    levels = numpy.array([numpy.median(f) for f in freed])
    errors = math.sqrt(len(logs) / (len(logs) - 1)) * numpy.array([_error_of_median(f) for f in freed])
    return (
        levels,
        errors,
        False,
        shared >= LEAST_ROUNDS,
    )  # the root: a mean of m values took one of m degrees of freedom away


def _error_of_median(values: Array) -> float:
    """Standard error of a median from two order statistics (Price and Bonett 2001, J. Stat. Comput. Simul. 68)."""
    n, ordered = len(values), numpy.sort(values)
    if n < 2:
        return 1.0
    c = max(1, round((n + 1) / 2 - math.sqrt(n)))
    tail = sum(math.comb(n, i) for i in range(c)) * 0.5**n
    z = normal_quantile(1 - max(tail, 0.5**n))
    return float((ordered[n - c] - ordered[c - 1]) / (2 * z)) + 1e-9


def _fitted(steps: Array, y: Array, weight: Array) -> tuple[float, Array, Array]:
    """The k that fits best, how it moves with each size's logarithm, and what the curve leaves of each logarithm.

    For every exponent on the grid, offset and factor follow by linear least squares of relative errors, then the grid
    is made finer about the best. The basis ``(N^k - 1) / k`` passes smoothly through the logarithm at k = 0. The
    derivative is that of the linearised problem at the best fit.
    """
    cost, scaled = numpy.exp(y - y.mean()), steps - steps.mean()
    w = (weight / cost) ** 2
    w = w / w.sum()
    centred_cost = cost - w @ cost

    def basis(k: Array) -> Array:
        k = numpy.where(numpy.abs(k) < 1e-7, 1e-7, k)[:, None]
        return numpy.asarray(numpy.expm1(k * scaled) / k)

    def losses(k: Array) -> Array:
        phi = basis(k)
        phi = phi - (phi @ w)[:, None]
        return numpy.asarray((w * centred_cost**2).sum() - (phi @ (w * centred_cost)) ** 2 / (phi**2 @ w))

    best, width = float(GRID[losses(GRID).argmin()]), float(GRID[1] - GRID[0])
    for _ in range(3):
        finer = numpy.linspace(best - width, best + width, 101)
        best, width = float(finer[losses(finer).argmin()]), width / 40
    phi = basis(numpy.array([best]))[0]
    factor = (w * phi) @ centred_cost / ((w * phi) @ (phi - w @ phi))
    curve = w @ cost + factor * (phi - w @ phi)
    bend = (basis(numpy.array([best + 1e-5]))[0] - basis(numpy.array([best - 1e-5]))[0]) / 2e-5
    slopes = numpy.stack([numpy.ones_like(phi), phi, factor * bend], axis=1) / cost[:, None]
    return best, numpy.linalg.pinv(slopes * weight[:, None])[2] * weight, (cost - curve) / cost
