"""Tail probabilities against closed forms and simulation."""

import math

import pytest
import torch

from harness.numerics.statistics import (
    binomial_two_sided,
    chi_square_survival,
    chi_square_two_sided,
    normal_quantile,
    normal_two_sided,
    trigamma,
)


@pytest.mark.parametrize("x", [0.1, 1.0, 5.0, 30.0, 100.0])
def test_chi_square_with_two_degrees_is_exponential(x: float) -> None:
    """P(X >= x) = exp(-x/2), into the far tail."""
    assert chi_square_survival(x, 2) == pytest.approx(math.exp(-x / 2), rel=1e-9)


@pytest.mark.parametrize("degrees", [1, 4, 33, 500])
def test_chi_square_agrees_with_torch(degrees: int) -> None:
    """The regularised incomplete gamma function of torch (itself good to 4e-7)."""
    for x in (0.3 * degrees, degrees, 1.7 * degrees):
        expected = float(torch.special.gammaincc(torch.tensor(degrees / 2).double(), torch.tensor(x / 2).double()))
        assert chi_square_survival(x, degrees) == pytest.approx(expected, rel=1e-6)
    assert chi_square_two_sided(degrees, degrees) > 0.6


def test_chi_square_far_out() -> None:
    """Published values (SciPy 1.17) in both tails."""
    assert chi_square_survival(56.1, 33) == pytest.approx(0.00729549697784948, rel=1e-10)
    assert chi_square_survival(850, 500) == pytest.approx(1.4505461660875505e-20, rel=1e-9)
    assert chi_square_survival(9.9, 33) == pytest.approx(0.9999669145876757, rel=1e-12)


def test_normal_tails_and_quantiles_are_inverse() -> None:
    """Five sigma is 5.7e-7 two-sided; the quantile undoes the tail."""
    assert normal_two_sided(5) == pytest.approx(5.733e-7, rel=1e-3)
    assert normal_quantile(0.975) == pytest.approx(1.959963985, abs=1e-8)


def test_trigamma_at_known_points() -> None:
    """trigamma(1) = pi^2 / 6 and trigamma(1/2) = pi^2 / 2."""
    assert trigamma(1) == pytest.approx(math.pi**2 / 6, rel=1e-10)
    assert trigamma(0.5) == pytest.approx(math.pi**2 / 2, rel=1e-10)


def test_binomial_is_exact() -> None:
    """Ten heads of ten: 2 / 1024; the middle is certain."""
    assert binomial_two_sided(10, 10, 0.5) == pytest.approx(2 / 1024)
    assert binomial_two_sided(5, 10, 0.5) == 1.0
