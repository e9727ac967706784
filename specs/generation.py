"""A model that goes on writing: one id after the other, each drawn from what the model gives for all before it.

A function ``generate(model, ...)`` and a model class with a method ``generate`` are called by the names of their arguments
(specs/naming/generation.py). Whether the end token itself is returned, and what stands behind it, is nobody's mistake.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import Call, Case
from harness.core.claim import NotSupported, Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature
from harness.core.values import Settings
from harness.numerics.statistics import binomial_two_sided
from harness.strategies.tensors import seeds
from reference_model.generation import generation
from reference_model.next_token_distribution import next_token_distribution
from specs.naming.generation import FUNCTION, METHODS, greedy, next_logits, outspoken
from specs.naming.parameters import GPT2
from specs.shared.sampling import roomy_p

CONFIG = tuple(
    Argument(name, "integer", role="setting") for name in ("vocab_size", "context", "width", "heads", "layers")
)


@st.composite
def cases(draw: st.DrawFn, beyond: bool = False, batch: tuple[int, int] = (1, 3), least: int = 1) -> Case:
    """Greedy, by top_k = 1, and as far as the context reaches; ``beyond``: on past its end. No near ties.

    ``least``: so many new ids at least.
    """
    context = draw(st.sampled_from((5, 6, 7))) + (3 if least > 1 else 0)
    config = Settings(
        vocab_size=draw(st.sampled_from((8, 9, 11))),
        context=context,
        width=draw(st.sampled_from((4, 6))),
        heads=2,
        layers=draw(st.sampled_from((1, 2))),
    )
    rows, time = draw(st.integers(*batch)), draw(st.integers(1, 3))
    number = context - time + draw(st.integers(2, 4)) if beyond else draw(st.integers(least, context - time))
    weights, ids = outspoken(config, draw(seeds) % 1000, rows, time, number)
    sizes = {"batch": rows, "time": time, "context": context, "new": number}
    options = {"temperature": 1.0, "top_k": 1, "top_p": None, "end_token": None}
    return script(weights, config, ids, number, f"{number} ids after {time}, context {context}", sizes, **options)


def script(
    weights: Any, config: Settings, ids: torch.Tensor, number: int, family: str, sizes: dict[str, int], **options: Any
) -> Case:
    calls = (
        Call("build", {"weights": weights, "config": config}),
        Call("generate", {"ids": ids, "max_new_tokens": number, **options}),
    )
    return Case(calls, sizes, family)


@st.composite
def many_rows(draw: st.DrawFn) -> Case:
    """One prompt in many rows, and one more id: as many independent draws of one distribution, which is spread out."""
    case = draw(cases(batch=(1, 1)))
    build, last = case.calls
    weights, config, ids = build.arguments["weights"], build.arguments["config"], last.arguments["ids"]
    logits = next_logits(ids, weights, config)
    spread = float(logits.std())
    gain = {**weights, **{n: weights[n] * (1.3 / spread) for n in ("final_norm_weight", "final_norm_bias")}}
    rows = ids.expand(DRAWS, -1).contiguous()
    options = {"temperature": draw(st.sampled_from((1.0, 0.6, 1.7))), "top_k": None, "top_p": None, "end_token": None}
    return script(
        gain, config, rows, 1, f"{DRAWS} rows of one prompt", {"batch": DRAWS, "time": ids.shape[1]}, **options
    )


def with_options(case: Case, **options: Any) -> Case:
    return case.changed(**options)


# what came back ------------------------------------------------------------------------------------------------------


def returned(trial: Trial, case: Case | None = None, ended: bool = False) -> torch.Tensor:
    """The ids that came back: integers, the prompt first, and as many more as were asked for (fewer where all ``ended``)."""
    case = case or trial.case
    value: Any = trial.run(case, fresh=True).value
    ids, number = case.arguments["ids"], case.arguments["max_new_tokens"]
    if not torch.is_tensor(value) or value.is_floating_point():
        raise Violation("it must return ids, a tensor of integers [batch, time + new]")
    rows, time = ids.shape
    wrong = value.dim() != 2 or value.shape[0] != rows or value.shape[1] > time + number
    if wrong or (not ended and value.shape[1] != time + number):
        raise Violation(
            f"it returned shape {list(value.shape)}; a prompt of {list(ids.shape)} and {number} new ids make {[rows, time + number]}"
        )
    if not torch.equal(value[:, :time], ids):
        raise Violation("its output does not start with the prompt")
    config = trial.case.calls[0].arguments["config"]
    if value.numel() and (int(value.min()) < 0 or int(value.max()) >= config.vocab_size):
        raise Violation(f"it returns an id outside the vocabulary of {config.vocab_size}")
    return value


def speaker(case: Case) -> tuple[Any, Settings]:
    return case.calls[0].arguments["weights"], case.calls[0].arguments["config"]


def most_likely_throughout(trial: Trial, case: Case, what: str) -> None:
    """Every new id is the most likely one after all the ids that stand before it, computed from nothing."""
    value, time = returned(trial, case), case.arguments["ids"].shape[1]
    weights, config = speaker(case)
    for at in range(time, value.shape[1]):
        logits = next_logits(value[:, :at], weights, config)
        best = logits.argmax(-1)
        for row in (best != value[:, at]).nonzero().flatten().tolist():
            place = int((logits[row] > logits[row, value[row, at]]).sum()) + 1
            raise Violation(
                f"{what}, new id {at - time + 1} of row {row} is {int(value[row, at])}, which ranks {place} of "
                f"{config.vocab_size}; the most likely is {int(best[row])}"
            )


def refused(trial: Trial, case: Case, what: str) -> None:
    answer = trial.attempt(case, fresh=True)
    if answer.crash is not None:
        raise NotSupported(f"it raises {answer.crash.error} {what}")


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
    refused(trial, case, "at temperature 0")
    most_likely_throughout(trial, case, "at temperature 0")


@claim(
    "near temperature 0 every new id is the most likely one",
    broken_by="temperature_ignored",
    max_cases=8,
    aliases=("greedy_when_cold",),
)
def greedy_near_temperature_0(trial: Trial) -> None:
    """The second most likely id is e^-100 times as likely or less."""
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
    """Another prompt in between, then the first again, on one object: what an earlier call kept shows."""
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
    refused(trial, case, "for max_new_tokens = 0")
    returned(trial, case)


def _ends(row: torch.Tensor, path: torch.Tensor, at: int, end: int, which: str, time: int, behind: set[int]) -> None:
    """The row is its own greedy path up to the end token at ``at``; behind it stands nothing, or it again, or one id for
    nothing, which ``behind`` remembers: it is one and the same everywhere."""
    if not torch.equal(row[:at], path[:at]):
        raise Violation(f"{which}the ids before the end token {end} differ from those without an end token")
    rest = row[at:].tolist()
    behind |= {i for i in rest if i != end}
    if len(behind) > 1:
        raise Violation(f"{which}it generates ids after the end token {end}: {row[time:].tolist()}")


@claim(
    "an end token in the prompt does not stop generation",
    broken_by="ended_by_the_prompt",
    max_cases=10,
    aliases=("an_end_token_in_the_prompt_ends_nothing",),
)
def end_token_in_the_prompt_is_ignored(trial: Trial) -> None:
    """GPT-2's end token stands before every text: a prompt may hold it."""
    ids, number = trial.case.arguments["ids"], trial.case.arguments["max_new_tokens"]
    weights, config = speaker(trial.case)
    path = greedy(ids, number, weights, config)[0]
    time = ids.shape[1]
    common = [i for i in ids[0].tolist() if not bool((path[:, time:] == i).any())]
    if not common:
        trial.not_applicable()
    case = trial.case.changed(end_token=common[0])
    refused(trial, case, "for an end token and more than one row")
    value = returned(trial, case, ended=True)
    if not torch.equal(value, path):
        raise Violation(f"the end token {common[0]} in the prompt changes the generated ids")


