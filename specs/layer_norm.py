"""Layer normalisation."""

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature
from harness.strategies.shapes import distinct_sizes
from harness.strategies.tensors import parameters, tensors
from reference_model.layer_norm import layer_norm
from specs.naming.pico_gpt import PICO_NORM
from specs.naming.sizes import SIZES
from specs.shared.quorums import THREE_FEATURES
from specs.workloads import parts as workloads


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Width from 2: small widths distinguish the biased variance; a large eps shows whether it is inside the root."""
    sizes = draw(distinct_sizes(batch=(1, 4), time=(1, 6), width=(2, 9)))
    x, family = draw(tensors(tuple(sizes.values())))
    eps = draw(st.sampled_from((1e-5, 1e-5, 1e-6, 1e-3, 0.1)))
    bias = draw(parameters((sizes["width"],), 0.5)) if draw(st.integers(0, 4)) else None
    weight = draw(parameters((sizes["width"],), 0.5, around=1.5))
    return Case.of({"x": x, "weight": weight, "bias": bias, "eps": eps}, family=family, **sizes)


@st.composite
def offset_cases(draw: st.DrawFn) -> Case:
    """Ratios of mean to standard deviation from 1 to 1e4, and constant rows."""
    sizes = draw(distinct_sizes(batch=(1, 2), time=(1, 3), width=(2, 9)))
    x, _ = draw(tensors(tuple(sizes.values()), ("normal",), overrides=False))
    mean = 10.0 ** draw(st.integers(0, 4))
    spread = draw(st.sampled_from((1.0, 1.0, 0.0)))
    x = mean + spread * x
    weight, bias = draw(parameters((sizes["width"],), 0.5, around=1.5)), draw(parameters((sizes["width"],), 0.5))
    return Case.of(
        {"x": x, "weight": weight, "bias": bias, "eps": 1e-5}, family=f"mean {mean:g}, spread {spread:g}", **sizes
    )


@claim(
    "adding a constant to x does not change the output", broken_by="root_mean_square", aliases=("unchanged_by_a_shift",)
)
def shift_invariant(trial: Trial) -> None:
    x = trial.case.arguments["x"]
    shifted = trial.case.changed(x=x + 3.0)
    bound = trial.spread_of_value() + trial.spread_of_value(shifted)
    trial.close(trial.run(shifted).value, trial.run().value, bound, "after adding 3 to every x, out")


@claim(
    "scaling x does not change the output, up to eps",
    broken_by="eps_outside_the_root",
    aliases=("unchanged_by_a_scale",),
)
def scale_invariant(trial: Trial) -> None:
    """Up to eps: scaling x by s is the same as dividing eps by s squared."""
    x, eps = trial.case.arguments["x"], trial.case.arguments["eps"]
    scaled, eased = trial.case.changed(x=x * 4.0), trial.case.changed(eps=eps / 16.0)
    bound = trial.spread_of_value(scaled) + trial.spread_of_value(eased)
    trial.close(trial.run(scaled).value, trial.run(eased).value, bound, "with 4 x, compared with eps / 16, out")


@claim("each position is normalised on its own", broken_by="over_the_time_axis")
def over_the_last_axis_only(trial: Trial) -> None:
    """The output at a position depends on that position alone."""
    x, whole = trial.case.arguments["x"], trial.run().value
    if x.shape[:-1].numel() < 2:
        trial.not_applicable()
    alone = trial.case.changed(x=x[-1:, -1:])
    bound = trial.spread_of_value() + trial.spread_of_value(alone)
    trial.close(trial.run(alone).value, whole[-1:, -1:], bound, "the last position alone, out")


@claim(
    "a mean of 1e4 times the spread, or a constant row, does not cost accuracy",
    broken_by="one_pass_variance",
    cases=offset_cases,
)
def stable_at_a_large_mean(trial: Trial) -> None:
    exact, tolerance = trial.agreement(dtype=torch.float32)
    trial.close(trial.run(dtype=torch.float32).value, exact.value, tolerance.value, "in float32, out")


@st.composite
def wide_rows(draw: st.DrawFn) -> Case:
    """Long rows with a large mean: 8 bits of mantissa hold neither their sum nor their mean."""
    width = draw(st.sampled_from((64, 300, 1000)))
    x, _ = draw(tensors((3, width), ("normal",), overrides=False))
    x = x + draw(st.sampled_from((16.0, 32.0, 64.0)))
    weight = draw(parameters((width,), 0.1, around=1.5))
    return Case.of(
        {"x": x, "weight": weight, "bias": torch.zeros(width, dtype=torch.float64), "eps": 1e-5},
        family="wide rows",
        width=width,
    )


@claim(
    "mean and variance of half-precision inputs are computed in float32",
    broken_by="half_precision_statistics",
    cases=wide_rows,
    max_cases=15,
    aliases=("half_precision_statistics",),
)
def statistics_in_float32(trial: Trial) -> None:
    """At a mean of 16 to 64 standard deviations, rounding the mean to bfloat16 costs more than all other roundings."""
    exact, tolerance = trial.agreement(dtype=torch.bfloat16)
    answer = trial.attempt(dtype=torch.bfloat16)
    if answer.crash is not None:
        trial.not_applicable()
    trial.close(answer.value, exact.value, tolerance.value, "in bfloat16, out")
    if not bool(torch.isfinite(answer.value).all()):
        raise Violation("in bfloat16 the output is not finite")


CONTRACT = Contract(
    name="layer_norm",
    meaning="Layer normalisation: mean 0 and variance 1 over the features, then scaled and biased per feature.",
    calls={
        "call": Signature(
            (
                Argument("x", "float[..., width]"),
                Argument(
                    "weight",
                    "float[width]",
                    role="parameter",
                    aliases=("weight", "scale", "gamma", "gain", "g", "w", "a_2"),
                ),
                Argument(
                    "bias",
                    "float[width]",
                    role="parameter",
                    optional=True,
                    aliases=("bias", "shift", "beta", "b", "b_2"),
                ),
                Argument("eps", "float", role="setting", optional=True, default=1e-5),
            ),
            "float[..., width]",
        )
    },
    reference=layer_norm,
    cases=cases,
    rows=("x",),
    leading_axes=("x",),
    dialects=(PICO_NORM,),
    order=20,
    classes=("layernorm", "norm", "ln", "layernormalization", "layernorm1d"),
    size_names=SIZES,
    headline=True,
    sources=("Ba et al. 2016, equations 3 and 4", "openai/gpt-2 src/model.py norm"),
    workloads=workloads.LAYER_NORM,
    quorum=(THREE_FEATURES,),
    claims=(
        shift_invariant,
        scale_invariant,
        over_the_last_axis_only,
        stable_at_a_large_mean,
        statistics_in_float32,
    ),
)
