"""The affine map."""

from __future__ import annotations

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import Crashed, Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature
from harness.strategies.shapes import distinct_sizes
from harness.strategies.tensors import ORDINARY, tensors
from reference_model.linear import linear
from specs.naming.cs336 import CS336_LINEAR
from specs.naming.parameters import BIASES, WEIGHTS
from specs.naming.pico_gpt import PICO_LINEAR
from specs.shared.attention import elsewhere, learned, output, tolerance
from specs.shared.quorums import OBLONG
from specs.workloads import parts as workloads


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """The two widths differ in four of five cases: a transposed weight raises an error there. In the fifth they are
    equal, because there it goes unnoticed."""
    sizes = draw(distinct_sizes(width=(2, 6), out=(1, 8), batch=(1, 4), time=(1, 5)))
    if draw(st.integers(0, 4)) == 1:
        sizes["out"] = sizes["width"]
    x, family = draw(tensors((sizes["batch"], sizes["time"], sizes["width"]), (*ORDINARY, "one-hot", "large offset")))
    seed, weights = draw(st.integers(0, 2**31 - 2)), draw(st.sampled_from(("normal", "small integers")))
    bias = learned("normal", (sizes["out"],), seed + 1, 0.5) if draw(st.integers(0, 4)) else None
    weight = learned(weights, (sizes["out"], sizes["width"]), seed, 1.0)
    family += ", out = width" if sizes["out"] == sizes["width"] else ""
    return Case.of({"x": x, "weight": weight, "bias": bias}, family=family, **sizes)


@st.composite
def lying_the_other_way(draw: st.DrawFn) -> Case:
    """A weight [in, out] of two different widths: code that transposes what does not fit hides a mistake elsewhere."""
    sizes = draw(distinct_sizes(width=(2, 6), out=(2, 8), batch=(1, 3), time=(1, 3)))
    x, _ = draw(tensors((sizes["batch"], sizes["time"], sizes["width"]), ("normal",), overrides=False))
    weight, _ = draw(tensors((sizes["width"], sizes["out"]), ("normal",), overrides=False))
    return Case.of({"x": x, "weight": weight, "bias": None}, family="a weight that is [in, out]", **sizes)


@claim("weight[o, i] maps x[i] to out[o]", broken_by="weight_transposed", aliases=("weight_is_out_in",))
def weight_layout_is_out_in(trial: Trial) -> None:
    """One nonzero weight at [o, i] and one nonzero x at i: the result is at o. The transpose is checked too, to name
    the mistake."""
    a = trial.case.arguments
    out, width = a["weight"].shape
    o, i = out - 1, 0  # not on the diagonal unless there is but one
    if out == 1 and width == 1:
        trial.not_applicable()
    weight, x = torch.zeros_like(a["weight"]), torch.zeros_like(a["x"])
    weight[o, i], x[..., i] = 1.5, 2.0
    expected = torch.zeros((*x.shape[:-1], out), dtype=torch.float64)
    expected[..., o] = 3.0
    given = trial.case.changed(x=x, weight=weight, bias=None if a["bias"] is None else torch.zeros_like(a["bias"]))
    if _gives(trial, given, expected):
        return
    if _gives(trial, given.changed(weight=weight.T), expected):
        raise Violation("your weight is [in, out]; it must be [out, in], as in torch.nn.Linear")
    answer = trial.attempt(given)
    if answer.crash is not None:
        raise Crashed(answer)
    raise Violation(f"weight[{o}, {i}] does not map x[{i}] to out[{o}]")


def _gives(trial: Trial, case: Case, expected: torch.Tensor) -> bool:
    answer = trial.attempt(case)
    if answer.crash is not None or not torch.is_tensor(answer.value) or answer.value.shape != expected.shape:
        return False
    return bool((answer.value.double() - expected).abs().max() <= 1e-3)  # exact in every dtype; a miss is 3


