"""Softmax: scores become weights."""

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import NotSupported, Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature
from harness.strategies.shapes import distinct_sizes
from harness.strategies.tensors import tensors
from reference_model.softmax import softmax
from specs.naming.cs336 import CS336_SOFTMAX
from specs.naming.pico_gpt import PICO_SOFTMAX
from specs.shared.attention import elsewhere, output, tolerance
from specs.workloads import parts as workloads

ORDERLY = ("small integers", "normal", "wide", "tiny spread", "one-hot")
"""Scores from nearly equal to where one takes all. Far from zero, 16 bit hardly distinguish scores: see FAR_OUT."""
FAR_OUT = ("counting", "large offset", "heavy tails", "mixed scales")


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """One to four axes, all of different sizes, and any of them to sum over, counted from either end."""
    sizes = draw(distinct_sizes(batch=(1, 4), heads=(1, 5), time=(1, 6), keys=(2, 7)))
    axes = draw(st.sampled_from((3, 2, 4, 1, 3)))
    x, family = draw(tensors(tuple(sizes.values())[-axes:], ORDERLY))
    return Case.of({"x": x, "dim": draw(st.sampled_from(_dims(axes)))}, family=family, **sizes)


def _dims(axes: int) -> list[int]:
    """Every axis, counted from either end, the last one first."""
    return [*range(-1, -axes - 1, -1), *range(axes)]


@st.composite
def large_scores(draw: st.DrawFn) -> Case:
    """Scores of up to 1e4 on both sides; slices 2e4 apart, of which each has its own largest score."""
    sizes = draw(distinct_sizes(time=(2, 4), keys=(2, 6)))
    shape = tuple(sizes.values())
    size = draw(st.sampled_from((1e4, 1e2, 1e3, 0.0)))
    spread = draw(st.sampled_from((1.0, size / 4)))
    levels = torch.tensor([[size], [-size], [0.0], [size]], dtype=torch.float64)[: sizes["time"]]
    normal, _ = draw(tensors(shape, ("normal", "small integers"), overrides=False))
    far, family = draw(tensors(shape, FAR_OUT, overrides=False))
    x = levels + spread * normal if size else far
    case = Case.of({"x": x, "dim": 1}, family=f"scores of {size:g}" if size else family, **sizes)
    return case if draw(st.booleans()) else case.changed(x=x.T, dim=0)


@st.composite
def no_such_axis(draw: st.DrawFn) -> Case:
    """A dim that x does not have."""
    axes = draw(st.integers(1, 3))
    x, _ = draw(tensors((2, 3, 4)[:axes], ("normal",), overrides=False))
    dim = draw(st.sampled_from((axes, -axes - 1, axes + 2)))
    return Case.of({"x": x, "dim": dim}, family=f"dim {dim} of {axes} axes")


@claim("the weights along dim sum to one", broken_by="over_the_last_axis")
def sums_to_one(trial: Trial) -> None:
    x, dim = trial.case.arguments["x"], trial.case.arguments["dim"]
    total = output(trial).sum(dim)
    bound = x.shape[dim] * tolerance(trial, None)
    trial.close(total, torch.ones_like(total), bound, f"the sum along dim {dim}")


@claim(
    "adding a constant to all scores of a slice does not change the output",
    broken_by="softmax_plus_one",
    aliases=("unchanged_by_a_shift",),
)
def shift_invariant(trial: Trial) -> None:
    """A different constant is added to every slice. The addition itself rounds, by eps of the sum."""
    x, dim = trial.case.arguments["x"], trial.case.arguments["dim"]
    shifted = trial.case.changed(x=x + elsewhere(trial, x.narrow(dim, 0, 1), 4.0))
    slack = 4 * torch.finfo(trial.dtype).eps * float(shifted.arguments["x"].abs().max())
    bound = tolerance(trial, None, shifted) + slack
    trial.close(output(trial, shifted), output(trial), bound, "with a constant added to every slice, out")


@claim(
    "slices along dim do not affect each other", broken_by="sum_over_the_whole_tensor", aliases=("each_slice_alone",)
)
def slices_are_independent(trial: Trial) -> None:
    """The first half of another axis alone gives what it gives beside the rest."""
    x, dim = trial.case.arguments["x"], trial.case.arguments["dim"]
    others = [axis for axis in range(x.dim()) if axis != dim % x.dim() and x.shape[axis] > 1]
    if not others:
        trial.not_applicable()
    for axis in others:
        part = trial.case.changed(x=x.narrow(axis, 0, 1))
        what = f"the first slice of axis {axis} alone, out"
        bound = tolerance(trial, None, part)
        trial.close(output(trial, part), output(trial).narrow(axis, 0, 1), bound, what)


