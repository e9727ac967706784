""" "Your output is what this known mistake would give."

The reference is run once per known mistake on the very requests that the implementation was seen to answer wrongly. A mistake is
named only when its edited reference gives the implementation's answer to every one of them; if none does, pairs are tried.

Pairs are many (40,000 for a whole model), so each mistake is first seen alone on a few requests: it is *silent* there (the
answer is the reference's), it *explains* the implementation's answer, or it does something *else*. Of two mistakes that act
together the one explains what the other is silent on; where both are silent the implementation is right, and where neither is,
neither explains it alone. Few pairs agree with that, and they are tried first; the others come after them, for inside one
function a mistake may well show only together with another.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch

from harness.core.case import Case, is_float
from harness.core.contract import Contract
from harness.core.implementation import Answer, Implementation, Request
from harness.core.mistake import Edit, KnownMistake, fits
from harness.core.tree import leaves
from harness.numerics.tolerance import compare, tolerances

SLACK = 16.0
"""An edited reference may miss the implementation's numbers by this many tolerances: its own rounding differs a little."""
SHARE = 1e-4
"""... or by more, up to this share of the implementation's whole error, where it is itself that much more sensitive to rounding
than the reference is; that is measured."""
SECONDS = 12.0
"""Computing time for one diagnosis; singles come first."""
SAMPLE = 8
"""Requests on which each mistake is seen alone before pairs are tried: one of every kind (a kind is where the same parts
are silent), and cheap ones and dearer ones."""
SCOUTS, SCOUTED = 3, 30
"""Mistakes of each part that tell the kinds of requests apart, and how many requests are looked at."""
CALM = 4
"""... and the cheapest of those answered rightly, on which both mistakes of a pair are silent."""

SILENT, EXPLAINS, ELSE = "silent", "explains", "else"


