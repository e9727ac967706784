"""The whole model: from token ids to the logits of the next id."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import NotSupported, Trial, Violation, claim
from harness.core.contract import Argument, Causal, Contract, Signature
from harness.core.implementation import MeasuredOutput
from harness.core.values import Settings
from harness.strategies.tensors import seeds, token_ids
from reference_model.config import Config, parameter_count
from reference_model.gpt2 import gpt2
from specs.naming.forward import FORWARD
from specs.naming.llama import LLAMA_MODELS
from specs.naming.models import MODEL_CLASSES
from specs.naming.parameters import GPT2
from specs.naming.pico_gpt import PICO_MODEL
from specs.naming.sizes import SIZES_OF_GPT2
from specs.shared.attention import (
    block_weights,
    elsewhere,
    head_sizes,
    learned,
    output,
    silent_parts,
    tolerance,
    unmoved,
    with_time,
)
from specs.shared.block_forms import NORM_PLACES
from specs.shared.model_forms import HOW_TO_UNTIE, TIED, UNTIED
from specs.shared.padding import ATTENTION_MASK, NAN_AT_PADDING, POSITION_IDS
from specs.shared.padding_of_models import model_padding_claims
from specs.shared.qkv_order import MODEL_BY_HEAD
from specs.shared.quorums import ATTENDS
from specs.shared.rotary import POSITIONS, ROTARY_MODEL
from specs.workloads import models as workloads


@st.composite
def cases(draw: st.DrawFn, most_time: int = 6, full: bool = False, surplus: int = 0) -> Case:
    """All sizes differ; ids repeat; one to three layers, each with its own weights.

    ``full``: the ids fill the context window. ``surplus``: the number of ids beyond it, which must be refused.
    """
    sizes = draw(head_sizes(most_time=most_time, most_batch=5, four_fold=True, context=(7, 11), vocab_size=(6, 13)))
    layers = draw(st.sampled_from((1, 2, 3)))
    config = Settings(
        vocab_size=sizes["vocab_size"],
        context=sizes["time"] if full or surplus else sizes["context"],
        width=sizes["width"],
        heads=sizes["heads"],
        layers=layers,
        norm_eps=draw(st.sampled_from((1e-5, 1e-5, 1e-5, 1e-3))),
    )
    seed, silent = draw(seeds), draw(silent_parts)
    shift = learned("normal", (config.width,), seed + 3, 0.4) if draw(st.integers(0, 5)) else None
    weights = {
        "token_embedding": learned("normal", (config.vocab_size, config.width), seed, 1.0),
        "position_embedding": learned("normal", (config.context, config.width), seed + 1, 0.7),
        "blocks": [draw(block_weights(config.width, sizes["hidden"], silent)) for _ in range(layers)],
        "final_norm_weight": learned("normal", (config.width,), seed + 2, 0.4, around=1.2),
        "final_norm_bias": shift,
    }
    ids = draw(token_ids((sizes["batch"], sizes["time"] + surplus), config.vocab_size))
    sizes = {**sizes, "time": sizes["time"] + surplus, "context": config.context, "layers": layers}
    without = " and ".join(sorted({name.split("_")[0] for name in silent}))
    family = f"{layers} layers" + (f", without {without}" if silent else "")
    return Case.of({"ids": ids, "weights": weights, "config": config}, family=family, **sizes)


@st.composite
def invalid_cases(draw: st.DrawFn) -> Case:
    """More ids than the context holds, or an id below or above the vocabulary."""
    kind = draw(st.sampled_from(("long", "high", "negative")))
    if kind == "long":
        surplus = draw(st.sampled_from((1, 2)))
        case = draw(cases(surplus=surplus))
        return replace(case, family=f"{case.dimensions['time']} ids with a context of {case.dimensions['context']}")
    case = draw(cases())
    ids = case.arguments["ids"].clone()
    wrong = case.dimensions["vocab_size"] if kind == "high" else -1
    ids.reshape(-1)[draw(st.integers(0, ids.numel() - 1))] = wrong
    return replace(case.changed(ids=ids), family=f"the id {wrong} with a vocabulary of {case.dimensions['vocab_size']}")


@claim(
    "it works with a full context window, and with a single id",
    broken_by="full_context_refused",
    cases=lambda: cases(most_time=8, full=True),
    max_cases=15,
    aliases=("holds_at_the_full_context",),
)
def works_at_full_context(trial: Trial) -> None:
    exact, bound = trial.agreement()
    trial.close(output(trial), exact.value, bound.value, "with a full context window, out")
    one = with_time(trial.case.changed(ids=trial.case.arguments["ids"][:, :1]), 1)
    exact, bound = trial.agreement(one)
    trial.close(output(trial, one), exact.value, bound.value, "for a single id, out")


def with_weights(case: Case, **weights: object) -> Case:
    """The case with some of the model's weights replaced."""
    return case.changed(weights={**case.arguments["weights"], **weights})


@claim(
    "only the first T rows of the position table are read",
    broken_by="positions_stretched",
    aliases=("unused_positions_do_not_matter",),
)
def unused_positions_are_ignored(trial: Trial) -> None:
    """T is the number of ids."""
    if trial.has_form(POSITIONS):
        trial.not_applicable()
    time, table = trial.case.arguments["ids"].shape[1], trial.case.arguments["weights"]["position_embedding"]
    if time >= len(table):
        trial.not_applicable()
    other = torch.cat([table[:time], table[time:] + elsewhere(trial, table[time:])])
    changed = with_weights(trial.case, position_embedding=other)
    unmoved(trial, changed, "with the position table changed from row T on, out")


