"""Many mutants before the judge, in processes of their own: one that never returns or dies costs itself only."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait

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
    work = {name: _Work(name, population(known, name, most)) for name in components}
    waiting = sorted(work.values(), key=lambda one: -len(one.mutants))
    workers = [_Worker(effort, most) for _ in range(min(jobs, len(work)))]
    try:
        for name in components:
            while not work[name].is_finished:
                for worker in workers:
                    if worker.is_idle and waiting:
                        worker.take(waiting.pop(0))
                wait([worker.connection for worker in workers if not worker.is_idle], timeout=1.0)
                waiting[:0] = [lost for worker in workers if (lost := worker.listen()) is not None]
            yield _score(work[name])
    finally:
        for worker in workers:
            worker.end()


def _score(work: _Work) -> Score:
    stored = {entry.key: entry for entry in stored_of(work.component)}
    rows = [(mutant, outcome, stored.get(mutant.key)) for mutant, outcome in zip(work.mutants, work.found, strict=True)]
    left = gone(stored.values(), population(load_catalogue(), work.component))
    return Score(work.component, rows, left)


@dataclass
class _Work:
    """The mutants of one component, and what came of the first of them."""

    component: str
    mutants: list[Mutant]
    found: list[Outcome] = field(default_factory=list)

    @property
    def is_finished(self) -> bool:
        return len(self.found) == len(self.mutants)

    def lose(self, status: Status, seconds: float) -> None:
        """The mutant that is tried now is to blame for the end of its process."""
        mutant = self.mutants[len(self.found)]
        place = places_of(load_catalogue(), mutant)[0]
        self.found.append(Outcome(mutant.key, place, "the process", status, True, seconds))


class _Worker:
    """A process that tries the mutants of one component after the other; a new one where it dies or never answers."""

    def __init__(self, effort: Effort, most: int) -> None:
        self.effort, self.most = effort, most
        self.work: _Work | None = None
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_try_all, args=(theirs, self.effort, self.most), daemon=True)
        self.process.start()
        theirs.close()

    @property
    def is_idle(self) -> bool:
        """Whether it has nothing to do."""
        return self.work is None

    def take(self, work: _Work) -> None:
        """Try what is left of this."""
        self.work, self.heard = work, time.monotonic()
        self.connection.send((work.component, len(work.found)))

    def listen(self) -> _Work | None:
        """Take what it has found; where it is lost, what is left of its work."""
        while self.work is not None and not self.work.is_finished and self.connection.poll():
            try:
                self.work.found.append(self.connection.recv())
                self.heard = time.monotonic()
            except EOFError:
                return self._lost(Status.CRASHED)
        if self.work is not None and self.work.is_finished:
            self.work = None
        if self.work is not None and time.monotonic() - self.heard > PATIENCE:
            return self._lost(Status.TIMED_OUT)
        return None

    def _lost(self, status: Status) -> _Work | None:
        work, self.work = self.work, None
        assert work is not None
        work.lose(status, time.monotonic() - self.heard)
        self.end()
        self._start()
        return None if work.is_finished else work

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.join()
        self.connection.close()


def _try_all(connection: Connection, effort: Effort, most: int) -> None:
    import torch

    torch.set_num_threads(1)
    known = load_catalogue()
    with suppress(EOFError, BrokenPipeError):  # whoever gave the work is gone
        while True:
            component, first = connection.recv()
            for mutant in population(known, component, most)[first:]:
                connection.send(try_mutant(known, mutant, effort))