@dataclass(frozen=True)
class Finding:
    """The known mistakes that together explain every case tried. ``or_else``: others that do so equally well."""

    mistakes: tuple[KnownMistake, ...]
    or_else: tuple[KnownMistake, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(mistake.full_name for mistake in self.mistakes)


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


@dataclass
class Diagnostician:
    """Finds the known mistakes behind observations. ``executor(edits)`` makes the reference with edits in force;
    ``quick(edits)`` does so without watching for side effects, for where they do not matter. ``always``: edits in force
    beside them, of declared variants; a mistake of a line that one of them changed cannot be made."""

    contracts: Mapping[str, Contract]
    mistakes: Mapping[str, Sequence[KnownMistake]]
    executor: Callable[[tuple[Edit, ...]], Implementation]
    quick: Callable[[tuple[Edit, ...]], Implementation] | None = None
    seconds: float = SECONDS
    always: tuple[Edit, ...] = ()
    _reach: dict[str, tuple[KnownMistake, ...]] = field(default_factory=dict)
    _explained: dict[tuple[str, ...], dict[int, tuple[float, Observation]]] = field(default_factory=dict)
    """By mistakes and observation (kept beside its id): how far off those that they explain are. A deck is asked for again."""

    def candidates(self, component: str) -> tuple[KnownMistake, ...]:
        """The known mistakes and legal variants of a component and, below it, of everything it is made of."""
        if component not in self._reach:
            own = list(self.mistakes.get(component, ())) + variants_as_mistakes(self.contracts[component])
            below = [mistake for part in self.contracts[component].parts for mistake in self.candidates(part)]
            self._reach[component] = tuple(dict.fromkeys([*own, *below]))
        return self._reach[component]

    def explain(
        self, component: str, observations: Sequence[Observation], first: Sequence[tuple[KnownMistake, ...]] = ()
    ) -> Finding | None:
        """The finding, or None. ``first``: sets of mistakes to try before all others (what was found in the parts)."""
        wrong = sorted((o for o in observations if o.wrong), key=lambda o: _cost(o.request))
        if not wrong:
            return None
        known = {id(o) for o in wrong}
        right = sorted((o for o in observations if id(o) not in known), key=lambda o: _cost(o.request))
        order = [*wrong, *right]
        deadline = time.thread_time() + self.seconds
        for mistakes in first:
            if mistakes and self._misfit(mistakes, order) is not None:
                return Finding(mistakes)
        singles = self.candidates(component)
        matching = []
        for mistake in singles:
            misfit = self._misfit((mistake,), order)
            if misfit is not None:
                matching.append((misfit, mistake))
            if time.thread_time() > deadline:
                break
        if matching:
            best = min(misfit for misfit, _ in matching)
            equals = [mistake for misfit, mistake in matching if misfit <= max(1.0, 10 * best)]
            return Finding((equals[0],), tuple(equals[1:]))
        for pair, pair_order in self._pairs(singles, first, wrong, right, deadline):
            if self._misfit(pair, pair_order) is not None:
                return Finding(pair)
            if time.thread_time() > deadline:
                return None
        return None

    def _pairs(
        self,
        singles: Sequence[KnownMistake],
        first: Sequence[tuple[KnownMistake, ...]],
        wrong: Sequence[Observation],
        right: Sequence[Observation],
        deadline: float,
    ) -> Iterator[tuple[tuple[KnownMistake, ...], Sequence[Observation]]]:
        """What was found in the parts and one more, then every two, those first that agree best with what each does alone;
        each with the observations in the order in which they are likely to refute it."""
        order = [*wrong, *right]
        for known in first:
            for mistake in singles:
                if known and mistake not in known:
                    yield (*known, mistake), order
        places = self._telling(singles, wrong)
        sample, calm = [wrong[n] for n in places], right[:CALM]
        seen: list[tuple[KnownMistake, tuple[str, ...], int]] = []
        for mistake in singles:
            if time.thread_time() > deadline:
                return
            marks = self._marks(mistake, sample, calm)
            if marks is not None:
                seen.append(
                    (
                        mistake,
                        marks,
                        self._first_unexplained(mistake, wrong) if set(marks) == {EXPLAINS} else places[-1],
                    )
                )
        ranked: list[Any] = []
        for (one, its, left_by_one), (other, others, left_by_other) in itertools.combinations(seen, 2):
            alone = list(zip(its, others, strict=True))
            against = sum(not _can_act_together(*marks) for marks in alone)
            apart = sum(EXPLAINS in marks for marks in alone)
            telling = next(
                (n for n, marks in zip(places, alone, strict=True) if marks == (ELSE, ELSE)),
                min(left_by_one, left_by_other),
            )
            ranked.append((against, one.component != other.component, -apart, len(ranked), (one, other), telling))
        for *_, pair, telling in sorted(ranked, key=lambda entry: entry[:4]):
            yield pair, [wrong[telling], *wrong[:telling], *wrong[telling + 1 :], *right]

    def _telling(self, singles: Sequence[KnownMistake], wrong: Sequence[Observation]) -> list[int]:
        """Which of the wrongly answered requests make the sample."""
        scouts: dict[str, list[_Edited]] = {}
        for mistake in singles:
            if len(scouts.setdefault(mistake.component, [])) < SCOUTS and fits((*self.always, *mistake.edits)):
                scouts[mistake.component].append(self._edited(mistake.edits))
        kinds: dict[tuple[bool, ...], int] = {}
        plain = [n for n, o in enumerate(wrong) if o.request.gradients is None] or list(range(len(wrong)))
        for n in plain[:SCOUTED]:
            o = wrong[n]
            silent = (all(_is_silent(executor.run(o), o) for executor in executors) for executors in scouts.values())
            kinds.setdefault(tuple(silent), n)
        chosen = sorted(kinds.values())[:SAMPLE]
        spread = (0, 1, 2, 3, 5, 8, 13, 21, 34)
        chosen += [n for n in spread if n < len(wrong) and n not in chosen][: SAMPLE - len(chosen)]
        return sorted(chosen)

    def _edited(self, edits: tuple[Edit, ...]) -> _Edited:
        return _Edited(self.executor(edits), self.quick(edits) if self.quick else None)

    def _first_unexplained(self, mistake: KnownMistake, wrong: Sequence[Observation]) -> int:
        """Which wrong answer a mistake leaves unexplained that explains the whole sample."""
        executor = self._edited(mistake.edits)
        return next((n for n, o in enumerate(wrong) if _misfit(executor.run(o), o, executor) is None), 0)

    def _marks(
        self, mistake: KnownMistake, sample: Sequence[Observation], calm: Sequence[Observation]
    ) -> tuple[str, ...] | None:
        """What a mistake alone does on each request of the sample; None where it shows on a calm one or cannot be made."""
        if not fits((*self.always, *mistake.edits)):
            return None
        executor = self._edited(mistake.edits)
        for o in calm:
            if not _is_silent(executor.run(o), o):
                return None
        marks = []
        for o in sample:
            answer = executor.run(o)
            if _is_silent(answer, o):
                marks.append(SILENT)
            else:
                marks.append(ELSE if _misfit(answer, o, executor) is None else EXPLAINS)
        return tuple(marks)

    def _misfit(self, mistakes: tuple[KnownMistake, ...], observations: Sequence[Observation]) -> float | None:
        """How far from the implementation's answers these mistakes together are at the worst, in units of the tolerance; None
        where they do not explain one of them, or cannot be made together."""
        edits = edits_of(mistakes)
        if not fits((*self.always, *edits)):
            return None
        executor, worst = self._edited(edits), 0.0
        known = self._explained.setdefault(tuple(mistake.full_name for mistake in mistakes), {})
        is_form = all(mistake.name.startswith("variant=") for mistake in mistakes)
        for o in observations:
            if id(o) not in known:
                predicted = executor.run(o)
                if is_form and predicted.crash is not None and o.answer.crash is not None:
                    continue  # a case that a legal form has no place for ends in an error of whatever kind
                missed = _misfit(predicted, o, executor)
                if missed is None:
                    return None
                known[id(o)] = (missed, o)
            worst = max(worst, known[id(o)][0])
        crashes = [o for o in observations if o.answer.crash is not None and o.reference.crash is None]
        only_errors = crashes and len(crashes) == sum(o.wrong for o in observations)  # there is nothing else to go by
        if only_errors and any(_error(executor.run(o)) != _error(o.answer) for o in crashes):
            return None
        return worst


def _error(answer: Answer) -> str:
    return answer.crash.message if answer.crash else ""


class _Edited:
    """The reference with edits in force, watched for side effects where an observation is about them."""

    def __init__(self, watched: Implementation, quick: Implementation | None) -> None:
        self.watched, self.quick = watched, quick or watched

    def run(self, o: Observation, case: Case | None = None) -> Answer:
        """The answer to the observation's request, or to the same request for another case."""
        return (self.watched if o.effects else self.quick).run(o.request.of(case) if case else o.request)


def _can_act_together(one: str, other: str) -> bool:
    """Whether two mistakes that leave each other alone can explain a wrong answer, by what each of them does there alone."""
    return {one, other} == {SILENT, EXPLAINS} or one == other == ELSE


def edits_of(mistakes: Iterable[KnownMistake]) -> tuple[Edit, ...]:
    """All edits of several mistakes."""
    return tuple(edit for mistake in mistakes for edit in mistake.edits)


def variants_as_mistakes(contract: Contract) -> list[KnownMistake]:
    """The legal variants of a component as mistakes, named ``component.variant=name``, to be recognised undeclared."""
    found = []
    for variant in contract.variants:
        if not variant.edits:
            continue
        head, *rest = variant.edits
        mistake = KnownMistake(
            f"variant={variant.name}", variant.sentence, head.of, head.right, head.wrong, head.instead, tuple(rest)
        )
        found.append(mistake.within(contract.name))
    return found


def is_wrong(o: Observation) -> bool:
    """Whether the implementation's answer is not the reference's."""
    if (o.answer.crash is None) != (o.reference.crash is None):
        return True
    if o.answer.crash is not None:
        return False
    return _distance(o.answer, o.reference, o) > 1 or (o.effects and o.answer.effects != o.reference.effects)


def _is_silent(answer: Answer, o: Observation) -> bool:
    """Whether an edited reference gives the reference's own answer."""
    if (answer.crash is None) != (o.reference.crash is None):
        return False
    if o.effects and set(answer.effects) != set(o.reference.effects):
        return False
    return answer.crash is not None or _distance(answer, o.reference, o) <= 1


def _misfit(predicted: Answer, o: Observation, executor: _Edited) -> float | None:
    """How far the implementation's answer is from the predicted one in units of the tolerance; None where it is another one."""
    if (predicted.crash is None) != (o.answer.crash is None):
        return None
    if o.effects and set(predicted.effects) != set(o.answer.effects):
        return None
    if predicted.crash is not None and o.answer.crash is not None:
        alike = predicted.crash.error == o.answer.crash.error and predicted.crash.call == o.answer.crash.call
        return 0.0 if alike or o.reference.crash is not None else None
    predicted, answer = _where_defined(predicted, o.answer)
    o = replace(o, answer=answer)
    missed = _distance(o.answer, predicted, o)
    if missed <= 1:
        return missed
    error = _distance(o.answer, o.reference, o)
    if missed <= min(SLACK, 0.1 * error):
        return missed
    if missed <= SHARE * error < float("inf") and _within_its_own_rounding(o, executor):
        return missed
    return None


def _where_defined(predicted: Answer, answer: Answer) -> tuple[Answer, Answer]:
    """Both answers without the elements of a gradient that the edited reference does not define.

    A root or a quotient at zero has no slope, and two ways to write the same mistake differ in what they return there
    (``x.std()`` gives 0, the root of a mean nan): that says nothing against it. Elements are set to 0 in both.
    """
    ours, theirs = dict(predicted.gradients), dict(answer.gradients)
    for name, value in predicted.gradients.items():
        other = theirs.get(name)
        if is_float(value) and is_float(other) and value.shape == other.shape and not bool(torch.isfinite(value).all()):
            undefined = ~torch.isfinite(value)
            ours[name], theirs[name] = value.masked_fill(undefined, 0.0), other.masked_fill(undefined, 0.0)
    return replace(predicted, gradients=ours), replace(answer, gradients=theirs)


def _within_its_own_rounding(o: Observation, executor: _Edited) -> bool:
    """Whether the implementation's answer is the edited reference's up to what rounding does to the edited reference itself."""
    floats = [leaf.dtype for _, leaf in o.request.case.tensors() if is_float(leaf)]
    floats += [leaf.dtype for _, leaf in leaves(list(o.reference.outputs)) if is_float(leaf)]  # where no dtype goes in
    exact, own = tolerances(lambda case: executor.run(o, case), o.request.case, floats[0] if floats else torch.float64)
    return exact.crash is None and _distance(o.answer, exact, Observation(o.request, o.answer, exact, own)) <= SLACK


def _distance(one: Answer, other: Answer, o: Observation) -> float:
    """How far apart two answers are in units of the observation's tolerance, gradients included."""
    if len(one.outputs) != len(other.outputs):
        return float("inf")
    worst = 0.0
    for mine, theirs, bound in zip(one.outputs, other.outputs, _bounds(o, other), strict=True):
        worst = max(worst, compare(mine, theirs, _widened(bound, theirs, mine)).ratio)
    for name, value in other.gradients.items():
        mine = one.gradients.get(name)
        if (mine is None) != (value is None):
            return float("inf")
        if mine is not None:
            worst = max(worst, compare(mine, value, _widened(o.tolerance.gradients.get(name), value, mine)).ratio)
    return worst


def _bounds(o: Observation, other: Answer) -> Sequence[object]:
    bounds = o.tolerance.outputs
    return bounds if len(bounds) == len(other.outputs) else [None] * len(other.outputs)


def _widened(bound: object, *values: object) -> object:
    """The tolerance; where there is none (a script the reference refuses), rounding relative to the values."""
    if isinstance(bound, (int, float)):
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


def _cost(request: Request) -> int:
    return sum(t.numel() for _, t in request.case.tensors())
