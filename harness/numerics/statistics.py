"""Exact tail probabilities for the random claims, without SciPy."""

from __future__ import annotations

import math

FALSE_ALARM = 1e-9
"""No random claim may reject correct code more often than this."""


def chi_square_survival(value: float, degrees: float) -> float:
    """P(X >= value) for X chi-square with ``degrees`` degrees of freedom: Q(k/2, x/2), by series or continued fraction.

    Press et al., Numerical Recipes, section 6.2. Relative error below 1e-10 in the tails used here.
    """
    a, x = degrees / 2, value / 2
    if x <= 0:
        return 1.0
    front = math.exp(a * math.log(x) - x - math.lgamma(a)) if x else 0.0
    if x < a + 1:
        term = total = 1 / a
        n = a
        while abs(term) > abs(total) * 1e-16:
            n += 1
            term *= x / n
            total += term
        return max(0.0, 1 - front * total)
    tiny = 1e-300
    b = x + 1 - a
    c, d = 1 / tiny, 1 / b
    h = d
    for i in range(1, 10_000):
        an = -i * (i - a)
        b += 2
        d = 1 / (an * d + b or tiny)
        c = b + an / c or tiny
        step = d * c
        h *= step
        if abs(step - 1) < 1e-15:
            break
    return front * h


def chi_square_two_sided(value: float, degrees: float) -> float:
    """Twice the smaller tail: the probability of a value at least as far out on its side."""
    upper = chi_square_survival(value, degrees)
    return min(1.0, 2 * min(upper, 1 - upper))


def normal_two_sided(z: float) -> float:
    """P(|Z| >= |z|) for a standard normal Z."""
    return math.erfc(abs(z) / math.sqrt(2))


def normal_quantile(p: float) -> float:
    """The z with P(Z <= z) = p, by bisection on the error function (absolute error 1e-12)."""
    low, high = -40.0, 40.0
    for _ in range(200):
        middle = (low + high) / 2
        if 0.5 * math.erfc(-middle / math.sqrt(2)) < p:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def trigamma(x: float) -> float:
    """The variance of the logarithm of a Gamma(x) variable: recurrence up to 10, then the asymptotic series."""
    total = 0.0
    while x < 10:
        total += 1 / x**2
        x += 1
    inverse = 1 / x**2
    return total + 1 / x + inverse / 2 + inverse / x * (1 / 6 - inverse * (1 / 30 - inverse * (1 / 42 - inverse / 30)))


def binomial_two_sided(successes: int, trials: int, probability: float) -> float:
    """Exact two-sided binomial test: twice the smaller tail, at most 1."""

    def log_mass(k: int) -> float:
        choose = math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
        return choose + k * math.log(probability) + (trials - k) * math.log1p(-probability)

    if probability in (0.0, 1.0):
        return 1.0 if successes == round(trials * probability) else 0.0
    lower = math.fsum(math.exp(log_mass(k)) for k in range(successes + 1))
    upper = math.fsum(math.exp(log_mass(k)) for k in range(successes, trials + 1))
    return min(1.0, 2 * min(lower, upper))
