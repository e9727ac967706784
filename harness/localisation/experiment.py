"""One case at the implementation and at the reference: both traces, and runs with other values in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from harness.core.case import is_float
from harness.core.implementation import Answer, Implementation, Request
from harness.core.spent import processor_seconds
from harness.core.steps import Replacement
from harness.core.tree import leaves
from harness.localisation.alignment import Alignment, is_close
from harness.localisation.graph import Graph
from harness.numerics.compare import compare


class OutOfTime(Exception):
    """The time for one localisation is used up."""


class Clock:
    """Processor seconds of this thread that may be used."""

    def __init__(self, seconds: float) -> None:
        self.end = processor_seconds() + seconds

    def look(self) -> None:
        """Raises OutOfTime where they are used up."""
        if processor_seconds() > self.end:
            raise OutOfTime


@dataclass(frozen=True)
class Sample:
    """A request, the implementation's answer, the reference's, and the tolerance of every output and gradient."""

    request: Request
    answer: Answer
    right: Answer
    tolerance: Answer

    def is_met_by(self, answer: Answer, gradients: bool = False) -> bool:
        """Whether an answer is the reference's. ``gradients``: whether these are asked for too."""
        if answer.crash is not None or len(answer.outputs) != len(self.right.outputs):
            return False
        bounds: Sequence[object] = self.tolerance.outputs
        if len(bounds) != len(self.right.outputs):
            return False
        pairs = [*zip(answer.outputs, self.right.outputs, bounds, strict=True)]
        if gradients:
            for name, value in self.right.gradients.items():
                mine = answer.gradients.get(name)
                if (mine is None) != (value is None):
                    return False
                pairs.append((mine, value, self.tolerance.gradients.get(name)))
        return all(compare(mine, wanted, bound).fine for mine, wanted, bound in pairs)

    def is_nearly_met_by(self, answer: Answer) -> bool:
        """Whether an answer is the reference's up to what tables in float32 do to it."""
        pairs = list(zip(leaves(list(answer.outputs)), leaves(list(self.right.outputs)), strict=False))
        floats = [(mine, wanted) for (_, mine), (_, wanted) in pairs if is_float(mine) and is_float(wanted)]
        return (
            answer.crash is None
            and len(floats) == len(pairs)
            and all(is_close(mine, wanted, rounded=True) for mine, wanted in floats)
        )


class Experiment:
    """One sample, run at both sides. ``clock``: how long all experiments of one localisation may take together."""

    def __init__(
        self,
        implementation: Implementation,
        reference: Implementation,
        sample: Sample,
        clock: Clock,
        rounded: bool = False,
    ) -> None:
        self.implementation, self.reference, self.sample, self.clock = implementation, reference, sample, clock
        self.rounded = rounded
        """Whether tables may have been computed in float32, so that a right answer misses the tolerance a little."""

    @cached_property
    def own(self) -> Graph:
        """The implementation's run."""
        return Graph(self._own.steps, self.outputs)

    @cached_property
    def _own(self) -> Answer:
        return self._traced(self.implementation)

    @cached_property
    def right(self) -> Graph:
        """The reference's run."""
        return Graph(self._traced(self.reference).steps)

    @cached_property
    def alignment(self) -> Alignment:
        """Which values are right."""
        arguments = [tensor for _, tensor in self.sample.request.case.tensors()]
        return Alignment(self.right.steps, arguments, self.rounded, self.is_single)

    @property
    def is_single(self) -> bool:
        """Whether the right result is one number: a loss, a norm."""
        found = [leaf for _, leaf in leaves(list(self.sample.right.outputs))]
        return all(torch.is_tensor(leaf) and leaf.numel() == 1 for leaf in found)

    @cached_property
    def outputs(self) -> list[torch.Tensor]:
        """The tensors that the implementation returns."""
        return [leaf for _, leaf in leaves(list(self._own.outputs)) if torch.is_tensor(leaf)]

    def _traced(self, side: Implementation) -> Answer:
        self.clock.look()
        return side.run(replace(self.sample.request, trace=True, fresh=True))

    def answer(self, replacements: Sequence[Replacement]) -> Answer:
        """The implementation's answer with these values in the place of its own. Raises OutOfTime."""
        self.clock.look()
        request = replace(self.sample.request, replacements=tuple(replacements), fresh=True)
        return self.implementation.run(request)

    def heals(self, *replacements: Replacement) -> bool:
        """Whether the answer is right with these replacements. Raises OutOfTime."""
        answer = self.answer(replacements)
        return self.sample.is_met_by(answer) or (self.rounded and self.sample.is_nearly_met_by(answer))

    @property
    def mixes(self) -> bool:
        """Whether the implementation computes in float32 somewhere, in a case of float64."""
        floats = [t.dtype for _, t in self.sample.request.case.tensors() if is_float(t)]
        values = (value for n in self.own.leading for value in self.own.steps[n].values if value is not None)
        return torch.float64 in floats and any(value.dtype in (torch.float32, torch.complex64) for value in values)

    def is_right(self, value: torch.Tensor) -> bool:
        """Whether a value is one of the reference's, or an argument, in some layout."""
        self.clock.look()
        return bool(self.alignment.matches(value))

    def is_part(self, value: torch.Tensor) -> bool:
        """Whether a right value is a part of one, and no whole."""
        return all(match.layout.part is not None for match in self.alignment.matches(value))
