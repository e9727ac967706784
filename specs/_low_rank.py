"""What the two low-rank adapters share: calls, cases and claims. They differ in one line, the scale."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from hypothesis import strategies as st

from harness.core.case import Call, Case
from harness.core.claim import Claim, NotOffered, Trial, Violation
from harness.core.contract import Argument, Signature
from harness.domains.shapes import distinct_sizes
from harness.domains.tensors import make, parameters, seeds, tensors
from harness.numerics.statistics import binomial_two_sided, chi_square_two_sided, trigamma
from harness.numerics.tolerance import EPSILON, difference, magnitude, perturbed

Scale = Callable[[float, int], float]
"""(alpha, rank) -> the factor in front of B A x."""

BASE = ("base", "base_layer", "linear", "original", "original_layer", "proj", "weight_layer")
DOWN = ("lora_A", "lora_a", "lora_A.default", "lora_A.0", "lora.A", "A", "lora_down", "lora.lora_A", "adapter.A")
UP = ("lora_B", "lora_b", "lora_B.default", "lora_B.0", "lora.B", "B", "lora_up", "lora.lora_B", "adapter.B")


def leaves(owners: tuple[str, ...], leaf: str) -> tuple[str, ...]:
    return tuple(f"{owner}.{leaf}" for owner in owners)


CALLS = {
    "build": Signature(
        (
            Argument("weight", "float[out_features, in_features]", "parameter", aliases=leaves(BASE, "weight")),
            Argument("bias", "float[out_features]", "parameter", True, aliases=leaves(BASE, "bias")),
            Argument("rank", "integer", "setting"),
            Argument("alpha", "number", "setting"),
            Argument("dropout", "number", "setting", optional=True, default=0.0),
        ),
        "the layer",
    ),
    "load": Signature(
        (
            Argument("a", "float[rank, in_features]", "parameter", aliases=(*DOWN, *leaves(DOWN, "weight"))),
            Argument("b", "float[out_features, rank]", "parameter", aliases=(*UP, *leaves(UP, "weight"))),
        ),
        "nothing",
    ),
    "forward": Signature((Argument("x", "float[..., in_features]"),), "float[..., out_features]"),
    "merge": Signature((), "nothing"),
    "unmerge": Signature((), "nothing"),
    "parameters": Signature((), "{a: float[rank, in_features], b: float[out_features, rank]}"),
    "train": Signature((), "nothing"),
    "eval": Signature((), "nothing"),
}
OPTIONAL_METHODS = frozenset({"merge", "unmerge", "train", "eval"})

MERGE, UNMERGE, PARAMETERS = Call("merge", {}), Call("unmerge", {}), Call("parameters", {})
TRAIN, EVAL = Call("train", {}), Call("eval", {})


# cases ---------------------------------------------------------------------------------------------------------------


def script(
    weight: torch.Tensor, bias: torch.Tensor | None, alpha: float, a: torch.Tensor, b: torch.Tensor, x: torch.Tensor,
    family: str, **sizes: int,
) -> Case:  # fmt: skip
    """build, load, forward."""
    calls = (
        Call("build", {"weight": weight, "bias": bias, "rank": a.shape[0], "alpha": alpha}),
        Call("load", {"a": a, "b": b}),
        Call("forward", {"x": x}),
    )
    return Case(calls, sizes, family)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Rank, inputs and outputs all differ, but for one square weight in four, where a transposed product has the right
    shape and only its numbers are wrong. Alpha is never the rank: their quotient is 1, and a missing scale unseen.
    """
    sizes = draw(distinct_sizes(batch=(1, 3), time=(1, 4), rank=(1, 5), in_features=(2, 7), out_features=(1, 8)))
    if draw(st.integers(0, 3)) == 3:
        sizes["out_features"] = sizes["in_features"]
    inputs, outputs, rank = sizes["in_features"], sizes["out_features"], sizes["rank"]
    alpha = draw(st.sampled_from([alpha for alpha in (8, 16.0, 2.5, 0.5, 3, 7.0) if alpha != rank]))
    bias = draw(parameters((outputs,), 0.5, around=1.0)) if draw(st.integers(0, 3)) else None
    shape = (sizes["batch"], sizes["time"], inputs) if draw(st.booleans()) else (sizes["batch"], inputs)
    x, family = draw(tensors(shape))
    weight, a, b = (draw(parameters(s)) for s in ((outputs, inputs), (rank, inputs), (outputs, rank)))
    return script(weight, bias, alpha, a, b, x, family, **sizes)


