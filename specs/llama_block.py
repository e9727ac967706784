"""A block of Llama: grouped-query attention and a gated feed-forward layer, each after a root mean square norm."""

from __future__ import annotations

from collections.abc import Callable

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import Trial, claim
from harness.core.contract import Argument, Causal, Contract, Signature
from harness.strategies.tensors import ORDINARY, tensors
from reference_model.llama import llama_block
from specs.naming.cs336_models import CS336_BLOCK
from specs.naming.forward import FORWARD
from specs.naming.llama import LLAMA_BLOCK, LLAMA_BLOCKS
from specs.naming.models import BLOCK_CLASSES
from specs.naming.parameters import GATE_JOINED, HEADS_JOINED
from specs.naming.sizes import GROUPED_SIZES
from specs.shared.attention import elsewhere, output, roomy_context, silence, tolerance
from specs.shared.grouped_query_forms import ATTENTION_NUMBERS
from specs.shared.llama_cases import block_options, block_weights, described, llama_sizes, settings
from specs.shared.llama_forms import BLOCK_VARIANTS
from specs.shared.padding import ATTENTION_MASK, padding_claims
from specs.shared.quorums import ATTENDS
from specs.workloads import llamas as workloads

ATTENTION_OUT, MLP_OUT = ("out_weight", "out_bias"), ("down_weight",)
ATTENTION_HALF = ("norm_1_weight", "query_weight", "key_weight", "value_weight", "query_bias", "key_bias", "value_bias")
MLP_HALF = ("norm_2_weight", "gate_weight", "up_weight")
IN_SEQUENCE = ("norm_place", "window_layers")
"""Axes whose forms change what follows what."""


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Two of three cases are plain: RMSNorm, grouped queries, a gate, nothing else."""
    plain = draw(st.integers(0, 2)) < 2
    sizes = draw(llama_sizes(plain, most_time=7, most_batch=5))
    names = draw(block_options(plain))
    x, family = draw(tensors((sizes["batch"], sizes["time"], sizes["width"]), (*ORDINARY, "repeated rows")))
    weights = draw(block_weights(sizes, names))
    arguments = {"x": x, "weights": weights, "n_heads": sizes["heads"], "n_kv_heads": sizes["kv_heads"]}
    arguments |= draw(settings(sizes, plain))
    dimensions = {name: size for name, size in sizes.items() if name != "head_size"}
    return Case.of(arguments, family=family + described(names), context=roomy_context(dimensions["time"]), **dimensions)


def changed_weights(case: Case, names: tuple[str, ...], change: Callable[[torch.Tensor], torch.Tensor | None]) -> Case:
    """The case with these weights changed; those that are None stay None."""
    weights = case.arguments["weights"]
    return case.changed(weights={n: change(v) if n in names and v is not None else v for n, v in weights.items()})


@claim("with both output projections zero it returns x", broken_by="first_residual_normalised")
def identity_with_zeroed_sublayers(trial: Trial) -> None:
    x = trial.case.arguments["x"]
    closed = changed_weights(trial.case, (*ATTENTION_OUT, *MLP_OUT), silence)
    if not torch.equal(trial.expect(closed).value, x.to(trial.dtype)):
        trial.not_applicable()  # in a declared variant that normalises the residual stream itself
    what = "with both output projections zero, out"
    trial.close(output(trial, closed), x.to(trial.dtype), tolerance(trial, closed), what)


@claim("each sublayer uses its own norm and its own inner weights", broken_by="norms_exchanged", max_cases=15)
def each_sublayer_uses_its_own_weights(trial: Trial) -> None:
    """With its output projection zero, the norm and the inner weights of a sublayer have no effect."""
    halves = ((ATTENTION_OUT, ATTENTION_HALF, "attention"), (MLP_OUT, MLP_HALF, "the feed-forward layer"))
    for projection, inner, name in halves:
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
)
def mlp_half_is_position_wise(trial: Trial) -> None:
    """Without attention, permuting positions and rows permutes the output."""
    x = trial.case.arguments["x"]
    positions = x.shape[0] * x.shape[1]
    if positions < 2:
        trial.not_applicable()
    closed = changed_weights(trial.case, ATTENTION_OUT, silence)
    order = torch.randperm(positions, generator=trial.random())
    moved = closed.changed(x=x.flatten(0, 1)[order].reshape(x.shape))
    expected = output(trial, closed).flatten(0, 1)[order].reshape(x.shape)
    what = "without attention and with the positions permuted, out"
    trial.close(output(trial, moved), expected, tolerance(trial, closed, moved), what)


@claim("its sublayers run one after the other", broken_by="mlp_reads_attention_output_only", max_cases=15)
def sublayers_run_in_sequence(trial: Trial) -> None:
    """The block without the feed-forward layer, then the block without attention, is the block."""
    if trial.has_form(*IN_SEQUENCE):
        trial.not_applicable()
    first, second = (changed_weights(trial.case, half, silence) for half in (MLP_OUT, ATTENTION_OUT))
    then = second.changed(x=output(trial, first).to(trial.case.arguments["x"].dtype))
    bound = tolerance(trial, None, first, then)
    trial.close(output(trial), output(trial, then), bound, "out, compared with its two sublayers in sequence,")


CONTRACT = Contract(
    name="llama_block",
    meaning="A block of Llama: x + attention(norm(x)), then x + feed_forward(norm(x)) on the residual stream.",
    calls={
        "call": Signature(
            (
                Argument("x", "float[batch, time, width]"),
                Argument("weights", "weights", role="parameter", fields=LLAMA_BLOCK),
                Argument("n_heads", "int", role="setting"),
                Argument("n_kv_heads", "int", role="setting"),
                Argument("rope_base", "float", role="setting", optional=True, default=10000.0, by_name=True),
                Argument("window", "int", role="setting", optional=True, by_name=True),
                Argument("eps", "float", role="setting", optional=True, default=1e-5, by_name=True),
                Argument("head_size", "int", role="setting", optional=True, by_name=True),
                ATTENTION_MASK,
            ),
            "float[batch, time, width]",
        )
    },
    reference=llama_block,
    cases=cases,
    parts=("rms_norm", "grouped_query_attention", "swiglu", "mlp"),
    rows=("x",),
    causal=Causal({"x": 1}),
    tables_in_float32=True,
    dialects=(CS336_BLOCK,),
    order=64,
    headline=True,
    classes=(*BLOCK_CLASSES, *LLAMA_BLOCKS),
    forward_names=FORWARD,
    joined=(*HEADS_JOINED, *GATE_JOINED),
    size_names=GROUPED_SIZES,
    part_forms={"grouped_query_attention": "rotary_halves"},
    inside={
        "rms_norm": {"weight": "norm_1_weight"},
        "grouped_query_attention": {
            name: name
            for name in (
                *("query_weight", "key_weight", "value_weight", "out_weight"),
                *("query_bias", "key_bias", "value_bias", "out_bias", "q_norm_weight", "k_norm_weight", "sinks"),
            )
        },
        "swiglu": {name: name for name in ("gate_weight", "up_weight", "down_weight")},
        "mlp": {name: name for name in ("up_weight", "down_weight")},
    },
    case_count=28,
    workloads=workloads.BLOCK,
    quorum=ATTENDS,
    variants=BLOCK_VARIANTS,
    numbers=ATTENTION_NUMBERS,
    sources=("Touvron et al. 2023, section 2.2", "meta-llama/llama llama/model.py TransformerBlock"),
    claims=(
        identity_with_zeroed_sublayers,
        each_sublayer_uses_its_own_weights,
        mlp_half_is_position_wise,
        sublayers_run_in_sequence,
        *padding_claims(cases, "attention_mask_not_passed_on"),
    ),
)
