"""An implementation in a process of its own, behind the interface of one in this process."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from harness.core.change import Change
from harness.core.implementation import Answer, Crash, CrashKind, Offer, Request
from harness.execution.discovered import Discovered
from harness.execution.executor import MOST_TIME_OUTS
from harness.execution.misfits import PlugIn
from harness.execution.run_lines import Lines
from harness.isolation.answers import answer_of, file, listed, offer_of, texts, whole
from harness.isolation.connection import Connection, Lost, RemoteComponent, RemoteFound
from harness.isolation.packing import Packer
from harness.isolation.requests import packed_request
from harness.isolation.unpacking import ProtocolError, Unpacker

MOST_DEATHS = MOST_TIME_OUTS
"""Processes that a component may end; it is not called again after that, so that its other checks need not wait."""


class RemoteImplementation(Discovered):
    """The implementation that a connection leads to. ``number``: which variation of it, 0 for none."""

    def __init__(
        self, connection: Connection, found: RemoteFound, number: int = 0, without: Sequence[str] = ()
    ) -> None:
        self.connection, self.number, self.name = connection, number, found.name
        self._found = {name: one for name, one in found.components.items() if name not in without}
        self.components = tuple(self._found)
        self._generation = connection.generation
        self._deaths: Counter[str] = Counter()
        self._never_again: dict[str, Crash] = {}
        self._lines: Lines | None = None
        self._forgotten: list[int] = []
        weakref.finalize(self, connection.close)

    @property
    def found(self) -> Mapping[str, RemoteComponent]:
        """What the process told of its components."""
        return self._found

    def to_do(self, component: str) -> str:
        """As it was told."""
        return self._found[component].to_do

    def plug_in(self, component: str) -> PlugIn:
        """As it was told."""
        return self._found[component].plug_in

    def offers(self, component: str) -> Offer | None:
        """As its process says now; where that is gone, as it was found."""
        if component not in self._found:
            return None
        told = self._asked({"do": "offers", "component": component}, component, offer_of, None)
        return told or Offer(component, *self._found[component].place)

    def run(self, request: Request) -> Answer:
        """The answer of the process. Where it ends, or answers nothing, that is a crash of the component.

        A component that has ended ``MOST_DEATHS`` processes, or let one not answer, is not called again.
        """
        component = request.component
        if component not in self._found:
            return Answer(crash=Crash(CrashKind.TO_DO, "", f"{self.name} has no {component}"))
        if component in self._never_again:
            return Answer(crash=self._never_again[component])
        packer = Packer()
        body = {"do": "run", "request": packed_request(packer, request), "lines": self._lines is not None}
        try:
            reply, unpacker = self._reply(body, packer, component)
            return self._answer(reply, unpacker)
        except Lost as lost:
            return Answer(crash=self._died(component, lost))

    def _answer(self, reply: Any, unpacker: Unpacker) -> Answer:
        try:
            answer = answer_of(unpacker, reply["answer"])
            seen = self._lines if self._lines is not None else Lines()
            for name, numbers in reply["lines"].items():
                seen.setdefault(file(name), set()).update(map(whole, listed(numbers)))
            return answer
        except (ProtocolError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise self.connection.lost(f"its process sent {error or type(error).__name__}, and was ended") from None

    def _died(self, component: str, lost: Lost) -> Crash:
        kind = CrashKind.TIMED_OUT if lost.timed_out else CrashKind.RAISED
        crash = Crash(kind, "ProcessEnded", str(lost))
        self._deaths[component] += MOST_DEATHS if lost.timed_out else 1
        if self._deaths[component] >= MOST_DEATHS:
            self._never_again[component] = crash
        return crash

    def _reply(self, body: Mapping[str, Any], packer: Packer, component: str, seconds: float = -1.0) -> Any:
        """The reply of the process that this variation lives in. Raises Lost where that is gone."""
        if self.number and self._generation != self.connection.generation:
            raise Lost("its process ended before")
        return self.connection.ask({**body, "on": self.number}, packer, component, seconds)

    def _asked(self, body: Mapping[str, Any], component: str, read: Callable[[Any], Any], otherwise: Any) -> Any:
        """What ``read`` makes of a reply; ``otherwise`` where there is none."""
        if component in self._never_again:
            return otherwise
        try:
            reply, _ = self._reply(body, Packer(), component)
            try:
                return read(reply)
            except (ProtocolError, KeyError, TypeError, ValueError) as error:
                raise self.connection.lost(f"its process sent {error}, and was ended") from None
        except Lost as lost:
            self._died(component, lost)
            return otherwise

    def never_given(self, component: str) -> tuple[str, ...]:
        """As its process says."""
        found: tuple[str, ...] = self._asked({"do": "never_given", "component": component}, component, texts, ())
        return found

    def unreached(self, component: str) -> tuple[tuple[str, ...], int]:
        """As its process says."""

        def read(reply: Any) -> tuple[tuple[str, ...], int]:
            lines, runs = reply
            return texts(lines), whole(runs)

        found: tuple[tuple[str, ...], int] = self._asked(
            {"do": "unreached", "component": component}, component, read, ((), 0)
        )
        return found

    def changed_by_a_call(self, request: Request) -> list[str]:
        """As its process says."""
        packer = Packer()
        body = {"do": "changed_by_a_call", "request": packed_request(packer, request)}
        try:
            reply, _ = self._reply(body, packer, request.component)
            return list(texts(reply))
        except (Lost, ProtocolError):
            return []

    @contextmanager
    def _seeing_lines(self) -> Iterator[Lines]:
        self._lines = found = Lines()
        try:
            yield found
        finally:
            self._lines = None

    def lines_of(self, run: Callable[[], object]) -> Lines:
        """The lines that run in the process."""
        with self._seeing_lines() as found:
            run()
        return found

    def kept(self) -> tuple[int, int]:
        """The number under which the process holds what its modules keep, and which process that is."""
        number = self._asked({"do": "kept"}, "", whole, 0)
        return self.connection.generation, number

    def changed_since(self, kept: tuple[int, int], component: str) -> list[str]:
        """As its process says; nothing where that is another one by now."""
        generation, number = kept
        if generation != self.connection.generation or self.connection.worker is None or not number:
            return []
        body = {"do": "changed_since", "kept": number, "component": component}
        return list(self._asked(body, component, texts, ()))

    def as_built(self, component: str) -> RemoteImplementation | None:
        """A variation with a component's own weights."""
        number = self._asked({"do": "as_built", "component": component}, component, _maybe_whole, None)
        return None if number is None else self._variation(number)

    def with_files_changed(self, changes: Sequence[Change], time_limit: float) -> RemoteImplementation | None:
        """A variation in the same process."""
        forget, self._forgotten = self._forgotten, []
        given = [[one.file, one.before, one.after, one.cost] for one in changes]
        body = {"do": "changed", "changes": given, "time_limit": time_limit, "forget": forget}
        number = self._asked(body, "", _maybe_whole, None)
        return None if number is None else self._variation(number)

    def _variation(self, number: int) -> RemoteImplementation:
        return Variation(self, number)

    def forget(self, number: int) -> None:
        """A variation that nobody needs any more."""
        self._forgotten.append(number)


class Variation(RemoteImplementation):
    """The implementation as it would be with something changed, for as long as somebody holds it."""

    def __init__(self, of: RemoteImplementation, number: int) -> None:
        self.connection, self.number, self.name, self.of = of.connection, number, of.name, of
        self._found, self.components = dict(of.found), of.components
        self._generation = of.connection.generation
        self._deaths, self._never_again = Counter(), {}
        self._lines, self._forgotten = None, []

    def __del__(self) -> None:
        self.of.forget(self.number)


def _maybe_whole(value: Any) -> int | None:
    return None if value is None else whole(value)