@claim(
    "the embedding row of an absent id affects only that id's logit: the head is the token embedding",
    broken_by="probabilities_returned",
    aliases=("each_logit_has_its_own_row",),
)
def logits_use_their_own_embedding_row(trial: Trial) -> None:
    a = trial.case.arguments
    table = a["weights"]["token_embedding"]
    unseen = sorted(set(range(len(table))) - set(a["ids"].reshape(-1).tolist()))
    if not unseen:
        trial.not_applicable()
    row = unseen[0]
    other = table.clone()
    other[row] += elsewhere(trial, table[row])
    changed = with_weights(trial.case, token_embedding=other)
    rest = [column for column in range(len(table)) if column != row]
    what = f"the logits of other ids, with the embedding of the absent id {row} changed, out"
    trial.close(output(trial, changed)[..., rest], output(trial)[..., rest], tolerance(trial, None, changed), what)


@claim(
    "the logits are linear in the gain and bias of the final norm: only the head follows it",
    broken_by="final_norm_forgotten",
)
def linear_in_the_final_norm(trial: Trial) -> None:
    """Twice the gain and the bias of the final norm give twice the logits."""
    weights = trial.case.arguments["weights"]
    gain, shift = weights["final_norm_weight"], weights["final_norm_bias"]
    twice = with_weights(trial.case, final_norm_weight=2 * gain, final_norm_bias=None if shift is None else 2 * shift)
    what = "with gain and bias of the final norm doubled, out"
    trial.close(output(trial, twice), 2 * output(trial), tolerance(trial, None, None, twice), what)


UNTIED_HEAD = (
    ": its head is a separate tensor; GPT-2 ties it to the token embedding. If this is intended, declare it: "
    + HOW_TO_UNTIE
)


def miscounts(call: Any, method: str, arguments: Any, request: Any) -> MeasuredOutput:
    """A way to call a right model that reports a wrong number of parameters."""
    return MeasuredOutput(call(arguments), {"parameters": 1.0})


@claim(
    "it has V D + C D + L (12 D^2 + 13 D) + 2 D parameters, less the biases it leaves out",
    sabotage=miscounts,
    name="parameter_count",
    tags=frozenset({"module"}),
    max_cases=10,
)
def parameter_count_by_formula(trial: Trial) -> None:
    """Of a module, with a tied head counted once; a function has no parameters of its own."""
    counted, config = trial.run().facts.get("parameters"), trial.case.arguments["config"]
    if counted is None:
        raise NotSupported("a function has no parameters of its own")
    width, layers = config.width, config.layers
    optional = {
        "norm_1_bias": layers * width,
        "qkv_bias": 3 * layers * width,
        "out_bias": layers * width,
        "norm_2_bias": layers * width,
        "up_bias": 4 * layers * width,
        "down_bias": layers * width,
        "final_norm_bias": width,
    }
    without = sum(size for name, size in optional.items() if name in trial.offer.absent)
    without += config.context * width if trial.has_form(POSITIONS) else 0
    without += layers * width if trial.has_form("parallel_with_one_norm") else 0
    expected = parameter_count(Config(**config.as_dict())) - without
    if counted != expected:
        head = config.vocab_size * width
        untied = counted - expected in (head, head + config.vocab_size)  # some heads have a bias
        if untied and trial.has_form(UNTIED):
            return
        message = f"it has {counted:,.0f} trainable parameters; a GPT-2 of these sizes has {expected:,}"
        raise Violation(message + UNTIED_HEAD, form=UNTIED) if untied else Violation(message)


CONFIG = (
    *(Argument(name, "int", role="setting") for name in ("vocab_size", "context", "width", "heads", "layers")),
    Argument("norm_eps", "float", role="setting", optional=True, default=1e-5),
)
"""The fields of a configuration."""

CONTRACT = Contract(
    name="gpt2",
    meaning="GPT-2: token and position embeddings, transformer blocks, a final norm, the token embedding as head.",
    calls={
        "call": Signature(
            (
                Argument("ids", "int[batch, time]"),
                Argument("weights", "weights", role="parameter", fields=GPT2),
                Argument("config", "config", role="setting", fields=CONFIG),
                ATTENTION_MASK,
                POSITION_IDS,
            ),
            "float[batch, time, vocab_size]",
        )
    },
    reference=gpt2,
    cases=cases,
    invalid=invalid_cases,
    parts=("block", "layer_norm", "token_embedding", "learned_positions"),
    rows=("ids",),
    dialects=(PICO_MODEL,),
    causal=Causal({"ids": 1}, vocabulary="vocab_size"),
    order=70,
    headline=True,
    classes=(*MODEL_CLASSES, *LLAMA_MODELS),
    forward_names=FORWARD,
    size_names=SIZES_OF_GPT2,
    variants=(*TIED, *ROTARY_MODEL, *NORM_PLACES, NAN_AT_PADDING, MODEL_BY_HEAD),
    inside={
        "block": {"weights": "blocks"},
        "layer_norm": {"weight": "final_norm_weight", "bias": "final_norm_bias"},
        "token_embedding": {"weight": "token_embedding"},
        "learned_positions": {"weight": "position_embedding"},
    },
    case_count=25,
    sources=("Radford et al. 2018, section 3.1", "Radford et al. 2019, section 2.3", "openai/gpt-2 src/model.py model"),
    workloads=workloads.MODEL,
    quorum=ATTENDS,
    claims=(
        works_at_full_context,
        unused_positions_are_ignored,
        logits_use_their_own_embedding_row,
        linear_in_the_final_norm,
        parameter_count_by_formula,
        *model_padding_claims(cases, "attention_mask_not_passed_on", "position_ids_ignored"),
    ),
)
