"""Causal attention by products of features."""

from __future__ import annotations

import math
import time as clock

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import Claim, Trial, claim
from harness.core.contract import Argument, Causal, Contract, Signature, Variant
from harness.core.measurement import Measure, Measurement
from harness.core.mistake import Edit
from harness.strategies.shapes import distinct_sizes
from harness.strategies.tensors import make, seeds
from reference_model.linear_attention import features, linear_attention
from specs.shared.attention import output, tolerance
from specs.shared.quorums import ATTENDS

DENOMINATOR = "denominator = (queries * totals).sum(-1, keepdim=True)"
RESULT = "return numerator / denominator"


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Batch, heads, time and both sizes differ. No number is exactly 0, where the derivative of the features jumps."""
    sizes = draw(distinct_sizes(time=(1, 8), size=(2, 6), value_size=(1, 7), heads=(1, 3), batch=(1, 4)))
    leading = (sizes["batch"], sizes["heads"])
    family, seed = draw(st.sampled_from(("normal", "wide", "small integers", "normal"))), draw(seeds)
    q, k = (make(family, (*leading, sizes["time"], sizes["size"]), seed + i) + 0.13 for i in range(2))
    v = make(family, (*leading, sizes["time"], sizes["value_size"]), seed + 2)
    return Case.of({"q": q, "k": k, "v": v}, family=family, **sizes)


def parallel(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """All products of features at once, later keys masked, each row divided by its sum."""
    products = (features(q) @ features(k).mT).tril()
    return products / products.sum(-1, keepdim=True) @ v


def recurrent(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """One position after the other, with a matrix and a vector as the state."""
    state, total, rows = q.new_zeros(*q.shape[:-2], q.shape[-1], v.shape[-1]), torch.zeros_like(q[..., 0, :]), []
    for t in range(q.shape[-2]):
        key, query = features(k[..., t, :]), features(q[..., t, :])
        state = state + key.unsqueeze(-1) * v[..., t, None, :]
        total = total + key
        rows.append((query.unsqueeze(-2) @ state).squeeze(-2) / (query * total).sum(-1, keepdim=True))
    return torch.stack(rows, -2)


def equals(form: str) -> Claim:
    """The output equals one of the two forms above, which do not come from the reference."""
    function, broken = {"parallel": (parallel, "no_mask"), "recurrent": (recurrent, "denominator_of_the_whole")}[form]

    def test(trial: Trial) -> None:
        if trial.is_varied:
            trial.not_applicable()
        a = trial.case.arguments
        expected = function(a["q"], a["k"], a["v"]).to(trial.dtype)
        trial.close(output(trial), expected, tolerance(trial, trial.case), f"compared with the {form} form, out")

    return Claim(f"equals_the_{form}_form", f"it equals the {form} form", test, broken_by=broken, max_cases=18)


@claim(
    "reordering earlier keys and values does not change the last position's output",
    broken_by="state_decays",
    max_cases=14,
    aliases=("the_past_has_no_order",),
)
def permutation_invariant_past(trial: Trial) -> None:
    """The state is a sum: reversing earlier keys and values does not change the last position."""
    a = trial.case.arguments
    if a["q"].shape[-2] < 3:
        trial.not_applicable()
    turned = {n: torch.cat([a[n][..., :-1, :].flip(-2), a[n][..., -1:, :]], -2) for n in "kv"}
    other = trial.case.changed(**turned)
    bound = tolerance(trial, None, other)
    what = "with the earlier positions reversed, the last position's out"
    trial.close(output(trial, other)[..., -1, :], output(trial)[..., -1, :], bound, what)


@claim(
    "the weights of a query sum to one: values of 1 everywhere give 1",
    broken_by="denominator_without_features",
    max_cases=14,
)
def weights_sum_to_one(trial: Trial) -> None:
    if trial.has_form("unnormalised"):
        trial.not_applicable()
    same = trial.case.changed(v=torch.ones_like(trial.case.arguments["v"]))
    out = output(trial, same)
    bound = tolerance(trial, same) + (2e-6 if trial.has_form("epsilon") else 0.0) * _least_denominator(same)
    trial.close(out, torch.ones_like(out), bound, "with values of 1 everywhere, out")


def _least_denominator(case: Case) -> float:
    """1 over the smallest denominator: the relative effect of an epsilon added to it."""
    a = case.arguments
    return float((1 / (features(a["q"]) * features(a["k"]).cumsum(-2)).sum(-1)).max())


@claim(
    "heads and rows of the batch do not affect each other",
    broken_by="summed_over_heads",
    max_cases=12,
    aliases=("heads_and_rows_are_apart",),
)
def heads_and_rows_are_independent(trial: Trial) -> None:
    """Flattening or permuting the leading axes does not change the numbers."""
    a, whole = trial.case.arguments, output(trial)
    leading = whole.shape[:2]
    turned = trial.case.changed(**{n: a[n].transpose(0, 1) for n in "qkv"})
    bound = tolerance(trial, None, turned)
    trial.close(output(trial, turned), whole.transpose(0, 1), bound, "with batch and head axes swapped, out")
    if math.prod(leading) > 1:
        last = trial.case.changed(**{n: a[n][-1:, -1:] for n in "qkv"})
        bound = tolerance(trial, None, last)
        trial.close(output(trial, last), whole[-1:, -1:], bound, "the last head of the last row alone, out")


@claim(
    "an earlier sequence does not change the output",
    broken_by="state_carried_across_calls",
    max_cases=10,
    aliases=("state_is_not_remembered",),
)
def state_is_not_cached(trial: Trial) -> None:
    """A second sequence of the same sizes is not affected by the first."""
    a = trial.case.arguments
    other = trial.case.changed(k=a["k"].flip(-2), v=0.5 - a["v"])
    second = trial.run(trial.case.followed_by(*other.calls), fresh=True).outputs[1]
    trial.close(second, output(trial, other), trial.spread_of_value(other), "after another sequence, out")


LENGTHS = (128, 512, 2048)


def cost(trial: Trial) -> Measurement:
    """Seconds per call for each length, the best of three."""
    series = {}
    for length in LENGTHS:
        q, k, v = (make("normal", (1, 2, length, 16), seed) for seed in range(3))
        case, seconds = Case.of({"q": q, "k": k, "v": v}), []
        for _ in range(3):
            start = clock.perf_counter()
            trial.run(case, dtype=torch.float32, fresh=True)
            seconds.append(clock.perf_counter() - start)
        series[f"T = {length}"] = min(seconds)
    first, last = series[f"T = {LENGTHS[0]}"], series[f"T = {LENGTHS[-1]}"]
    power = math.log(last / first) / math.log(LENGTHS[-1] / LENGTHS[0])
    return Measurement(
        f"from {LENGTHS[0]} to {LENGTHS[-1]} positions run time grows as T^{power:.2f}, {_beside_the_claim(power)}; "
        "that of the parallel form grows as T^2 asymptotically (`plumbline study attention-cost` gives intervals)",
        "best of three calls per length, float32, batch of 1, two heads of 16 features",
        power,
        "exponent of run time over sequence length",
        series,
    )


def _beside_the_claim(power: float) -> str:
    """An exponent beside what is claimed of linear attention: T."""
    if power < 0.8:
        return "below the T that is claimed: fixed costs still count at these lengths"
    if power <= 1.25:
        return "as claimed (T)"
    if power < 1.75:
        return "more than the T that is claimed: larger states leave the caches, or the machine was busy"
    return "not the T that is claimed"


ARGUMENTS = (
    Argument("q", "float[..., time, size]"),
    Argument("k", "float[..., time, size]"),
    Argument("v", "float[..., time, value_size]"),
)

CONTRACT = Contract(
    name="linear_attention",
    meaning="Causal attention with a feature map in place of softmax, so that the past is one fixed-size state.",
    calls={"call": Signature(ARGUMENTS, "float[..., time, value_size]")},
    reference=linear_attention,
    cases=cases,
    rows=("q", "k", "v"),
    causal=Causal({"q": -2, "k": -2, "v": -2}, output=-2),
    order=54,
    case_count=24,
    variants=(
        Variant(
            "epsilon",
            "1e-6 is added to the denominator, as in fast-transformers; the paper has none.",
            (Edit(linear_attention, RESULT, "return numerator / (denominator + 1e-6)"),),
        ),
        Variant(
            "unnormalised",
            "There is no denominator, as in later linear transformers; here weights sum to one.",
            (Edit(linear_attention, RESULT, "return numerator"),),
        ),
    ),
    measures=(Measure("cost", "how run time grows with sequence length", cost),),
    sources=("Katharopoulos et al. 2020, sections 3.2 to 3.4",),
    quorum=ATTENDS,
    claims=(
        equals("parallel"),
        equals("recurrent"),
        permutation_invariant_past,
        weights_sum_to_one,
        heads_and_rows_are_independent,
        state_is_not_cached,
    ),
)
