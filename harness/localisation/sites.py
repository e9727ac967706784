"""What of the implementation's run is right, what is a legal detour, and what is suspect."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import torch

from harness.core.steps import Site
from harness.localisation.experiment import Experiment


class Sites:
    """The sites of one experiment's run of the implementation."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment, self.graph = experiment, experiment.own
        self._right: dict[int, bool] = {}

    def is_right(self, step: int) -> bool:
        """Whether every result of a step is right; one number alone may say nothing, and is not then."""
        if step not in self._right:
            values = [value for value in self.graph.steps[step].values if value is not None]
            self._right[step] = all(map(self._is_right_value, values))
        return self._right[step]

    def _is_right_value(self, value: torch.Tensor) -> bool:
        return self.experiment.alignment.is_telling(value) and self.experiment.is_right(value)

    @cached_property
    def fine(self) -> list[bool]:
        """For each step, whether it is right or a detour: whatever reads it is fine."""
        found = [False] * len(self.graph.steps)
        for step in reversed(range(len(found))):
            readers = self.graph.readers[step]
            is_aside = step not in self.graph.leading
            found[step] = is_aside or (bool(readers) and all(found[r] for r in readers)) or self.is_right(step)
        return found

    def is_suspect(self, site: Site) -> bool:
        """Whether some turn of a site is neither right nor a detour."""
        return any(not self.fine[n] for n in self.graph.at[site])

    def is_frontier(self, site: Site) -> bool:
        """Whether a site is right at every turn, and something that is made of it is not, or nothing is."""
        at = self.graph.at[site]
        if not all(self.is_right(n) and n in self.graph.leading for n in at):
            return False
        if len(at) == 1 and self._is_handed_on(at[0]):
            return False
        later = {r for n in at for r in self.made_of(n)}
        return not later or any(not self.fine[r] for r in later)

    def _is_handed_on(self, step: int) -> bool:
        """Whether one right value alone is made of a step's, and as a whole: it is looked at there."""
        values, readers = self.graph.steps[step].values, list(self.graph.readers[step])
        if len(readers) != 1 or len(values) != 1 or not self.is_right(readers[0]):
            return False
        next_values = self.graph.steps[readers[0]].values
        sizes = [value.numel() if value is not None else 0 for value in (*values, *next_values)]
        return len(sizes) == 2 and sizes[0] == sizes[1]

    def first_wrong_reader(self, site: Site) -> int | None:
        """The first step that reads a site's results and is no right value; None where there is none."""
        readers = {r for n in self.graph.at[site] for r in self.graph.readers[n]}
        return min((r for r in readers if not self.fine[r]), default=None)

    @cached_property
    def reached(self) -> set[int]:
        """The steps of the reference whose values the implementation computes somewhere, as a whole or in parts."""
        alignment, matches = self.experiment.alignment, self.experiment.alignment.matches
        values = (value for step in self.graph.steps for value in step.values if value is not None)
        found = {match.known for value in values if alignment.is_telling(value) for match in matches(value)}
        alike = (match.known.step for known in found for match in matches(known.value))
        return {*alike, *(known.step for known in found)} - {-1}

    def made_of(self, step: int) -> set[int]:
        """The steps that read a step's results, and everything that is made of those."""
        waiting, found = [step], set[int]()
        while waiting:
            for reader in self.graph.readers[waiting.pop()] - found:
                found.add(reader)
                waiting.append(reader)
        return found

    def not_right_before(self, site: Site) -> set[int]:
        """The steps that a site's results were made from, back to right values, that are not right themselves."""
        return self._before(site, self.is_right)

    def wrong_before(self, site: Site) -> set[int]:
        """The same without roots, squares and quotients of right values: another way to the same number."""
        return self._before(site, lambda step: self.is_right(step) or self._is_derived(step))

    def _before(self, site: Site, is_end: Callable[[int], bool]) -> set[int]:
        waiting = [source for n in self.graph.at[site] for source in self.graph.before(n)]
        found: set[int] = set()
        while waiting:
            step = waiting.pop()
            if step not in found and not is_end(step):
                found.add(step)
                waiting += self.graph.before(step)
        return found

    def _is_derived(self, step: int) -> bool:
        values = [value for value in self.graph.steps[step].values if value is not None]
        return bool(values) and all(self.experiment.alignment.derived(value) is not None for value in values)
