"""Where the implementation's code is loaded: in this process, or in one of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from functools import cache
from typing import Protocol

from harness.core.contract import Contract
from harness.core.errors import UsageError
from harness.core.note import Note, NoteCode
from harness.discovery.importing import imported_anew
from harness.discovery.search import Found, discover
from harness.execution.discovered import Discovered, FoundComponent
from harness.execution.executor import Executor
from harness.isolation.connection import Connection, RemoteFound
from harness.isolation.level import Level
from harness.isolation.oracle import Oracle
from harness.isolation.remote import RemoteImplementation
from harness.isolation.starting import Workers
from harness.judging.catalogue import load_catalogue, load_inputs
from harness.modules.whole_model import WholeAdapter


class WhatWasFound(Protocol):
    """What discovery tells of an implementation as a whole."""

    @property
    def name(self) -> str:
        """What a person calls it."""

    @property
    def where(self) -> str:
        """Its file."""

    @property
    def variants(self) -> Mapping[str, str]:
        """Forms that its module declares."""

    @property
    def notes(self) -> tuple[Note, ...]:
        """What a person should know of it."""

    @property
    def eps(self) -> float | None:
        """The epsilon that its module declares."""

    @property
    def half_precision(self) -> bool:
        """Whether its module declares that it is meant for 16-bit numbers."""

    @property
    def expected(self) -> Mapping[str, str]:
        """Failures that its module expects."""

    @property
    def accepted(self) -> Mapping[str, tuple[str, ...]]:
        """Legal forms that the project accepts, by component."""


class PlaceOfCode(ABC):
    """Finds what ``--impl`` names. ``time_limit``: processor seconds for a case."""

    def __init__(self, impl: str, time_limit: float) -> None:
        self.impl, self.time_limit = impl, time_limit

    @abstractmethod
    def discover(self, contracts: Mapping[str, Contract], eps: float | None) -> WhatWasFound:
        """Find it. ``contracts``: with this epsilon. Raises UsageError with a complete text where it cannot be had."""

    @property
    @abstractmethod
    def components(self) -> Mapping[str, FoundComponent]:
        """What was found."""

    @abstractmethod
    def on_models(self, contracts: Mapping[str, Contract]) -> dict[str, Contract]:
        """Contracts of the components that are run on a whole model, as they are judged on its modules."""

    def notes(self) -> list[Note]:
        """What is not judged for where the code is."""
        return []

    @abstractmethod
    def judged(self, contracts: Mapping[str, Contract], eps: float | None, gone: Collection[str]) -> Discovered:
        """The implementation, to be judged with these contracts, but for some components."""

    @abstractmethod
    def anew(self) -> Discovered:
        """The same, its own files imported anew. Raises UsageError where it cannot be had again."""


class Here(PlaceOfCode):
    """In this process."""

    found: Found

    def discover(self, contracts: Mapping[str, Contract], eps: float | None) -> Found:
        """See :func:`harness.discovery.search.discover`."""
        self.eps, self.found = eps, discover(self.impl, contracts, self.time_limit)
        return self.found

    @property
    def components(self) -> Mapping[str, FoundComponent]:
        """The adapters."""
        return self.found.adapters

    def on_models(self, contracts: Mapping[str, Contract]) -> dict[str, Contract]:
        """Their references are run on the implementation's modules."""
        wholes = {name: one for name, one in self.found.adapters.items() if isinstance(one, WholeAdapter)}
        return {name: adapter.contract_there(contracts[name]) for name, adapter in wholes.items()}

    def judged(self, contracts: Mapping[str, Contract], eps: float | None, gone: Collection[str]) -> Executor:
        """An executor."""
        self.contracts, self.gone = contracts, frozenset(gone)
        for adapter in self.found.adapters.values():
            is_other = eps != self.eps or isinstance(adapter, WholeAdapter)
            if hasattr(adapter, "contract") and is_other:  # not the one it was found with
                adapter.contract = contracts[adapter.contract.name]
        return self._executor(self.found)

    def anew(self) -> Executor:
        """Nothing beside its files counts as imported."""
        with imported_anew(adapter.place[0] for adapter in self.found.adapters.values()):
            found = discover(self.impl, self.contracts, self.time_limit)
        return self._executor(found)

    def _executor(self, found: Found) -> Executor:
        adapters = {name: adapter for name, adapter in found.adapters.items() if name not in self.gone}
        return Executor(found.name, adapters, self.contracts, time_limit=self.time_limit)


class Apart(PlaceOfCode):
    """In a process of its own, which has no reference, no seed and no expected value."""

    found: RemoteFound

    def __init__(self, impl: str, time_limit: float, level: Level) -> None:
        super().__init__(impl, time_limit)
        self.known, self.workers, self.level = tuple(load_catalogue().contracts), the_workers(), level

    def discover(self, contracts: Mapping[str, Contract], eps: float | None) -> RemoteFound:
        """Its process finds it. Raises UsageError where it is the reference, which is not there."""
        package = next(iter(contracts.values())).reference.__module__.partition(".")[0]
        if self.impl.partition(":")[0].partition(".")[0] == package:
            raise UsageError(
                f"--impl={self.impl} is the reference, which is in the judge's process: --impl-isolation=none"
            )
        self.connection = Connection(self.workers, self.impl, self.time_limit, self.known, eps, self.level)
        self.found = self.connection.discover()
        return self.found

    @property
    def components(self) -> Mapping[str, FoundComponent]:
        """What its process told."""
        return self.found.components

    def on_models(self, contracts: Mapping[str, Contract]) -> dict[str, Contract]:
        """None: the reference of such a component runs the implementation's own modules, which are not here."""
        return {}

    def notes(self) -> list[Note]:
        """Which components are not judged for that."""
        text = "{} is not checked: its reference runs the model itself, which is in another process (--impl-isolation)"
        return [Note(name, NoteCode.NOT_CHECKED, text.format(name)) for name in self.found.on_models]

    def judged(
        self, contracts: Mapping[str, Contract], eps: float | None, gone: Collection[str]
    ) -> RemoteImplementation:
        """What its process runs."""
        self.eps, self.gone = eps, sorted(gone)
        self.connection.settle(eps, self.gone)
        return RemoteImplementation(self.connection, self.found, without=self.gone)

    def anew(self) -> RemoteImplementation:
        """Another process."""
        connection = Connection(self.workers, self.impl, self.time_limit, self.known, self.eps, self.level)
        found = connection.discover()
        connection.settle(self.eps, self.gone)
        return RemoteImplementation(connection, found, without=self.gone)


@cache
def the_workers() -> Workers:
    """The processes of this judge: what they are forked from is started once."""
    known, inputs = load_catalogue().contracts, load_inputs()
    return Workers(Oracle(known, inputs.open_to, inputs.sizes), inputs.sheets, list(known))


def problem_with(level: Level) -> str:
    """Why a level does not hold on this machine, shown by trying; empty where it holds."""
    if level is Level.NONE:
        return ""
    try:
        Connection(the_workers(), "", 0.0, (), level=level).prove()
    except UsageError as error:
        return str(error)
    return ""
