"""Generation: the prompts and models of its cases, and what every answer is compared with."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import Call, Case
from harness.core.claim import NotSupported, Trial, Violation
from harness.core.values import Settings
from harness.strategies.tensors import seeds
from specs.shared.generation_models import GPT2_MODELS, Family, decisive_model, ending_model, next_logits


@st.composite
def cases(
    draw: st.DrawFn,
    beyond: bool = False,
    batch: tuple[int, int] = (1, 3),
    least: int = 1,
    apart: bool = False,
    family: Family = GPT2_MODELS,
) -> Case:
    """Greedy generation (top_k = 1) within the context window; ``beyond``: past its end. No near ties.

    ``batch``: the least and the largest number of rows. ``least``: the least number of new ids.
    ``apart``: one row meets an id early that another never meets.
    """
    context = draw(st.sampled_from((5, 6, 7))) + (3 if least > 1 else 0)
    config = draw(family.sizes(context))
    rows, time = draw(st.integers(*batch)), draw(st.integers(1, 3))
    number = context - time + draw(st.integers(2, 4)) if beyond else draw(st.integers(least, context - time))
    make = ending_model if apart else decisive_model
    weights, ids = make(family, config, draw(seeds) % 1000, rows, time, number)
    sizes = {"batch": rows, "time": time, "context": context, "new": number}
    options = {"temperature": 1.0, "top_k": 1, "top_p": None, "end_token": None}
    return script(weights, config, ids, number, f"{number} ids after {time}, context {context}", sizes, **options)


@dataclass(frozen=True)
class CasesOf:
    """A strategy of cases with these options, on models of a family."""

    strategy: Any
    options: dict[str, Any] = field(default_factory=dict, hash=False)
    family: Family = GPT2_MODELS

    def __call__(self) -> Any:
        """The strategy."""
        return self.strategy(family=self.family, **self.options)

    def on(self, family: Family) -> CasesOf:
        """The same on other models."""
        return replace(self, family=family)


def script(
    weights: Any, config: Settings, ids: torch.Tensor, number: int, family: str, sizes: dict[str, int], **options: Any
) -> Case:
    """Build a model of these weights, and generate this number of ids after the prompts ``ids`` [batch, time]."""
    calls = (
        Call("build", {"weights": weights, "config": config}),
        Call("generate", {"ids": ids, "max_new_tokens": number, **options}),
    )
    return Case(calls, sizes, family)


def returned(trial: Trial, case: Case | None = None, ended: bool = False) -> torch.Tensor:
    """The returned ids, checked: the prompt, then max_new_tokens ids of the vocabulary (fewer where rows ``ended``)."""
    case = case or trial.case
    value: Any = trial.run(case, fresh=True).value
    ids, number = case.arguments["ids"], case.arguments["max_new_tokens"]
    if not torch.is_tensor(value) or value.is_floating_point():
        raise Violation("it must return ids, a tensor of integers [batch, time + new]")
    rows, time = ids.shape
    wrong = value.dim() != 2 or value.shape[0] != rows or value.shape[1] > time + number
    if wrong or (not ended and value.shape[1] != time + number):
        whole = f"a prompt of {list(ids.shape)} and {number} new ids make {[rows, time + number]}"
        raise Violation(f"it returned shape {list(value.shape)}; {whole}")
    if not torch.equal(value[:, :time], ids):
        raise Violation("its output does not start with the prompt")
    config = trial.case.calls[0].arguments["config"]
    if value.numel() and (int(value.min()) < 0 or int(value.max()) >= config.vocab_size):
        raise Violation(f"it returns an id outside the vocabulary of {config.vocab_size}")
    return value


def model_of(case: Case) -> tuple[Any, Settings]:
    """The weights and the configuration of a script's model."""
    return case.calls[0].arguments["weights"], case.calls[0].arguments["config"]


OWN_LOGITS = "logits"
"""The call by which the reference tells the logits of the implementation's own model, where there is one."""
SLACK = 256.0
"""In units of rounding of the largest logit: nearer ones are equally likely."""


def logits_after(trial: Trial, case: Case, ids: torch.Tensor, least: int) -> torch.Tensor:
    """The logits of the id after each prefix of ``ids`` of at least so many, each by a full pass.  -> [B, N, V]

    Those of the model that generates: of somebody's own one where it is given the weights of the case.
    """
    if OWN_LOGITS in trial.contract.calls:
        own = _own_logits(trial, case, ids, least, crops=True)
        if own is None:
            trial.not_applicable()
        return torch.as_tensor(own)
    weights, config = model_of(case)
    return torch.stack([next_logits(ids[:, :n], weights, config) for n in range(least, ids.shape[1] + 1)], 1)


