"""From logits to the probabilities of the next id: temperature, top-k, top-p.

Ids that tie with the k-th most likely are all kept (transformers, nanoGPT) or cut off at k (litgpt), and a temperature
of exactly 0 is greedy or an error. Both forms pass.
"""

from __future__ import annotations

import torch

from harness.core.claim import NotSupported, Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature, Variant
from harness.core.mistake import Edit
from reference_model.next_token_distribution import next_token_distribution
from specs.shared.attention import output, tolerance, unmoved
from specs.shared.next_token_checks import (
    asked,
    require_all_on_the_largest,
    require_k_ids_at_ties,
    require_one_id_at_tiny_top_p,
)
from specs.shared.next_token_options import CLAIMS, MIN_P_FIRST, OPTIONS
from specs.shared.sampling import both_filters, cases, kept_by_k, kept_by_p, roomy_p, tied


@claim("no probability is negative, and every row sums to one", broken_by="not_renormalised")
def is_a_distribution(trial: Trial) -> None:
    probabilities = output(trial)
    if bool((probabilities < 0).any()):
        raise Violation(f"a probability is {float(probabilities.min()):.4g}")
    totals = probabilities.sum(-1)
    rounding = 8 * torch.finfo(trial.dtype).eps * probabilities.shape[-1]
    trial.close(totals, torch.ones_like(totals), rounding, "the sum of a row's probabilities")


@claim("without filters it is softmax(logits / temperature)", broken_by="multiplied_by_the_temperature", max_cases=14)
def divides_by_the_temperature(trial: Trial) -> None:
    """At three temperatures, with no filter."""
    logits = trial.case.arguments["logits"]
    for temperature in (0.5, 1.0, 3.0):
        case = asked(trial, temperature=temperature)
        expected = torch.softmax(logits.double() / temperature, -1)
        what = f"at temperature {temperature:g}, out"
        trial.close(output(trial, case), expected.to(trial.dtype), tolerance(trial, case), what)


@claim(
    "near temperature 0 all probability is on the largest logit",
    broken_by="multiplied_by_the_temperature",
    max_cases=14,
    aliases=("cold_is_greedy",),
)
def greedy_near_temperature_0(trial: Trial) -> None:
    """A temperature at which the second most likely id is e^-80 times as likely as the first."""
    logits = trial.case.arguments["logits"]
    two = logits.topk(2, -1).values
    case = asked(trial, temperature=float((two[:, 0] - two[:, 1]).min()) / 80)
    require_all_on_the_largest(trial, case, "near temperature 0, out")


@claim(
    "at temperature 0 all probability is on the largest logit",
    broken_by="zero_temperature_takes_argmin",
    max_cases=14,
    aliases=("zero_is_greedy",),
)
def greedy_at_temperature_0(trial: Trial) -> None:
    case = asked(trial, temperature=0.0)
    answer = trial.attempt(case)
    if answer.crash is not None:
        raise NotSupported(f"it raises {answer.crash.error} at temperature 0")
    if not torch.is_tensor(answer.value) or not bool(torch.isfinite(answer.value).all()):
        raise NotSupported("at temperature 0 it divides by 0")
    require_all_on_the_largest(trial, case, "at temperature 0, out")


@claim(
    "with top_k = 1 all probability is on the largest logit",
    broken_by="top_k_keeps_one_too_many",
    max_cases=14,
    aliases=("one_candidate_is_greedy",),
)
def greedy_at_top_k_1(trial: Trial) -> None:
    require_all_on_the_largest(trial, asked(trial, top_k=1), "with top_k = 1, out")
    require_all_on_the_largest(trial, asked(trial, top_k=1, temperature=3.0), "with top_k = 1 at temperature 3, out")


