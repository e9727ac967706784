"""Where the mistake is: the entry to this package."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from harness.core.implementation import Implementation
from harness.core.marked_line import MarkedLine
from harness.localisation.experiment import Clock, Experiment, OutOfTime, Sample
from harness.localisation.gradient_flow import gradient_lines
from harness.localisation.healing import Healing
from harness.localisation.marking import marked
from harness.localisation.quality import best_first
from harness.localisation.sites import Sites

SECONDS = 2.0
"""Processor seconds after which no other experiment of one localisation is begun."""
SHARE = 0.7
"""Of this time, for the more likely of two ways to tell a right value."""
CASES = 3
"""Cases that must agree."""


@dataclass(frozen=True)
class Locator:
    """Finds lines by experiment. ``implementation`` and ``reference``: who is run."""

    implementation: Implementation
    reference: Implementation
    seconds: float = SECONDS

    def lines(self, samples: Sequence[Sample]) -> tuple[MarkedLine, ...]:
        """The wrong lines behind these samples, which are all answered wrongly; none where no experiment decides."""
        found: list[tuple[int, tuple[MarkedLine, ...]]] = []
        chosen = best_first(samples)[:CASES]
        if not chosen:
            return ()
        first = Experiment(self.implementation, self.reference, chosen[0], Clock(self.seconds))
        for rounded in (True, False) if first.mixes else (False, True):
            clock = Clock(self.seconds * (SHARE if rounded is first.mixes else 1 - SHARE))
            experiments = [Experiment(self.implementation, self.reference, one, clock, rounded) for one in chosen]
            experiment, *others = experiments
            with suppress(OutOfTime):
                recipes = Healing(experiment, others).found()
                if recipes and (lines := marked(experiment, recipes)):
                    found.append((len(Sites(experiment).wrong_before(recipes[-1].site)), lines))
            if found and not found[0][0]:
                break
        return min(found, key=lambda one: one[0])[1] if found else ()

    def gradient_lines(self, samples: Sequence[Sample]) -> tuple[MarkedLine, ...]:
        """The line at which gradients end, behind samples with right values and wrong gradients."""
        found: set[tuple[MarkedLine, ...]] = set()
        clock = Clock(self.seconds)
        with suppress(OutOfTime):
            for sample in best_first(samples)[:CASES]:
                found.add(gradient_lines(Experiment(self.implementation, self.reference, sample, clock)))
        return found.pop() if len(found) == 1 else ()
