"""Padding and positions of whole models, which take ids."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import Claim, Trial
from harness.strategies.tensors import seeds
from specs.shared.attention import output
from specs.shared.attention_forms import POSITIONS
from specs.shared.padding import (
    NAN_AT_PADDING,
    POSITION_IDS,
    half_with_a_mask,
    nan_at_padding,
    padded,
    padded_ids_are_ignored,
    padding_changes_nothing,
    positions_of,
    require_finite_numbers,
)


def right_padding_changes_nothing(trial: Trial) -> None:
    """Ids and mask alone: positions count from the first id on."""
    padding_changes_nothing(trial, "ids")


def _given_positions(trial: Trial) -> dict[str, torch.Tensor]:
    """position_ids that begin at 0 with the first real id, where the contract has such an argument."""
    has_them = any(a.name == POSITION_IDS.name for a in trial.contract.arguments("input"))
    return {POSITION_IDS.name: positions_of(trial.case.arguments["attention_mask"])} if has_them else {}


def left_padding_changes_nothing(trial: Trial) -> None:
    """Learned positions are given, and begin at 0 with the first real id; of rotated ones only differences count."""
    if trial.has_form(NAN_AT_PADDING.name):
        trial.not_applicable()  # from the second layer on, every position attends to NaN
    padding_changes_nothing(trial, "ids", **_given_positions(trial))


def finite_with_left_padding(trial: Trial) -> None:
    """Logits and gradients."""
    require_finite_numbers(trial, "ids", **_given_positions(trial))


def positions_as_given(trial: Trial) -> None:
    """Positions in another order, of its own for each row. Where they are rotated, the reference counts from 0 on."""
    if trial.has_form(POSITIONS):
        trial.not_applicable()
    exact, bound = trial.agreement()
    trial.close(output(trial), exact.value, bound.value, "with position_ids, out")


@st.composite
def _placed(draw: st.DrawFn, cases: Callable[[], Any]) -> Case:
    case: Case = draw(cases())
    generator = torch.Generator().manual_seed(draw(seeds))
    ids, context = case.arguments["ids"], case.dimensions["context"]
    places = torch.stack([torch.randperm(context, generator=generator)[: ids.shape[1]].sort()[0] for _ in ids])
    return case.changed(position_ids=places)


def ids_at_padding_are_ignored(trial: Trial) -> None:
    """Whatever positions the model gives to ids."""
    if trial.has_form(NAN_AT_PADDING.name):
        trial.not_applicable()
    padded_ids_are_ignored(trial, "ids")


def model_padding_claims(cases: Callable[[], Any], ignored: str, positions: str = "") -> tuple[Claim, ...]:
    """The claims about padding of a model with ``ids``. ``ignored``: the mistake that breaks most of them;
    ``positions``: the one that leaves position_ids unused, where positions are learned."""

    def made(test: Callable[[Trial], None], sentence: str, left: bool, **breaks: Any) -> Claim:
        return Claim(
            test.__name__, sentence, test, cases=lambda: padded(cases, "ids", left=left), max_cases=5, **breaks
        )

    after, before = "with padding after the text", "with padding before the text"
    same, told = "real positions give what they give without it", " and position_ids" if positions else ""
    claims = (
        made(right_padding_changes_nothing, f"{after}, {same}", False, sabotage=half_with_a_mask),
        made(ids_at_padding_are_ignored, f"{before}, other ids in its place change nothing", True, broken_by=ignored),
        made(finite_with_left_padding, f"{before}, all logits and gradients are finite", True, sabotage=nan_at_padding),
        made(left_padding_changes_nothing, f"{before}{told}, {same}", True, broken_by=positions or ignored),
    )
    if not positions:
        return claims
    sentence = "position_ids say which position each id has"
    placed = Claim(
        "positions_as_given",
        sentence,
        positions_as_given,
        broken_by=positions,
        cases=lambda: _placed(cases),
        max_cases=6,
    )
    return (*claims, placed)
