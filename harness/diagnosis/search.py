""" "Your output is what this known mistake would give."

The reference is run once per known mistake on the very requests that the implementation was seen to answer wrongly. A
mistake is named only when its edited reference gives the implementation's answer to every one of them; if none does,
legal forms are tried together (:mod:`harness.diagnosis.forms`), then pairs.

Pairs are many (40,000 for a whole model), so each mistake is first seen alone on a few requests: it is *silent* there
(the answer is the reference's), it *explains* the implementation's answer, or it does something *else*. Of two
mistakes that act together the one explains what the other is silent on; where both are silent the implementation is
right, and where neither is, neither explains it alone. Few pairs agree with that, and they are tried first; the
others come after them, for inside one function a mistake may well show only together with another.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from harness.core.implementation import Request
from harness.core.mistake import KnownMistake, fits
from harness.diagnosis import forms
from harness.diagnosis.explaining import Explainer
from harness.diagnosis.finding import Finding, Searched, variants_as_mistakes
from harness.diagnosis.literals import Literal
from harness.diagnosis.matching import (
    EditedReference,
    Observation,
    is_silent,
    misfit,
)
from harness.diagnosis.matching import is_much_nearer as is_nearer
from harness.diagnosis.nearer import that_explain
from harness.diagnosis.ranking import ELSE, EXPLAINS, SILENT, Alone, forms_before_their_likes, ranked
from harness.diagnosis.relations import relation_behind
from harness.diagnosis.sites import sites_of

SECONDS = 12.0
"""Computing time for one diagnosis; singles come first."""
FORM_SECONDS = 3.0
"""Computing time for combinations of legal forms, and as much for those that come nearer one by one."""
RELATION_SECONDS = 4.0
"""Computing time for relations to the reference that no catalogue holds."""
BUDGET = 30.0
"""Computing time for all diagnoses of a component that find nothing: then nothing more is looked for."""
MOST_LOOKS = 3
"""Times that they are looked for in one component: each claim that fails asks again."""
SAMPLE = 8
"""Requests on which each mistake is seen alone before pairs are tried: one of every kind (a kind is where the same
parts are silent), and cheap ones and dearer ones."""
SCOUTS, SCOUTED = 3, 30
"""Mistakes of each part that tell the kinds of requests apart, and how many requests are looked at."""
CALM = 4
"""... and the cheapest of those answered rightly, on which both mistakes of a pair are silent."""


@dataclass
class Diagnostician(Explainer):
    """Finds the known mistakes behind observations. ``literals(component)``: the numbers in the implementation's own
    source."""

    seconds: float = SECONDS
    form_seconds: float = FORM_SECONDS
    relation_seconds: float = RELATION_SECONDS
    literals: Callable[[str], Sequence[Literal]] = lambda component: ()
    relations: dict[str, KnownMistake] = field(default_factory=dict)
    """The relations that were found, by name: no catalogue holds them."""
    searched: dict[str, Searched] = field(default_factory=lambda: defaultdict(Searched))
    """What was tried for each component without success."""
    _looked: Counter[str] = field(default_factory=Counter)
    _reach: dict[str, tuple[KnownMistake, ...]] = field(default_factory=dict)
    _candidates: dict[str, list[forms.Candidate]] = field(default_factory=dict)

    def candidates(self, component: str) -> tuple[KnownMistake, ...]:
        """The known mistakes and legal variants of a component and, below it, of everything it is made of."""
        if component not in self._reach:
            own = list(self.mistakes.get(component, ())) + variants_as_mistakes(self.contracts[component])
            below = [mistake for part in self.contracts[component].parts for mistake in self.candidates(part)]
            self._reach[component] = tuple(dict.fromkeys([*own, *below]))
        return self._reach[component]

    def explain(
        self,
        component: str,
        observations: Sequence[Observation],
        first: Sequence[tuple[KnownMistake, ...]] = (),
        together: bool = True,
    ) -> Finding | None:
        """The finding, or None. ``first``: sets of mistakes to try before all others (what was found in the parts).
        ``together``: whether legal forms are tried together too."""
        wrong = sorted((o for o in observations if o.wrong), key=lambda o: _cost(o.request))
        if not wrong:
            return None
        known = {id(o) for o in wrong}
        right = sorted((o for o in observations if id(o) not in known), key=lambda o: _cost(o.request))
        order = [*wrong, *right]
        for mistakes in first:
            if mistakes and self._misfit(mistakes, order) is not None:
                return Finding(mistakes)
        searched, started = self.searched[component], time.thread_time()
        if searched.seconds > BUDGET:
            return None
        finding = self._searched_for(component, wrong, right, first, together)
        if finding is None:
            searched.seconds += time.thread_time() - started
        return finding

    def _searched_for(
        self,
        component: str,
        wrong: Sequence[Observation],
        right: Sequence[Observation],
        first: Sequence[tuple[KnownMistake, ...]],
        together: bool,
    ) -> Finding | None:
        """A single mistake, legal forms, a relation, or a pair, in this order; what was tried is counted."""
        deadline, order, singles = time.thread_time() + self.seconds, [*wrong, *right], self.candidates(component)
        searched = self.searched[component]
        searched.mistakes = len(singles)
        finding = self._single(singles, order, deadline)
        if finding is None and together:
            finding = self._forms(component, (), order)
        if finding is None:
            finding = self._relation(component, order)
        if finding is None and together and any(first):
            finding = self._forms(component, first, order)
        if finding is not None:
            return finding
        deadline = max(deadline, time.thread_time() + 0.5 * self.seconds)
        for pair, pair_order in self._pairs(singles, first, wrong, right, deadline):
            searched.together += 1
            if self._misfit(pair, pair_order) is not None:
                return Finding(pair)
            if time.thread_time() > deadline:
                return None
        return None

    def explains_most(self, finding: Finding, observations: Sequence[Observation]) -> bool:
        """Whether it brings every wrong answer far nearer than the reference does, however wide the tolerances were."""
        edited = self._edited(finding.mistakes)
        return all(is_nearer(edited.run(o), o) for o in observations if o.wrong)

    def _single(self, singles: Sequence[KnownMistake], order: Sequence[Observation], deadline: float) -> Finding | None:
        """The single mistake that explains all, the nearest first, with those that explain it equally well.

        A legal form that a known mistake says it looks like goes before it: whoever means the form declares it.
        """
        matching = []
        for mistake in singles:
            missed = self._misfit((mistake,), order)
            if missed is not None:
                matching.append((missed, mistake))
            if time.thread_time() > deadline:
                break
        if not matching:
            return None
        best = min(missed for missed, _ in matching)
        equals = [mistake for missed, mistake in matching if missed <= max(1.0, 10 * best)]
        first, *others = forms_before_their_likes(equals)
        return Finding((first,), tuple(others))

    def _forms(
        self, component: str, first: Sequence[tuple[KnownMistake, ...]], order: Sequence[Observation]
    ) -> Finding | None:
        """The legal forms that together explain all."""
        deadline = time.thread_time() + self.form_seconds
        if component not in self._candidates:
            reach = self._reach_of(component)
            literals = {name: self.literals(name) or self.literals(component) for name in reach}
            self._candidates[component] = forms.candidates([self.contracts[name] for name in reach], literals)
        found = self._candidates[component]
        bases = [(), *(forms.as_of_the_whole(base, found) for base in first)]
        for chosen in forms.combinations(found, bases):
            self.searched[component].together += 1
            if self._misfit(chosen, order) is not None:
                return Finding(chosen)
            self._explained.pop(tuple(form.full_name for form in chosen), None)
            if time.thread_time() > deadline:
                break
        nearest = that_explain(
            found, bases, self._made, lambda f: self._misfit(f, order) is not None, order, self.form_seconds
        )
        return Finding(nearest) if nearest else None

    def _relation(self, component: str, order: Sequence[Observation]) -> Finding | None:
        """A relation to the component's own reference that explains all."""
        if self._looked[component] >= MOST_LOOKS:
            return None
        self._looked[component] += 1
        self.searched[component].relations = len(sites_of(self.contracts[component]))
        wrong = [o for o in order if o.wrong]
        literals, made = self.literals(component), self.quick or self.executor
        found = relation_behind(
            self.contracts[component],
            wrong,
            made,
            lambda relation: self._misfit((relation,), order) is not None,
            literals,
            self.always,
            self.relation_seconds,
        )
        if found is not None:
            self.relations[found.full_name] = found
        return None if found is None else Finding((found,))

    def _reach_of(self, component: str) -> list[str]:
        """A component and, below it, everything it is made of."""
        below = [name for part in self.contracts[component].parts for name in self._reach_of(part)]
        return list(dict.fromkeys([component, *below]))

    def _pairs(
        self,
        singles: Sequence[KnownMistake],
        first: Sequence[tuple[KnownMistake, ...]],
        wrong: Sequence[Observation],
        right: Sequence[Observation],
        deadline: float,
    ) -> Iterator[tuple[tuple[KnownMistake, ...], Sequence[Observation]]]:
        """What was found in the parts and one more, then every two, those first that agree best with what each does
        alone; each with the observations in the order in which they are likely to refute it."""
        order = [*wrong, *right]
        for known in first:
            for mistake in singles:
                if known and mistake not in known:
                    yield (*known, mistake), order
        alone = self._alone(singles, wrong, right, deadline)
        for pair, telling in [] if alone is None else ranked(*alone):
            yield pair, [wrong[telling], *wrong[:telling], *wrong[telling + 1 :], *right]

    def _alone(
        self,
        singles: Sequence[KnownMistake],
        wrong: Sequence[Observation],
        right: Sequence[Observation],
        deadline: float,
    ) -> tuple[list[Alone], list[int]] | None:
        """What each mistake does alone on a sample of the wrong answers, and which those are; None without the time."""
        places = self._telling(singles, wrong)
        sample, calm = [wrong[n] for n in places], right[:CALM]
        alone: list[Alone] = []
        for mistake in singles:
            if time.thread_time() > deadline:
                return None
            marks = self._marks(mistake, sample, calm)
            if marks is not None:
                explains_all = set(marks) == {EXPLAINS}
                left = self._first_unexplained(mistake, wrong) if explains_all else places[-1]
                alone.append(Alone(mistake, marks, left))
        return alone, places

    def _telling(self, singles: Sequence[KnownMistake], wrong: Sequence[Observation]) -> list[int]:
        """Which of the wrongly answered requests make the sample."""
        scouts: dict[str, list[EditedReference]] = {}
        for mistake in singles:
            if len(scouts.setdefault(mistake.component, [])) < SCOUTS and fits((*self.always, *mistake.edits)):
                scouts[mistake.component].append(self._edited((mistake,)))
        kinds: dict[tuple[bool, ...], int] = {}
        plain = [n for n, o in enumerate(wrong) if o.request.gradients is None] or list(range(len(wrong)))
        for n in plain[:SCOUTED]:
            o = wrong[n]
            silent = (all(is_silent(executor.run(o), o) for executor in executors) for executors in scouts.values())
            kinds.setdefault(tuple(silent), n)
        chosen = sorted(kinds.values())[:SAMPLE]
        spread = (0, 1, 2, 3, 5, 8, 13, 21, 34)
        chosen += [n for n in spread if n < len(wrong) and n not in chosen][: SAMPLE - len(chosen)]
        return sorted(chosen)

    def _first_unexplained(self, mistake: KnownMistake, wrong: Sequence[Observation]) -> int:
        """Which wrong answer a mistake leaves unexplained that explains the whole sample."""
        executor = self._edited((mistake,))
        return next((n for n, o in enumerate(wrong) if misfit(executor.run(o), o, executor) is None), 0)

    def _marks(
        self, mistake: KnownMistake, sample: Sequence[Observation], calm: Sequence[Observation]
    ) -> tuple[str, ...] | None:
        """What a mistake alone does on each request of the sample; None where it shows on a calm one or cannot be
        made."""
        if not fits((*self.always, *mistake.edits)):
            return None
        executor = self._edited((mistake,))
        for o in calm:
            if not is_silent(executor.run(o), o):
                return None
        marks = []
        for o in sample:
            answer = executor.run(o)
            if is_silent(answer, o):
                marks.append(SILENT)
            else:
                marks.append(ELSE if misfit(answer, o, executor) is None else EXPLAINS)
        return tuple(marks)


def _cost(request: Request) -> int:
    return sum(t.numel() for _, t in request.case.tensors())
