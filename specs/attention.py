"""Causal multi-head self-attention."""

import math
from dataclasses import replace
from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature
from harness.core.measurement import Measure, Measurement
from harness.core.mistake import Edit
from harness.strategies.tensors import ORDINARY, make, seeds, tensors
from reference_model.attention import attention
from specs.naming.dialects import CS336_HEADS, PICO_HEADS
from specs.naming.parameters import ATTENTION
from specs.naming.sizes import SIZES
from specs.shared.attention import (
    ROOMY_CONTEXT,
    attention_weights,
    elsewhere,
    head_sizes,
    learned,
    moved_by_a_float32_scale,
    output,
    prefix_alone,
    sees_only_the_past,
    silence,
    tolerance,
    unmoved,
)
from specs.shared.error_maps import side_by_side
from specs.shared.rotary import ROTARY, ROTARY_HALVES, rotary_variants
from specs.workloads import models as workloads


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Heads, head size, time and batch all different; logits spread from next to nothing to where one key takes all."""
    sizes = draw(head_sizes())
    x, family = draw(tensors((sizes["batch"], sizes["time"], sizes["width"]), (*ORDINARY, "repeated rows")))
    weights = draw(attention_weights(sizes["width"], sharpness=draw(st.sampled_from((1.5, 0.5, 4.0)))))
    return _case(x, weights, sizes, family)


def _case(x: torch.Tensor, weights: dict[str, torch.Tensor], sizes: dict[str, int], family: str) -> Case:
    return Case.of({"x": x, **weights, "n_heads": sizes["heads"]}, family=family, context=ROOMY_CONTEXT, **sizes)


@st.composite
def large_logits(draw: st.DrawFn) -> Case:
    """k = -q, so that every position is pushed away from itself by a logit of minus 1.5e4 or minus 1.5e5.

    A mask that only lowers the logits of later keys by 1e4 or 1e5 leaves them the largest; where the maximum is not
    taken off the logits of each row, their exponentials overflow or vanish.
    """
    sizes = draw(head_sizes(most_time=5))
    width, head_size = sizes["width"], sizes["width"] // sizes["heads"]
    seed, magnitude = draw(seeds), draw(st.sampled_from((1.5e4, 1.5e5)))
    x = learned("normal", (sizes["batch"], sizes["time"], width), seed, 1.0)
    query = learned("normal", (width, width), seed + 1, math.sqrt(magnitude / width / math.sqrt(head_size)))
    value = learned("normal", (width, width), seed + 2, 1 / math.sqrt(width))
    weights: dict[str, Any] = {
        "qkv_weight": torch.cat([query, -query, value]),
        "qkv_bias": None,
        "out_weight": learned("normal", (width, width), seed + 3, 1 / math.sqrt(width)),
        "out_bias": learned("normal", (width,), seed + 4, 0.5),
    }
    return _case(x, weights, sizes, f"logits of {magnitude:g}")


@st.composite
def indivisible(draw: st.DrawFn) -> Case:
    """A number of heads that does not divide the width."""
    heads = draw(st.integers(2, 4))
    width = draw(st.sampled_from([w for w in range(heads + 1, 12) if w % heads]))
    sizes = {"width": width, "heads": heads, "time": draw(st.sampled_from((1, 2, 5))), "batch": 1}
    x, _ = draw(tensors((1, sizes["time"], width), ("normal",), overrides=False))
    return _case(x, draw(attention_weights(width)), sizes, f"width {width} with {heads} heads")


# causality -----------------------------------------------------------------------------------------------------------


@claim("changing a position does not change the outputs before it", broken_by="one_future_position", max_cases=30)
def is_causal(trial: Trial) -> None:
    """The last position and one in between, replaced by something ten times as large."""
    x = trial.case.arguments["x"]
    time = x.shape[1]
    if time < 2:
        trial.not_applicable()
    for at in sorted({time - 1, 1 + trial.seed % (time - 1)}):
        other = x.clone()
        other[:, at] = elsewhere(trial, x[:, at], 10.0)
        sees_only_the_past(trial, trial.case.changed(x=other), at)


@claim("the gradient of an output with respect to later inputs is zero", broken_by="no_mask", max_cases=25)
def jacobian_is_causal(trial: Trial) -> None:
    """Gradients of the outputs before t alone: at x from t on they are zero."""
    x = trial.case.arguments["x"]
    time = x.shape[1]
    if time < 2:
        trial.not_applicable()
    for at in sorted({1, time // 2, time - 1} - {0}):
        gradient: Any = trial.run(gradients=True, output_part=(1, 0, at)).gradients.get("x")
        if gradient is None or gradient.shape != x.shape:
            trial.not_applicable()  # a missing gradient is another claim's business
        bound: Any = trial.agreement(gradients=True)[1].gradients["x"]
        what = f"the gradient at x[:, {at}:] of the outputs before {at}"
        try:
            trial.close(gradient[:, at:], torch.zeros_like(gradient[:, at:]), bound, what)
        except Violation as violation:
            sentence = f"an output before position {at} depends on an input at or after {at}: {what} is not zero"
            raise Violation(sentence, worst=violation.worst, error=violation.error) from None


@claim(
    "the first positions alone give the same outputs as in the whole sequence",
    broken_by="softmax_over_queries",
    max_cases=30,
    aliases=("a_prefix_stands_alone",),
)
def prefix_consistent(trial: Trial) -> None:
    prefix_alone(trial, "x")


@claim(
    "logits of 1e4 and 1e5 neither leak through the mask nor overflow",
    broken_by="mask_adds_minus_1e4",
    cases=large_logits,
    max_cases=25,
    aliases=("holds_at_large_logits",),
)
def stable_at_large_logits(trial: Trial) -> None:
    exact, bound = trial.agreement()
    if not bool(torch.isfinite(output(trial)).all()):
        raise Violation("the output is not finite: exponentials of large logits overflow, or all underflow")
    trial.close(output(trial), exact.value, bound.value, "out")
    if trial.case.arguments["x"].shape[1] > 1:
        is_causal(trial)


@claim(
    "reordering earlier positions does not change the last position's output",
    broken_by="only_recent_positions",
    max_cases=30,
    aliases=("the_past_has_no_order",),
)
def permutation_invariant_past(trial: Trial) -> None:
    """Keys and values of earlier positions form a set: reversing them changes nothing for the last position."""
    x = trial.case.arguments["x"]
    if x.shape[1] < 3 or trial.variant in TURNED:
        trial.not_applicable()
    turned = trial.case.changed(x=torch.cat([x[:, :-1].flip(1), x[:, -1:]], 1))
    bound = tolerance(trial, None, turned)
    what = "with the earlier positions reversed, the last position's out"
    trial.close(output(trial, turned)[:, -1], output(trial)[:, -1], bound, what)


# heads ---------------------------------------------------------------------------------------------------------------


def _features_in_order(trial: Trial, order: torch.Tensor) -> Case:
    """The same attention with the features of q, k, v and of the out projection's input taken in another order."""
    a = trial.case.arguments
    rows = torch.cat([order, order + len(order), order + 2 * len(order)])
    bias = a["qkv_bias"]
    return trial.case.changed(
        qkv_weight=a["qkv_weight"][rows],
        qkv_bias=None if bias is None else bias[rows],
        out_weight=a["out_weight"][:, order].contiguous(),
    )


