"""ALiBi: attention biases that are linear in the distance."""

from __future__ import annotations

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature, Variant
from harness.core.mistake import Edit
from harness.numerics.tolerance import EPSILON
from reference_model.alibi import alibi, alibi_slopes

HEADS = (8, 6, 4, 3, 12, 2, 1, 5, 16, 7, 20)
ONE_SERIES = "below = n_heads", "below = 2 ** math.floor(math.log2(n_heads))"


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Any number of heads; an eighth of the cases has as many positions, so that transposing keeps the shape."""
    heads = draw(st.sampled_from(HEADS))
    other_times = [n for n in (4, 2, 5, 9, 13, 1) if n != heads]
    time = heads if draw(st.integers(0, 7)) == 7 else draw(st.sampled_from(other_times))
    return Case.of({"n_heads": heads, "time": time}, family=f"{heads} heads", heads=heads, time=time)


@st.composite
def distant_cases(draw: st.DrawFn) -> Case:
    """Distances of hundreds of positions, which bfloat16 cannot represent exactly."""
    heads, time = draw(st.sampled_from((4, 3))), draw(st.sampled_from((530, 515)))
    return Case.of({"n_heads": heads, "time": time}, family=f"{time} positions", heads=heads, time=time)


def penalties(trial: Trial, case: Case | None = None) -> torch.Tensor:
    """The bias at the query's own position minus that at each earlier one, in float64 [heads, query, key].

    Only these differences affect a causal softmax: a constant in a row and masked positions do not. One row for all
    queries [heads, 1, key], and a leading axis of 1, broadcast to the same scores.
    """
    value = trial.run(case).value
    heads, time = ((case or trial.case).arguments[name] for name in ("n_heads", "time"))
    if not torch.is_tensor(value):
        raise Violation(f"the bias is a {type(value).__name__}; expected a tensor")
    shape = list(value.shape)
    bias = value.squeeze(0) if value.dim() == 4 and value.shape[0] == 1 else value
    if bias.dim() != 3 or bias.shape[0] != heads or bias.shape[2] != time or bias.shape[1] not in (1, time):
        raise Violation(f"the bias is {shape}; scores are [batch, {heads}, {time}, {time}]: head, query, key")
    bias = bias.double().expand(heads, time, time)
    future = torch.ones(time, time, dtype=torch.bool).triu(1)
    return (bias.diagonal(dim1=1, dim2=2).unsqueeze(-1) - bias).masked_fill(future, 0.0)


def expected_penalties(trial: Trial, case: Case | None = None) -> torch.Tensor:
    """The penalties in float64: from the exact slopes, or from those of the reference of a declared variant."""
    heads, time = ((case or trial.case).arguments[name] for name in ("n_heads", "time"))
    slopes = -trial.expect(case_of(heads, 2)).value.double()[:, 1, 0] if trial.is_varied else exact_slopes(heads)
    positions = torch.arange(time, dtype=torch.float64)
    return slopes.reshape(-1, 1, 1) * (positions.unsqueeze(1) - positions).clamp(min=0)


def exact_slopes(heads: int) -> torch.Tensor:
    """The slope of each head in float64."""
    return torch.tensor(alibi_slopes(heads), dtype=torch.float64)


def case_of(heads: int, time: int) -> Case:
    """One call."""
    return Case.of({"n_heads": heads, "time": time}, heads=heads, time=time)


ROUNDINGS = 16
"""The error of a bias in float32 machine epsilons of the largest number involved: a slope is a product of up to eight
ratios, times a distance, and the same for another distance is subtracted."""


def allowed_error(trial: Trial, time: int) -> float:
    """The rounding error of a penalty. Distances may be counted from the start of the row; slopes are below 1."""
    return ROUNDINGS * EPSILON[torch.float32] * max(time, 1)


@claim(
    "causal attention with this bias gives the right output",
    broken_by="slopes_start_at_one",
    aliases=("attention_with_it",),
)
def attention_with_the_bias(trial: Trial) -> None:
    """softmax(scores + bias, causal) v for random scores and values.

    Errors of at most e in the penalties change the weights of a row by at most 2 e in total, and so the weighted mean
    of the values by at most 2 e max|v|.
    """
    generator, heads, time = trial.random(), trial.case.arguments["n_heads"], trial.case.arguments["time"]
    scores = torch.randn(heads, time, time, generator=generator, dtype=torch.float64)
    values = torch.randn(heads, time, 3, generator=generator, dtype=torch.float64)
    future = torch.ones(time, time, dtype=torch.bool).triu(1)

    def attended(penalty: torch.Tensor) -> torch.Tensor:
        return (scores - penalty).masked_fill(future, float("-inf")).softmax(-1) @ values

    slack = 4 * allowed_error(trial, time) * float(values.abs().max())
    what = "causal attention with this bias"
    trial.close(attended(penalties(trial)), attended(expected_penalties(trial)), slack, what)


@claim("every head has the right slope, for any number of heads", broken_by="next_power_of_two_truncated")
def slopes_of_every_head(trial: Trial) -> None:
    """The penalty of the previous position is the slope."""
    heads = trial.case.arguments["n_heads"]
    two = case_of(heads, 2)
    found, expected = penalties(trial, two)[:, 1, 0], expected_penalties(trial, two)[:, 1, 0]
    worst = float(((found - expected).abs() / allowed_error(trial, 2)).max())
    if not worst <= 1:
        shown = [", ".join(f"{slope:.6g}" for slope in slopes[:8].tolist()) for slopes in (found, expected)]
        raise Violation(f"the slopes of {heads} heads are {shown[0]}", worst=f"expected {shown[1]}", error=worst)
    trial.note_error(worst)


@claim("the penalty is the slope times the distance", broken_by="squared_distance")
def linear_in_the_distance(trial: Trial) -> None:
    """In every row each further position adds the same penalty."""
    time = trial.case.arguments["time"]
    if time < 3:
        trial.not_applicable()
    found = penalties(trial)
    positions = torch.arange(time, dtype=torch.float64)
    line = found[:, 1, 0].reshape(-1, 1, 1) * (positions.unsqueeze(1) - positions).clamp(min=0)
    trial.close(found, line, 2 * time * allowed_error(trial, time), "the penalty, compared with slope times distance,")


@claim(
    "earlier calls with other lengths do not change the bias",
    broken_by="cache_check_inverted",
    max_cases=12,
    aliases=("any_order_of_lengths",),
)
def no_stale_cache(trial: Trial) -> None:
    """Calls of other lengths, shorter and longer, come in between: a cached bias fits only some of them."""
    heads, time = trial.case.arguments["n_heads"], trial.case.arguments["time"]
    lengths = (time, time + 4, max(1, time - 1), time + 9, time, time + 2)
    each = [case_of(heads, length) for length in lengths]
    together = Case(tuple(call for case in each for call in case.calls), trial.case.dimensions, trial.case.family)
    outputs = trial.run(together, fresh=True).outputs
    for case, length, value in zip(each, lengths, outputs, strict=True):
        alone = trial.run(case, fresh=True).value
        what = f"after calls of lengths {', '.join(map(str, lengths))}, the bias of length {length}"
        trial.close(value, alone, allowed_error(trial, length), what)


@claim(
    "the penalty is accurate at distances of hundreds of positions",
    broken_by="distance_in_bfloat16",
    cases=distant_cases,
    max_cases=2,
    aliases=("exact_far_away",),
)
def accurate_at_distant_positions(trial: Trial) -> None:
    time = trial.case.arguments["time"]
    trial.close(penalties(trial), expected_penalties(trial), allowed_error(trial, time), "the penalty")


CONTRACT = Contract(
    name="alibi",
    meaning="ALiBi: a bias on attention scores that falls linearly with distance, with one slope per head.",
    calls={
        "call": Signature(
            (Argument("n_heads", "int", role="setting"), Argument("time", "int", role="setting")),
            "float[heads, time, time]",
        )
    },
    reference=alibi,
    cases=cases,
    differentiable=False,
    agrees=False,
    order=44,
    case_count=24,
    variants=(
        Variant(
            "one_series",
            "The slopes are one geometric series, 2^(-8 h / H), for every number of heads, as in the paper's text; its "
            "code uses another series where that number is no power of two.",
            (Edit(alibi_slopes, ONE_SERIES[1], ONE_SERIES[0]),),
        ),
    ),
    sources=(
        "Press et al. 2022, section 3",
        "ofirpress/attention_with_linear_biases fairseq/models/transformer.py get_slopes",
    ),
    claims=(
        attention_with_the_bias,
        slopes_of_every_head,
        linear_in_the_distance,
        no_stale_cache,
        accurate_at_distant_positions,
    ),
)
