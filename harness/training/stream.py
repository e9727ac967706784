"""The events of a run in order, and the questions that claims ask of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from harness.training.events import Event, OptimizerStepped
from harness.training.places import Place

E = TypeVar("E", bound=Event)


@dataclass
class Stream:
    """``files``: the person's files that took part. ``called``: parameters whose modules were called with a
    gradient, and the line of the first call."""

    events: list[Event] = field(default_factory=list)
    files: set[str] = field(default_factory=set)
    troubles: list[Exception] = field(default_factory=list)
    """What our own measurements and claims raised."""
    called: dict[str, Place] = field(default_factory=dict)
    called_without: dict[str, Place] = field(default_factory=dict)
    """The same of modules that were called without a gradient, within a call of a model that records one."""

    def add(self, event: Event) -> None:
        """One more event."""
        self.events.append(event)
        if event.at:
            self.files.add(event.at.file)

    def of(self, kind: type[E]) -> Iterator[E]:
        """The events of one kind, in order."""
        return (event for event in self.events if isinstance(event, kind))

    def between(self, first: int, last: int, kind: type[E]) -> list[E]:
        """The events of one kind with first < index < last."""
        return [event for event in self.of(kind) if first < event.index < last]

    @property
    def steps(self) -> int:
        """Training steps that were watched closely."""
        return len({event.step for event in self.watched_steps()})

    def watched_steps(self) -> list[OptimizerStepped]:
        """Steps of optimisers that were watched closely. Beside torch's, changes by hand are no steps of their own."""
        found = [event for event in self.of(OptimizerStepped) if not event.light]
        of_torch = [event for event in found if event.number >= 0]
        return of_torch or found

    def main_file(self) -> str:
        """The file of the first optimiser step; else of the first event."""
        for event in [*self.of(OptimizerStepped), *self.events]:
            if event.at:
                return event.at.file
        return ""