@claim(
    "permuting the heads in all weights together does not change the output",
    broken_by="heads_strided",
    max_cases=25,
    aliases=("heads_have_no_order",),
)
def permutation_equivariant_in_heads(trial: Trial) -> None:
    """The heads in another order, and the features of one of them in reverse (where no positions are in them)."""
    heads, width = trial.case.arguments["n_heads"], trial.case.arguments["x"].shape[-1]
    if heads < 2:
        trial.not_applicable()
    features = torch.arange(width).reshape(heads, -1)
    last = features[-1:] if trial.variant in TURNED else features[-1:].flip(1)
    order = torch.cat([last, features[:-1]]).reshape(-1)
    unmoved(trial, _features_in_order(trial, order), "with the heads permuted in all weights, out")


@claim(
    "a head's output depends only on its own queries, keys and values",
    broken_by="split_without_transpose",
    max_cases=25,
    aliases=("heads_are_apart",),
)
def heads_are_independent(trial: Trial) -> None:
    """With the out projection reading head 0 alone, nothing of another head's queries, keys and values matters."""
    a = trial.case.arguments
    heads, width = a["n_heads"], a["x"].shape[-1]
    if heads < 2:
        trial.not_applicable()
    size = width // heads
    only_first = a["out_weight"].clone()
    only_first[:, size:] = 0
    rows = torch.cat([torch.arange(part * width + size, (part + 1) * width) for part in range(3)])
    other = a["qkv_weight"].clone()
    other[rows] = elsewhere(trial, other[rows])
    one, two = trial.case.changed(out_weight=only_first), trial.case.changed(out_weight=only_first, qkv_weight=other)
    what = "from head 0 alone, with the weights of other heads changed, out"
    trial.close(output(trial, two), output(trial, one), tolerance(trial, one, two), what)


