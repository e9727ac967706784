"""Options of the next-token distribution that only some implementations have: min-p, and penalties of previous ids.

They are given to code that names them, and judged there alone.
"""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import NotSupported, Trial, Violation, claim
from harness.core.contract import Argument, Variant
from harness.core.implementation import EffectKind
from harness.core.mistake import Edit
from harness.strategies.shapes import distinct_sizes
from harness.strategies.tensors import seeds
from reference_model.next_token_distribution import next_token_distribution
from specs.shared.attention import output, tolerance
from specs.shared.sampling import FREE, distinct_logits, kept_by_p, roomy_p

OPTIONS = (
    Argument("min_p", "float", role="setting", optional=True, aliases=("minp", "min_prob"), by_name=True),
    Argument(
        "previous",
        "int[batch, seen]",
        role="input",
        optional=True,
        by_name=True,
        aliases=(
            *("previous_ids", "previous_tokens", "prev_ids", "prev_tokens", "past_ids", "past_tokens", "input_ids"),
            *("generated", "generated_ids", "generated_tokens", "history", "token_history", "tokens_so_far"),
        ),
    ),
    Argument(
        "repetition_penalty",
        "float",
        role="setting",
        optional=True,
        default=1.0,
        by_name=True,
        aliases=("repeat_penalty", "rep_penalty", "rep_pen"),
    ),
    Argument("presence_penalty", "float", role="setting", optional=True, default=0.0, by_name=True),
    Argument("frequency_penalty", "float", role="setting", optional=True, default=0.0, by_name=True),
)
"""After the arguments that every implementation is asked for."""

MIN_P_FIRST = Variant(
    "min_p_first",
    "You take min-p before top-k and top-p (as vLLM does); transformers takes it after them, and so top-p sees other "
    "shares.",
    (Edit(next_token_distribution, "first, last = None, min_p", "first, last = min_p, None"),),
    axis="min_p_order",
    aliases=("first",),
)


# cases ---------------------------------------------------------------------------------------------------------------


def _roomy_min_p(logits: torch.Tensor, temperature: float, pick: int) -> float:
    """A min_p that no ratio to the largest probability of a row comes near, before the temperature or after it."""
    candidates = torch.linspace(0.03, 0.9, 48, dtype=torch.float64)
    ratios = [torch.exp(s - s.amax(-1, keepdim=True)).flatten() for s in (logits / temperature, logits)]
    room = (candidates[:, None] / torch.cat(ratios).clamp(min=1e-300)).log().abs().amin(-1)
    roomy = candidates[room > 0.02]
    return float(roomy[pick % len(roomy)]) if len(roomy) else float(candidates[room.argmax()])


def _near_the_best(scores: torch.Tensor, min_p: float) -> torch.Tensor:
    probabilities = torch.softmax(scores.double(), -1)
    return scores.masked_fill(probabilities < min_p * probabilities.amax(-1, keepdim=True), float("-inf"))


def _telling_p(scaled: torch.Tensor, logits: torch.Tensor, min_p: float, pick: int) -> float:
    """A top_p near no sum of probabilities in any order of the filters, and preferably one where the order matters."""
    sums = torch.cat([scaled, logits, _near_the_best(scaled, min_p), _near_the_best(logits, min_p)])
    found = [roomy_p(sums, 1.0, None, pick + 13 * attempt) for attempt in range(8)]

    def order_matters(top_p: float) -> bool:
        near = _near_the_best(scaled, min_p)
        after = kept_by_p(scaled, top_p) & near.isfinite()
        return not torch.equal(kept_by_p(near, top_p) & near.isfinite(), after)

    return next(filter(order_matters, found), found[0])


@st.composite
def with_min_p(draw: st.DrawFn) -> Case:
    """min-p alone or with one of the other filters, and a temperature."""
    sizes = draw(distinct_sizes(batch=(1, 3), vocab_size=(5, 10)))
    logits = distinct_logits((sizes["batch"], sizes["vocab_size"]), draw(seeds), draw(st.sampled_from((0.5, 1.0))))
    temperature, other = draw(st.sampled_from((1.0, 0.6, 1.8))), draw(st.sampled_from(("", "top_k", "top_p", "top_p")))
    arguments = {"logits": logits, **FREE, "temperature": temperature}
    arguments["min_p"] = _roomy_min_p(logits, temperature, draw(st.integers(0, 99)))
    if other == "top_k":
        arguments["top_k"] = draw(st.integers(2, 4))
    if other == "top_p":
        arguments["top_p"] = _telling_p(logits / temperature, logits, arguments["min_p"], draw(st.integers(0, 99)))
    family = f"min-p {arguments['min_p']:.3g} at temperature {temperature:g}" + (f", {other}" if other else "")
    return Case.of(arguments, family=family, **sizes)


@st.composite
def with_previous(draw: st.DrawFn) -> Case:
    """Previous ids of each row, one of them several times; logits of both signs; a penalty that float32 holds."""
    sizes = draw(distinct_sizes(batch=(1, 3), vocab_size=(5, 10), seen=(2, 6)))
    shape = (sizes["batch"], sizes["vocab_size"])
    generator = torch.Generator().manual_seed(draw(seeds))
    logits = distinct_logits(shape, draw(seeds), 0.5)
    logits = logits - logits.mean(-1, keepdim=True) + 0.05
    previous = torch.randint(0, shape[1], (shape[0], sizes["seen"]), generator=generator)
    previous[:, 1] = previous[:, 0]
    penalty = draw(st.sampled_from((1.25, 1.75, 2.5, 0.625)))
    arguments = {"logits": logits, **FREE, "previous": previous, "repetition_penalty": penalty}
    return Case.of(arguments, family=f"{sizes['seen']} previous ids", **sizes)