@st.composite
def ordinary_cases(draw: st.DrawFn) -> Case:
    """Normal values, so that nothing vanishes: for claims that measure."""
    sizes = draw(distinct_sizes(batch=(2, 3), rank=(2, 4), in_features=(4, 7), out_features=(3, 8)))
    inputs, outputs, rank = sizes["in_features"], sizes["out_features"], sizes["rank"]
    bias = draw(parameters((outputs,), 0.5, around=1.0)) if draw(st.booleans()) else None
    shapes = ((outputs, inputs), (rank, inputs), (outputs, rank), (sizes["batch"], inputs))
    weight, a, b, x = (draw(parameters(s)) for s in shapes)
    return script(weight, bias, draw(st.sampled_from((8, 2.5, 0.5))), a, b, x, "normal", **sizes)


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


BITS, ROWS = 6, 200


@st.composite
def dropout_cases(draw: st.DrawFn) -> Case:
    """Every row of x is 1, 2, 4, ..., 32 and A sums it, so that what comes out spells which inputs were kept."""
    share = draw(st.sampled_from((0.25, 0.4, 0.1)))
    x = (2.0 ** torch.arange(BITS, dtype=torch.float64)).expand(ROWS, BITS).clone()
    a, weight = torch.ones(1, BITS, dtype=torch.float64), torch.zeros(3, BITS, dtype=torch.float64)
    b = make("normal", (3, 1), draw(seeds)) + torch.tensor([[4.0], [-4.0], [4.0]], dtype=torch.float64)
    alpha, sizes = draw(st.sampled_from((3.0, 8.0))), {"rank": 1, "in_features": BITS, "out_features": 3}
    return changed(script(weight, None, alpha, a, b, x, f"dropout {share:g}", **sizes), "build", dropout=share)


@st.composite
def invalid_cases(draw: st.DrawFn) -> Case:
    """What cannot be meant: an x, or an A, of another width than the weight."""
    case = draw(ordinary_cases())
    a, x = case.calls[1].arguments["a"], case.arguments["x"]
    if draw(st.booleans()):
        wider = changed(case, "load", a=torch.cat([a, a[:, :1]], 1))
        return replace(wider, family="an a that is one wider than the weight")
    return replace(case.changed(x=torch.cat([x, x[..., :1]], -1)), family="an x that is one wider than the weight")


def changed(case: Case, method: str, **arguments: object) -> Case:
    """The same script with other arguments in its calls of one method."""
    calls = (Call(c.method, {**c.arguments, **arguments}) if c.method == method else c for c in case.calls)
    return replace(case, calls=tuple(calls))


def other_values(case: Case) -> Call:
    """A second load with other matrices of the same shapes."""
    arguments = case.calls[1].arguments
    return Call("load", {"a": 0.25 - 1.5 * arguments["a"], "b": 0.1 + 0.7 * arguments["b"].flip(0)})


def with_calls(case: Case, *calls: Call) -> Case:
    return replace(case, calls=calls)


# claims --------------------------------------------------------------------------------------------------------------


def starts_as_the_base_layer(trial: Trial) -> float:
    """B is zero at first (or A is), so nothing is added before anything is trained or loaded."""
    build, _, forward = trial.case.calls
    at_first = with_calls(trial.case, build, forward)
    exact, tolerance = trial.agreement(at_first)
    return trial.close(trial.play(at_first).value, exact.value, tolerance.value, "before anything is trained, out")


def base_is_frozen(trial: Trial) -> None:
    gradients = trial.play(gradients=True).gradients
    trained = [n for n, g in gradients.items() if n not in ("a", "b", "x") and g is not None and bool((g != 0).any())]
    if trained:
        raise Violation(f"{', '.join(trained)} of the base receives a gradient: only a and b are trained")


