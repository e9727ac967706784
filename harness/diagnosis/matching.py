"""Whether the reference with a mistake in it answers as the implementation does."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from harness.core.case import Case, is_float
from harness.core.implementation import Answer, Crash, Implementation, Request
from harness.core.tree import leaves
from harness.numerics.bounds import LazyBound
from harness.numerics.compare import compare, is_within
from harness.numerics.tolerance import tolerances

SLACK = 16.0
"""An edited reference may miss the implementation's numbers by this many tolerances: its own rounding differs a
little."""
MOST_LEFT = 0.1
"""What is left of a wrong answer's error by what explains it, at the most, where tolerances are too wide to tell."""
SHARE = 1e-4
"""... or by more, up to this share of the implementation's whole error, where it is itself that much more sensitive
to rounding than the reference is; that is measured."""


@dataclass(frozen=True)
class Observation:
    """A request, the implementation's answer, the reference's answer, and the tolerance between them.

    ``effects``: whether side effects are part of what went wrong.
    """

    request: Request
    answer: Answer
    reference: Answer
    tolerance: Answer
    effects: bool = False

    @cached_property
    def wrong(self) -> bool:
        """Whether the implementation's answer is not the reference's."""
        return is_wrong(self)


def error_message(answer: Answer) -> str:
    return answer.crash.message if answer.crash else ""


KEPT = 2_000
"""Answers of single mistakes that are kept, the latest ones. Most mistakes are refuted by one of a few requests."""


class KeptAnswers:
    """What the reference with one known mistake answered, by mistake and request: many implementations are compared
    with the same answers."""

    def __init__(self) -> None:
        self._answers: OrderedDict[object, Answer] = OrderedDict()

    def of(self, mistake: str, watched: bool, request: Request, run: Callable[[Request], Answer]) -> Answer:
        """The answer to an equal request where there is one. Callers must not write to its tensors."""
        if request.fresh:
            return run(request)
        key = (mistake, watched, request.key)
        if key in self._answers:
            self._answers.move_to_end(key)
            return self._answers[key]
        answer = self._answers[key] = run(request)
        if len(self._answers) > KEPT:
            self._answers.popitem(last=False)
        return answer


class EditedReference:
    """The reference with edits in force, watched for side effects where an observation is about them.

    ``mistake``: the one that the edits are, whose answers are ``kept``; empty where they are several.
    """

    def __init__(
        self, watched: Implementation, quick: Implementation | None, mistake: str = "", kept: KeptAnswers | None = None
    ) -> None:
        self.watched, self.quick, self.mistake, self.kept = watched, quick or watched, mistake, kept

    def run(self, o: Observation, case: Case | None = None) -> Answer:
        """The answer to the observation's request, or to the same request for another case."""
        run = (self.watched if o.effects else self.quick).run
        if case is not None:
            return run(o.request.of(case))
        if self.kept is None or not self.mistake:
            return run(o.request)
        return self.kept.of(self.mistake, o.effects, o.request, run)


def is_wrong(o: Observation) -> bool:
    """Whether the implementation's answer is not the reference's."""
    if (o.answer.crash is None) != (o.reference.crash is None):
        return True
    if o.answer.crash is not None:
        return False
    return not _is_near(o.answer, o.reference, o) or (o.effects and o.answer.effects != o.reference.effects)


def is_silent(answer: Answer, o: Observation) -> bool:
    """Whether an edited reference gives the reference's own answer."""
    if (answer.crash is None) != (o.reference.crash is None):
        return False
    if o.effects and set(answer.effects) != set(o.reference.effects):
        return False
    return answer.crash is not None or _is_near(answer, o.reference, o)


def is_much_nearer(predicted: Answer, o: Observation) -> bool:
    """Whether a wrong answer is far nearer to the predicted one than to the right one.

    Both must raise an error, of whatever kind, or none. Where the reference alone raises one, there is no distance from
    what is right: then the answer must be the predicted one.
    """
    if predicted.crash is not None or o.answer.crash is not None:
        return predicted.crash is not None and o.answer.crash is not None
    missed = _distance(o.answer, predicted, o)
    return (
        missed <= SLACK if o.reference.crash is not None else missed <= MOST_LEFT * _distance(o.answer, o.reference, o)
    )


def _same_error(one: Crash, other: Crash) -> bool:
    """Whether two errors are of one kind, in the same call."""
    return one.error == other.error and one.call == other.call


def is_near(predicted: Answer, o: Observation) -> bool:
    """Whether a predicted answer is the implementation's, within a few tolerances; gradients included."""
    return predicted.crash is None and o.answer.crash is None and _distance(o.answer, predicted, o) <= SLACK


def apart(predicted: Answer, o: Observation) -> float:
    """How far the implementation's answer is from the predicted one in units of the tolerance."""
    if predicted.crash is not None or o.answer.crash is not None:
        return float("inf")
    return _distance(o.answer, predicted, o)


def has_no_place(predicted: Answer, o: Observation) -> bool:
    """Whether a legal form refuses a case that the contract's own takes, whatever the implementation does with it.

    Where the form is declared, such cases are left out.
    """
    return predicted.crash is not None and (o.reference.crash is None or o.answer.crash is not None)