def _own_logits(trial: Trial, case: Case, ids: torch.Tensor, least: int, crops: bool) -> torch.Tensor | None:
    """Those of the implementation's own model; None where it gives none."""
    asked = Call(OWN_LOGITS, {"ids": ids, "least": least, "crops": crops})
    answer = trial.expect(replace(case, calls=(case.calls[0], asked)))
    if answer.crash is not None or not bool(torch.isfinite(answer.value).all()):
        return None
    return torch.as_tensor(answer.value).double()


def slack_of(trial: Trial, logits: torch.Tensor) -> float:
    """How near two logits are that rounding may exchange."""
    return SLACK * torch.finfo(torch.float32).eps * float(logits.abs().max()) if trial.dtype.itemsize < 8 else 1e-9


def most_likely_throughout(trial: Trial, case: Case, what: str) -> None:
    """Every new id is the most likely one given all ids before it, by a full recomputation."""
    value, time = returned(trial, case), case.arguments["ids"].shape[1]
    if value.shape[1] == time:
        return
    every = logits_after(trial, case, value[:, :-1], time)
    for at, row in _unlikely(trial, every, value[:, time:]):
        logits, chosen = every[row, at], int(value[row, time + at])
        raise Violation(
            f"{what}, new id {at + 1} of row {row} is {chosen}, which ranks {int((logits > logits[chosen]).sum()) + 1} "
            f"of {len(logits)}; the most likely is {int(logits.argmax())}"
        )


def _unlikely(trial: Trial, every: torch.Tensor, new: torch.Tensor) -> list[list[int]]:
    """Index and row of each new id that is not the most likely one.  every [B, N, V], new [B, N]"""
    chosen = every.gather(2, new[..., None])[..., 0]
    places: list[list[int]] = (every.amax(-1) - chosen > slack_of(trial, every)).T.nonzero().tolist()
    return places


def sees_the_last(trial: Trial, case: Case, what: str) -> None:
    """As :func:`most_likely_throughout`, beyond the context window.

    A model whose positions are told by rotation alone may be given all ids there too.
    """
    try:
        most_likely_throughout(trial, case, what)
    except Violation:
        if OWN_LOGITS not in trial.contract.calls:
            raise
        value, time = returned(trial, case), case.arguments["ids"].shape[1]
        every = _own_logits(trial, case, value[:, :-1], time, crops=False)
        if every is None or _unlikely(trial, every, value[:, time:]):
            raise


def greedy_path(trial: Trial, case: Case, ids: torch.Tensor, number: int) -> torch.Tensor:
    """The prompt ``ids`` with so many most likely ids after it. Not applicable where two are equally likely."""
    options = {"temperature": 1.0, "top_k": 1, "top_p": None, "end_token": None}
    answer = trial.expect(case.changed(ids=ids, max_new_tokens=number, **options))
    if answer.crash is not None or not torch.is_tensor(answer.value):
        trial.not_applicable()  # the model itself raises, or gives no numbers
    path = torch.as_tensor(answer.value)
    if OWN_LOGITS in trial.contract.calls and number:
        two = logits_after(trial, case, path[:, :-1], ids.shape[1]).topk(2, -1).values
        if bool((two[..., 0] - two[..., 1] <= slack_of(trial, two)).any()):
            trial.not_applicable()
    return path


def needs_support(trial: Trial, case: Case, what: str) -> None:
    """NotSupported where the implementation raises an error for this case."""
    answer = trial.attempt(case, fresh=True)
    if answer.crash is not None:
        raise NotSupported(f"it raises {answer.crash.error} {what}")


def check_end(
    row: torch.Tensor, path: torch.Tensor, at: int, end: int, which: str, time: int, behind: set[int]
) -> None:
    """The row is its greedy path up to the end token at ``at``; after it there is nothing, or only padding.

    Padding is the end token or one other id, which ``behind`` collects: it must be the same everywhere.
    """
    if not torch.equal(row[:at], path[:at]):
        raise Violation(f"{which}the ids before the end token {end} differ from those without an end token")
    rest = row[at:].tolist()
    behind |= {i for i in rest if i != end}
    if len(behind) > 1:
        raise Violation(f"{which}it generates ids after the end token {end}: {row[time:].tolist()}")


def cases_with(**options: Any) -> CasesOf:
    """The cases with these options, for a claim."""
    return CasesOf(cases, options)
