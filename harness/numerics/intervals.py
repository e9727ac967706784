"""Intervals and p values of small samples, without SciPy: Student's t for a mean, the exact binomial for a share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache

from harness.numerics.statistics import binomial_two_sided

STEPS = 200


def beta_share(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b), by Lentz's continued fraction.

    Press et al., Numerical Recipes, section 6.4. Relative error below 1e-12.
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    if x >= (a + 1) / (a + b + 2):
        return 1.0 - beta_share(b, a, 1.0 - x)
    tiny = 1e-300
    c, d = 1.0, 1.0 / (1.0 - (a + b) * x / (a + 1) or tiny)
    h = d
    for m in range(1, 500):
        for factor in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 / (1.0 + factor * d or tiny)
            c = 1.0 + factor / c or tiny
            h *= c * d
        if abs(c * d - 1.0) < 1e-15:
            break
    return math.exp(log_front) * h / a


def t_two_sided(t: float, degrees: float) -> float:
    """P(|T| >= |t|) for Student's t."""
    return beta_share(degrees / 2, 0.5, degrees / (degrees + t * t))


@cache
def t_quantile(two_sided: float, degrees: float) -> float:
    """The t with P(|T| >= t) = ``two_sided``, by bisection."""
    return _root(lambda t: two_sided - t_two_sided(t, degrees), 0.0, 1e8)


def mean_interval(values: Sequence[float], alpha: float) -> tuple[float, float, float]:
    """(mean, low, high) at the level 1 - alpha. Where all values are equal the interval is that point."""
    mean = math.fsum(values) / len(values)
    half = standard_error(values) * (t_quantile(alpha, len(values) - 1) if len(values) > 1 else math.inf)
    return (mean, -math.inf, math.inf) if math.isnan(half) else (mean, mean - half, mean + half)


def standard_error(values: Sequence[float]) -> float:
    """Of the mean; 0 where all values are equal."""
    if len(values) < 2 or min(values) == max(values):
        return 0.0
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1) / len(values))


def mean_p(values: Sequence[float], threshold: float) -> float:
    """Two-sided p of the mean against a threshold. Equal values: the sign test, since they have no spread."""
    error, mean = standard_error(values), math.fsum(values) / len(values)
    if len(values) < 2 or mean == threshold:
        return 1.0
    if error == 0.0:
        return 2.0 * 0.5 ** len(values)
    return t_two_sided((mean - threshold) / error, len(values) - 1)


def share_interval(successes: int, trials: int, alpha: float) -> tuple[float, float, float]:
    """(share, low, high) at the level 1 - alpha or more. Clopper & Pearson 1934."""
    k, n = successes, trials
    low = 0.0 if k == 0 else _root(lambda p: beta_share(k, n - k + 1, p) - alpha / 2, 0.0, 1.0)
    high = 1.0 if k == n else _root(lambda p: beta_share(k + 1, n - k, p) - (1 - alpha / 2), 0.0, 1.0)
    return k / n, low, high


def share_p(successes: int, trials: int, threshold: float) -> float:
    """Two-sided p of a share against a threshold strictly between 0 and 1."""
    return binomial_two_sided(successes, trials, threshold)


def _root(rises: Callable[[float], float], low: float, high: float) -> float:
    """Where a rising function passes 0, by bisection."""
    for _ in range(STEPS):
        middle = (low + high) / 2
        if rises(middle) < 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2