@claim(
    "an input of zeros gives the bias, or zeros where there is none",
    broken_by="bias_forgotten",
    max_cases=18,
    aliases=("nothing_in_gives_the_bias",),
)
def zero_input_gives_the_bias(trial: Trial) -> None:
    a = trial.case.arguments
    still = trial.case.changed(x=torch.zeros_like(a["x"]))
    bias = a["bias"] if a["bias"] is not None else torch.zeros(a["weight"].shape[0], dtype=torch.float64)
    expected = bias.expand(*a["x"].shape[:-1], -1).to(trial.dtype)
    trial.close(output(trial, still), expected, tolerance(trial, still), "for an x of zeros, out")


@claim(
    "it is affine in x: f(x + y) = f(x) + f(y) - f(0)",
    broken_by="activation_inside",
    max_cases=18,
    aliases=("sums_go_through",),
)
def is_affine(trial: Trial) -> None:
    """f(x + y) - f(y) does not depend on y."""
    x = trial.case.arguments["x"]
    y = elsewhere(trial, x, float(x.abs().max()) + 1.0)
    other, both = trial.case.changed(x=y), trial.case.changed(x=x + y)
    still = trial.case.changed(x=torch.zeros_like(x))
    expected = output(trial) + output(trial, other) - output(trial, still)
    bound = tolerance(trial, None, other, both, still)
    trial.close(output(trial, both), expected, bound, "for the sum of two inputs, out")


@claim(
    "it acts on each position on its own",
    broken_by="positions_mixed_with_features",
    max_cases=18,
    aliases=("each_position_alone",),
)
def position_wise(trial: Trial) -> None:
    """Positions and rows in another order give the same results in that order."""
    x = trial.case.arguments["x"]
    positions = x.shape[0] * x.shape[1]
    if positions < 2:
        trial.not_applicable()
    order = torch.randperm(positions, generator=trial.random())
    moved = trial.case.changed(x=x.flatten(0, 1)[order].reshape(x.shape))
    whole = output(trial)
    expected = whole.flatten(0, 1)[order].reshape(whole.shape)
    bound = tolerance(trial, None, moved)
    trial.close(output(trial, moved), expected, bound, "with the positions permuted, out")


@claim(
    "an earlier call with another weight does not change the output",
    broken_by="weight_cached_across_calls",
    max_cases=5,
    aliases=("weights_are_not_remembered",),
)
def weights_are_not_cached(trial: Trial) -> None:
    """A second call, with another weight and x of the same shapes, is not affected by the first."""
    a = trial.case.arguments
    other = trial.case.changed(weight=elsewhere(trial, a["weight"]), x=elsewhere(trial, a["x"], 2.0))
    second = trial.run(trial.case.followed_by(*other.calls), fresh=True).outputs[1]
    alone = trial.run(other, fresh=True).value
    trial.close(second, alone, trial.spread_of_value(other), "after a call with another weight, out")


CONTRACT = Contract(
    name="linear",
    meaning="Affine map of the last axis: x times the transposed weight, plus an optional bias.",
    calls={
        "call": Signature(
            (
                Argument("x", "float[..., width]"),
                Argument("weight", "float[out, width]", "parameter", aliases=(*WEIGHTS, "W", "kernel")),
                Argument("bias", "float[out]", "parameter", optional=True, aliases=BIASES),
            ),
            "float[..., out]",
        )
    },
    reference=linear,
    cases=cases,
    invalid=lying_the_other_way,
    rows=("x",),
    leading_axes=("x",),
    dialects=(
        CS336_LINEAR,
        PICO_LINEAR,
    ),
    order=16,
    case_count=26,
    sources=("torch.nn.Linear", "openai/gpt-2 src/model.py conv1d, with the weight the other way round"),
    workloads=workloads.LINEAR,
    quorum=(OBLONG,),
    claims=(
        weight_layout_is_out_in,
        zero_input_gives_the_bias,
        is_affine,
        position_wise,
        weights_are_not_cached,
    ),
)