@claim(
    "logits are divided by sqrt(K), where K is the head size",
    broken_by="scaled_by_width",
    max_cases=25,
    aliases=("scaled_by_the_head_size",),
)
def scaled_by_sqrt_head_size(trial: Trial) -> None:
    """Head 0 of several equals a single head of the whole width whose other features are 0 and whose queries are
    sqrt(H) times larger: exactly what dividing by sqrt(K), K = D / H, there and by sqrt(D) here makes equal."""
    a = trial.case.arguments
    heads, width = a["n_heads"], a["x"].shape[-1]
    if heads < 2 or trial.variant in TURNED:  # a wider head is turned by other angles
        trial.not_applicable()
    size = width // heads
    only_first = a["out_weight"].clone()
    only_first[:, size:] = 0
    weight = a["qkv_weight"].clone()
    bias = None if a["qkv_bias"] is None else a["qkv_bias"].clone()
    for learned_part in (weight, bias):
        if learned_part is not None:
            for part in range(3):
                learned_part[part * width + size : (part + 1) * width] = 0
            learned_part[:width] *= math.sqrt(heads)
    several = trial.case.changed(out_weight=only_first)
    single = trial.case.changed(out_weight=only_first, qkv_weight=weight, qkv_bias=bias, n_heads=1)
    single = replace(single, dimensions={**single.dimensions, "heads": 1})
    what = "head 0 of several compared with the same head alone, out"
    values = a["x"] @ weight[2 * width :].T + (0 if bias is None else bias[2 * width :])
    slack = tolerance(trial, several, single) + moved_by_a_float32_scale(values @ only_first.T)
    trial.close(output(trial, several), output(trial, single), slack, what)


# values --------------------------------------------------------------------------------------------------------------


@claim("the weights of a query sum to one: equal values give that value", broken_by="mask_after_softmax", max_cases=30)
def weights_sum_to_one(trial: Trial) -> None:
    """Where every value is the same, their weighted mean is that value, whatever the weights."""
    a = trial.case.arguments
    width = a["x"].shape[-1]
    weight, constant = a["qkv_weight"].clone(), elsewhere(trial, a["out_weight"][0])
    weight[2 * width :] = 0
    if (
        a["qkv_bias"] is None
    ):  # an implementation without biases may have none given: the values come from a constant feature
        x = a["x"].clone()
        x[..., 0] = 1.0
        weight[2 * width :, 0] = constant
        same = trial.case.changed(x=x, qkv_weight=weight)
    else:
        bias = a["qkv_bias"].clone()
        bias[2 * width :] = constant
        same = trial.case.changed(qkv_weight=weight, qkv_bias=bias)
    expected = a["out_weight"] @ constant + (0 if a["out_bias"] is None else a["out_bias"])
    trial.close(
        output(trial, same),
        expected.expand(a["x"].shape).to(trial.dtype),
        tolerance(trial, same),
        "with equal values everywhere, out",
    )


@claim(
    "a single position gives out(v)",
    broken_by="keys_for_values",
    max_cases=30,
    aliases=("one_position_is_its_own_value",),
)
def single_position_returns_its_value(trial: Trial) -> None:
    """There is one key to attend to: the result is out(v), whatever q and k are."""
    a = trial.case.arguments
    width, x = a["x"].shape[-1], a["x"][:, :1]
    alone = replace(trial.case.changed(x=x), dimensions={**trial.case.dimensions, "time": 1})
    value = x @ a["qkv_weight"][2 * width :].T + (0 if a["qkv_bias"] is None else a["qkv_bias"][2 * width :])
    expected = value @ a["out_weight"].T + (0 if a["out_bias"] is None else a["out_bias"])
    trial.close(output(trial, alone), expected.to(trial.dtype), tolerance(trial, alone), "for a single position, out")