def both_matrices_train(trial: Trial) -> None:
    """At the start one of the two gets a gradient (else both stay where they are for ever); with B loaded, both do.

    With b = 0 the gradient of a is 0 and that of b is not: the first step moves b, the second moves a.
    """
    build, load, forward = trial.case.calls
    at_first = trial.play(with_calls(trial.case, build, forward), gradients=True).gradients
    if not any(_is_moved(at_first.get(name)) for name in ("a", "b")):
        raise Violation("at the start neither a nor b receives a gradient: the adapter never learns anything")
    no_b = changed(trial.case, "load", b=torch.zeros_like(load.arguments["b"]))
    while_zero, loaded = trial.play(no_b, gradients=True).gradients, trial.play(gradients=True).gradients
    if _is_moved(while_zero.get("a")):
        raise Violation("a receives a gradient while b is zero: something else than B A x is added")
    for name, gradients in (("b", while_zero), ("b", loaded), ("a", loaded)):
        if not _is_moved(gradients.get(name)):
            raise Violation(f"no gradient reaches {name}: it is never trained")


def _is_moved(gradient: torch.Tensor | None) -> bool:
    return gradient is not None and bool((gradient != 0).any())


def same_out(trial: Trial, one: Case, other: Case, what: str) -> float:
    """The last output of two scripts, each the subject's own, within what rounding explains of both."""
    bound = trial.agreement(one)[1].value + trial.agreement(other)[1].value
    return trial.close(trial.play(one).value, trial.play(other).value, 2 * bound, what)


def merged_equals_unmerged(trial: Trial) -> float:
    """Merged after a forward pass, so that what that pass may have kept shows, and without one."""
    build, load, forward = trial.case.calls
    worst = same_out(trial, with_calls(trial.case, build, load, MERGE, forward), trial.case, "merged, out")
    between = with_calls(trial.case, build, load, forward, MERGE, forward)
    return max(worst, same_out(trial, between, trial.case, "merged after a forward pass, out"))


def unmerge_restores(trial: Trial) -> float:
    """Within the rounding of adding and subtracting once; and what is loaded afterwards counts."""
    build, load, forward = trial.case.calls
    again = other_values(trial.case)
    back = with_calls(trial.case, build, load, MERGE, forward, UNMERGE, forward)
    anew = with_calls(trial.case, build, load, MERGE, UNMERGE, again, forward)
    only = with_calls(trial.case, build, again, forward)
    worst = same_out(trial, back, trial.case, "merged and unmerged, out")
    return max(worst, same_out(trial, anew, only, "unmerged and loaded again, out"))


def merging_twice_is_merging_once(trial: Trial) -> float:
    """A second merge (or unmerge) does nothing, or it is refused with an error."""
    *setting_up, forward = trial.case.calls
    worst = 0.0
    for twice, once in (((MERGE, MERGE), (MERGE,)), ((MERGE, MERGE, UNMERGE), (MERGE, UNMERGE)),
                        ((MERGE, UNMERGE, UNMERGE), (MERGE, UNMERGE)), ((UNMERGE,), ())):  # fmt: skip
        repeated = with_calls(trial.case, *setting_up, *twice, forward)
        crash = trial.attempt(repeated).crash
        if crash is not None and crash.call < len(repeated.calls) - 1:
            continue
        plain = with_calls(trial.case, *setting_up, *once, forward)
        worst = max(worst, same_out(trial, repeated, plain, f"after {', '.join(c.method for c in twice)}, out"))
    return worst


def merging_follows_the_last_load(trial: Trial) -> float:
    build, load, forward = trial.case.calls
    again = other_values(trial.case)
    second = with_calls(trial.case, build, load, MERGE, UNMERGE, again, MERGE, forward)
    only = with_calls(trial.case, build, again, MERGE, forward)
    return same_out(trial, second, only, "merged a second time with other matrices, out")


def merging_leaves_the_given_weight_alone(trial: Trial) -> None:
    """The weight that the layer was built from may be in use elsewhere (a tied head); merging changes its own."""
    *setting_up, forward = trial.case.calls
    effects = trial.play(with_calls(trial.case, *setting_up, MERGE, forward)).effects
    written = [effect for effect in effects if "given to build" in effect]
    if written:
        raise Violation("; ".join(written))


def forward_follows_the_last_load(trial: Trial) -> float:
    build, load, forward = trial.case.calls
    again = other_values(trial.case)
    changing = with_calls(trial.case, build, load, forward, again, forward)
    only = with_calls(trial.case, build, again, forward)
    return same_out(trial, changing, only, "after other matrices were loaded, out")


