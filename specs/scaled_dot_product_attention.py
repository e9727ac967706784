"""Attention of given queries to given keys."""

from __future__ import annotations

import math
from typing import Any

import torch

from harness.core.case import Case
from harness.core.claim import NotSupported, Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature
from harness.core.measurement import Measure
from harness.core.mistake import Edit
from reference_model.scaled_dot_product_attention import scaled_dot_product_attention
from specs.naming.cs336 import CS336_ATTEND
from specs.shared.attention import elsewhere, moved_by_a_float32_scale, output, tolerance, unmoved
from specs.shared.attention_masks import AS_TORCH, FORMS, torch_gives_nan
from specs.shared.attention_weights import cases, large_logits, shown, weights_shown
from specs.shared.published_products import products
from specs.shared.quorums import SEVERAL_HEADS
from specs.workloads import models as workloads


@claim("the weights of a query sum to one: values of 1 everywhere give 1", broken_by="mask_after_softmax", max_cases=18)
def weights_sum_to_one(trial: Trial) -> None:
    """Where every value is 1, their weighted mean is 1 for any weights."""
    same = trial.case.changed(v=torch.ones_like(trial.case.arguments["v"]))
    out = output(trial, same)
    trial.close(out, torch.ones_like(out), tolerance(trial, same), "with values of 1 everywhere, out")


@claim(
    "permuting keys, values and mask together does not change the output",
    broken_by="is_causal_always",
    max_cases=15,
    aliases=("keys_have_no_order",),
)
def permutation_invariant_in_keys(trial: Trial) -> None:
    """Keys, their values and their columns of the mask, permuted together."""
    a = trial.case.arguments
    order = torch.randperm(a["k"].shape[-2], generator=trial.random())
    mask = None if a["mask"] is None else a["mask"][..., order]
    moved = trial.case.changed(k=a["k"][..., order, :], v=a["v"][..., order, :], mask=mask)
    unmoved(trial, moved, "with keys, values and mask permuted, out")


@claim(
    "masked keys and their values do not affect the output",
    broken_by="boolean_mask_added",
    max_cases=18,
    aliases=("hidden_keys_do_not_matter",),
)
def masked_keys_are_ignored(trial: Trial) -> None:
    """Keys that the first query may not attend to, and their values, are replaced by numbers ten times as large."""
    a = trial.case.arguments
    if a["mask"] is None or not bool((~a["mask"][..., :1, :]).any()):
        trial.not_applicable()
    hidden = ~a["mask"][..., 0, :].unsqueeze(-1)
    k = torch.where(hidden, elsewhere(trial, a["k"], 10.0), a["k"])
    v = torch.where(hidden, elsewhere(trial, a["v"], 10.0), a["v"])
    other = trial.case.changed(k=k, v=v)
    bound = tolerance(trial, None, other)
    what = "the first query's out, with masked keys and values changed,"
    trial.close(output(trial, other)[..., 0, :], output(trial)[..., 0, :], bound, what)


@claim(
    "a key masked for every query acts as if absent; an all-true mask acts as none",
    broken_by="mask_inverted",
    max_cases=15,
    aliases=("hidden_keys_might_as_well_be_absent",),
)
def masked_keys_equal_absent_keys(trial: Trial) -> None:
    """With the last key hidden from all, out is that of the other keys alone; and a mask that hides nothing is none."""
    a = trial.case.arguments
    queries, keys = a["q"].shape[-2], a["k"].shape[-2]
    mask = torch.ones(queries, keys, dtype=torch.bool)
    none, all_seen = trial.case.changed(mask=None), trial.case.changed(mask=mask)
    bound = tolerance(trial, none, all_seen)
    trial.close(output(trial, all_seen), output(trial, none), bound, "with an all-true mask, out")
    mask[:, -1] = False
    hidden = trial.case.changed(mask=mask)
    absent = trial.case.changed(k=a["k"][..., :-1, :], v=a["v"][..., :-1, :], mask=None)
    bound = tolerance(trial, hidden, absent)
    trial.close(output(trial, hidden), output(trial, absent), bound, "with the last key masked, out")


