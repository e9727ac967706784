"""Transformer block: attention and mlp, each after a norm and with a residual connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import Trial, claim
from harness.core.contract import Argument, Causal, Contract, Signature
from harness.strategies.tensors import ORDINARY, tensors
from reference_model.block import block
from specs.naming.forward import FORWARD
from specs.naming.llama import LLAMA_BLOCKS
from specs.naming.models import BLOCK_CLASSES
from specs.naming.parameters import BLOCK
from specs.naming.pico_gpt import PICO_BLOCK
from specs.naming.sizes import SIZES_OF_GPT2
from specs.shared.attention import (
    SILENCED,
    block_weights,
    elsewhere,
    head_sizes,
    output,
    roomy_context,
    silence,
    silent_parts,
    tolerance,
)
from specs.shared.block_forms import NORM_PLACES
from specs.shared.padding import ATTENTION_MASK, NAN_AT_PADDING, padding_claims
from specs.shared.qkv_order import BLOCK_BY_HEAD
from specs.shared.quorums import ATTENDS
from specs.workloads import models as workloads


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """The width is 2 or more, since a norm of one feature is constant; most cases leave eps out, since few take it."""
    four_fold = draw(st.sampled_from((True, False, True, True)))
    free: dict[str, Any] = {} if four_fold else {"hidden": (2, 11)}
    sizes = draw(head_sizes(most_time=7, most_batch=5, four_fold=four_fold, **free))
    x, family = draw(tensors((sizes["batch"], sizes["time"], sizes["width"]), (*ORDINARY, "repeated rows")))
    weights = draw(block_weights(sizes["width"], sizes["hidden"], draw(silent_parts)))
    eps = draw(st.sampled_from(({}, {}, {}, {"eps": 1e-2}, {"eps": 1e-5})))
    arguments = {"x": x, "weights": weights, "n_heads": sizes["heads"], **eps}
    return Case.of(arguments, family=family, context=roomy_context(sizes["time"]), **sizes)


def changed_weights(case: Case, names: tuple[str, ...], change: Callable[[torch.Tensor], torch.Tensor | None]) -> Case:
    """The case with these weights changed; those that are None stay None."""
    weights = case.arguments["weights"]
    return case.changed(weights={n: change(v) if n in names and v is not None else v for n, v in weights.items()})


@claim(
    "with both output projections zero it returns x",
    broken_by="first_residual_normalised",
    aliases=("identity_without_its_sublayers",),
)
def identity_with_zeroed_sublayers(trial: Trial) -> None:
    x = trial.case.arguments["x"]
    closed = changed_weights(trial.case, SILENCED, silence)
    if not torch.equal(trial.expect(closed).value, x.to(trial.dtype)):
        trial.not_applicable()  # in a declared variant that normalises the residual stream itself
    what = "with both output projections zero, out"
    trial.close(output(trial, closed), x.to(trial.dtype), tolerance(trial, closed), what)


@claim(
    "adding a constant to x adds the same constant to the output",
    broken_by="second_norm_forgotten",
    aliases=("carries_a_shift",),
)
def shift_equivariant(trial: Trial) -> None:
    """Both norms remove a constant added to all features; the residual connections pass it on."""
    x = trial.case.arguments["x"]
    shifted = trial.case.changed(x=x + 3.0)
    bound = tolerance(trial, None, shifted)
    difference = trial.expect(shifted).value.double() - trial.expect().value.double() - 3.0
    if not bool(difference.abs().max() <= bound):
        trial.not_applicable()  # in a declared variant that normalises the residual stream itself
    what = "with 3 added to x, out"
    trial.close(output(trial, shifted), output(trial) + 3.0, bound, what)


ATTENTION_HALF = ("norm_1_weight", "norm_1_bias", "qkv_weight", "qkv_bias")
MLP_HALF = ("norm_2_weight", "norm_2_bias", "up_weight", "up_bias")


@claim(
    "each sublayer uses its own norm and its own inner weights",
    broken_by="norms_exchanged",
    max_cases=15,
    aliases=("sublayers_keep_to_their_weights",),
)
def each_sublayer_uses_its_own_weights(trial: Trial) -> None:
    """With its output projection zero, the norm and the inner weights of a sublayer have no effect."""
    for projection, inner, name in ((SILENCED[:2], ATTENTION_HALF, "attention"), (SILENCED[2:], MLP_HALF, "the mlp")):
        what = f"with {name}'s output projection zero and its norm and inner weights changed, out"
        closed = changed_weights(trial.case, projection, silence)
        other = changed_weights(closed, inner, lambda value: value + elsewhere(trial, value))
        if not torch.equal(trial.expect(other).value, trial.expect(closed).value):
            trial.not_applicable()  # in a declared variant that normalises after the sum
        trial.close(output(trial, other), output(trial, closed), tolerance(trial, closed, other), what)


@claim(
    "only attention mixes positions: the feed-forward half is position-wise",
    broken_by="future_in_the_residual",
    max_cases=15,
    aliases=("the_second_half_acts_on_each_position",),
)
def mlp_half_is_position_wise(trial: Trial) -> None:
    """Without attention, permuting positions and rows permutes the output."""
    x = trial.case.arguments["x"]
    positions = x.shape[0] * x.shape[1]
    if positions < 2:
        trial.not_applicable()
    closed = changed_weights(trial.case, SILENCED[:2], silence)
    order = torch.randperm(positions, generator=trial.random())
    moved = closed.changed(x=x.flatten(0, 1)[order].reshape(x.shape))
    expected = output(trial, closed).flatten(0, 1)[order].reshape(x.shape)
    what = "without attention and with the positions permuted, out"
    trial.close(output(trial, moved), expected, tolerance(trial, closed, moved), what)


@claim(
    "its sublayers run one after the other (in parallel, or post-norm, where declared)",
    broken_by="attention_lost",
    max_cases=15,
    aliases=("composed_as_it_says",),
)
def sublayers_compose_as_declared(trial: Trial) -> None:
    """Pre-norm: the block without the mlp, then the block without attention, is the block.

    Parallel: the contributions of the two sublayers add up. Post-norm: before gain and bias of the last norm, a row has
    mean 0 and at most variance 1.
    """
    x = trial.case.arguments["x"]
    first, second = (changed_weights(trial.case, half, silence) for half in (SILENCED[2:], SILENCED[:2]))
    if not trial.is_varied:
        then = second.changed(x=output(trial, first).to(x.dtype))
        bound = tolerance(trial, None, first, then)
        trial.close(output(trial), output(trial, then), bound, "out, compared with its two sublayers in sequence,")
        return
    if trial.has_form("parallel", "parallel_with_one_norm"):
        both = output(trial, first) + output(trial, second) - x.to(trial.dtype)
        bound = tolerance(trial, None, first, second)
        trial.close(output(trial), both, bound, "out, compared with its two sublayers in parallel,")
        return
    _is_normalised(trial)


def _is_normalised(trial: Trial) -> None:
    """Without gain and bias of the last norm, every row of the output has mean 0 and at most variance 1."""
    weights = trial.case.arguments["weights"]
    gain, shift = weights["norm_2_weight"].to(trial.dtype), weights["norm_2_bias"]
    bare = (output(trial) - (0.0 if shift is None else shift.to(trial.dtype))) / gain
    rounding = 64 * torch.finfo(trial.dtype).eps * float(1 + (1 / gain).abs().max())
    bound = float(tolerance(trial, None) / gain.abs().min()) + rounding
    where = "of a row before gain and bias of the last norm,"
    trial.close(bare.mean(-1), torch.zeros_like(bare[..., 0]), bound, f"the mean {where}")
    variance = bare.var(-1, correction=0).clamp(min=1.0)
    trial.close(variance, torch.ones_like(variance), 8 * bound, f"the variance {where}")


ATTENDED = "attended = attention(normed_1, qkv_weight, qkv_bias, out_weight, out_bias, n_heads, attention_mask)"

CONTRACT = Contract(
    name="block",
    meaning="Transformer block: x + attention(norm(x)), then x + mlp(norm(x)) on the residual stream.",
    calls={
        "call": Signature(
            (
                Argument("x", "float[batch, time, width]"),
                Argument("weights", "weights", role="parameter", fields=BLOCK),
                Argument("n_heads", "int", role="setting"),
                Argument("eps", "float", role="setting", optional=True, default=1e-5),
                ATTENTION_MASK,
            ),
            "float[batch, time, width]",
        )
    },
    reference=block,
    cases=cases,
    parts=("layer_norm", "attention", "mlp"),
    rows=("x",),
    dialects=(PICO_BLOCK,),
    causal=Causal({"x": 1}),
    order=60,
    headline=True,
    classes=(*BLOCK_CLASSES, *LLAMA_BLOCKS),
    forward_names=FORWARD,
    size_names=SIZES_OF_GPT2,
    inside={
        "layer_norm": {"weight": "norm_1_weight", "bias": "norm_1_bias"},
        "attention": {name: name for name in ("qkv_weight", "qkv_bias", "out_weight", "out_bias")},
        "mlp": {name: name for name in ("up_weight", "up_bias", "down_weight", "down_bias")},
    },
    case_count=32,
    variants=(*NORM_PLACES, NAN_AT_PADDING, BLOCK_BY_HEAD),
    sources=("Radford et al. 2019, section 2.3", "openai/gpt-2 src/model.py block"),
    workloads=workloads.BLOCK,
    quorum=ATTENDS,
    claims=(
        identity_with_zeroed_sublayers,
        shift_equivariant,
        each_sublayer_uses_its_own_weights,
        mlp_half_is_position_wise,
        sublayers_compose_as_declared,
        *padding_claims(cases, "attention_mask_not_passed_on"),
    ),
)
