"""How the change of a low-rank adapter is scaled: recovered exactly, named, and seen in its variance over the ranks."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import Trial, Violation
from harness.core.measurement import Measure, Measurement
from harness.numerics.statistics import chi_square_two_sided, trigamma
from harness.numerics.tolerance import EPSILON
from harness.strategies.tensors import parameters
from specs.shared.low_rank_script import changed, script

Scale = Callable[[float, int], float]
"""(alpha, rank) -> the factor in front of B A x."""

MEASURED = ((1, 1.0), (2, 3.0), (3, 0.25), (5, 2.0), (8, 1.5), (16, 0.5))
"""Ranks at which the scale is measured, each with a factor on alpha: over them every law in ``LAWS`` is another one."""


@st.composite
def scale_cases(draw: st.DrawFn) -> Case:
    """A and B of the largest rank measured; the smaller ranks use their first rows and columns."""
    inputs, outputs = draw(st.sampled_from(((6, 4), (7, 10), (9, 4), (7, 11), (10, 6))))
    rank = MEASURED[-1][0]
    bias = draw(parameters((outputs,), 0.5, around=1.0)) if draw(st.booleans()) else None
    weight, a, b, x = (draw(parameters(s)) for s in ((outputs, inputs), (rank, inputs), (outputs, rank), (3, inputs)))
    alpha = draw(st.sampled_from((16.0, 12, 6.0, 20.0)))
    return script(weight, bias, alpha, a, b, x, "normal", in_features=inputs, out_features=outputs, rank=rank)


VARIANCE_RANKS = tuple(2**k for k in range(2, 10))
OUTPUTS = 128
"""Degrees of freedom of each variance: with fewer the slope would be too uncertain."""


@st.composite
def variance_cases(draw: st.DrawFn) -> Case:
    """One input vector, a frozen A of rank 512, no base (a weight of zeros): what comes out is the change itself."""
    inputs, rank = draw(st.sampled_from((6, 9))), VARIANCE_RANKS[-1]
    a, x = draw(parameters((rank, inputs))), draw(parameters((1, inputs)))
    weight, b = torch.zeros(OUTPUTS, inputs, dtype=torch.float64), torch.zeros(OUTPUTS, rank, dtype=torch.float64)
    alpha = draw(st.sampled_from((16.0, 2.0)))
    return script(weight, None, alpha, a, b, x, "normal", in_features=inputs, out_features=OUTPUTS, rank=rank)


LAWS: dict[str, Callable[[float, int, int, int], float]] = {
    "alpha / r": lambda alpha, r, inputs, outputs: alpha / r,
    "alpha / sqrt(r)": lambda alpha, r, inputs, outputs: alpha / math.sqrt(r),
    "alpha": lambda alpha, r, inputs, outputs: alpha,
    "1, whatever alpha and r": lambda alpha, r, inputs, outputs: 1.0,
    "1 / r": lambda alpha, r, inputs, outputs: 1 / r,
    "1 / sqrt(r)": lambda alpha, r, inputs, outputs: 1 / math.sqrt(r),
    "sqrt(alpha / r)": lambda alpha, r, inputs, outputs: math.sqrt(alpha / r),
    "sqrt(alpha) / r": lambda alpha, r, inputs, outputs: math.sqrt(alpha) / r,
    "alpha / r**2": lambda alpha, r, inputs, outputs: alpha / r**2,
    "alpha / r**0.75": lambda alpha, r, inputs, outputs: alpha / r**0.75,
    "alpha * r": lambda alpha, r, inputs, outputs: alpha * r,
    "alpha * sqrt(r)": lambda alpha, r, inputs, outputs: alpha * math.sqrt(r),
    "(alpha / r)**2": lambda alpha, r, inputs, outputs: (alpha / r) ** 2,
    "alpha**2 / r": lambda alpha, r, inputs, outputs: alpha**2 / r,
    "r / alpha": lambda alpha, r, inputs, outputs: r / alpha,
    "sqrt(r) / alpha": lambda alpha, r, inputs, outputs: math.sqrt(r) / alpha,
    "alpha / isqrt(r)": lambda alpha, r, inputs, outputs: alpha / math.isqrt(r),
    "alpha / in_features": lambda alpha, r, inputs, outputs: alpha / inputs,
    "alpha / out_features": lambda alpha, r, inputs, outputs: alpha / outputs,
    "alpha / sqrt(in_features)": lambda alpha, r, inputs, outputs: alpha / math.sqrt(inputs),
    "alpha / sqrt(out_features)": lambda alpha, r, inputs, outputs: alpha / math.sqrt(outputs),
}
"""What published and unpublished code uses, right or wrong."""


def law_of(measured: list[tuple[float, int, int, int, float]]) -> str:
    """The law that measured scales (alpha, rank, in, out, scale) follow, in words: a known one, a multiple, or a power.

    The power is fitted by least squares to log scale over log alpha and log rank, and named where it fits to 0.1 %.
    """
    if all(scale == 0 for *_, scale in measured):
        return "0: the adapter adds nothing"
    steady = {}
    for name, law in LAWS.items():
        laws = [law(alpha, rank, inputs, outputs) for alpha, rank, inputs, outputs, _ in measured]
        factors = [scale / (lawful or math.nan) for (*_, scale), lawful in zip(measured, laws, strict=True)]
        if max(factors) - min(factors) <= 1e-4 * max(map(abs, factors)):
            steady[name] = sum(factors) / len(factors)
    for name, factor in steady.items():
        if abs(factor - 1) <= 1e-4:
            return name
    for name, factor in steady.items():
        return f"{factor:.5g} x {name}"
    if all(scale > 0 for *_, scale in measured):
        rows = [[1.0, math.log(alpha), math.log(rank)] for alpha, rank, *_ in measured]
        logs = torch.tensor(rows, dtype=torch.float64)
        target = torch.tensor([[math.log(scale)] for *_, scale in measured], dtype=torch.float64)
        fitted = torch.linalg.lstsq(logs, target).solution
        if float((logs @ fitted - target).abs().max()) < 1e-3:
            constant, of_alpha, of_rank = fitted[:, 0].tolist()
            return f"{math.exp(constant):.4g} x alpha^{of_alpha:.3g} x r^{of_rank:.3g}"
    return "no power of alpha and r"


def scale_is_recovered(scale: Scale, law: str) -> Callable[[Trial], None]:
    """s = <y - y0, B A x> / |B A x|^2 is the scale itself, at any rank, whatever the base is.

    Relative 1e-9 in float64 and 1e-5 in float32 (worst error of correct code measured: 9e-8 in float32), or what the
    rounding of y and y0 leaves, where B A x is small beside them.
    """

    def test(trial: Trial) -> None:
        worst, sizes = 0.0, [trial.case.dimensions[name] for name in ("in_features", "out_features")]
        for dtype in dict.fromkeys((trial.dtype, torch.float32)):
            measured, wrong = [], ""
            for rank, factor in MEASURED:
                alpha = trial.case.calls[0].arguments["alpha"] * factor
                found, noise, skew = measured_scale(trial, rank, alpha, dtype)
                expected = scale(alpha, rank)
                bound = max((1e-9 if dtype == torch.float64 else 1e-5) * expected, noise)
                measured.append((alpha, rank, *sizes, found))
                if skew > 1e3 * bound:
                    message = f"at rank {rank} the update is not a multiple of B A x"
                    raise Violation(message, error=skew / bound)
                worst = max(worst, abs(found - expected) / bound)
                if not abs(found - expected) <= bound and not wrong:
                    wrong = f"scale at rank {rank} and alpha {alpha:g}: {found:.8g}, expected {expected:.8g}"
            if wrong:
                raise Violation(f"B A x is scaled by {law_of(measured)}; it must be {law}", worst=wrong, error=worst)
        trial.note_error(worst)

    return test


def measured_scale(trial: Trial, rank: int, alpha: float, dtype: torch.dtype) -> tuple[float, float, float]:
    """The scale at this rank, how far rounding may move it, and how far what was added is off the way of B A x."""
    arguments = trial.case.calls[1].arguments
    a, b = arguments["a"][:rank].contiguous(), arguments["b"][:, :rank].contiguous()
    case = changed(changed(trial.case, "build", rank=rank, alpha=alpha), "load", a=a, b=b)
    with_b = trial.run(case, dtype=dtype).value.double()
    without = trial.run(changed(case, "load", b=torch.zeros_like(b)), dtype=dtype).value.double()
    x, a, b = (t.to(dtype).double() for t in (trial.case.arguments["x"], a, b))
    direction = x @ a.T @ b.T
    if with_b.shape != direction.shape or without.shape != direction.shape:
        raise Violation(f"out is {list(with_b.shape)}, expected {list(direction.shape)}")
    size = float(direction.pow(2).sum())
    found = float(((with_b - without) * direction).sum()) / size
    noise = 8 * EPSILON[dtype] * float(with_b.norm() + without.norm()) / math.sqrt(size)
    return found, noise, float((with_b - without - found * direction).norm()) / math.sqrt(size)


LEVEL = 1e-11
"""Of each chi-square test. Two cases of eight ranks, and two slopes: together below 1e-9."""
SLOPE_ERRORS = 8.0
"""The slope may be this many standard errors off. Chernoff's bound for the weighted sum of the eight independent
logarithms of chi-square variables puts 8 standard errors (0.223 at 128 degrees) at 8e-14, both sides together."""


def variance_follows_the_rank(scale: Scale, law: str) -> Callable[[Trial], None]:
    """A and x are held, the entries of B drawn N(0, s^2): the change d = scale B h, with h = A x, has independent
    normal entries of variance scale^2 s^2 |h|^2 exactly, whatever A is.

    So sum d^2 / (scale^2 s^2 |h|^2) is chi-square with as many degrees as outputs, at every rank; and the logarithm of
    r sum d^2 / |h|^2 over log r = log 4 ... log 512 has the slope of scale^2 r, -1 for alpha/r and 0 for alpha/sqrt(r),
    with standard error sqrt(trigamma(m / 2) / 20.18), 0.028 at m = 128. (Averaging over A instead of holding it gives
    6 to 64 % false alarms.)

    False alarms: 16 tests at 1e-11 and two slopes at 8e-14, below 1e-9 together; and before it fails a second,
    independent B is drawn and must fail too. Power: the other law is 36 standard errors of the slope away and r^-0.75
    half of that, where 8 are allowed: missed with probability below 1e-9. A constant factor of 2 or 1/2 in the scale is
    missed at one rank with probability 2e-6 or 4e-4, at all of them with probability below 1e-20.
    """

    def test(trial: Trial) -> None:
        generator = trial.random()
        first = second = _variances(trial, scale, generator)
        if first[0] > 1:
            second = _variances(trial, scale, generator)
        ratio, message = min(first, second)
        if ratio > 1:
            raise Violation(f"{message}; it must be {law}", error=ratio)
        trial.note_error(ratio)

    return test


def _variances(trial: Trial, scale: Scale, generator: torch.Generator) -> tuple[float, str]:
    """One draw of B: the worst of the tests in units of what is allowed, and what is wrong in words."""
    build, load, _ = trial.case.calls
    x, alpha, spread = trial.case.arguments["x"], build.arguments["alpha"], 0.5
    logs, worst, message = [], 0.0, ""
    for rank in VARIANCE_RANKS:
        a = load.arguments["a"][:rank].contiguous()
        b = spread * torch.randn(OUTPUTS, rank, generator=generator, dtype=torch.float64)
        change = trial.run(changed(changed(trial.case, "build", rank=rank), "load", a=a, b=b)).value.double()
        power, drive = float(change.pow(2).sum()), float((x @ a.T).pow(2).sum())
        logs.append(math.log(max(power, 1e-300) * rank / drive))
        chance = chi_square_two_sided(power / (scale(alpha, rank) ** 2 * spread**2 * drive), OUTPUTS)
        ratio = math.log(max(chance, 1e-300)) / math.log(LEVEL)
        if ratio > worst:
            worst, message = ratio, f"at rank {rank} the variance of the update has probability {chance:.1g}"
    found, expected = _slope(logs), _slope([math.log(scale(alpha, rank) ** 2 * rank) for rank in VARIANCE_RANKS])
    ratio = abs(found - expected) / (SLOPE_ERRORS * SLOPE_ERROR)
    if ratio > 1 or ratio > worst:
        worst = max(ratio, worst)
        message = f"over ranks 4 to 512 the variance of the update scales as r^{found:.2f}, not r^{expected:.2f}"
    return worst, message


LOG_RANKS = [math.log(rank) for rank in VARIANCE_RANKS]
CENTRED = [value - sum(LOG_RANKS) / len(LOG_RANKS) for value in LOG_RANKS]
SQUARES = sum(value**2 for value in CENTRED)
"""20.18."""
SLOPE_ERROR = math.sqrt(trigamma(OUTPUTS / 2) / SQUARES)


def _slope(values: list[float]) -> float:
    """Least squares over the logarithms of the ranks."""
    return sum(c * v for c, v in zip(CENTRED, values, strict=True)) / SQUARES


# what is measured ----------------------------------------------------------------------------------------------------


def scaling_law(trial: Trial) -> Measurement:
    """The law in words, and the scale at every rank with the first alpha."""
    alpha, sizes = trial.case.calls[0].arguments["alpha"], trial.case.dimensions
    measured = [
        (
            alpha * factor,
            rank,
            sizes["in_features"],
            sizes["out_features"],
            measured_scale(trial, rank, alpha * factor, trial.dtype)[0],
        )
        for rank, factor in MEASURED
    ]
    ranks = {rank: measured_scale(trial, rank, alpha, trial.dtype)[0] for rank, _ in MEASURED}
    logs = [(math.log(rank), math.log(max(scale**2 * rank, 1e-300))) for rank, scale in ranks.items()]
    middle = sum(x for x, _ in logs) / len(logs)
    slope = sum((x - middle) * y for x, y in logs) / sum((x - middle) ** 2 for x, _ in logs)
    return Measurement(
        f"B A x is scaled by {law_of(measured)}, so the variance of the update scales as r^{round(slope, 2) + 0.0:.2f}",
        f"the factor in front of B A x at {len(MEASURED)} ranks from {MEASURED[0][0]} to {MEASURED[-1][0]}, "
        "with a and b loaded",
        slope,
        "power of the rank",
        {f"scale at rank {rank}, alpha {alpha:g}": scale for rank, scale in ranks.items()},
    )


MEASURES = (Measure("scaling_law", "the scaling law it follows", scaling_law, cases=scale_cases),)
