"""Generation: the prompts and models of its cases, and what every answer is compared with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import Call, Case
from harness.core.claim import NotSupported, Trial, Violation
from harness.core.values import Settings
from harness.strategies.tensors import seeds
from specs.shared.generation_models import decisive_model, next_logits


@st.composite
def cases(draw: st.DrawFn, beyond: bool = False, batch: tuple[int, int] = (1, 3), least: int = 1) -> Case:
    """Greedy generation (top_k = 1) within the context window; ``beyond``: past its end. No near ties.

    ``batch``: the least and the largest number of rows. ``least``: the least number of new ids.
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
    weights, ids = decisive_model(config, draw(seeds) % 1000, rows, time, number)
    sizes = {"batch": rows, "time": time, "context": context, "new": number}
    options = {"temperature": 1.0, "top_k": 1, "top_p": None, "end_token": None}
    return script(weights, config, ids, number, f"{number} ids after {time}, context {context}", sizes, **options)


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


def most_likely_throughout(trial: Trial, case: Case, what: str) -> None:
    """Every new id is the most likely one given all ids before it, by a full recomputation."""
    value, time = returned(trial, case), case.arguments["ids"].shape[1]
    weights, config = model_of(case)
    for at in range(time, value.shape[1]):
        logits = next_logits(value[:, :at], weights, config)
        best = logits.argmax(-1)
        for row in (best != value[:, at]).nonzero().flatten().tolist():
            place = int((logits[row] > logits[row, value[row, at]]).sum()) + 1
            raise Violation(
                f"{what}, new id {at - time + 1} of row {row} is {int(value[row, at])}, which ranks {place} of "
                f"{config.vocab_size}; the most likely is {int(best[row])}"
            )


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


def cases_with(**options: Any) -> Callable[[], st.SearchStrategy[Case]]:
    """The cases with these options, for a claim."""
    return lambda: cases(**options)
