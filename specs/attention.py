"""Causal multi-head self-attention."""

import math
from dataclasses import replace

import torch

from harness.core.case import Case
from harness.core.claim import Trial, Violation, claim
from harness.core.contract import Argument, Causal, Contract, Signature
from harness.core.measurement import Measure
from harness.core.mistake import Edit
from harness.numerics.causality import check_future_is_ignored
from reference_model.attention import attention
from specs.naming import names
from specs.naming.cs336 import CS336_HEADS, CS336_ROTARY_HEADS
from specs.naming.forward import FORWARD
from specs.naming.parameters import ATTENTION
from specs.naming.pico_gpt import PICO_HEADS
from specs.naming.sizes import SIZES_OF_GPT2
from specs.shared.attention import elsewhere, moved_by_a_float32_scale, output, silence, tolerance, unmoved
from specs.shared.attention_cases import cases, indivisible, large_logits, mapped_cases, weight_maps
from specs.shared.attention_forms import (
    ATTENTION_SCALE,
    NO_POSITIONS,
    POSITIONS,
    QK_NORM,
    SINKS,
    WINDOW,
    attention_scale,
    qk_norm,
    qk_norm_eps,
    rope_base,
    sink_of_zero,
    softcap,
    window,
)
from specs.shared.padding import ATTENTION_MASK, NAN_AT_PADDING, padding_claims
from specs.shared.qkv_order import BY_HEAD
from specs.shared.quorums import ATTENDS
from specs.shared.rotary import ROTARY_ATTENTION
from specs.workloads import models as workloads

SPLIT_K, SCORES = "k = k.reshape(batch, time, n_heads, head_size)", "scores = products * scale"
FUTURE, SOFTMAX = "future = everywhere.triu(diagonal=1)", "weights = softmax(masked, dim=-1)"
SCALE, CAPPED = "scale = 1.0 / math.sqrt(head_size)", "scores = cap * torch.tanh(scores / cap)"
ONE_MORE = """
nothing = torch.zeros_like(masked[..., :1])
weights = softmax(torch.cat((masked, nothing), dim=-1), dim=-1)[..., :-1]
"""
HEADS = Argument("n_heads", "int", role="setting")


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
        check_future_is_ignored(trial)


@claim(
    "reordering earlier positions does not change the last position's output",
    broken_by="only_recent_positions",
    max_cases=30,
    aliases=("the_past_has_no_order",),
)
def permutation_invariant_past(trial: Trial) -> None:
    """Keys and values of earlier positions form a set: reversing them changes nothing for the last position."""
    x = trial.case.arguments["x"]
    if x.shape[1] < 3 or trial.has_form(POSITIONS, WINDOW):
        trial.not_applicable()
    reversed_past = trial.case.changed(x=torch.cat([x[:, :-1].flip(1), x[:, -1:]], 1))
    bound = tolerance(trial, None, reversed_past)
    what = "with the earlier positions reversed, the last position's out"
    trial.close(output(trial, reversed_past)[:, -1], output(trial)[:, -1], bound, what)


# heads ---------------------------------------------------------------------------------------------------------------


def _features_in_order(trial: Trial, order: torch.Tensor) -> Case:
    """The same attention with the features of q, k, v and of the input of the out projection permuted."""
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
    """The heads in another order, and the features of one of them reversed (unless they hold positions)."""
    heads, width = trial.case.arguments["n_heads"], trial.case.arguments["x"].shape[-1]
    if heads < 2:
        trial.not_applicable()
    features = torch.arange(width).reshape(heads, -1)
    last = features[-1:] if trial.has_form(POSITIONS) else features[-1:].flip(1)
    order = torch.cat([last, features[:-1]]).reshape(-1)
    unmoved(trial, _features_in_order(trial, order), "with the heads permuted in all weights, out")