def parameters_are_what_was_loaded(trial: Trial) -> float:
    build, load, _ = trial.case.calls
    changing = with_calls(trial.case, build, load, PARAMETERS)
    exact, tolerance = trial.agreement(changing)
    return trial.close(trial.play(changing).value, exact.value, tolerance.value, "parameters()")


def holds_up_in_half_precision(trial: Trial) -> float:
    """At most four times what the reference loses there, or what a rounding of the arguments alone costs.

    A layer that keeps W + scale B A instead of both rounds that sum, so the reference's own loss is no bound for it.
    """
    worst, refused = 0.0, []
    for dtype in (torch.bfloat16, torch.float16):
        try:
            answer = trial.attempt(dtype=dtype)
        except NotOffered as error:  # one of the two at least: numpy has no bfloat16
            refused.append(f"{str(dtype).removeprefix('torch.')} ({error})")
            continue
        if answer.crash is not None:
            refused.append(f"{str(dtype).removeprefix('torch.')} ({answer.crash.error})")
            continue
        exact, tolerance = trial.agreement(dtype=dtype)
        given = trial.case.cast(dtype).cast(torch.float64)
        others = [trial.expect(perturbed(given, EPSILON[dtype], seed), dtype=torch.float64) for seed in (1, 2, 3)]
        moved = max(difference(other.value, exact.value) for other in others)
        bound = max(tolerance.value, 4 * (moved + EPSILON[dtype] * magnitude(exact.value)))
        worst = max(worst, trial.close(answer.value, exact.value, bound, f"out in {dtype}"))
    if len(refused) == 2:
        raise NotOffered("it does not run in " + " or ".join(refused))
    return worst


# the scale -----------------------------------------------------------------------------------------------------------

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
        return "0: it changes nothing"
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


def scale_is_recovered(scale: Scale, law: str) -> Callable[[Trial], float]:
    """s = <y - y0, B A x> / |B A x|^2 is the scale itself, at any rank, whatever the base is.

    Relative 1e-9 in float64 and 1e-5 in float32 (worst error of correct code measured: 9e-8 in float32), or what the
    rounding of y and y0 leaves, where B A x is small beside them.
    """

    def test(trial: Trial) -> float:
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
                    message = f"at rank {rank} what is added to the base is no multiple of B A x"
                    raise Violation(message, error=skew / bound)
                worst = max(worst, abs(found - expected) / bound)
                if not abs(found - expected) <= bound and not wrong:
                    wrong = f"scale at rank {rank} and alpha {alpha:g}: {found:.8g}, expected {expected:.8g}"
            if wrong:
                raise Violation(f"B A x is scaled by {law_of(measured)}; it must be {law}", worst=wrong, error=worst)
        return worst

    return test


def measured_scale(trial: Trial, rank: int, alpha: float, dtype: torch.dtype) -> tuple[float, float, float]:
    """The scale at this rank, how far rounding may move it, and how far what was added is off the way of B A x."""
    arguments = trial.case.calls[1].arguments
    a, b = arguments["a"][:rank].contiguous(), arguments["b"][:, :rank].contiguous()
    case = changed(changed(trial.case, "build", rank=rank, alpha=alpha), "load", a=a, b=b)
    with_b = trial.play(case, dtype=dtype).value.double()
    without = trial.play(changed(case, "load", b=torch.zeros_like(b)), dtype=dtype).value.double()
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


def variance_follows_the_rank(scale: Scale, law: str) -> Callable[[Trial], float]:
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

    def test(trial: Trial) -> float:
        generator = trial.random()
        first = second = _variances(trial, scale, generator)
        if first[0] > 1:
            second = _variances(trial, scale, generator)
        ratio, message = min(first, second)
        if ratio > 1:
            raise Violation(f"{message}; it must be {law}", error=ratio)
        return ratio

    return test


