"""Many mutants before the judge, in processes of their own: one that never returns or dies costs itself only."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from harness.core.record import Status
from harness.judging.catalogue import load_catalogue
from harness.mutation.making import Mutant
from harness.mutation.stored import Kind, Stored, gone, stored_of
from harness.mutation.trials import Effort, Outcome, places_of, population, try_mutant

PATIENCE = 1800.0
"""Wall seconds for one mutant: what does not return in time, and cannot be interrupted, has been noticed."""


@dataclass
class Score:
    """What came of the mutants of one component.

    ``gone``: what is stored of mutants that do not exist.
    """

    component: str
    rows: list[tuple[Mutant, Outcome, Stored | None]]
    gone: list[Stored]

    @property
    def killed(self) -> int:
        """How many a check noticed."""
        return sum(outcome.killed_by is not None for _, outcome, _ in self.rows)

    @property
    def crashed(self) -> int:
        """How many of these raised, or did not return: any call shows that."""
        loud = (Status.CRASHED, Status.TIMED_OUT)
        return sum(outcome.killed_by is not None and outcome.status in loud for _, outcome, _ in self.rows)

    @property
    def equivalent(self) -> list[tuple[Mutant, Stored]]:
        """The survivors that are stored as equivalent."""
        return [(m, s) for m, outcome, s in self.rows if outcome.killed_by is None and s and s.kind is Kind.EQUIVALENT]

    @property
    def survivors(self) -> list[tuple[Mutant, Outcome, Stored | None]]:
        """Those that no check noticed, and that are not equivalent."""
        alive = [row for row in self.rows if row[1].killed_by is None]
        return [row for row in alive if row[2] is None or row[2].kind is Kind.OPEN]

    @property
    def contradicted(self) -> list[tuple[Mutant, Outcome, Stored]]:
        """Those that are stored as survivors, and that a check noticed."""
        return [(m, o, s) for m, o, s in self.rows if o.killed_by is not None and s is not None]

    @property
    def seconds(self) -> float:
        """Wall seconds that its mutants took."""
        return sum(outcome.seconds for _, outcome, _ in self.rows)

    @property
    def judged(self) -> int:
        """How many count: all but the equivalent ones."""
        return len(self.rows) - len(self.equivalent)


def sweep(components: Sequence[str], effort: Effort, most: int, jobs: int) -> Iterator[Score]:
    """The score of each component, in order; the work is shared by ``jobs`` processes.

    ``most``: mutants of each component (0: all).
    """
    known = load_catalogue()
    work = {name: _Work(name, population(known, name, most), effort, most) for name in components}
    waiting = sorted(work.values(), key=lambda one: -len(one.mutants))
    live: dict[Any, _Work] = {}
    for name in components:
        while not work[name].is_finished:
            while waiting and len(live) < jobs:
                one = waiting.pop(0)
                live[one.start()] = one
            for connection in wait(list(live), timeout=1.0):
                live[connection].receive()
            for connection, one in list(live.items()):
                if one.has_stopped():
                    del live[connection]
                    waiting[:0] = [] if one.is_finished else [one]
        yield _score(work[name])


def _score(work: _Work) -> Score:
    stored = {entry.key: entry for entry in stored_of(work.component)}
    rows = [(mutant, outcome, stored.get(mutant.key)) for mutant, outcome in zip(work.mutants, work.found, strict=True)]
    left = gone(stored.values(), population(load_catalogue(), work.component))
    return Score(work.component, rows, left)


@dataclass
class _Work:
    """The mutants of one component, and the process that tries them."""

    component: str
    mutants: list[Mutant]
    effort: Effort
    most: int
    found: list[Outcome] = field(default_factory=list)
    lost: bool = False
    """Whether its process died, or must."""

    @property
    def is_finished(self) -> bool:
        return len(self.found) == len(self.mutants)

    def start(self) -> Connection:
        """A process for what is left, and where its outcomes come from."""
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe(duplex=False)
        given = (theirs, self.component, self.effort, self.most, len(self.found))
        self.process = context.Process(target=_try_all, args=given, daemon=True)
        self.process.start()
        theirs.close()
        self.heard = time.monotonic()
        return self.connection

    def receive(self) -> None:
        """Take one outcome; where the process is gone instead, the mutant it was at is to blame."""
        try:
            self.found.append(self.connection.recv())
            self.heard = time.monotonic()
        except EOFError:
            self._lose(Status.CRASHED)

    def has_stopped(self) -> bool:
        """Whether its process is at its end: all is done, it died, or it was silent for too long and is ended."""
        if not self.is_finished and not self.lost and time.monotonic() - self.heard > PATIENCE:
            self._lose(Status.TIMED_OUT)
        if not (self.is_finished or self.lost):
            return False
        self.process.kill()
        self.process.join()
        self.connection.close()
        self.lost = False
        return True

    def _lose(self, status: Status) -> None:
        self.lost = True
        mutant = self.mutants[len(self.found)]
        place = places_of(load_catalogue(), mutant)[0]
        self.found.append(Outcome(mutant.key, place, "the process", status, True, time.monotonic() - self.heard))


def _try_all(connection: Connection, component: str, effort: Effort, most: int, first: int) -> None:
    import torch

    torch.set_num_threads(1)
    known = load_catalogue()
    for mutant in population(known, component, most)[first:]:
        connection.send(try_mutant(known, mutant, effort))
    connection.close()