@claim(
    "with out_weight zero the output is out_bias",
    broken_by="residual_inside",
    max_cases=20,
    aliases=("nothing_but_the_out_bias",),
)
def zero_out_weight_leaves_the_bias(trial: Trial) -> None:
    """With an out projection of zeros only its bias is left: no residual stream inside."""
    a = trial.case.arguments
    closed = trial.case.changed(out_weight=silence(a["out_weight"]))
    bias = a["out_bias"] if a["out_bias"] is not None else torch.zeros(a["x"].shape[-1], dtype=torch.float64)
    what = "with out_weight zero, out"
    trial.close(output(trial, closed), bias.expand(a["x"].shape).to(trial.dtype), tolerance(trial, closed), what)


# what is shown -------------------------------------------------------------------------------------------------------

SHOWN = {"batch": 1, "time": 7, "heads": 3, "width": 24}
"""As many features in a head as positions, or more: each position has a value of its own there."""


@st.composite
def shown(draw: st.DrawFn) -> Case:
    """The last features of the input say in one-hot form where it stands; the values of every head are just these.

    Queries and keys are made of the other features, which are random. The projection of the result is the identity.
    """
    time, heads, width, seed = SHOWN["time"], SHOWN["heads"], SHOWN["width"], draw(st.integers(0, 9))
    rest, size = width - time, width // heads
    x = torch.cat([make("normal", (1, time, rest), seed), torch.eye(time, dtype=torch.float64)[None]], -1)
    products = learned("normal", (2 * width, width), seed + 1, math.sqrt(2.0 / rest))
    products[:, rest:] = 0
    values = torch.zeros(heads, size, width, dtype=torch.float64)
    values[:, :time, rest:] = torch.eye(time, dtype=torch.float64)
    weights = {
        "qkv_weight": torch.cat([products, values.reshape(width, width)]),
        "qkv_bias": torch.zeros(3 * width, dtype=torch.float64),
        "out_weight": torch.eye(width, dtype=torch.float64),
        "out_bias": torch.zeros(width, dtype=torch.float64),
    }
    return _case(x, weights, dict(SHOWN), "positions for values")


def weights_shown(trial: Trial) -> Measurement:
    """out[t, head] is the weights with which position t looks at the others."""
    theirs, ours = (
        out[0].unflatten(-1, (SHOWN["heads"], -1)).transpose(0, 1)[..., : SHOWN["time"]]
        for out in (output(trial), trial.expect().value)
    )
    how = "inputs with one-hot positions, passed through by the value and out projections, so that the output is the weights"
    return side_by_side(theirs, ours, how)


TURNED = (ROTARY, ROTARY_HALVES)

CONTRACT = Contract(
    name="attention",
    meaning="Causal multi-head self-attention with an output projection.",
    calls={
        "call": Signature(
            (
                Argument("x", "float[batch, time, width]"),
                *ATTENTION,
                Argument("n_heads", "integer", role="setting"),
            ),
            "float[batch, time, width]",
        )
    },
    reference=attention,
    cases=cases,
    invalid=indivisible,
    rows=("x",),
    dialects=(
        CS336_HEADS,
        PICO_HEADS,
    ),
    order=50,
    roundings=(
        Edit(attention, "scale = 1.0 / math.sqrt(head_size)", "scale = (1.0 + 2.0**-24) / math.sqrt(head_size)"),
    ),
    classes=(
        "attention",
        "selfattention",
        "causalselfattention",
        "multiheadattention",
        "multiheadedattention",
        "mha",
        "multiheadselfattention",
        "causalattention",
        "maskedmultiheadattention",
    ),
    size_names=SIZES,
    headline=True,
    variants=rotary_variants(attention, "k = k.transpose(1, 2)", "k"),
    sources=("Vaswani et al. 2017, sections 3.2.1 to 3.2.3", "openai/gpt-2 src/model.py attn"),
    workloads=workloads.ATTENTION,
    measures=(Measure("weights", "attention weights next to the reference's", weights_shown, shown),),
    claims=(
        is_causal,
        jacobian_is_causal,
        prefix_consistent,
        permutation_invariant_past,
        stable_at_large_logits,
        permutation_equivariant_in_heads,
        heads_are_independent,
        scaled_by_sqrt_head_size,
        weights_sum_to_one,
        single_position_returns_its_value,
        zero_out_weight_leaves_the_bias,
    ),
)
