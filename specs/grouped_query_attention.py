"""Causal self-attention with shared key and value heads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import Trial, Violation, claim
from harness.core.contract import Argument, Causal, Contract, Signature
from harness.core.mistake import Edit
from harness.strategies.tensors import ORDINARY, seeds, tensors
from reference_model.attention import attention
from reference_model.grouped_query_attention import grouped_query_attention
from specs.naming.forward import FORWARD
from specs.naming.llama import GROUPED_OPTIONS, GROUPED_PROJECTIONS
from specs.naming.parameters import HEADS_JOINED
from specs.naming.sizes import GROUPED_SIZES
from specs.shared.attention import elsewhere, learned, output, roomy_context, tolerance, unmoved
from specs.shared.grouped_query_forms import ATTENTION_NUMBERS, attention_variants
from specs.shared.llama_cases import GAINS, HEADS, described, extents, grouped_weights, options, settings
from specs.shared.model_forms import UNIT_OFFSET
from specs.shared.padding import ATTENTION_MASK, padding_claims
from specs.shared.quorums import ATTENDS, SEVERAL_GROUPS

TILED = "tiled"
QUERIES = ("query_weight", "query_bias", "q_norm_weight")
KEYS_AND_VALUES = ("key_weight", "value_weight", "key_bias", "value_bias", "k_norm_weight")


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Heads, groups, head size, time and batch all differ, except where a group is shared by all heads or by one.

    Two of three cases are plain in its sizes and settings: every position is seen, and the heads fill the width.
    """
    plain = draw(st.integers(0, 2)) < 2
    heads, groups = draw(st.sampled_from(HEADS))
    size = draw(st.sampled_from([k for k in (4, 2, 3, 4, 2, 6, 5, 1) if k not in (heads, groups, heads // groups)]))
    free = [w for w in range(2, 12) if w not in (heads, groups, size, heads * size)]
    width = heads * size if plain or draw(st.integers(0, 2)) else draw(st.sampled_from(free))
    sizes = {"width": width, "heads": heads, "kv_heads": groups}
    taken = {size, *sizes.values()}
    sizes |= draw(extents(taken, 7, 5))
    all_sizes = {**sizes, "head_size": size}
    names = draw(options())
    weights = draw(grouped_weights(all_sizes, names, draw(st.sampled_from((1.5, 0.5, 4.0)))))
    x, kind = draw(tensors((sizes["batch"], sizes["time"], width), (*ORDINARY, "repeated rows")))
    arguments = {"x": x, **weights, "n_heads": heads, "n_kv_heads": groups}
    arguments |= draw(settings(all_sizes, plain))
    return Case.of(arguments, family=kind + described(names), context=roomy_context(sizes["time"]), **sizes)


@st.composite
def indivisible(draw: st.DrawFn) -> Case:
    """Groups that do not divide the heads."""
    heads, groups = draw(st.sampled_from(((3, 2), (4, 3), (2, 4), (5, 3))))
    width, seed = 2 * heads, draw(seeds)
    shapes = ((1, 3, width), (width, width), (2 * groups, width), (2 * groups, width), (width, width))
    names = ("x", "query_weight", "key_weight", "value_weight", "out_weight")
    given = {n: learned("normal", s, seed + i, 0.5) for i, (n, s) in enumerate(zip(names, shapes, strict=True))}
    sizes = {"width": width, "heads": heads, "kv_heads": groups, "time": 3, "batch": 1}
    family = f"{heads} heads in {groups} groups"
    return Case.of(
        {**given, "n_heads": heads, "n_kv_heads": groups}, family=family, context=roomy_context(sizes["time"]), **sizes
    )


def _sizes(trial: Trial) -> tuple[int, int, int]:
    """Heads, groups, head size."""
    a = trial.case.arguments
    return a["n_heads"], a["n_kv_heads"], a["query_weight"].shape[0] // a["n_heads"]


def _group_of(trial: Trial) -> list[int]:
    """The group that each head uses."""
    heads, groups, _ = _sizes(trial)
    return [head % groups if trial.has_form(TILED) else head // (heads // groups) for head in range(heads)]


def _ungrouped(trial: Trial) -> Case:
    """The same attention with one key-value head per head: the weights of each group, repeated for its heads."""
    heads, groups, size = _sizes(trial)
    rows = torch.arange(groups * size).reshape(groups, size)[_group_of(trial)].reshape(-1)
    repeated = trial.case.changed(**_in_order(trial.case, KEYS_AND_VALUES, rows), n_kv_heads=heads)
    return replace(repeated, dimensions={**repeated.dimensions, "kv_heads": heads})


def _in_order(case: Case, names: tuple[str, ...], rows: torch.Tensor) -> dict[str, Any]:
    """These weights with their rows in another order; those of one head, and those that are None, stay."""
    given = {name: case.arguments[name] for name in names if case.arguments.get(name) is not None}
    longest = max(len(value) for value in given.values())
    return {name: value[rows] if len(value) == longest else value for name, value in given.items()}


@claim(
    "with as many key-value heads as query heads it is multi-head attention",
    broken_by="scaled_by_width",
    max_cases=16,
    aliases=("equals_attention_with_a_group_for_each_head",),
)
def multi_head_when_groups_equal_heads(trial: Trial) -> None:
    """Compared with the reference of plain attention."""
    a = trial.case.arguments
    more = [name for name in (*GAINS, "sinks", "window", "head_size") if a.get(name) is not None]
    if more or (trial.is_varied and not trial.has_form(TILED)):
        trial.not_applicable()
    full = _ungrouped(trial)
    a = full.arguments
    parts = ("query", "key", "value")
    qkv = torch.cat([a[f"{n}_weight"] for n in parts])
    bias = None if a["query_bias"] is None else torch.cat([a[f"{n}_bias"] for n in parts])
    expected = attention(a["x"], qkv, bias, a["out_weight"], a["out_bias"], a["n_heads"]).to(trial.dtype)
    what = "with one key-value head per query head, compared with multi-head attention, out"
    trial.close(output(trial, full), expected, tolerance(trial, full), what)


@claim(
    "a group equals its key and value weights repeated for each head that shares it",
    broken_by="keys_tiled",
    max_cases=20,
    aliases=("sharing_is_writing_out",),
)
def equals_repeated_kv_weights(trial: Trial) -> None:
    """G < H equals G = H with each group's weights repeated for the H / G heads that share it."""
    heads, groups, _ = _sizes(trial)
    if groups == heads:
        trial.not_applicable()
    unmoved(trial, _ungrouped(trial), "with the weights of each group repeated for its heads, out")


@claim(
    "with one key-value head it is multi-query attention: query heads may be permuted",
    broken_by="query_heads_strided",
    max_cases=14,
    aliases=("one_group_is_multi_query",),
)
def multi_query_with_one_group(trial: Trial) -> None:
    """With G = 1 all heads use the same keys and values, so their order has no effect."""
    heads, _, size = _sizes(trial)
    if heads < 2:
        trial.not_applicable()
    a = trial.case.arguments
    first = _in_order(trial.case, KEYS_AND_VALUES, torch.arange(size))
    single = trial.case.changed(**first, n_kv_heads=1)
    single = replace(single, dimensions={**single.dimensions, "kv_heads": 1})
    order = torch.arange(heads * size).reshape(heads, size).roll(1, 0).reshape(-1)
    queries = _in_order(single, QUERIES, order)
    sinks = {} if a["sinks"] is None else {"sinks": a["sinks"].roll(1, 0)}
    permuted = single.changed(**queries, **sinks, out_weight=a["out_weight"][:, order].contiguous())
    exact, bound = trial.agreement(single)
    trial.close(output(trial, single), exact.value, bound.value, "with one group for all heads, out")
    slack = tolerance(trial, single, permuted)
    what = "with one group and the query heads permuted, out"
    trial.close(output(trial, permuted), output(trial, single), slack, what)


@claim("head h uses only group h // (H / G)", broken_by="first_group_for_all", max_cases=16)
def heads_use_their_group(trial: Trial) -> None:
    """The out projection reads head h alone: the weights of other groups have no effect."""
    heads, groups, size = _sizes(trial)
    a = trial.case.arguments
    if groups < 2 or (a["k_norm_weight"] is not None and len(a["k_norm_weight"]) > size):  # a norm of all groups
        trial.not_applicable()
    for head in sorted({0, heads // groups, 1 + trial.seed % (heads - 1)}):
        own = _group_of(trial)[head]
        only = torch.zeros_like(a["out_weight"])
        only[:, head * size : (head + 1) * size] = a["out_weight"][:, head * size : (head + 1) * size]
        k, v = elsewhere(trial, a["key_weight"]), elsewhere(trial, a["value_weight"], 3.0)
        rows = slice(own * size, (own + 1) * size)
        k[rows], v[rows] = a["key_weight"][rows], a["value_weight"][rows]
        one = trial.case.changed(out_weight=only)
        two = trial.case.changed(out_weight=only, key_weight=k, value_weight=v)
        try:
            what = f"from head {head} alone, with the weights of all groups but {own} changed, out"
            trial.close(output(trial, two), output(trial, one), tolerance(trial, one, two), what)
        except Violation as violation:
            message = f"head {head} of {heads} must use only group {own} of {groups}; it uses another"
            raise Violation(message, worst=violation.worst, error=violation.error) from None


CONTRACT = Contract(
    name="grouped_query_attention",
    meaning="Causal attention in which groups of query heads share one key and value head.",
    calls={
        "call": Signature(
            (
                Argument("x", "float[batch, time, width]"),
                *GROUPED_PROJECTIONS,
                Argument("n_heads", "int", role="setting"),
                Argument("n_kv_heads", "int", role="setting"),
                *GROUPED_OPTIONS,
                Argument("rope_base", "float", role="setting", optional=True, default=10000.0, by_name=True),
                Argument("window", "int", role="setting", optional=True, by_name=True),
                Argument("eps", "float", role="setting", optional=True, default=1e-5, by_name=True),
                Argument("head_size", "int", role="setting", optional=True, by_name=True),
                ATTENTION_MASK,
            ),
            "float[batch, time, width]",
        )
    },
    reference=grouped_query_attention,
    cases=cases,
    invalid=indivisible,
    rows=("x",),
    causal=Causal({"x": 1}),
    includes="attention",
    order=52,
    case_count=36,
    roundings=(
        Edit(
            grouped_query_attention,
            "scale = 1.0 / math.sqrt(head_size)",
            "scale = (1.0 + 2.0**-24) / math.sqrt(head_size)",
        ),
    ),
    classes=("groupedqueryattention", "groupqueryattention", "gqa", "multiqueryattention", "mqa"),
    shared_classes=(
        "attention",
        "attn",
        "selfattention",
        "causalselfattention",
        "causalattention",
        "multiheadattention",
        "multiheadselfattention",
        "multiheadattn",
        "mha",
    ),
    told_by=("kv_heads",),
    forward_names=FORWARD,
    joined=HEADS_JOINED,
    size_names=GROUPED_SIZES,
    variants=(*attention_variants("none"), UNIT_OFFSET),
    numbers=ATTENTION_NUMBERS,
    sources=(
        "Ainslie et al. 2023, section 2.2",
        "Shazeer 2019, section 3",
        "meta-llama/llama llama/model.py Attention",
    ),
    quorum=(*ATTENDS, SEVERAL_GROUPS),
    claims=(
        multi_head_when_groups_equal_heads,
        equals_repeated_kv_weights,
        multi_query_with_one_group,
        heads_use_their_group,
        *padding_claims(cases, "attention_mask_ignored"),
    ),
)
