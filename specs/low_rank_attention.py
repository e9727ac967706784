"""Attention through projections along time."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature
from harness.core.measurement import Measure, Measurement
from harness.core.mistake import Edit
from harness.numerics.tolerance import EPSILON
from harness.strategies.shapes import distinct_sizes
from harness.strategies.tensors import make, seeds
from reference_model.low_rank_attention import low_rank_attention
from reference_model.scaled_dot_product_attention import scaled_dot_product_attention
from specs.shared.attention import elsewhere, output, tolerance, unmoved


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Time, rank and the sizes all differ, except in one case in eight, of full rank; the rank is usually smaller."""
    sizes = draw(distinct_sizes(time=(2, 8), rank=(1, 6), size=(2, 6), value_size=(1, 7), heads=(1, 3), batch=(1, 4)))
    if draw(st.integers(0, 7)) == 7:
        sizes["rank"] = sizes["time"]
    leading, time = (sizes["batch"], sizes["heads"]), sizes["time"]
    family, seed = draw(st.sampled_from(("normal", "small integers", "normal", "wide"))), draw(seeds)
    sharpness = draw(st.sampled_from((1.0, 0.5, 2.0))) * (0.3 if family == "wide" else 1.0)
    q, k = (sharpness * (make(family, (*leading, time, sizes["size"]), seed + i) + 0.1) for i in range(2))
    v = make(family, (*leading, time, sizes["value_size"]), seed + 2)
    e, f = (make("normal", (sizes["rank"], time), seed + i) / math.sqrt(time) for i in (3, 4))
    arguments = {"q": q, "k": k, "v": v, "key_projection": e, "value_projection": f}
    return Case.of(arguments, family=family, **sizes)


@st.composite
def unusable(draw: st.DrawFn) -> Case:
    """Projections for one position too many."""
    case = draw(cases())
    a = case.arguments
    longer = {n: torch.cat([a[n], a[n][:, :1]], 1) for n in ("key_projection", "value_projection")}
    return replace(case.changed(**longer), family="projections for one position more than there are")


def with_projections(case: Case, e: torch.Tensor, f: torch.Tensor) -> Case:
    other = case.changed(key_projection=e, value_projection=f)
    return replace(other, dimensions={**other.dimensions, "rank": e.shape[0]})


@claim(
    "identity projections give full attention without a mask",
    broken_by="causal_mask",
    max_cases=18,
    aliases=("the_identity_is_full_attention",),
)
def identity_projections_give_full_attention(trial: Trial) -> None:
    """R = T and both projections the identity: attention of every position to every other, without a mask."""
    a = trial.case.arguments
    identity = torch.eye(a["q"].shape[-2], dtype=torch.float64)
    full = with_projections(trial.case, identity, identity.clone())
    expected = scaled_dot_product_attention(a["q"], a["k"], a["v"]).to(trial.dtype)
    what = "with identity projections, compared with full attention, out"
    trial.close(output(trial, full), expected, tolerance(trial, full), what)


@claim("the matrix that mixes positions has rank R at most", broken_by="values_added", max_cases=18)
def rank_is_at_most_r(trial: Trial) -> None:
    """Values that are the identity show the whole T x T matrix that mixes positions: its rank is R at most.

    Rounding puts at most T times the tolerance, or T units, on each singular value beyond R.
    """
    a = trial.case.arguments
    time, rank = a["q"].shape[-2], a["key_projection"].shape[0]
    if rank >= time:
        trial.not_applicable()
    identity = torch.eye(time, dtype=torch.float64).expand(*a["q"].shape[:-2], time, time).clone()
    shown = trial.case.changed(v=identity)
    shown = replace(shown, dimensions={**shown.dimensions, "value_size": time})
    mixing = output(trial, shown).double()
    beyond = torch.linalg.svdvals(mixing)[..., rank:]
    bound = time * (tolerance(trial, shown) + EPSILON[trial.dtype] * float(mixing.abs().max()))
    ratio = float(beyond.max()) / bound
    if not ratio <= 1:
        worst = f"singular value {rank + 1} is {float(beyond.max()):.4g}"
        raise Violation(f"the matrix that mixes positions has a rank above {rank}", worst=worst, error=ratio)
    trial.note_error(ratio)


@claim(
    "permuting keys, values and projection columns together does not change the output",
    broken_by="values_in_reverse",
    max_cases=14,
    aliases=("positions_have_no_order",),
)
def permutation_invariant_in_positions(trial: Trial) -> None:
    """Keys, values and the columns of both projections, permuted together."""
    a = trial.case.arguments
    order = torch.randperm(a["q"].shape[-2], generator=trial.random())
    moved = trial.case.changed(
        k=a["k"][..., order, :],
        v=a["v"][..., order, :],
        key_projection=a["key_projection"][:, order],
        value_projection=a["value_projection"][:, order],
    )
    unmoved(trial, moved, "with keys, values and projection columns permuted, out")