@claim(
    "permuting the scores permutes the weights",
    broken_by="cumulative_sum",
    max_cases=15,
    aliases=("entries_have_no_order",),
)
def permutation_equivariant(trial: Trial) -> None:
    x, dim = trial.case.arguments["x"], trial.case.arguments["dim"]
    order = torch.randperm(x.shape[dim], generator=trial.random())
    moved = trial.case.changed(x=x.index_select(dim, order))
    expected = output(trial).index_select(dim, order)
    trial.close(output(trial, moved), expected, tolerance(trial, None, moved), "with the entries permuted, out")


@claim(
    "scores of up to 1e4 neither overflow nor cost accuracy",
    broken_by="maximum_not_subtracted",
    cases=large_scores,
    max_cases=14,
    aliases=("holds_at_large_scores",),
)
def stable_at_large_scores(trial: Trial) -> None:
    """exp(x - logsumexp(x)) is right too: it loses the rounding of a sum as large as x, eps |x| of every weight."""
    largest = float(trial.case.arguments["x"].abs().max())
    for dtype in dict.fromkeys((trial.dtype, torch.float32)):
        exact, bound = trial.agreement(dtype=dtype, gradients=True)
        answer = trial.run(dtype=dtype, gradients=True)
        slack = 8 * torch.finfo(dtype).eps * largest
        trial.close(answer.value, exact.value, bound.value + slack, f"in {dtype}, out")
        expected, gradient = exact.gradients["x"], answer.gradients.get("x")
        if gradient is not None:  # whether there is one at all is another claim
            most = bound.gradients["x"] + 4 * slack
            trial.close(gradient, expected, most, f"in {dtype}, the gradient of x")


@claim(
    "a score of -inf gets a weight of exactly 0",
    broken_by="scores_clamped_from_below",
    max_cases=14,
    aliases=("minus_infinity_weighs_nothing",),
)
def minus_infinity_gets_zero_weight(trial: Trial) -> None:
    """The scores below their slice's mean become -inf: keys that may not be attended to. One is left in every slice."""
    x, dim = trial.case.arguments["x"], trial.case.arguments["dim"]
    hidden = x < x.mean(dim, keepdim=True)
    if not bool(hidden.any()):
        trial.not_applicable()
    masked = trial.case.changed(x=x.masked_fill(hidden, float("-inf")))
    exact, bound = trial.agreement(masked)
    out = output(trial, masked)
    if bool((out[hidden] != 0).any()):
        raise Violation("a score of -inf has a non-zero weight; it must be exactly 0")
    trial.close(out, exact.value, bound.value, "with some scores of -inf, out")


@claim(
    "a slice of only -inf gives NaN or zeros, and does not affect other slices",
    broken_by="minus_infinity_replaced",
    max_cases=14,
    aliases=("nothing_but_minus_infinity",),
)
def all_minus_infinity_slice(trial: Trial) -> None:
    """NaN as in torch.softmax, or zeros; never weights. The other slices are not affected."""
    x, dim = trial.case.arguments["x"].clone(), trial.case.arguments["dim"]
    slices = x.movedim(dim, -1)
    if slices.dim() < 2 or slices.shape[:-1].numel() < 2:
        trial.not_applicable()
    empty = torch.zeros(slices.shape[:-1], dtype=torch.bool)
    empty.view(-1)[0] = True
    slices[empty] = float("-inf")
    answer = trial.attempt(trial.case.changed(x=x))
    if answer.crash is not None:
        raise NotSupported(f"it raises {answer.crash.error} where every score of a slice is -inf")
    out = answer.value
    if not torch.is_tensor(out) or out.shape != x.shape:
        raise Violation("with one slice of only -inf, out has another shape")
    found = out.movedim(dim, -1)
    if not bool(found[empty].isnan().all() or (found[empty] == 0).all()):
        raise Violation("a slice of only -inf gets weights; it must give NaN, as in torch.softmax, or zeros")
    expected, bound = trial.agreement()
    others = expected.value.movedim(dim, -1)[~empty]
    trial.close(found[~empty], others, bound.value, "next to a slice of only -inf, out")


CONTRACT = Contract(
    name="softmax",
    meaning="Softmax along one axis: exponentials of the scores divided by their sum.",
    calls={
        "call": Signature(
            (Argument("x", "float[...]"), Argument("dim", "int", role="setting", optional=True, default=-1)),
            "float[...]",
        )
    },
    reference=softmax,
    cases=cases,
    invalid=no_such_axis,
    dialects=(CS336_SOFTMAX, PICO_SOFTMAX),
    order=18,
    case_count=26,
    sources=("Bridle 1990", "Goodfellow et al. 2016, section 4.1", "openai/gpt-2 src/model.py softmax"),
    workloads=workloads.SOFTMAX,
    claims=(
        sums_to_one,
        shift_invariant,
        slices_are_independent,
        permutation_equivariant,
        stable_at_large_scores,
        minus_infinity_gets_zero_weight,
        all_minus_infinity_slice,
    ),
)
