"""Which lines of the implementation a failed check is due to, found by experiment on the cases that it fails."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.core.claim import About, Claim
from harness.core.implementation import Request
from harness.core.marked_line import MarkedLine
from harness.core.mistake import KnownMistake
from harness.core.record import Status, Verdict
from harness.diagnosis.finding import edits_of
from harness.diagnosis.matching import Observation
from harness.judging.evidence import Evidence
from harness.localisation.by_change import is_text
from harness.localisation.experiment import Sample
from harness.localisation.locate import CASES, SECONDS, Locator

if TYPE_CHECKING:
    from harness.judging.inspection import Inspection

NUMERIC = frozenset({About.NUMBERS, About.GRADIENT, About.CONSISTENCY, About.ROUNDING})
ELSEWHERE = frozenset({About.FORM, About.STATE})
"""Of what no line that computes a wrong number is the cause."""
ENOUGH, MORE = 3 * CASES, 40
"""Violating cases to choose from; where there are fewer, so many cases are generated."""
MOST_TEXTS = 60
"""Cases of a component without tensors that are compared with the reference where no claim does so."""


@dataclass(frozen=True)
class Located:
    """Lines that are wrong, and the answers that they make wrong."""

    lines: tuple[MarkedLine, ...] = ()
    samples: Sequence[Sample] = ()


class Lines:
    """Finds the lines of each component once. Only what fails is looked at."""

    def __init__(self, inspection: Inspection) -> None:
        self.inspection = inspection
        self._found: dict[str, Located] = {}
        self._answered: dict[str, list[Observation]] = {}
        self.seconds = SECONDS
        """Processor seconds of one localisation."""

    def of(self, claim: Claim, verdict: Verdict, evidence: Sequence[Evidence] = ()) -> tuple[MarkedLine, ...]:
        """The lines behind a failed check; none where no experiment decides.

        ``evidence``: what was answered where it failed. It is looked at where the cases of the component show nothing:
        only scores that are large overflow, and only float32 loses what cancels.
        """
        if verdict.status is not Status.FAILED or verdict.returned:
            return ()
        inspection = self.inspection
        mistakes = [one for name in verdict.finding if (one := inspection.mistake(name)) is not None]
        if any(one.variant for one in mistakes):  # a legal form that is not declared is no wrong line
            return ()
        try:
            is_numeric = not claim.about.isdisjoint(NUMERIC) or not (claim.about or self._has_tensors(verdict))
            lines = self._behind(verdict, mistakes) if is_numeric else ()
            return lines or self._behind_evidence(claim, verdict, mistakes, evidence)
        except Exception:  # no experiment may cost the verdict that it is about
            return ()

    def _behind(self, verdict: Verdict, mistakes: list[KnownMistake]) -> tuple[MarkedLine, ...]:
        if not mistakes:
            return self.of_component(verdict.component)
        return tuple(line for one in mistakes for line in self._of_mistake(one, mistakes, verdict.component))

    def _behind_evidence(
        self, claim: Claim, verdict: Verdict, mistakes: list[KnownMistake], evidence: Sequence[Evidence]
    ) -> tuple[MarkedLine, ...]:
        """The lines that make these answers wrong, which are beside the reference's where nobody need agree with it."""
        component, inspection = verdict.component, self.inspection
        agrees = inspection.catalogue.contracts[component].agrees
        if len(mistakes) > 1 or not agrees or not claim.about.isdisjoint(ELSEWHERE) or not self._may_look(component):
            return ()
        inspection.bench.progress(f"{component}: which line is wrong")
        locator = Locator(inspection.bench.implementation, inspection.bench.reference, self.seconds)
        usual = self._group(component, ())
        if usual.samples and not usual.lines:  # no experiment decided on its own cases: it would not on these
            return ()
        samples = _samples(_wrong(self._forwards(evidence)))
        lines = locator.lines(samples)
        return tuple(replace(line, mistake=one.full_name) for one in mistakes for line in lines) if mistakes else lines

    def _forwards(self, evidence: Sequence[Evidence]) -> list[Observation]:
        """What is computed forwards for these requests, whether or not they ask for gradients too."""
        inspection, seen = self.inspection, []
        for item in evidence:
            if item.request.gradients is not None:
                request = replace(item.request, gradients=None)
                item = Evidence(request, inspection.bench.implementation.run(request))
            seen.append(inspection.observations.of_evidence(item))
        return seen

    def _of_mistake(self, one: KnownMistake, every: list[KnownMistake], component: str) -> tuple[MarkedLine, ...]:
        """The lines of one known mistake of several: in the part that has it, or in the component beside the others."""
        finding = self.inspection.finding_of(one.component) if one.component != component else None
        in_part = list(finding.mistakes) if finding is not None else []
        lines = self._beside(one.component, _without(in_part, one)) if one in in_part else ()
        lines = lines or self._beside(component, _without(every, one))
        return tuple(replace(line, mistake=one.full_name) for line in lines)

    def groups(self, component: str) -> list[Located]:
        """The wrong lines of a component, mistake by mistake where several known ones explain it together."""
        finding = self.inspection.finding_of(component)
        mistakes = list(finding.mistakes) if finding is not None else []
        others = [_without(mistakes, one) for one in mistakes] or [()]
        found = [self._group(component, one) for one in others]
        return found if all(one.lines for one in found) else []

    def of_component(self, component: str) -> tuple[MarkedLine, ...]:
        """The lines that make what a component computes forwards wrong, or its gradients alone."""
        return self._group(component, ()).lines

    def _has_tensors(self, verdict: Verdict) -> bool:
        """Whether a component computes tensors; if not, what its claims say of text and steps is in its numbers too."""
        return not is_text(_samples(self._seen(verdict.component)))

    def _seen(self, component: str) -> list[Observation]:
        """What was seen of a component; of one that no claim compares as a whole, the answers to cases of text."""
        if component not in self._answered:
            seen = list(self.inspection.observations.of(component))
            self._answered[component] = seen or list(self._answers_to_text(component))
        return self._answered[component]

    def _answers_to_text(self, component: str) -> Iterator[Observation]:
        """The answers to cases of a component without tensors; none where its cases hold tensors."""
        inspection, bench = self.inspection, self.inspection.bench
        contract = inspection.catalogue.contracts[component]
        if any(case.tensors() for case in bench.generated.of(contract)):
            return
        for case in bench.generated.more(contract, MOST_TEXTS):
            request = Request(component, case)
            with suppress(ValueError):
                yield inspection.observations.of_evidence(Evidence(request, bench.implementation.run(request)))

    def _may_look(self, component: str) -> bool:
        """Whether the files of a component are what runs, and it can be called."""
        offer = self.inspection.bench.implementation.offers(component)
        altered = getattr(self.inspection.implementation, "is_altered", False)
        return offer is not None and not (offer.to_do or offer.misfit or altered)

    def _beside(self, component: str, others: tuple[KnownMistake, ...]) -> tuple[MarkedLine, ...]:
        """The lines of what is wrong in a component beside these mistakes: the reference makes them too."""
        return self._group(component, others).lines

    def _group(self, component: str, others: tuple[KnownMistake, ...]) -> Located:
        key = " ".join((component, *(one.full_name for one in others)))
        if key not in self._found:
            self._found[key] = Located()
            if self._may_look(component):
                self.inspection.bench.progress(f"{component}: which line is wrong")
                located = self._located_beside(component, others) if others else self._located(component)
                self._found[key] = located
        return self._found[key]

    def _located_beside(self, component: str, others: tuple[KnownMistake, ...]) -> Located:
        inspection = self.inspection
        reference = (inspection.diagnostician.quick or inspection.diagnostician.executor)(edits_of(others))
        wrong = _samples(_wrong(inspection.observations.of(component)))
        beside = [replace(one, right=reference.run(one.request)) for one in wrong]
        left = [one for one in beside if one.right.crash is None and not one.is_met_by(one.answer)]
        return Located(Locator(inspection.bench.implementation, reference, self.seconds).lines(left), left)

    def _located(self, component: str) -> Located:
        inspection = self.inspection
        seen = self._seen(component)
        wrong = _wrong(seen)
        locator = Locator(inspection.bench.implementation, inspection.bench.reference, self.seconds)
        if is_text(_samples(seen)):
            samples = _samples(wrong + self._more(component, wrong))
            right = _samples([o for o in seen if o.answer.crash is None and o.reference.crash is None and not o.wrong])
            return Located(inspection.changes.lines_by_change(component, samples, right[:ENOUGH]), samples)
        if not wrong:
            samples = [] if inspection.is_by_hand(component) else _samples(_wrong(seen, True))
            return Located(locator.gradient_lines(samples), samples)
        if len(wrong) < ENOUGH:
            wrong += self._more(component, wrong)
        samples = _samples(wrong)
        return Located(locator.lines(samples), samples)

    def _more(self, component: str, known: list[Observation]) -> list[Observation]:
        """More cases that are answered wrongly."""
        inspection, bench = self.inspection, self.inspection.bench
        contract = inspection.catalogue.contracts[component]
        seen = {o.request.case.key for o in known}
        found: list[Observation] = []
        for case in bench.generated.more(contract, MORE):
            request = Request(component, case.cast(bench.precision(contract)))
            if request.case.key not in seen and len(known) + len(found) < ENOUGH:
                with suppress(ValueError):
                    found += _wrong(
                        [inspection.observations.of_evidence(Evidence(request, bench.implementation.run(request)))]
                    )
        return found


def _without(mistakes: list[KnownMistake], one: KnownMistake) -> tuple[KnownMistake, ...]:
    return tuple(other for other in mistakes if other is not one)


def _wrong(observations: list[Observation], gradients: bool = False) -> list[Observation]:
    """Those of the forward pass, or with gradients, that were answered, and wrongly."""
    alike = [o for o in observations if (o.request.gradients is not None) is gradients]
    return [o for o in alike if o.answer.crash is None and o.reference.crash is None and o.wrong]


def _samples(observations: list[Observation]) -> list[Sample]:
    return [Sample(o.request, o.answer, o.reference, o.tolerance) for o in observations]