# random claims -------------------------------------------------------------------------------------------------------

DRAWS, CASES, LEVEL = 1500, 4, 1e-11
"""Rows, cases, and the level of each of at most 11 x 4 x 2 exact tests: below 1e-9 together, before the second look."""


@claim(
    "each id is sampled as often as its probability says",
    broken_by="always_greedy",
    cases=many_rows,
    max_cases=CASES,
    false_alarm=1e-9,
    power=0.999,
    aliases=("draws_follow_the_distribution",),
)
def samples_follow_the_distribution(trial: Trial) -> None:
    """How often each id is drawn is binomial, with the probability that the softmax gives it: an exact test per id.

    False alarms: at most 88 tests at 1e-11, below 1e-9 together; and before it fails, as many ids are drawn from another
    state of the generator, and must fail too. Power: with 1,500 draws an id of probability 0.3 is resolved to 0.08 up and
    down at this level and 3.1 standard errors more (missed with 0.001); another temperature, the most likely id always,
    one draw for all rows, the first position's logits, change some probability by 0.15 and more.
    """
    a = trial.case.arguments
    weights, config = speaker(trial.case)
    logits = next_logits(a["ids"][:1], weights, config)
    expected = next_token_distribution(logits, a["temperature"])[0]
    again = trial.case.changed(ids=torch.cat([a["ids"], a["ids"][:1]]))  # another number of rows: other draws
    first = second = _tested(returned(trial)[:, -1], expected)
    if first[0] > 1:
        second = _tested(returned(trial, again)[:, -1], expected)
    ratio, message = min(first, second)
    if ratio > 1:
        raise Violation(message, error=ratio)
    trial.note_error(ratio)


