"""Autoregressive generation: one id after the other, sampled from the model's distribution given all ids before it.

A function ``generate(model, ...)`` and a model class with a method ``generate`` are called by the names of their
arguments (specs/naming/generation.py). An implementation may return the end token or not, and pad the row after it.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from harness.core.case import Call
from harness.core.claim import Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature
from reference_model.generation import generation
from specs.shared.generation import (
    cases_with,
    check_end,
    greedy_path,
    most_likely_throughout,
    needs_support,
    returned,
    sees_the_last,
)
from specs.shared.generation_functions import FUNCTION
from specs.shared.generation_models import GPT2_MODELS
from specs.shared.generation_on_models import METHODS
from specs.shared.generation_samples import (
    calls_sample_independently,
    samples_exactly_the_candidates,
    samples_follow_the_distribution,
)

# claims --------------------------------------------------------------------------------------------------------------


@claim(
    "it returns the prompt followed by as many new ids as requested",
    broken_by="one_id_too_many",
    max_cases=8,
    aliases=("prompt_first",),
)
def starts_with_the_prompt(trial: Trial) -> None:
    returned(trial)


@claim(
    "with top_k = 1 every new id is the most likely one of a full recomputation",
    broken_by="first_position_read",
    max_cases=10,
    aliases=("greedy_with_one_candidate",),
)
def greedy_at_top_k_1(trial: Trial) -> None:
    most_likely_throughout(trial, trial.case, "with top_k = 1")
    case = trial.case.changed(temperature=2.5)
    if trial.attempt(case, fresh=True).crash is None:
        most_likely_throughout(trial, case, "with top_k = 1 at temperature 2.5")


@claim(
    "at temperature 0 every new id is the most likely one",
    broken_by="zero_temperature_not_greedy",
    max_cases=8,
    aliases=("greedy_at_zero",),
)
def greedy_at_temperature_0(trial: Trial) -> None:
    case = trial.case.changed(temperature=0.0, top_k=None)
    needs_support(trial, case, "at temperature 0")
    most_likely_throughout(trial, case, "at temperature 0")


@claim(
    "near temperature 0 every new id is the most likely one",
    broken_by="temperature_ignored",
    max_cases=8,
    aliases=("greedy_when_cold",),
)
def greedy_near_temperature_0(trial: Trial) -> None:
    """The second most likely id is at most e^-100 times as likely."""
    most_likely_throughout(trial, trial.case.changed(temperature=1e-4, top_k=None), "at temperature 0.0001")


@claim(
    "a row alone continues as it does in its batch",
    broken_by="first_row_for_all",
    max_cases=10,
    aliases=("rows_do_not_mix",),
)
def rows_of_a_batch_are_independent(trial: Trial) -> None:
    whole, ids = returned(trial), trial.case.arguments["ids"]
    if len(ids) < 2:
        trial.not_applicable()
    for row in range(len(ids)):
        alone = returned(trial, trial.case.changed(ids=ids[row : row + 1]))
        if not torch.equal(alone[0], whole[row]):
            raise Violation(f"row {row} alone gives {alone[0].tolist()}, in its batch {whole[row].tolist()}")


@claim(
    "an earlier call does not change the ids",
    broken_by="ids_carried_across_calls",
    max_cases=6,
    aliases=("calls_do_not_mix",),
)
def calls_are_independent(trial: Trial) -> None:
    """One object generates for a prompt, for another prompt, and for the first one again."""
    build, first = trial.case.calls
    config = build.arguments["config"]
    other = Call("generate", {**first.arguments, "ids": (first.arguments["ids"].flip(0) + 1) % config.vocab_size})
    outputs = trial.run(replace(trial.case, calls=(build, first, other, first)), fresh=True).outputs
    alone = returned(trial, replace(trial.case, calls=(build, other)))
    if not torch.is_tensor(outputs[3]) or not torch.equal(outputs[3], outputs[1]):
        raise Violation("repeating a call after another one gives other ids")
    if not torch.equal(outputs[2], alone):
        raise Violation("after an earlier call it gives other ids than alone")


@claim(
    "with max_new_tokens = 0 it returns the prompt", broken_by="one_id_too_many", max_cases=3, aliases=("nothing_new",)
)
def zero_new_tokens_returns_the_prompt(trial: Trial) -> None:
    case = trial.case.changed(max_new_tokens=0)
    needs_support(trial, case, "for max_new_tokens = 0")
    returned(trial, case)


@claim(
    "an end token in the prompt does not stop generation",
    broken_by="ended_by_the_prompt",
    max_cases=10,
    aliases=("an_end_token_in_the_prompt_ends_nothing",),
)
def end_token_in_the_prompt_is_ignored(trial: Trial) -> None:
    """A prompt may contain the end token: GPT-2 puts it before every text."""
    ids, number = trial.case.arguments["ids"], trial.case.arguments["max_new_tokens"]
    path = greedy_path(trial, trial.case, ids, number)
    time = ids.shape[1]
    common = [i for i in ids[0].tolist() if not bool((path[:, time:] == i).any())]
    if not common:
        trial.not_applicable()
    case = trial.case.changed(end_token=common[0])
    needs_support(trial, case, "for an end token and more than one row")
    value = returned(trial, case, ended=True)
    if not torch.equal(value, path):
        raise Violation(f"the end token {common[0]} in the prompt changes the generated ids")


@claim(
    "each row stops at its own end token and does not stop the others",
    broken_by="first_end_stops_all",
    cases=cases_with(least=5, batch=(2, 3), apart=True),
    max_cases=6,
    aliases=("each_row_ends_alone",),
)
def rows_end_independently(trial: Trial) -> None:
    """With end tokens that rows reach at different positions, or never."""
    ids, number = trial.case.arguments["ids"], trial.case.arguments["max_new_tokens"]
    if len(ids) < 2:
        trial.not_applicable()
    paths, time = greedy_path(trial, trial.case, ids, number), ids.shape[1]
    applicable, behind = False, set[int]()
    _run_where_all_end(trial, paths[:, time:])
    for end in range(trial.case.calls[0].arguments["config"].vocab_size):
        places = [row[time:].tolist().index(end) if end in row[time:].tolist() else number for row in paths]
        if len(set(places)) < 2:
            continue
        applicable = True
        case = trial.case.changed(end_token=end)
        needs_support(trial, case, "where rows end at different places")
        value = returned(trial, case, ended=True)
        if value.shape[1] < min(time + max(places), time + number):
            raise Violation(
                f"it stops after {value.shape[1] - time} new ids, before row {places.index(max(places))} has ended"
            )
        for row, place in enumerate(places):
            if place < number:
                check_end(value[row], paths[row], time + place, end, f"in row {row} ", time, behind)
            elif not torch.equal(value[row], paths[row][: value.shape[1]]):
                raise Violation(f"row {row} has no end token, but its ids differ from those without an end token")
    if not applicable:
        trial.not_applicable()


def _run_where_all_end(trial: Trial, new: torch.Tensor) -> None:
    """One row alone, and an end token that every row meets: judged elsewhere, what is answered tells mistakes apart."""
    ids, first = trial.case.arguments["ids"], int(new[0, 0])
    trial.attempt(trial.case.changed(ids=ids[:1], end_token=first), fresh=True)
    common = set.intersection(*(set(row) for row in new.tolist()))
    if common:
        trial.attempt(trial.case.changed(end_token=min(common)), fresh=True)


@claim(
    "nothing is generated after the end token",
    broken_by="end_token_ignored",
    cases=cases_with(least=5, batch=(1, 1)),
    max_cases=5,
)
def stops_at_the_end_token(trial: Trial) -> None:
    """One row, with each id of its greedy path as the end token."""
    ids = trial.case.arguments["ids"][:1]
    path = greedy_path(trial, trial.case, ids, trial.case.arguments["max_new_tokens"])[0]
    time, behind = ids.shape[1], set[int]()
    for end in dict.fromkeys(path[time:].tolist()):
        at = time + path[time:].tolist().index(end)
        case = trial.case.changed(ids=ids, end_token=end)
        check_end(returned(trial, case, ended=True)[0], path, at, end, "", time, behind)


@claim(
    "beyond the context window the model sees the last ids that fit",
    broken_by="cropped_to_the_first",
    cases=cases_with(beyond=True),
    max_cases=8,
    aliases=("sees_the_last_of_the_context",),
)
def crops_to_the_context_window(trial: Trial) -> None:
    needs_support(trial, trial.case, "beyond the context window")
    sees_the_last(trial, trial.case, "beyond the context window")


CONTRACT = Contract(
    name="generation",
    meaning="Autoregressive generation: each new id is drawn from the model's distribution given the ids before it.",
    calls={
        "build": Signature(
            (
                Argument("weights", "weights", role="parameter", fields=GPT2_MODELS.fields),
                Argument("config", "config", role="setting", fields=GPT2_MODELS.config),
            ),
            "a generator of text",
        ),
        "generate": Signature(
            (
                Argument("ids", "int[batch, time]"),
                Argument("max_new_tokens", "int", role="setting"),
                Argument("temperature", "float", role="setting", optional=True, default=1.0),
                Argument("top_k", "int", role="setting", optional=True),
                Argument("top_p", "float", role="setting", optional=True),
                Argument("end_token", "int", role="setting", optional=True),
            ),
            "int[batch, time + new]",
        ),
    },
    reference=generation,
    cases=cases_with(),
    differentiable=False,
    half_precision=False,
    dialects=(FUNCTION,),
    whole=METHODS,
    order=74,
    headline=True,
    case_count=14,
    sources=("openai/gpt-2 src/sample.py", "Holtzman et al. 2020, section 3", "karpathy/nanoGPT model.py generate"),
    claims=(
        starts_with_the_prompt,
        greedy_at_top_k_1,
        greedy_at_temperature_0,
        greedy_near_temperature_0,
        crops_to_the_context_window,
        rows_of_a_batch_are_independent,
        calls_are_independent,
        zero_new_tokens_returns_the_prompt,
        stops_at_the_end_token,
        rows_end_independently,
        end_token_in_the_prompt_is_ignored,
        samples_follow_the_distribution,
        samples_exactly_the_candidates,
        calls_sample_independently,
    ),
)