@claim(
    "top-k keeps the k most likely ids and the ratios of their probabilities",
    broken_by="top_k_keeps_the_smallest",
    max_cases=14,
)
def top_k_keeps_the_k_most_likely(trial: Trial) -> None:
    """For several k: the other ids have probability 0, those kept keep their ratios."""
    logits = trial.case.arguments["logits"].double()
    size = logits.shape[-1]
    for top_k in sorted({1, 2, (size + 1) // 2, size}):
        case = asked(trial, top_k=top_k)
        expected = torch.softmax(logits.masked_fill(~kept_by_k(logits, top_k), float("-inf")), -1)
        what = f"with top_k = {top_k}, out"
        trial.close(output(trial, case), expected.to(trial.dtype), tolerance(trial, case), what)


@claim(
    "a top_k of the vocabulary size or more filters nothing",
    broken_by="top_k_above_vocab_size_raises",
    max_cases=10,
    aliases=("more_candidates_than_ids",),
)
def top_k_of_vocabulary_size_or_more(trial: Trial) -> None:
    size = trial.case.dimensions["vocab_size"]
    free = asked(trial)
    for top_k in (size, size + 1, 10 * size):
        case = asked(trial, top_k=top_k)
        what = f"with top_k = {top_k} and {size} ids, out"
        trial.close(output(trial, case), output(trial, free), tolerance(trial, free, case), what)


@claim(
    "top-p keeps the smallest set of ids whose probability reaches p, including the id that crosses p",
    broken_by="top_p_drops_the_crossing_id",
    max_cases=16,
)
def top_p_keeps_the_smallest_set(trial: Trial) -> None:
    """The fewest ids whose sum reaches p, the last one included; p is halfway between two sums of each row."""
    logits = trial.case.arguments["logits"].double()
    for pick in (0, 1, 2):
        top_p = roomy_p(logits, 1.0, None, trial.seed % 97 + 31 * pick)
        case = asked(trial, top_p=top_p)
        expected = torch.softmax(logits.masked_fill(~kept_by_p(logits, top_p), float("-inf")), -1)
        what = f"with top_p = {top_p:.4g}, out"
        trial.close(output(trial, case), expected.to(trial.dtype), tolerance(trial, case), what)


@claim("top_p = 1 keeps every id", broken_by="top_p_uses_one_minus_p", max_cases=10)
def top_p_of_one_keeps_all(trial: Trial) -> None:
    """Up to ids so unlikely that the sum of the others rounds to 1."""
    case, free = asked(trial, top_p=1.0), asked(trial)
    bound = tolerance(trial, free, case) + 8 * torch.finfo(trial.dtype).eps
    trial.close(output(trial, case), output(trial, free), bound, "with top_p = 1, out")


@claim(
    "however small top_p is, the most likely id is kept",
    broken_by="tiny_top_p_drops_everything",
    max_cases=10,
    aliases=("the_most_likely_always_stays",),
)
def tiny_top_p_keeps_the_most_likely(trial: Trial) -> None:
    """Also where 1 - p rounds to 1: for 1e-3 in bfloat16, for 1e-8 in float32."""
    require_one_id_at_tiny_top_p(trial)


@claim(
    "top-k and top-p combine in the declared order, and at least one id is kept",
    broken_by="top_p_skipped_when_top_k_is_set",
    cases=both_filters,
    max_cases=14,
    aliases=("filters_together",),
)
def top_k_and_top_p_combined(trial: Trial) -> None:
    """Top-k first, then top-p of what is left, or in the order that was declared."""
    a = trial.case.arguments
    for top_k in sorted({1, 2, a["top_k"]}):
        case, what = trial.case.changed(top_k=top_k), f"with top_k = {top_k} and top_p = {a['top_p']:.4g}"
        value = output(trial, case)
        if not bool(torch.isfinite(value).all()):
            raise Violation(f"{what} no id is kept: the probabilities are NaN")
        trial.close(value, trial.expect(case).value, tolerance(trial, case), f"{what}, out")


@claim(
    "where ids tie with the k-th, at least k ids are kept and none below the tie",
    broken_by="top_k_drops_the_kth_largest",
    cases=tied,
    max_cases=12,
    aliases=("ties_are_treated_alike_or_cut_off",),
)
def top_k_ties_keep_at_least_k(trial: Trial) -> None:
    """Ids more likely than the k-th are kept, less likely ones are not, and enough of those that tie with it are."""
    require_k_ids_at_ties(trial)


@claim(
    "permuting the ids permutes the probabilities",
    broken_by="sort_order_not_undone",
    max_cases=16,
    aliases=("ids_in_another_order",),
)
def permutation_equivariant_in_vocabulary(trial: Trial) -> None:
    """Sorting by probability must be undone."""
    order = torch.randperm(trial.case.dimensions["vocab_size"], generator=trial.random())
    moved = trial.case.changed(logits=trial.case.arguments["logits"][:, order])
    bound = tolerance(trial, None, moved)
    trial.close(output(trial, moved), output(trial)[:, order], bound, "with the ids permuted, out")


@claim(
    "adding a constant to all logits does not change the output",
    broken_by="filtered_logits_set_to_zero",
    max_cases=10,
    aliases=("unchanged_by_a_shift",),
)
def shift_invariant(trial: Trial) -> None:
    logits = trial.case.arguments["logits"]
    unmoved(trial, trial.case.changed(logits=logits + 8.0), "with 8 added to all logits, out")


@claim(
    "logits of 1e4 and of -inf give finite probabilities",
    broken_by="maximum_not_subtracted",
    max_cases=10,
    aliases=("holds_at_large_logits",),
)
def stable_at_large_logits(trial: Trial) -> None:
    """Logits of 1e4, and a mask of -inf, give probabilities."""
    a = trial.case.arguments
    far = a["logits"] * 1e4
    banned = a["logits"].clone()
    banned[:, -1] = float("-inf")
    for logits, where in ((far, "for logits of 1e4"), (banned, "where an id has a logit of -inf")):
        case = asked(trial, logits=logits, top_k=2, temperature=0.5)
        for one in (case, case.changed(top_k=None)):
            if not bool(torch.isfinite(output(trial, one)).all()):
                raise Violation(f"{where} a probability is NaN or infinite")
    if bool((output(trial, asked(trial, logits=banned))[:, -1] != 0).any()):
        raise Violation("an id with a logit of -inf has a non-zero probability")


HIGHEST = "scores = only_the_most_likely(scores, top_k)"
NUCLEUS = "scores = only_the_nucleus(scores, top_p)"
DIVIDED = "scores = logits / temperature"
RESULT = "return torch.softmax(scores, dim=-1)"

CONTRACT = Contract(
    name="next_token_distribution",
    meaning="Next-token probabilities: softmax(logits / temperature) over the ids that top-k and top-p keep.",
    calls={
        "call": Signature(
            (
                Argument("logits", "float[batch, vocab_size]"),
                Argument("temperature", "float", role="setting", optional=True, default=1.0),
                Argument("top_k", "int", role="setting", optional=True),
                Argument("top_p", "float", role="setting", optional=True),
                *OPTIONS,
            ),
            "float[batch, vocab_size]",
        )
    },
    reference=next_token_distribution,
    cases=cases,
    rows=("logits",),
    differentiable=False,
    order=72,
    case_count=32,
    variants=(
        Variant(
            "top_p_first",
            "You take top-p of all ids and top-k of what is left; transformers takes top-k first, so that p is a share "
            "of those k.",
            (Edit(next_token_distribution, f"{HIGHEST}\n{NUCLEUS}", f"{NUCLEUS}\n{HIGHEST}"),),
        ),
        Variant(
            "temperature_last",
            "You filter first and divide by the temperature after that (as llama.cpp does); transformers divides "
            "first, so that top-p sees what is drawn from.",
            (
                Edit(next_token_distribution, DIVIDED, "scores = logits"),
                Edit(next_token_distribution, RESULT, "return torch.softmax(scores / temperature, dim=-1)"),
            ),
        ),
        MIN_P_FIRST,
    ),
    sources=(
        "Fan et al. 2018, section 5.4",
        "Holtzman et al. 2020, sections 3.1 and 3.2",
        "Nguyen et al. 2024 (min-p), section 3",
        "Keskar et al. 2019 (repetition penalty), section 4.1",
        "huggingface/transformers generation/logits_process.py",
    ),
    claims=(
        is_a_distribution,
        divides_by_the_temperature,
        greedy_near_temperature_0,
        greedy_at_temperature_0,
        greedy_at_top_k_1,
        top_k_keeps_the_k_most_likely,
        top_k_of_vocabulary_size_or_more,
        top_p_keeps_the_smallest_set,
        top_p_of_one_keeps_all,
        tiny_top_p_keeps_the_most_likely,
        top_k_and_top_p_combined,
        top_k_ties_keep_at_least_k,
        permutation_equivariant_in_vocabulary,
        shift_invariant,
        stable_at_large_logits,
        *CLAIMS,
    ),
)