def _variances(trial: Trial, scale: Scale, generator: torch.Generator) -> tuple[float, str]:
    """One draw of B: the worst of the tests in units of what is allowed, and what is wrong in words."""
    build, load, _ = trial.case.calls
    x, alpha, spread = trial.case.arguments["x"], build.arguments["alpha"], 0.5
    logs, worst, message = [], 0.0, ""
    for rank in VARIANCE_RANKS:
        a = load.arguments["a"][:rank].contiguous()
        b = spread * torch.randn(OUTPUTS, rank, generator=generator, dtype=torch.float64)
        change = trial.play(changed(changed(trial.case, "build", rank=rank), "load", a=a, b=b)).value.double()
        power, drive = float(change.pow(2).sum()), float((x @ a.T).pow(2).sum())
        logs.append(math.log(max(power, 1e-300) * rank / drive))
        chance = chi_square_two_sided(power / (scale(alpha, rank) ** 2 * spread**2 * drive), OUTPUTS)
        ratio = math.log(max(chance, 1e-300)) / math.log(LEVEL)
        if ratio > worst:
            worst, message = ratio, f"at rank {rank} the variance of the change has a chance of {chance:.1g}"
    found, expected = _slope(logs), _slope([math.log(scale(alpha, rank) ** 2 * rank) for rank in VARIANCE_RANKS])
    ratio = abs(found - expected) / (SLOPE_ERRORS * SLOPE_ERROR)
    if ratio > 1 or ratio > worst:
        worst = max(ratio, worst)
        message = f"over ranks 4 to 512 the variance of the change goes as r^{found:.2f}, not r^{expected:.2f}"
    return worst, message


LOG_RANKS = [math.log(rank) for rank in VARIANCE_RANKS]
CENTRED = [value - sum(LOG_RANKS) / len(LOG_RANKS) for value in LOG_RANKS]
SQUARES = sum(value**2 for value in CENTRED)
"""20.18."""
SLOPE_ERROR = math.sqrt(trigamma(OUTPUTS / 2) / SQUARES)


def _slope(values: list[float]) -> float:
    """Least squares over the logarithms of the ranks."""
    return sum(c * v for c, v in zip(CENTRED, values, strict=True)) / SQUARES


# dropout -------------------------------------------------------------------------------------------------------------


def no_dropout_in_evaluation(trial: Trial) -> float:
    build, load, forward = changed(trial.case, "build", dropout=0.5).calls
    worst = 0.0
    for before in ((load, EVAL), (TRAIN, load, forward, EVAL)):  # some merge when they go to evaluation: load first
        evaluated = with_calls(trial.case, build, *before, forward)
        worst = max(worst, same_out(trial, evaluated, trial.case, "with dropout, in evaluation mode, out"))
    return worst


def dropout_spares_the_base(trial: Trial) -> float:
    """With b = 0 training mode shows the base alone, and no dropout may show in it."""
    no_b = changed(trial.case, "load", b=torch.zeros_like(trial.case.calls[1].arguments["b"]))
    build, load, forward = changed(no_b, "build", dropout=0.5).calls
    trained = with_calls(trial.case, build, TRAIN, load, forward)
    return same_out(trial, trained, no_b, "with b = 0, in training mode, out")


def dropout_acts_on_what_the_adapter_reads(trial: Trial) -> float | None:
    """Each row of x is 1, 2, 4, ... and a sums it: the change, in units of the undropped change of one unit, is a whole
    number that spells in binary which inputs were kept, over 1 - p.

    Exact: it is a whole number, and the same for every output. Random: of the 1200 inputs the kept ones are binomial;
    one in 1e10 correct layers is so far off, and two forward passes, two independent draws, must both be so.
    Power: keeping a share p for 1 - p, or every input, or none, is missed with probability below 1e-12.
    """
    build, load, forward = trial.case.calls
    share, everything = build.arguments["dropout"], float(2**BITS - 1)
    whole = trial.play(with_calls(trial.case, build, load, EVAL, forward)).value.double()
    if not bool((whole != 0).all()):
        raise Violation("in evaluation mode the adapter changes nothing")
    answer = trial.play(with_calls(trial.case, build, TRAIN, load, forward, forward))
    draws = []
    for out in answer.outputs[-2:]:
        spelled = out.double() / whole * everything * (1 - share)
        codes = spelled.round()
        if float((spelled - spelled[:, :1]).abs().max()) > 1e-3 * everything:
            raise Violation("outputs of one row are dropped apart: dropout acts behind b, it belongs before a")
        if float((spelled - codes).abs().max()) > 1e-3 or float(codes.min()) < 0 or float(codes.max()) > everything:
            found = f"{float(spelled[0, 0]):.5g} of {everything:g}"
            raise Violation("what is kept is not scaled by 1 / (1 - dropout)", worst=found)
        draws.append(codes[:, 0].long())
    kept = [sum(bin(code).count("1") for code in codes.tolist()) for codes in draws]
    chance = max(binomial_two_sided(count, ROWS * BITS, 1 - share) for count in kept)
    if chance < 1e-10:
        raise Violation(f"of {ROWS * BITS} inputs {kept[0]} and {kept[1]} are kept at a dropout of {share:g}")
    if all(bool(((codes == 0) | (codes == everything)).all()) for codes in draws):
        raise Violation("whole rows are dropped: dropout acts behind a, it belongs before it")
    if torch.equal(*draws):
        raise Violation("the second forward pass drops the very inputs that the first one dropped")
    return None


