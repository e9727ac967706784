"""A traced run as a graph: which operations stand at which site, and who reads what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

import torch

from harness.core.steps import Site, Step


class Graph:
    """The steps of one run, in order. ``outputs``: what the run returned, where it is asked what led to that."""

    def __init__(self, steps: Sequence[Step], outputs: Sequence[torch.Tensor] = ()) -> None:
        self.steps, self.outputs = steps, outputs
        self.at: dict[Site, list[int]] = {}
        """The steps of each site, one for each turn."""
        self.readers: list[set[int]] = [set() for _ in steps]
        for n, step in enumerate(steps):
            for site in dict.fromkeys((step.site, step.site.loose)):
                self.at.setdefault(site, []).append(n)
            for source in step.inputs:
                if source >= 0:
                    self.readers[source].add(n)

    def values(self, site: Site, result: int = 0) -> list[torch.Tensor]:
        """A result of a site, at each turn; none where it is not the same kind of thing at all of them."""
        found = [self.steps[n].values[result] for n in self.at[site] if len(self.steps[n].values) > result]
        tensors = [value for value in found if value is not None]
        return tensors if len(tensors) == len(self.at[site]) else []

    def step(self, site: Site, turn: int) -> Step | None:
        """The step of a site at one turn; None where there is none."""
        at = self.at.get(site, ())
        return self.steps[at[turn]] if turn < len(at) else None

    @cached_property
    def by_value(self) -> list[tuple[Site, int]]:
        """Every result of every site, by its first turn, in the order in which they are computed.

        A site in a function that is called from several lines is there for each of them, and for all together.
        """
        found: dict[tuple[Site, int], None] = {}
        for step in self.steps:
            results = [k for k, value in enumerate(step.values) if value is not None]
            found.update(dict.fromkeys((step.site, k) for k in results))
            loose = step.site.loose
            if len(self.at[loose]) > len(self.at[step.site]):
                found.update(dict.fromkeys((loose, k) for k in results))
        return list(found)

    @cached_property
    def leading(self) -> set[int]:
        """The steps that led to the outputs; all where it is not seen which step made them.

        A part that is called inside a whole model comes after steps that are none of its business.
        """
        waiting = [
            max(n for n, step in enumerate(self.steps) if _holds(step, output))
            for output in self.outputs
            if any(_holds(step, output) for step in self.steps)
        ]
        found: set[int] = set()
        while waiting:
            step = waiting.pop()
            if step not in found:
                found.add(step)
                waiting += self.before(step)
        return found or set(range(len(self.steps)))

    @cached_property
    def constant(self) -> set[int]:
        """The steps that read no tensor from outside, nor anything that is made of one: a mask, a table."""
        found: set[int] = set()
        for n, step in enumerate(self.steps):
            if found.issuperset(step.inputs):
                found.add(n)
        return found

    def before(self, step: int) -> Iterable[int]:
        """The steps whose results a step reads."""
        return {source for source in self.steps[step].inputs if source >= 0}


def _holds(step: Step, output: torch.Tensor) -> bool:
    """Whether a step made a tensor: the same numbers, in whatever shape."""
    return any(
        value is not None
        and value.numel() == output.numel()
        and value.dtype == output.dtype
        and torch.equal(value.reshape(-1), output.reshape(-1))
        for value in step.values
    )
