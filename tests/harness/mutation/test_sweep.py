"""Processes that try mutants: one that dies or never answers costs the mutant it was at, and no other."""

from __future__ import annotations

import multiprocessing

import pytest

from harness.core.record import Status
from harness.judging.catalogue import load_catalogue
from harness.mutation import sweep
from harness.mutation.sweep import Effort
from harness.mutation.trials import population

THREE = population(load_catalogue(), "linear", 3)


class Process:
    """Stands in for a process: it takes nothing and says nothing."""

    ended = 0

    def kill(self) -> None:
        Process.ended += 1

    def join(self) -> None:
        """There is nothing to wait for."""


@pytest.fixture
def worker(monkeypatch):
    def start(worker) -> None:
        worker.connection, worker.theirs = multiprocessing.Pipe()
        worker.process = Process()

    monkeypatch.setattr(sweep._Worker, "_start", start)
    return sweep._Worker(Effort(), 3)


def test_a_process_that_dies_costs_one_mutant(worker) -> None:
    """The rest is given to another."""
    work = sweep._Work("linear", THREE)
    worker.take(work)
    assert worker.theirs.recv() == ("linear", 0)
    worker.theirs.close()
    assert worker.listen() is work and worker.is_idle
    assert [(o.mutant, o.status, o.killed_by) for o in work.found] == [(THREE[0].key, Status.CRASHED, "the process")]
    worker.take(work)
    assert worker.theirs.recv() == ("linear", 1)


def test_a_process_that_never_answers_is_ended(worker, monkeypatch) -> None:
    """What it was at counts as noticed."""
    before, work = Process.ended, sweep._Work("linear", THREE)
    worker.take(work)
    assert worker.listen() is None and not work.found
    monkeypatch.setattr(sweep, "PATIENCE", -1.0)
    assert worker.listen() is work and work.found[0].status is Status.TIMED_OUT and Process.ended == before + 1


def test_what_it_finds_is_taken(worker) -> None:
    """Until all is done."""
    work = sweep._Work("linear", THREE[:1])
    worker.take(work)
    worker.theirs.send("an outcome")
    assert worker.listen() is None and work.found == ["an outcome"] and worker.is_idle and work.is_finished