# all of them ---------------------------------------------------------------------------------------------------------


def claims(scale: Scale, law: str, *, broken_by: str) -> tuple[Claim, ...]:
    """The claims of an adapter with this scale; ``broken_by``: a known mistake in the scale."""
    return (
        Claim("scale_is_recovered", f"the scale is {law} at every rank", scale_is_recovered(scale, law),
              broken_by=broken_by, cases=scale_cases, max_cases=8),
        Claim("variance_follows_the_rank", f"over ranks 4 to 512 the variance of the change is that of {law}",
              variance_follows_the_rank(scale, law), broken_by=broken_by, cases=variance_cases, max_cases=2,
              false_alarm=1e-9, power=0.999),
        Claim("starts_as_the_base_layer", "before anything is trained it is the base layer", starts_as_the_base_layer,
              broken_by="b_starts_random", max_cases=12),
        Claim("base_is_frozen", "no gradient reaches the weight and bias of the base", base_is_frozen,
              broken_by="weight_not_frozen"),
        Claim("both_matrices_train", "b is trained from the first step on, a from the second", both_matrices_train,
              broken_by="a_starts_at_zero", cases=ordinary_cases, max_cases=12),
        Claim("merged_equals_unmerged", "merging changes nothing that comes out", merged_equals_unmerged,
              broken_by="merged_without_scale", max_cases=20),
        Claim("unmerge_restores", "unmerging gives back the layer as it was, up to rounding", unmerge_restores,
              broken_by="unmerged_with_the_wrong_sign", max_cases=15),
        Claim("merging_twice_is_merging_once", "merging or unmerging a second time changes nothing",
              merging_twice_is_merging_once, broken_by="merged_twice_counts_twice", max_cases=12),
        Claim("merging_follows_the_last_load", "merging again uses the matrices of now", merging_follows_the_last_load,
              broken_by="first_update_kept", max_cases=12),
        Claim("merging_leaves_the_given_weight_alone", "merging does not write into the weight it was built from",
              merging_leaves_the_given_weight_alone, broken_by="merged_in_place", max_cases=12),
        Claim("forward_follows_the_last_load", "forward uses the matrices of now", forward_follows_the_last_load,
              broken_by="first_a_kept", max_cases=12),
        Claim("parameters_are_what_was_loaded", "parameters() are a and b as loaded, and nothing else",
              parameters_are_what_was_loaded, broken_by="a_and_b_exchanged", max_cases=12),
        Claim("no_dropout_in_evaluation", "in evaluation mode nothing is dropped", no_dropout_in_evaluation,
              broken_by="dropout_in_evaluation", max_cases=12),
        Claim("dropout_spares_the_base", "in training mode the base is not dropped", dropout_spares_the_base,
              broken_by="dropout_on_the_base", cases=ordinary_cases, max_cases=12),
        Claim("dropout_acts_on_what_the_adapter_reads", "in training mode a share of the adapter's inputs is dropped",
              dropout_acts_on_what_the_adapter_reads, broken_by="dropout_never", cases=dropout_cases, max_cases=3,
              false_alarm=1e-9, power=0.999),
        Claim("holds_up_in_half_precision", "in 16 bit it loses little more than the rounding of its arguments",
              holds_up_in_half_precision, broken_by=broken_by, max_cases=15),
    )  # fmt: skip
