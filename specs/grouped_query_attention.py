"""Causal self-attention with shared key and value heads."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import Trial, Violation, claim
from harness.core.contract import Argument, Causal, Contract, Signature, Variant
from harness.core.mistake import Edit
from harness.strategies.tensors import ORDINARY, seeds, tensors
from reference_model.attention import attention
from reference_model.grouped_query_attention import grouped_query_attention
from specs.naming.forward import FORWARD
from specs.naming.parameters import HEADS_JOINED, KEY, OUT, QUERY, VALUE, WEIGHTS, named
from specs.naming.sizes import SIZES
from specs.shared.attention import ROOMY_CONTEXT, elsewhere, learned, output, tolerance, unmoved
from specs.shared.attention_forms import (
    ATTENTION_SCALE,
    NO_POSITIONS,
    POSITIONS,
    QK_NORM,
    SOFTCAP,
    WINDOW,
    attention_scale,
    qk_norm,
    qk_norm_eps,
    rope_base,
    softcap,
    window,
)
from specs.shared.quorums import ATTENDS, SEVERAL_GROUPS
from specs.shared.rotary import rotary_layouts

TILED = "tiled"
NORMED_K, TURNED_Q = "k = norm_of_heads(k, k_norm_weight, eps)", "turned_q = rotate(q, layout, rope_base)"
REPEATED = "keys = turned_k.repeat_interleave(shared_by, dim=1)"
SCALE, FUTURE = "scale = 1.0 / math.sqrt(head_size)", "future = everywhere.triu(diagonal=1)"
HEADS = ((4, 2), (6, 3), (2, 1), (4, 1), (6, 2), (2, 2), (3, 1), (1, 1), (3, 3))
"""Query heads and key-value heads."""


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Heads, groups, head size, time and batch all differ, except where a group is shared by all heads or by one."""
    heads, groups = draw(st.sampled_from(HEADS))
    head_size = draw(st.sampled_from([k for k in (4, 2, 3, 5, 1) if k not in (heads, groups, heads // groups)]))
    sizes = {"width": heads * head_size, "heads": heads, "kv_heads": groups}
    taken = {head_size, *sizes.values()}
    for name, most in (("time", 7), ("batch", 5)):
        sizes[name] = draw(st.sampled_from([n for n in range(1, most + 1) if n == 1 or n not in taken]))
        taken.add(sizes[name])
    width, seed, family = sizes["width"], draw(seeds), draw(st.sampled_from(("normal", "small integers")))
    projection = math.sqrt(draw(st.sampled_from((1.5, 0.5, 4.0))) / width)
    shapes = {
        "query_weight": (width, width),
        "key_weight": (groups * head_size, width),
        "value_weight": (groups * head_size, width),
        "out_weight": (width, width),
    }
    scales = (projection, projection, projection, 1 / math.sqrt(width))
    weights = {
        name: learned(family, shape, seed + i, scale)
        for i, ((name, shape), scale) in enumerate(zip(shapes.items(), scales, strict=True))
    }
    x, kind = draw(tensors((sizes["batch"], sizes["time"], width), (*ORDINARY, "repeated rows")))
    arguments = {"x": x, **weights, "n_heads": heads, "n_kv_heads": groups}
    return Case.of(arguments, family=kind, context=ROOMY_CONTEXT, **sizes)


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
    return Case.of({**given, "n_heads": heads, "n_kv_heads": groups}, family=family, context=ROOMY_CONTEXT, **sizes)


def _sizes(trial: Trial) -> tuple[int, int, int]:
    """Heads, groups, head size."""
    a = trial.case.arguments
    return a["n_heads"], a["n_kv_heads"], a["x"].shape[-1] // a["n_heads"]


def _group_of(trial: Trial) -> list[int]:
    """The group that each head uses."""
    heads, groups, _ = _sizes(trial)
    return [head % groups if trial.has_form(TILED) else head // (heads // groups) for head in range(heads)]


def _ungrouped(trial: Trial) -> Case:
    """The same attention with one key-value head per head: the weights of each group, repeated for its heads."""
    heads, groups, size = _sizes(trial)
    a = trial.case.arguments
    rows = torch.arange(groups * size).reshape(groups, size)[_group_of(trial)].reshape(-1)
    repeated = trial.case.changed(
        key_weight=a["key_weight"][rows], value_weight=a["value_weight"][rows], n_kv_heads=heads
    )
    return replace(repeated, dimensions={**repeated.dimensions, "kv_heads": heads})


@claim(
    "with as many key-value heads as query heads it is multi-head attention",
    broken_by="scaled_by_width",
    max_cases=16,
    aliases=("equals_attention_with_a_group_for_each_head",),
)
def multi_head_when_groups_equal_heads(trial: Trial) -> None:
    """Compared with the reference of plain attention."""
    if trial.has_form(POSITIONS, QK_NORM, SOFTCAP, ATTENTION_SCALE, WINDOW):
        trial.not_applicable()
    full = _ungrouped(trial)
    a = full.arguments
    qkv = torch.cat([a["query_weight"], a["key_weight"], a["value_weight"]])
    expected = attention(a["x"], qkv, None, a["out_weight"], None, a["n_heads"]).to(trial.dtype)
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
    single = trial.case.changed(
        key_weight=a["key_weight"][:size].clone(), value_weight=a["value_weight"][:size].clone(), n_kv_heads=1
    )
    single = replace(single, dimensions={**single.dimensions, "kv_heads": 1})
    order = torch.arange(heads * size).reshape(heads, size).roll(1, 0).reshape(-1)
    permuted = single.changed(query_weight=a["query_weight"][order], out_weight=a["out_weight"][:, order].contiguous())
    exact, bound = trial.agreement(single)
    trial.close(output(trial, single), exact.value, bound.value, "with one group for all heads, out")
    slack = tolerance(trial, single, permuted)
    what = "with one group and the query heads permuted, out"
    trial.close(output(trial, permuted), output(trial, single), slack, what)


@claim("head h uses only group h // (H / G)", broken_by="first_group_for_all", max_cases=16)
def heads_use_their_group(trial: Trial) -> None:
    """The out projection reads head h alone: the weights of other groups have no effect."""
    heads, groups, size = _sizes(trial)
    if groups < 2:
        trial.not_applicable()
    a = trial.case.arguments
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


def _weight(name: str, kind: str, owners: tuple[str, ...], *more: str) -> Argument:
    return Argument(name, kind, "parameter", aliases=(*named(owners, WEIGHTS), *more, name))


CONTRACT = Contract(
    name="grouped_query_attention",
    meaning="Causal attention in which groups of query heads share one key and value head.",
    calls={
        "call": Signature(
            (
                Argument("x", "float[batch, time, width]"),
                _weight("query_weight", "float[width, width]", QUERY, "W_Q"),
                _weight("key_weight", "float[kv_heads*head_size, width]", KEY, "W_K"),
                _weight("value_weight", "float[kv_heads*head_size, width]", VALUE, "W_V"),
                _weight("out_weight", "float[width, width]", OUT, "W_O"),
                Argument("n_heads", "int", role="setting"),
                Argument("n_kv_heads", "int", role="setting"),
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
    case_count=26,
    roundings=(
        Edit(
            grouped_query_attention,
            SCALE,
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
    size_names={**SIZES, "kv_heads": (*SIZES["kv_heads"], "n_groups", "num_groups", "groups")},
    variants=(
        NO_POSITIONS,
        *rotary_layouts(grouped_query_attention),
        qk_norm(grouped_query_attention, NORMED_K),
        Variant(
            TILED,
            "Head h uses group h % G, as in x-transformers: the heads of a group are not next to each other. Only the "
            "order of the heads differs, so a checkpoint of Llama gives other numbers.",
            (
                Edit(
                    grouped_query_attention,
                    REPEATED,
                    "keys = turned_k.repeat(1, shared_by, 1, 1)",
                ),
                Edit(
                    grouped_query_attention,
                    "values = v.repeat_interleave(shared_by, dim=1)",
                    "values = v.repeat(1, shared_by, 1, 1)",
                ),
            ),
        ),
    ),
    numbers=(
        softcap(lambda cap: (Edit(grouped_query_attention, "softcap = None", f"softcap = {cap}"),)),
        attention_scale(lambda scale: (Edit(grouped_query_attention, SCALE, f"scale = {scale}"),)),
        window(lambda size: (Edit(grouped_query_attention, FUTURE, f"{FUTURE}\nwindow = {size}"),)),
        rope_base(lambda base: (Edit(grouped_query_attention, TURNED_Q, f"rope_base = {base}\n{TURNED_Q}"),)),
        qk_norm_eps(grouped_query_attention),
    ),
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
    ),
)