def _tested(drawn: torch.Tensor, expected: torch.Tensor) -> tuple[float, str]:
    """The least likely count of all ids in units of what is allowed, and which it is."""
    worst, message = 0.0, ""
    for index, probability in enumerate(expected.tolist()):
        count = int((drawn == index).sum())
        chance = binomial_two_sided(count, len(drawn), min(probability, 1.0))
        ratio = math.log(max(chance, 1e-300)) / math.log(LEVEL)
        if ratio > worst:
            worst, message = (
                ratio,
                f"id {index} has probability {probability:.3g} but is sampled {count} times in {len(drawn)} draws",
            )
    return worst, message


@claim(
    "every id that top-k and top-p keep is sampled, and no other",
    broken_by="top_k_ignored",
    cases=many_rows,
    max_cases=3,
    false_alarm=1e-11,
    power=0.999,
    aliases=("draws_from_the_candidates",),
)
def samples_exactly_the_candidates(trial: Trial) -> None:
    """Of 1,500 rows none draws an id that top-k, or top-p, leaves out, and each that it leaves is drawn by some.

    An id that stays has a probability of 0.02 and more here, or says nothing: it is missed by all with 1e-13.
    """
    a = trial.case.arguments
    weights, config = speaker(trial.case)
    logits = next_logits(a["ids"][:1], weights, config)
    top_p = roomy_p(logits, 1.0, None, trial.seed % 61)
    tried, why = 0, ""
    for options in ({"top_k": 2}, {"top_k": 3, "temperature": 1.5}, {"top_p": top_p}):
        case = trial.case.changed(**{"temperature": 1.0, "top_k": None, "top_p": None, **options})
        try:
            drawn = returned(trial, case)[:, -1]
        except NotSupported as error:
            why = str(error)
            continue
        tried += 1
        expected = next_token_distribution(logits, **options)[0]
        told = " and ".join(f"{name} = {value:.4g}" for name, value in options.items())
        for index in range(config.vocab_size):
            count, probability = int((drawn == index).sum()), float(expected[index])
            if count and not probability:
                raise Violation(
                    f"with {told} the id {index} is filtered out, but {count} of {len(drawn)} rows sample it"
                )
            if not count and probability > 0.02:
                raise Violation(f"with {told} the id {index} has probability {probability:.3g}, but no row samples it")
    if not tried:
        raise NotSupported(why)