@claim(
    "permuting the rows of both projections together does not change the output",
    broken_by="causal_mask",
    max_cases=14,
    aliases=("mixtures_have_no_order",),
)
def permutation_invariant_in_mixtures(trial: Trial) -> None:
    """The rows of both projections, permuted together."""
    a = trial.case.arguments
    order = torch.arange(a["key_projection"].shape[0]).flip(0)
    e, f = (a[name][order].clone() for name in ("key_projection", "value_projection"))
    unmoved(
        trial,
        trial.case.changed(key_projection=e, value_projection=f),
        "with the rows of both projections reversed, out",
    )


@claim(
    "each query's output depends only on that query",
    broken_by="softmax_over_queries",
    max_cases=14,
    aliases=("queries_are_apart",),
)
def queries_are_independent(trial: Trial) -> None:
    """Queries are independent: reversed queries give reversed outputs, and other queries do not change an output."""
    a, whole = trial.case.arguments, output(trial)
    turned = trial.case.changed(q=a["q"].flip(-2))
    trial.close(output(trial, turned), whole.flip(-2), tolerance(trial, None, turned), "with the queries reversed, out")
    other = a["q"].clone()
    other[..., 1:, :] = elsewhere(trial, other[..., 1:, :], 3.0)
    changed = trial.case.changed(q=other)
    bound = tolerance(trial, None, changed)
    trial.close(
        output(trial, changed)[..., 0, :],
        whole[..., 0, :],
        bound,
        "the first query's out, with the other queries changed,",
    )


@claim(
    "the weights of a query sum to one where the rows of the value projection do",
    broken_by="sigmoid_for_softmax",
    max_cases=14,
)
def weights_sum_to_one(trial: Trial) -> None:
    """With rows of the value projection that sum to one, and equal values, the output is that value."""
    a = trial.case.arguments
    f = a["value_projection"].softmax(-1)
    same = trial.case.changed(value_projection=f, v=torch.full_like(a["v"], 2.5))
    out = output(trial, same)
    trial.close(out, torch.full_like(out, 2.5), tolerance(trial, same), "with equal values everywhere, out")


RANKS, POSITIONS, DRAWS = (4, 16, 64), 64, 8


def gradient_variance(trial: Trial) -> Measurement:
    """Mean squared gradients of q, k and v with random projections, over those with the identity (full attention)."""
    size, heads = 8, 2
    shape, totals = (1, heads, POSITIONS, size), dict[str, float]()
    identity = torch.eye(POSITIONS, dtype=torch.float64)
    squares: dict[int, dict[str, float]] = {0: dict.fromkeys("qkv", 0.0)}
    for rank in (0, *RANKS):
        squares[rank] = dict.fromkeys("qkv", 0.0)
        for draw in range(DRAWS):
            q, k, v = (make("normal", shape, 100 * draw + i) for i in range(3))
            e, f = (
                (make("normal", (rank, POSITIONS), 100 * draw + i) / math.sqrt(rank) for i in (3, 4))
                if rank
                else (identity, identity)
            )
            given = {"q": q, "k": k, "v": v, "key_projection": e.clone(), "value_projection": f.clone()}
            gradients = trial.run(Case.of(given), gradients=True).gradients
            for name in "qkv":
                squares[rank][name] += float(gradients[name].pow(2).mean()) / DRAWS
    for rank in RANKS:
        for name in "qkv":
            totals[f"{name}, rank {rank}"] = squares[rank][name] / squares[0][name]
    shown = ", ".join(f"{totals[f'v, rank {rank}']:.3g} at rank {rank}" for rank in RANKS)
    return Measurement(
        f"the mean squared gradient of the values, relative to full attention, is {shown}, with {POSITIONS} positions. "
        "That is its size, which follows the scale of the projections. Whether a low rank makes gradients noisier, as "
        "is claimed, is another question: `plumbline study low-rank-noise` compares the noise with the signal",
        f"mean squared gradients over {DRAWS} draws of normal q, k, v and projections of variance 1/R, "
        "divided by those of the identity",
        totals[f"v, rank {RANKS[0]}"],
        f"mean squared gradient of v at rank {RANKS[0]} over that of full attention",
        totals,
    )


CONTRACT = Contract(
    name="low_rank_attention",
    meaning="Low-rank attention (Linformer): keys and values are projected along time to R mixtures of positions.",
    calls={
        "call": Signature(
            (
                Argument("q", "float[..., time, size]"),
                Argument("k", "float[..., time, size]"),
                Argument("v", "float[..., time, value_size]"),
                Argument("key_projection", "float[rank, time]", "parameter"),
                Argument("value_projection", "float[rank, time]", "parameter"),
            ),
            "float[..., time, value_size]",
        )
    },
    reference=low_rank_attention,
    cases=cases,
    invalid=unusable,
    rows=("q", "k", "v"),
    order=55,
    case_count=24,
    roundings=(
        Edit(
            low_rank_attention,
            "scale = 1.0 / math.sqrt(q.shape[-1])",
            "scale = (1.0 + 2.0**-24) / math.sqrt(q.shape[-1])",
        ),
    ),
    measures=(Measure("gradient_variance", "mean squared gradients compared with full attention", gradient_variance),),
    sources=("Wang et al. 2020 (Linformer), section 4, equation 7",),
    claims=(
        identity_projections_give_full_attention,
        rank_is_at_most_r,
        permutation_invariant_in_positions,
        permutation_invariant_in_mixtures,
        queries_are_independent,
        weights_sum_to_one,
    ),
)
