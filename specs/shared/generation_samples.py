"""Claims about the ids that generation samples: many rows of one prompt, one new id each."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import NotSupported, Trial, Violation, claim
from harness.numerics.statistics import binomial_two_sided
from reference_model.next_token_distribution import next_token_distribution
from specs.shared.generation import CasesOf, cases, logits_after, returned, script
from specs.shared.generation_models import GPT2_MODELS, Family, next_logits
from specs.shared.sampling import roomy_p

DRAWS = 1500
"""Rows of one prompt."""
LEVEL, RANDOM_CASES = 1e-11, 4
"""The significance level of each of at most 11 x 4 x 2 exact tests: below 1e-9 together, before the second sample."""


@st.composite
def many_rows(draw: st.DrawFn, family: Family = GPT2_MODELS) -> Case:
    """One new id for each of many rows of one prompt: independent samples of one distribution, which is spread out."""
    case = draw(cases(batch=(1, 1), family=family))
    build, last = case.calls
    weights, config, ids = build.arguments["weights"], build.arguments["config"], last.arguments["ids"]
    logits = next_logits(ids, weights, config, family.model)
    gain = 1.3 / float(logits.std())
    norms = [name for name in ("final_norm_weight", "final_norm_bias") if name in weights]
    scaled = {**weights, **{n: weights[n] * gain for n in norms}}
    rows = ids.expand(DRAWS, -1).contiguous()
    options = {"temperature": draw(st.sampled_from((1.0, 0.6, 1.7))), "top_k": None, "top_p": None, "end_token": None}
    sizes = {"batch": DRAWS, "time": ids.shape[1]}
    return script(scaled, config, rows, 1, f"{DRAWS} rows of one prompt", sizes, **options)


def _logits(trial: Trial) -> torch.Tensor:
    """Those of the id after the prompt that all rows share.  -> [1, V]"""
    prompt = trial.case.arguments["ids"][:1]
    return logits_after(trial, trial.case, prompt, prompt.shape[1])[:, -1]


def least_likely_count(sampled: torch.Tensor, expected: torch.Tensor) -> tuple[float, str]:
    """By an exact test per id: the log of the smallest p-value in units of log LEVEL, and what it says."""
    worst, message = 0.0, ""
    for index, probability in enumerate(expected.tolist()):
        count = int((sampled == index).sum())
        chance = binomial_two_sided(count, len(sampled), min(probability, 1.0))
        ratio = math.log(max(chance, 1e-300)) / math.log(LEVEL)
        if ratio > worst:
            worst = ratio
            message = (
                f"id {index} has probability {probability:.3g} but is sampled {count} times in {len(sampled)} draws"
            )
    return worst, message


@claim(
    "each id is sampled as often as its probability says",
    broken_by="always_greedy",
    cases=CasesOf(many_rows),
    max_cases=RANDOM_CASES,
    false_alarm=1e-9,
    power=0.999,
    aliases=("draws_follow_the_distribution",),
)
def samples_follow_the_distribution(trial: Trial) -> None:
    """The count of each id is binomial with the probability that the softmax gives it: an exact test per id.

    False alarms: at most 88 tests at 1e-11, below 1e-9 together; and it fails only if a second sample, from another
    state of the generator, fails too. Power: with 1,500 draws at this level, a probability of 0.3 is resolved to 0.08
    plus 3.1 standard errors (missed with 0.001). Another temperature, always the most likely id, one draw for all
    rows, or the logits of the first position change some probability by at least 0.15.
    """
    a = trial.case.arguments
    logits = _logits(trial)
    expected = next_token_distribution(logits, a["temperature"])[0]
    again = trial.case.changed(ids=torch.cat([a["ids"], a["ids"][:1]]))  # another number of rows: other draws
    first = second = least_likely_count(returned(trial)[:, -1], expected)
    if first[0] > 1:
        second = least_likely_count(returned(trial, again)[:, -1], expected)
    ratio, message = min(first, second)
    if ratio > 1:
        raise Violation(message, error=ratio)
    trial.note_error(ratio)


@claim(
    "every id that top-k and top-p keep is sampled, and no other",
    broken_by="top_k_ignored",
    cases=CasesOf(many_rows),
    max_cases=3,
    false_alarm=1e-11,
    power=0.999,
    aliases=("draws_from_the_candidates",),
)
def samples_exactly_the_candidates(trial: Trial) -> None:
    """Of 1,500 rows none samples an id that top-k or top-p removes, and some row samples each id that they keep.

    Only ids of a probability above 0.02 count as kept: all rows miss one with a probability of 1e-13.
    """
    logits = _logits(trial)
    top_p = roomy_p(logits, 1.0, None, trial.seed % 61)
    tried, reason = 0, ""
    for options in ({"top_k": 2}, {"top_k": 3, "temperature": 1.5}, {"top_p": top_p}):
        case = trial.case.changed(**{"temperature": 1.0, "top_k": None, "top_p": None, **options})
        try:
            sampled = returned(trial, case)[:, -1]
        except NotSupported as error:
            reason = str(error)
            continue
        tried += 1
        expected = next_token_distribution(logits, **options)[0]
        given = " and ".join(f"{name} = {value:.4g}" for name, value in options.items())
        for index in range(logits.shape[-1]):
            count, probability = int((sampled == index).sum()), float(expected[index])
            if count and not probability:
                raise Violation(
                    f"with {given} the id {index} is filtered out, but {count} of {len(sampled)} rows sample it"
                )
            if not count and probability > 0.02:
                raise Violation(f"with {given} the id {index} has probability {probability:.3g}, but no row samples it")
    if not tried:
        raise NotSupported(reason)


@claim(
    "two calls do not give the same samples",
    broken_by="seeded_inside",
    cases=CasesOf(many_rows),
    max_cases=2,
    false_alarm=1e-100,
    power=0.999,
    aliases=("draws_anew",),
)
def calls_sample_independently(trial: Trial) -> None:
    """1,500 rows are equal in two calls with a probability below 1e-200."""
    build, first = trial.case.calls
    outputs = trial.run(replace(trial.case, calls=(build, first, first)), fresh=True).outputs
    returned(trial)
    if torch.is_tensor(outputs[2]) and torch.equal(outputs[1], outputs[2]):
        raise Violation("two consecutive calls sample the same ids: is the generator seeded inside?")