# claims --------------------------------------------------------------------------------------------------------------


@claim(
    "min-p keeps the ids with at least min_p times the largest probability",
    broken_by="min_p_compares_absolutely",
    cases=with_min_p,
    max_cases=12,
)
def min_p_is_relative_to_the_largest(trial: Trial) -> None:
    """Also alone at temperature 1, where the set is known without the reference."""
    a = trial.case.arguments
    exact = trial.expect()
    trial.close(output(trial), exact.value, tolerance(trial, None), f"with {trial.case.family}, out")
    min_p = _roomy_min_p(a["logits"], 1.0, trial.seed % 97)
    alone = trial.case.changed(**FREE, min_p=min_p)
    expected = torch.softmax(_near_the_best(a["logits"].double(), min_p), -1)
    what = f"with min_p = {min_p:.4g}, out"
    trial.close(output(trial, alone), expected.to(trial.dtype), tolerance(trial, alone), what)


@claim(
    "min_p = 1 keeps the most likely id, and a tiny min_p keeps them all",
    broken_by="min_p_drops_the_largest",
    cases=with_min_p,
    max_cases=6,
)
def min_p_at_its_ends(trial: Trial) -> None:
    """min_p = 1 also where one id has all the probability."""
    logits = trial.case.arguments["logits"]
    largest = torch.zeros_like(logits).scatter(-1, logits.argmax(-1, keepdim=True), 1.0)
    one, everything = trial.case.changed(**FREE, min_p=1.0), trial.case.changed(**FREE, min_p=1e-30)
    values = [output(trial, case) for case in (one, one.changed(logits=1000 * largest))]
    all_kept = output(trial, everything)
    for value in values:
        if not bool(torch.isfinite(value).all()):
            raise Violation("with min_p = 1 no id is kept: the probabilities are NaN")
        trial.close(value, largest.to(trial.dtype), 8 * torch.finfo(trial.dtype).eps, "with min_p = 1, out")
    expected = torch.softmax(logits.double(), -1).to(trial.dtype)
    trial.close(all_kept, expected, tolerance(trial, everything), "with min_p = 1e-30, out")


def _penalised(arguments: Any) -> torch.Tensor:
    """The logits after the penalties, id by id."""
    logits: torch.Tensor = arguments["logits"].double().clone()
    for row, previous in enumerate(arguments["previous"].tolist()):
        for index in set(previous):
            value, penalty = float(logits[row, index]), arguments.get("repetition_penalty", 1.0)
            value = value / penalty if value > 0 else value * penalty
            value -= arguments.get("presence_penalty", 0.0)
            logits[row, index] = value - arguments.get("frequency_penalty", 0.0) * previous.count(index)
    return logits


def _penalties_alone(trial: Trial, what: str, **penalties: float) -> None:
    """Without filters, at temperature 1."""
    case = trial.case.changed(**{"repetition_penalty": 1.0, **penalties})
    answer = trial.attempt(case)
    if answer.crash is not None:
        raise NotSupported(f"it raises {answer.crash.error} for previous ids [batch, seen]")
    expected = torch.softmax(_penalised(case.arguments), -1)
    trial.close(output(trial, case), expected.to(trial.dtype), tolerance(trial, case), what)


@claim(
    "the repetition penalty divides a positive logit of a previous id and multiplies a negative one, once per id",
    broken_by="repetition_penalty_per_occurrence",
    cases=with_previous,
    max_cases=12,
)
def repetition_penalty_once_per_id(trial: Trial) -> None:
    """Ids that the row has not seen keep their logits; a penalty of 1 changes nothing. The logits are left alone."""
    penalty = trial.case.arguments["repetition_penalty"]
    _penalties_alone(trial, f"with a repetition penalty of {penalty:g}, out", repetition_penalty=penalty)
    if writes := [effect for effect in trial.attempt().effects if effect.kind is EffectKind.ARGUMENT]:
        raise Violation.of_effects(writes)
    _penalties_alone(trial, "with a repetition penalty of 1, out", repetition_penalty=1.0)


@claim(
    "the presence penalty is subtracted once from a previous id's logit, the frequency penalty for each occurrence",
    broken_by="presence_penalty_per_occurrence",
    cases=with_previous,
    max_cases=10,
)
def presence_and_frequency_penalties(trial: Trial) -> None:
    unknown = 0
    for name, size in (("presence_penalty", 0.75), ("frequency_penalty", 0.5)):
        try:
            _penalties_alone(trial, f"with a {name.replace('_', ' ')} of {size:g}, out", **{name: size})
        except NotSupported:
            unknown += 1
            if unknown == 2:
                raise


@claim(
    "penalties come before the filters and the greedy choice",
    broken_by="penalised_after_the_filters",
    cases=with_previous,
    max_cases=10,
)
def penalties_come_first(trial: Trial) -> None:
    """top-k and temperature 0 choose among the penalised logits."""
    a = trial.case.arguments
    scores = _penalised(a)
    gaps = scores.sort(-1).values.diff(dim=-1)
    if float(gaps.min()) < 1e-3:
        trial.not_applicable()
    found = [(top_k, case := trial.case.changed(top_k=top_k), output(trial, case)) for top_k in (1, 2, 3)]
    for top_k, case, value in found:
        least = scores.topk(top_k, -1).values[:, -1:]
        expected = torch.softmax(scores.masked_fill(scores < least, float("-inf")), -1)
        what = f"with a repetition penalty and top_k = {top_k}, out"
        trial.close(value, expected.to(trial.dtype), tolerance(trial, case), what)


CLAIMS = (
    min_p_is_relative_to_the_largest,
    min_p_at_its_ends,
    repetition_penalty_once_per_id,
    presence_and_frequency_penalties,
    penalties_come_first,
)
"""After the claims about what every implementation has."""
