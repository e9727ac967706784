"""Padding hidden by an attention mask changes nothing for real positions.

Judged without the reference, by comparing an implementation with itself. Masks have several published forms (one number
per position, true or 1 where it is real; or 0 and -inf that are added to the scores); the first form that works is the
implementation's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import Claim, NotSupported, Trial, Violation
from harness.core.contract import Argument, Variant
from harness.core.implementation import Answer, CrashKind
from harness.core.mistake import Edit
from reference_model.attention import without_padding
from specs.shared.attention import output, tolerance


def _inverted(mask: Any) -> Any:
    return ~mask if mask.dtype == torch.bool else 1 - mask


ATTENTION_MASK = Argument(
    "attention_mask",
    "bool[batch, time]",
    optional=True,
    by_name=True,
    other_forms=dict.fromkeys(("key_padding_mask", "src_key_padding_mask", "padding_mask", "pad_mask"), _inverted),
)
"""True, or 1, where a position is real; the other names are True where it is padding, as in torch."""
POSITION_IDS = Argument(
    "position_ids",
    "int[batch, time]",
    optional=True,
    by_name=True,
    aliases=("positions", "pos_ids", "input_positions", "token_positions"),
)
"""The position of each id; 0, 1, 2 ... where it is left out."""
ADDED = 'kept = scores + torch.zeros_like(scores).masked_fill(hidden, float("-inf"))'
"""Gradients are then NaN wherever one of the ways to hide keys makes them so: those say nothing of the form."""
NAN_AT_PADDING = Variant(
    "nan_where_all_is_hidden",
    "A query that may attend to nothing (padding before the text) gives NaN, and so does every gradient. Declare it if "
    "no mask of yours hides every key of a query.",
    (
        Edit(without_padding, 'kept = scores.masked_fill(hidden, float("-inf"))', ADDED),
        Edit(without_padding, "return kept.masked_fill(idle, 0.0)", "return kept"),
    ),
    axis="where_all_is_hidden",
)


@st.composite
def padded(draw: st.DrawFn, cases: Callable[[], Any], name: str = "x", left: bool | None = None) -> Case:
    """A case in which the rows of the input have unequal lengths; one of them has no padding, where there are several.

    ``name``: of the input [batch, time, ...]. ``left``: on which side the padding is; either where it is None.
    """
    case = draw(cases().filter(lambda drawn: drawn.arguments[name].shape[1] > 1))
    value = case.arguments[name]
    batch, time = value.shape[:2]
    on_the_left = draw(st.booleans()) if left is None else left
    most = max(1, min(3, time - 1))
    padding = torch.tensor([draw(st.integers(1, most)) for _ in range(batch)])
    if batch > 1:
        padding[draw(st.sampled_from((batch - 1, batch - 1, 0)))] = 0
    place = torch.arange(time)
    mask = place >= padding[:, None] if on_the_left else place < time - padding[:, None]
    family = f"{case.family}, {'left' if on_the_left else 'right'} padding {padding.tolist()}"
    changed = case.changed(attention_mask=mask)
    return Case(changed.calls, changed.dimensions, family)


def positions_of(mask: torch.Tensor) -> torch.Tensor:
    """0, 1, 2 ... from the first real position of each row on; 0 before it."""
    return (mask.long().cumsum(-1) - 1).clamp(min=0)


def _forms(mask: torch.Tensor, dtype: torch.dtype) -> Iterator[torch.Tensor]:
    """The mask in every published form, the usual ones first."""
    yield mask
    yield mask.long()
    yield mask.to(dtype)
    past = torch.ones(mask.shape[-1], mask.shape[-1], dtype=torch.bool).tril()
    keys, both = mask[:, None, None, :], mask[:, None, None, :] & past
    lowest = torch.finfo(dtype).min
    for seen in (keys, both, both.squeeze(1)):
        yield seen
        yield torch.zeros(seen.shape, dtype=dtype).masked_fill(~seen, lowest)


class Padded:
    """The trial's case, and each of its rows alone without padding. ``name``: of the input [batch, time, ...].

    ``more``: arguments that are given beside the mask. Raises NotSupported where it takes no mask.
    """

    def __init__(self, trial: Trial, name: str = "x", **more: Any) -> None:
        self.trial, self.name, self.more = trial, name, more
        self.mask: torch.Tensor = trial.case.arguments["attention_mask"]
        if bool(self.mask.all()):
            trial.not_applicable()
        self._require_a_mask()

    def _require_a_mask(self) -> None:
        """Raises NotSupported where it takes a mask in no form: nothing else that it does with such a case counts."""
        why = ""
        for mask in _forms(self.mask, self.trial.dtype):
            crash = self.trial.probe(self.with_mask(mask)).crash
            if crash is None or crash.kind is not CrashKind.NOT_SUPPORTED:
                return
            why = why or crash.message
        raise NotSupported(why)

    def with_mask(self, mask: torch.Tensor) -> Case:
        """The padded case with the mask in this form."""
        return self.trial.case.changed(attention_mask=mask, **self.more)

    def alone(self, row: int) -> Case:
        """The real positions of one row."""
        real = self.trial.case.arguments[self.name][row : row + 1, self.mask[row]]
        return self.trial.case.changed(**{self.name: real, "attention_mask": None})

    def expected(self) -> list[tuple[torch.Tensor, float]]:
        """What each row gives alone, and how far it may be missed."""
        alone = [self.alone(row) for row in range(len(self.mask))]
        return [(output(self.trial, case)[0], 2 * tolerance(self.trial, case)) for case in alone]

    def is_right(self, rows: list[tuple[torch.Tensor, float]], value: torch.Tensor) -> bool:
        """Whether the output at real positions is what each row gives alone."""
        pairs = zip(value, self.mask, rows, strict=True)
        return all(bool((row[real] - exact).abs().max() <= most) for row, real, (exact, most) in pairs)

    def form(self, right: Callable[[torch.Tensor, torch.Tensor], bool]) -> torch.Tensor:
        """The mask in the form of the implementation: the first for which ``right(mask, output)``, or else that runs.

        Raises NotSupported where it takes none.
        """
        first, why = None, "it takes no attention_mask"
        for mask in _forms(self.mask, self.trial.dtype):
            answer: Answer = self.trial.probe(self.with_mask(mask))
            if answer.crash is not None:
                why = answer.crash.message if first is None and mask is self.mask else why
            elif torch.is_tensor(answer.value) and answer.value.shape[:2] == self.mask.shape:
                if right(mask, answer.value):
                    return mask
                first = mask if first is None else first
        if first is None:
            raise NotSupported(why)
        return first


def padding_changes_nothing(trial: Trial, name: str = "x", **more: Any) -> None:
    """Each row of the padded batch gives at its real positions what it gives alone."""
    given = Padded(trial, name, **more)
    rows = given.expected()
    form = given.form(lambda _, value: given.is_right(rows, value))
    value = trial.run(given.with_mask(form)).value
    for row, (exact, most) in enumerate(rows):
        trial.close(value[row][given.mask[row]], exact, most, f"at the real positions of row {row}, out")


def padded_ids_are_ignored(trial: Trial, name: str = "ids", **more: Any) -> None:
    """Other ids at padded positions leave the output at real ones as it is."""
    given = Padded(trial, name, **more)
    ids, size = trial.case.arguments[name], trial.case.dimensions["vocab_size"]
    others = torch.where(given.mask, ids, (ids + 1) % size)
    most = 2 * tolerance(trial, trial.case.changed(attention_mask=None))

    def right(mask: torch.Tensor, value: torch.Tensor) -> bool:
        after = trial.probe(given.with_mask(mask).changed(**{name: others}))
        return after.crash is None and bool((value - after.value)[given.mask].abs().max() <= most)

    form = given.form(right)
    before, after = given.with_mask(form), given.with_mask(form).changed(**{name: others})
    values = [trial.run(case).value for case in (before, after)]
    what = "with other ids at padded positions, at real positions out"
    trial.close(values[1][given.mask], values[0][given.mask], most, what)


def require_finite_numbers(trial: Trial, name: str = "x", **more: Any) -> None:
    """Padding before the text leaves its own queries nothing to attend to; no number is NaN for it, nor a gradient."""
    if trial.has_form(NAN_AT_PADDING.name):
        trial.not_applicable()
    given = Padded(trial, name, **more)
    rows = given.expected()
    form = given.form(lambda _, value: given.is_right(rows, value))
    answer = trial.run(given.with_mask(form), gradients=trial.contract.differentiable)
    if not given.is_right(rows, answer.value):
        trial.not_applicable()  # another claim's business
    if not bool(torch.isfinite(answer.value).all()):
        raise Violation("at padded positions the output is NaN or infinite: these queries may attend to nothing")
    for argument, gradient in answer.gradients.items():
        asked = argument != "attention_mask" and torch.is_tensor(gradient)
        if asked and not bool(torch.isfinite(gradient).all()):
            raise Violation(f"with padding before the text, the gradient of {argument} is NaN or infinite")


def nan_at_padding(call: Any, method: str, arguments: Any, request: Any) -> Any:
    """A way to call right code that gives NaN at padded positions."""
    out, mask = call(arguments), arguments.get("attention_mask")
    return out if mask is None or mask.dim() != 2 else out.masked_fill(~mask.bool()[..., None], float("nan"))


def half_with_a_mask(call: Any, method: str, arguments: Any, request: Any) -> Any:
    """A way to call right code that gives half of the output where it is given a mask."""
    return call(arguments) if arguments.get("attention_mask") is None else call(arguments) / 2


def padding_claims(cases: Callable[[], Any], ignored: str) -> tuple[Claim, ...]:
    """The two claims about padding of a component with an input ``x``. ``ignored``: the mistake that breaks one."""
    return (
        Claim(
            "padding_changes_nothing",
            "with an attention mask, real positions give what they give without padding",
            padding_changes_nothing,
            broken_by=ignored,
            cases=lambda: padded(cases),
            max_cases=8,
        ),
        Claim(
            "finite_where_all_is_padding",
            "with padding before the text, every number and every gradient is finite",
            require_finite_numbers,
            sabotage=nan_at_padding,
            cases=lambda: padded(cases, left=True),
            max_cases=5,
        ),
    )