@claim(
    "a head's output depends only on its own queries, keys and values",
    broken_by="split_without_transpose",
    max_cases=25,
    aliases=("heads_are_apart",),
)
def heads_are_independent(trial: Trial) -> None:
    """The out projection reads head 0 alone: the queries, keys and values of the other heads have no effect."""
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
    """Head 0 of several equals a single head of the whole width D whose other features are 0 and whose queries are
    sqrt(H) times larger: logits are divided by sqrt(D / H) in the first and by sqrt(D) in the second."""
    a = trial.case.arguments
    heads, width = a["n_heads"], a["x"].shape[-1]
    # A wider head is rotated by other angles; a norm or a fixed number takes the factor sqrt(H) away.
    if heads < 2 or trial.has_form(POSITIONS, QK_NORM, ATTENTION_SCALE):
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
    """The weighted mean of equal values is that value, whatever the weights."""
    if trial.has_form(SINKS):
        trial.not_applicable()
    a = trial.case.arguments
    width = a["x"].shape[-1]
    weight, constant = a["qkv_weight"].clone(), elsewhere(trial, a["out_weight"][0])
    weight[2 * width :] = 0
    if a["qkv_bias"] is None:  # an implementation without biases takes none: a constant feature makes the values
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
    """With one key to attend to, the output is out(v) whatever q and k are."""
    if trial.has_form(SINKS):
        trial.not_applicable()
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
    """With an out projection of zeros only its bias is left: attention adds no residual connection of its own."""
    a = trial.case.arguments
    closed = trial.case.changed(out_weight=silence(a["out_weight"]))
    bias = a["out_bias"] if a["out_bias"] is not None else torch.zeros(a["x"].shape[-1], dtype=torch.float64)
    what = "with out_weight zero, out"
    trial.close(output(trial, closed), bias.expand(a["x"].shape).to(trial.dtype), tolerance(trial, closed), what)


CONTRACT = Contract(
    name="attention",
    meaning="Causal multi-head self-attention with an output projection.",
    calls={
        "call": Signature(
            (Argument("x", "float[batch, time, width]"), *ATTENTION, HEADS, ATTENTION_MASK),
            "float[batch, time, width]",
        )
    },
    reference=attention,
    cases=cases,
    invalid=indivisible,
    rows=("x",),
    dialects=(CS336_HEADS, CS336_ROTARY_HEADS, PICO_HEADS),
    causal=Causal({"x": 1}, gradient=True),
    order=50,
    roundings=(Edit(attention, SCALE, "scale = (1.0 + 2.0**-24) / math.sqrt(head_size)"),),
    classes=names(
        "attention selfattention causalselfattention multiheadattention multiheadedattention mha "
        "multiheadselfattention causalattention maskedmultiheadattention attn multiheadattn"
    ),
    forward_names=FORWARD,
    size_names=SIZES_OF_GPT2,
    headline=True,
    variants=(
        NO_POSITIONS,
        *ROTARY_ATTENTION,
        qk_norm(attention, SPLIT_K),
        sink_of_zero((Edit(attention, SOFTMAX, ONE_MORE),)),
        NAN_AT_PADDING,
        BY_HEAD,
    ),
    numbers=(
        softcap(lambda cap: (Edit(attention, SCORES, f"{SCORES}\ncap = {cap}\n{CAPPED}"),)),
        attention_scale(lambda scale: (Edit(attention, SCALE, f"scale = {scale}"),)),
        window(
            lambda size: (Edit(attention, FUTURE, f"{FUTURE}\nfuture = future | everywhere.tril(diagonal=-{size})"),)
        ),
        rope_base(lambda base: (Edit(attention, "base = 10000.0", f"base = {base}"),)),
        qk_norm_eps(attention),
    ),
    sources=("Vaswani et al. 2017, sections 3.2.1 to 3.2.3", "openai/gpt-2 src/model.py attn"),
    workloads=workloads.ATTENTION,
    measures=(Measure("weights", "attention weights next to the reference's", weight_maps, mapped_cases),),
    quorum=ATTENDS,
    claims=(
        permutation_invariant_past,
        stable_at_large_logits,
        permutation_equivariant_in_heads,
        heads_are_independent,
        scaled_by_sqrt_head_size,
        weights_sum_to_one,
        single_position_returns_its_value,
        zero_out_weight_leaves_the_bias,
        *padding_claims(cases, "attention_mask_ignored"),
    ),
)
