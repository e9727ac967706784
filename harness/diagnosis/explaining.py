"""Whether the reference with mistakes in it answers everything that was asked as the implementation does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.core.contract import Contract
from harness.core.implementation import Answer, Implementation
from harness.core.mistake import Edit, KnownMistake, fits
from harness.diagnosis.finding import edits_of
from harness.diagnosis.matching import (
    EditedReference,
    KeptAnswers,
    Observation,
    error_message,
    is_near,
    misfit,
    outputs_alone,
)
from harness.diagnosis.matching import has_no_place as refuses
from harness.diagnosis.reference_code import attached_maxima


@dataclass
class Explainer:
    """Compares observations with the reference with mistakes in it. ``executor(edits)`` makes it; ``quick(edits)``
    does so without watching for side effects, for where they do not matter. ``always``: edits in force beside them, of
    declared variants; a mistake of a line that one of them changed cannot be made."""

    contracts: Mapping[str, Contract]
    mistakes: Mapping[str, Sequence[KnownMistake]]
    executor: Callable[[tuple[Edit, ...]], Implementation]
    quick: Callable[[tuple[Edit, ...]], Implementation] | None = None
    always: tuple[Edit, ...] = ()
    kept: KeptAnswers = field(default_factory=KeptAnswers)
    """What each mistake alone answered: shared by those who look for the same mistakes with the same edits in force."""
    _maxima: dict[str, tuple[Edit, ...]] = field(default_factory=dict)
    _explained: dict[tuple[str, ...], dict[int, tuple[float, Observation]]] = field(default_factory=dict)
    """By mistakes and observation (kept beside its id): how far off those that they explain are. A deck is asked for
    again."""

    def explains(self, mistakes: tuple[KnownMistake, ...], observations: Sequence[Observation]) -> bool:
        """Whether these mistakes together give the implementation's answer to everything that was asked."""
        return self._misfit(mistakes, observations) is not None

    def _made(self, mistakes: tuple[KnownMistake, ...]) -> EditedReference | None:
        """The reference with these mistakes, None where they cannot be made together."""
        return self._edited(mistakes) if fits((*self.always, *edits_of(mistakes))) else None

    def _edited(self, mistakes: tuple[KnownMistake, ...]) -> EditedReference:
        edits = edits_of(mistakes)
        is_kept = len(mistakes) == 1 and not mistakes[0].is_relation  # a relation is tried once, and seldom again
        single = mistakes[0].full_name if is_kept else ""
        return EditedReference(self.executor(edits), self.quick(edits) if self.quick else None, single, self.kept)

    def _misfit(self, mistakes: tuple[KnownMistake, ...], observations: Sequence[Observation]) -> float | None:
        """How far from the implementation's answers these mistakes together are at the worst, in units of the
        tolerance; None where they do not explain one of them, or cannot be made together."""
        edits = edits_of(mistakes)
        if not fits((*self.always, *edits)):
            return None
        executor, worst = self._edited(mistakes), 0.0
        known = self._explained.setdefault(tuple(mistake.full_name for mistake in mistakes), {})
        is_form = all(mistake.variant for mistake in mistakes)
        for o in observations:
            if id(o) not in known:
                predicted = executor.run(o)
                if is_form and refuses(predicted, o):
                    continue
                missed = misfit(predicted, o, executor)
                if missed is None:
                    missed = self._but_for_maxima(edits, predicted, o)
                if missed is None:
                    return None
                known[id(o)] = (missed, o)
            worst = max(worst, known[id(o)][0])
        crashes = [o for o in observations if o.answer.crash is not None and o.reference.crash is None]
        only_errors = crashes and len(crashes) == sum(o.wrong for o in observations)  # there is nothing else to go by
        if only_errors and any(error_message(executor.run(o)) != error_message(o.answer) for o in crashes):
            return None
        if not is_form:
            return worst
        placed = [o for o in observations if o.wrong and id(o) in known]
        return worst if placed and (len(placed) == len(observations) or self._each_shows(mistakes, placed)) else None

    def _but_for_maxima(self, edits: tuple[Edit, ...], predicted: Answer, o: Observation) -> float | None:
        """As :func:`misfit`, of wrong gradients beside a right output, where the gradient also goes through maxima.

        Beside a mistake, whether a maximum is detached is no second one.
        """
        if o.request.gradients is None or not _same_outputs(predicted, o):
            return None
        component = o.request.component
        if component not in self._maxima:
            self._maxima[component] = attached_maxima(self.contracts[component].reference)
        both = (*edits, *(edit for edit in self._maxima[component] if edit not in edits))
        if len(both) == len(edits) or not fits((*self.always, *both)):
            return None
        executor = EditedReference(self.executor(both), self.quick(both) if self.quick else None)
        return misfit(executor.run(o), o, executor)

    def _each_shows(self, forms: tuple[KnownMistake, ...], placed: Sequence[Observation]) -> bool:
        """Whether none of several forms could be left out: the others alone leave one of these answers unexplained.

        A form that refuses the cases which could tell would otherwise come with any other that explains the rest.
        """
        if len(forms) == 1:
            return True
        for form in forms:
            rest = tuple(other for other in forms if other is not form)
            if not fits((*self.always, *edits_of(rest))):
                continue  # the others change what this form brings: the base of a rotation
            others = self._edited(rest)
            if all(misfit(others.run(o), o, others) is not None for o in placed):
                return False
        return True


def _same_outputs(predicted: Answer, o: Observation) -> bool:
    """Whether the predicted outputs are the implementation's, whatever the gradients are."""
    return is_near(replace(predicted, gradients={}), outputs_alone(o))