@claim(
    "logits are divided by sqrt(K), where K is the size of a key",
    broken_by="unscaled",
    max_cases=15,
    aliases=("scaled_by_the_root_of_the_size",),
)
def scaled_by_sqrt_head_size(trial: Trial) -> None:
    """Three more features of zeros change no product: with them the queries must be sqrt((K + 3) / K) times larger."""
    a = trial.case.arguments
    size = a["q"].shape[-1]
    longer = [torch.cat([a[name], torch.zeros((*a[name].shape[:-1], 3), dtype=torch.float64)], -1) for name in "qk"]
    wide = trial.case.changed(q=longer[0] * math.sqrt((size + 3) / size), k=longer[1])
    bound = tolerance(trial, None, wide) + moved_by_a_float32_scale(a["v"])
    trial.close(output(trial, wide), output(trial), bound, "with three extra features of zeros, out")


@claim(
    "it accepts any leading batch dimensions, and the rows of a batch are independent",
    broken_by="softmax_over_the_batch",
    max_cases=15,
    aliases=("leading_axes_stand_apart",),
)
def arbitrary_batch_dimensions(trial: Trial) -> None:
    """Leading axes flattened into one, one more, and the first row alone give the same numbers."""
    a = trial.case.arguments
    leading, whole = a["q"].shape[:-2], output(trial)
    own = a["mask"] is not None and a["mask"].dim() > 2

    def with_each(change: Any) -> Case:
        changed = {name: change(a[name]) for name in "qkv"}
        return trial.case.changed(**changed, mask=change(a["mask"]) if own else a["mask"])

    changes: list[tuple[str, Any]] = [
        ("with flattened batch dimensions", lambda t: t.reshape(-1, *t.shape[-2:])),
        ("with one extra batch dimension", lambda t: t.unsqueeze(0)),
        ("the first row alone", lambda t: t[:1]),
    ]
    for what, change in changes[: 2 if leading[0] < 2 else 3]:
        case = with_each(change)
        bound = tolerance(trial, None, case)
        trial.close(output(trial, case), change(whole), bound, f"{what}, out")


@claim(
    "a single key gives its value for every query",
    broken_by="softmax_plus_one",
    max_cases=14,
    aliases=("one_key_gives_its_value",),
)
def single_key_returns_its_value(trial: Trial) -> None:
    a = trial.case.arguments
    single = trial.case.changed(k=a["k"][..., :1, :], v=a["v"][..., :1, :], mask=None)
    expected = a["v"][..., :1, :].expand(*a["q"].shape[:-1], -1).to(trial.dtype)
    trial.close(output(trial, single), expected, tolerance(trial, single), "for a single key, out")


@claim(
    "logits of 100 to 1e5 neither leak through the mask nor overflow",
    broken_by="mask_adds_minus_1e4",
    cases=large_logits,
    max_cases=14,
    aliases=("holds_at_large_logits",),
)
def stable_at_large_logits(trial: Trial) -> None:
    """A logit is known to one rounding of its size, and so are the weights and the mean of the values."""
    a = trial.case.arguments
    exact, bound = trial.agreement()
    out = output(trial)
    if not bool(torch.isfinite(out).all()):
        raise Violation("the output is not finite: exponentials of large logits overflow, or all underflow")
    logits = float((a["q"] @ a["k"].mT).abs().max()) / math.sqrt(a["q"].shape[-1])
    slack = 16 * torch.finfo(trial.dtype).eps * logits * float(a["v"].abs().max())
    trial.close(out, exact.value, bound.value + slack, "out")