def misfit(predicted: Answer, o: Observation, executor: EditedReference) -> float | None:
    """How far the implementation's answer is from the predicted one in units of the tolerance; None where it is
    another one."""
    if (predicted.crash is None) != (o.answer.crash is None):
        return None
    if o.effects and set(predicted.effects) != set(o.answer.effects):
        return None
    if predicted.crash is not None and o.answer.crash is not None:
        return 0.0 if _same_error(predicted.crash, o.answer.crash) or o.reference.crash is not None else None
    predicted, o = _where_defined(predicted, o)
    missed = _distance(o.answer, predicted, o)
    if missed <= 1:
        return missed
    error = _distance(o.answer, o.reference, o)
    if missed <= min(SLACK, 0.1 * error):
        return missed
    if missed <= SHARE * error < float("inf") and _within_its_own_rounding(o, executor):
        return missed
    return None


def _where_defined(predicted: Answer, o: Observation) -> tuple[Answer, Observation]:
    """Both without the elements of a gradient that are not finite in one of them.

    A root or a quotient at zero has no slope, and two ways to write the same mistake differ in what they return there
    (``x.std()`` gives 0, the root of a mean nan): that says nothing against it. Elements are set to 0. Where nothing
    else is wrong, those that only the implementation leaves undefined are what is to be explained, and stay.
    """
    both = _masked(predicted, o, True)
    return both if not o.wrong or is_wrong(both[1]) else _masked(predicted, o, False)


def _masked(predicted: Answer, o: Observation, where_either: bool) -> tuple[Answer, Observation]:
    """Both with 0 where the predicted gradient, or either, is not finite; in the reference's gradient too."""
    three = [dict(answer.gradients) for answer in (predicted, o.answer, o.reference)]
    for name, value in predicted.gradients.items():
        other = o.answer.gradients.get(name)
        if not (is_float(value) and is_float(other) and value.shape == other.shape):
            continue
        undefined = ~torch.isfinite(value)
        undefined = undefined | ~torch.isfinite(other) if where_either else undefined
        if bool(undefined.any()):
            for gradients in three:
                held = gradients.get(name)
                if is_float(held) and held.shape == undefined.shape:
                    gradients[name] = held.masked_fill(undefined, 0.0)
    first, second, third = three
    answer, reference = replace(o.answer, gradients=second), replace(o.reference, gradients=third)
    return replace(predicted, gradients=first), replace(o, answer=answer, reference=reference)


def outputs_alone(o: Observation) -> Observation:
    """The same without its gradients."""
    answer, reference = replace(o.answer, gradients={}), replace(o.reference, gradients={})
    return replace(o, answer=answer, reference=reference)


def _within_its_own_rounding(o: Observation, executor: EditedReference) -> bool:
    """Whether the implementation's answer is the edited reference's up to what rounding does to the edited reference
    itself."""
    floats = [leaf.dtype for _, leaf in o.request.case.tensors() if is_float(leaf)]
    floats += [leaf.dtype for _, leaf in leaves(list(o.reference.outputs)) if is_float(leaf)]  # where no dtype goes in
    exact, own = tolerances(lambda case: executor.run(o, case), o.request.case, floats[0] if floats else torch.float64)
    return exact.crash is None and _distance(o.answer, exact, Observation(o.request, o.answer, exact, own)) <= SLACK


def _is_near(one: Answer, other: Answer, o: Observation) -> bool:
    """Whether two answers are within the observation's tolerance of each other, gradients included."""
    pairs = _pairs(one, other, o)
    return pairs is not None and all(is_within(*pair) for pair in pairs)


def _distance(one: Answer, other: Answer, o: Observation) -> float:
    """How far apart two answers are in units of the observation's tolerance, gradients included."""
    pairs = _pairs(one, other, o)
    return float("inf") if pairs is None else max((compare(*pair).ratio for pair in pairs), default=0.0)


def _pairs(one: Answer, other: Answer, o: Observation) -> list[tuple[object, object, object]] | None:
    """Each value, what it is compared with, and the tolerance; None where there is a value on one side alone."""
    if len(one.outputs) != len(other.outputs):
        return None
    bounds = _bounds(o, other)
    pairs: list[tuple[object, object, object]] = [
        (value, wanted, _widened(bound, wanted, value))
        for value, wanted, bound in zip(one.outputs, other.outputs, bounds, strict=True)
    ]
    for name, value in other.gradients.items():
        mine = one.gradients.get(name)
        if (mine is None) != (value is None):
            return None
        if mine is not None:
            pairs.append((mine, value, _widened(o.tolerance.gradients.get(name), value, mine)))
    return pairs


def _bounds(o: Observation, other: Answer) -> Sequence[object]:
    bounds = o.tolerance.outputs
    return bounds if len(bounds) == len(other.outputs) else [None] * len(other.outputs)


def _widened(bound: object, *values: object) -> object:
    """The tolerance; where there is none (a script the reference refuses), rounding relative to the values."""
    if isinstance(bound, (int, float, LazyBound)):
        return bound
    if isinstance(bound, (list, tuple)) and any(b is not None for b in bound):
        return bound
    largest = 0.0
    for value in values:
        for _, leaf in leaves(value):
            if is_float(leaf) and leaf.numel():
                resolution = torch.finfo(leaf.dtype).eps
                finite = leaf[torch.isfinite(leaf)]
                largest = max(largest, 64 * resolution * float(finite.abs().max()) if finite.numel() else 0.0)
    return largest