@claim(
    "two calls do not give the same samples",
    broken_by="seeded_inside",
    cases=many_rows,
    max_cases=2,
    false_alarm=1e-100,
    power=0.999,
    aliases=("draws_anew",),
)
def calls_sample_independently(trial: Trial) -> None:
    """A second call does not draw what the first drew: 1,500 rows alike by chance have a probability below 1e-200."""
    build, first = trial.case.calls
    outputs = trial.run(replace(trial.case, calls=(build, first, first)), fresh=True).outputs
    returned(trial)
    if torch.is_tensor(outputs[2]) and torch.equal(outputs[1], outputs[2]):
        raise Violation("two consecutive calls sample the same ids: is the generator seeded inside?")


def in_cases(**options: Any) -> Any:
    return lambda: cases(**options)


@claim(
    "each row stops at its own end token and does not stop the others",
    broken_by="first_end_stops_all",
    cases=in_cases(least=5, batch=(2, 3)),
    max_cases=6,
    aliases=("each_row_ends_alone",),
)
def rows_end_independently(trial: Trial) -> None:
    """An end token that rows come to at different places, or never."""
    ids, number = trial.case.arguments["ids"], trial.case.arguments["max_new_tokens"]
    if len(ids) < 2:
        trial.not_applicable()
    weights, config = speaker(trial.case)
    paths, time, told, behind = greedy(ids, number, weights, config)[0], ids.shape[1], False, set[int]()
    for end in range(config.vocab_size):
        places = [row[time:].tolist().index(end) if end in row[time:].tolist() else number for row in paths]
        if len(set(places)) < 2:
            continue
        told = True
        case = trial.case.changed(end_token=end)
        refused(trial, case, "where rows end at different places")
        value = returned(trial, case, ended=True)
        if value.shape[1] < min(time + max(places), time + number):
            raise Violation(
                f"it stops after {value.shape[1] - time} new ids, before row {places.index(max(places))} has ended"
            )
        for row, place in enumerate(places):
            if place < number:
                _ends(value[row], paths[row], time + place, end, f"in row {row} ", time, behind)
            elif not torch.equal(value[row], paths[row][: value.shape[1]]):
                raise Violation(f"row {row} has no end token, but its ids differ from those without an end token")
    if not told:
        trial.not_applicable()


@claim(
    "nothing is generated after the end token",
    broken_by="end_token_ignored",
    cases=in_cases(least=5, batch=(1, 1)),
    max_cases=5,
)
def stops_at_the_end_token(trial: Trial) -> None:
    """One row, and an end token that greedy decoding comes to: nothing of what would follow stands behind it."""
    ids = trial.case.arguments["ids"][:1]
    weights, config = speaker(trial.case)
    path = greedy(ids, trial.case.arguments["max_new_tokens"], weights, config)[0][0]
    time, behind = ids.shape[1], set[int]()
    for end in dict.fromkeys(path[time:].tolist()):
        at = time + path[time:].tolist().index(end)
        case = trial.case.changed(ids=ids, end_token=end)
        _ends(returned(trial, case, ended=True)[0], path, at, end, "", time, behind)


@claim(
    "beyond the context window the model sees the last ids that fit",
    broken_by="cropped_to_the_first",
    cases=in_cases(beyond=True),
    max_cases=8,
    aliases=("sees_the_last_of_the_context",),
)
def crops_to_the_context_window(trial: Trial) -> None:
    """Past the end of the context, the model is given the last ids that fit."""
    refused(trial, trial.case, "beyond the context window")
    most_likely_throughout(trial, trial.case, "beyond the context window")


CONTRACT = Contract(
    name="generation",
    meaning="Autoregressive generation: each new id is drawn from the model's distribution given the ids before it.",
    calls={
        "build": Signature(
            (
                Argument("weights", "weights", role="parameter", fields=GPT2),
                Argument("config", "config", role="setting", fields=CONFIG),
            ),
            "something that writes",
        ),
        "generate": Signature(
            (
                Argument("ids", "int[batch, time]"),
                Argument("max_new_tokens", "integer", role="setting"),
                Argument("temperature", "number", role="setting", optional=True, default=1.0),
                Argument("top_k", "integer", role="setting", optional=True),
                Argument("top_p", "number", role="setting", optional=True),
                Argument("end_token", "integer", role="setting", optional=True),
            ),
            "int[batch, time + new]",
        ),
    },
    reference=generation,
    cases=cases,
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