@claim(
    "a fully masked query gets zeros and does not affect other queries",
    broken_by="mask_fills_minus_1e9",
    max_cases=15,
    aliases=("nothing_to_attend_to",),
)
def fully_masked_query_gets_zeros(trial: Trial) -> None:
    """A query that may attend to nothing gets zeros, as in torch; others are not affected.

    Steep logits (of 1e7) besides ordinary ones: -1e4, -1e5 and -1e9 in the place of -inf differ there. A row of -inf
    that goes through a plain softmax gives NaN, in every gradient too.
    """
    a = trial.case.arguments
    if a["mask"] is None or a["mask"].shape[:-1].numel() < 2 or trial.has_form("nan_where_all_is_hidden"):
        trial.not_applicable()
    mask = a["mask"].clone()
    mask[..., 0, :] = False
    idle = trial.case.changed(mask=mask)
    answer = trial.attempt(idle)
    if answer.crash is not None:
        raise NotSupported(f"it raises {answer.crash.error} for a fully masked query")
    out, whole = output(trial, idle), output(trial)
    bound = tolerance(trial, None, idle)
    if out.shape[-2] > 1:
        trial.close(out[..., 1:, :], whole[..., 1:, :], bound, "next to a fully masked query, out")
    if bool(out[..., 0, :].isnan().all()):
        what = "a query that may attend to nothing gives NaN, and so does every gradient"
        raise Violation(what, explains=False, advice=AS_TORCH if torch_gives_nan() else "")
    steep = idle.changed(q=a["q"] * 1e7 / max(float((a["q"] @ a["k"].mT).abs().max()), 1e-3))
    found = [(case, output(trial, case), trial.expect(case).value, tolerance(trial, case)) for case in (steep, idle)]
    for _, actual, expected, bound in found:
        what = "for a fully masked query, out"
        trial.close(actual[..., 0, :], expected[..., 0, :], bound, what)


@claim(
    "an earlier call with another mask does not change the output",
    broken_by="mask_cached_across_calls",
    max_cases=15,
    aliases=("masks_are_not_remembered",),
)
def masks_are_not_cached(trial: Trial) -> None:
    """A second call, with the mask reversed, is not affected by the first."""
    if trial.case.arguments["mask"] is None:
        trial.not_applicable()
    other = trial.case.changed(mask=trial.case.arguments["mask"].flip(-1))
    second = trial.run(trial.case.followed_by(*other.calls), fresh=True).outputs[1]
    alone = trial.run(other, fresh=True).value
    trial.close(second, alone, trial.spread_of_value(other), "after a call with another mask, out")


CONTRACT = Contract(
    name="scaled_dot_product_attention",
    meaning="Scaled dot-product attention: softmax(q k^T / sqrt(K)) v over the keys that the mask allows.",
    calls={
        "call": Signature(
            (
                Argument("q", "float[..., queries, size]"),
                Argument("k", "float[..., keys, size]"),
                Argument("v", "float[..., keys, value_size]"),
                Argument("mask", "bool[..., queries, keys]", role="setting", optional=True, aliases=("attn_mask",)),
            ),
            "float[..., queries, value_size]",
        )
    },
    reference=scaled_dot_product_attention,
    cases=cases,
    composed=products,
    dialects=(CS336_ATTEND,),
    roundings=(
        Edit(
            scaled_dot_product_attention,
            "scale = 1.0 / math.sqrt(q.shape[-1])",
            "scale = (1.0 + 2.0**-24) / math.sqrt(q.shape[-1])",
        ),
    ),
    order=45,
    case_count=26,
    variants=FORMS,
    sources=("Vaswani et al. 2017, section 3.2.1, equation 1", "torch.nn.functional.scaled_dot_product_attention"),
    workloads=workloads.QUERIES,
    measures=(Measure("weights", "attention weights next to the reference's", weights_shown, shown),),
    quorum=(SEVERAL_HEADS,),
    claims=(
        weights_sum_to_one,
        permutation_invariant_in_keys,
        masked_keys_are_ignored,
        masked_keys_equal_absent_keys,
        scaled_by_sqrt_head_size,
        arbitrary_batch_dimensions,
        single_key_returns_its_value,
        stable_at_large_logits,
        fully_masked_query_gets_zeros,
        masks_are_not_cached,
    ),
)
