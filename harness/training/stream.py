"""The events of a run in order, and the questions that claims ask of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from harness.training.events import Event, OptimizerStepped

E = TypeVar("E", bound=Event)


@dataclass
class Stream:
    """``trainable``: name of every parameter that requires a gradient -> its place in the run (None: not known).

    ``files``: the person's files that took part.
    """

    events: list[Event] = field(default_factory=list)
    files: set[str] = field(default_factory=set)

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
        """Training steps that were watched."""
        return len({event.step for event in self.of(OptimizerStepped)})

    def main_file(self) -> str:
        """The file of the first optimiser step; else of the first event."""
        for event in [*self.of(OptimizerStepped), *self.events]:
            if event.at:
                return event.at.file
        return ""
