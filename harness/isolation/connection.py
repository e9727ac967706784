"""The connection to the process of an implementation: what it found, and one reply for each message."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.core import spent
from harness.core.errors import ImportFailed, UsageError
from harness.core.note import Note
from harness.discovery.importing import import_seconds
from harness.execution.misfits import PlugIn
from harness.execution.time_limit import WALL_FACTOR
from harness.isolation.answers import file, listed, texts, whole, words
from harness.isolation.channel import Ended, Silent, deadline_in
from harness.isolation.level import Level, Limits
from harness.isolation.packing import Packer
from harness.isolation.starting import Worker, Workers
from harness.isolation.unpacking import ProtocolError, Unpacker

SLACK = 10.0
"""Wall seconds for a reply beyond those of the limit: a process must start, and the limit must have time to tell."""
DISCOVERING = 10.0
"""So many times the limit of an import may finding the components take: classes are built and called."""


PROVING_SECONDS = SETTLING_SECONDS = 120.0
"""Wall seconds for what runs no code of the implementation."""
MOST_KEYS = 4
LIMITS = Limits()


class Lost(Exception):
    """The process is gone, or what it sent is no answer. The text says what happened, as its end is known."""

    def __init__(self, message: str, timed_out: bool = False) -> None:
        super().__init__(message)
        self.timed_out = timed_out


@dataclass(frozen=True)
class RemoteComponent:
    """What the process told of a component, see :class:`harness.execution.discovered.FoundComponent`."""

    within: str
    called_in_forms: tuple[str, ...] | None
    place: tuple[str, int]
    to_do: str
    plug_in: PlugIn

    @classmethod
    def of(cls, values: Any) -> RemoteComponent:
        """The component. Raises ProtocolError or KeyError."""
        forms, (name, line) = values["called_in_forms"], values["place"]
        return cls(
            words(values["within"]),
            None if forms is None else texts(forms),
            (file(name), whole(line)),
            words(values["to_do"]),
            PlugIn(words(values["needs"]), texts(values["lines"])),
        )


@dataclass(frozen=True)
class RemoteFound:
    """What was discovered, as plain data; see :class:`harness.discovery.search.Found`."""

    name: str
    where: str
    components: Mapping[str, RemoteComponent]
    variants: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    eps: float | None = None
    half_precision: bool = False
    expected: Mapping[str, str] = field(default_factory=dict)
    accepted: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    on_models: tuple[str, ...] = ()
    """Components that are run on the whole model, which is not in this process."""

    @classmethod
    def of(cls, values: Any, known: Sequence[str]) -> RemoteFound:
        """What a process told. ``known``: the components that there are. Raises ProtocolError."""
        try:
            components = {name: RemoteComponent.of(values["components"][name]) for name in known_of(values, known)}
            eps = values["eps"]
            return cls(
                words(values["name"]),
                file(values["where"]),
                components,
                {words(name): words(form) for name, form in values["variants"].items()},
                tuple(Note.from_dict({k: words(v) for k, v in note.items()}) for note in listed(values["notes"])),
                None if eps is None else float(eps),
                values["half_precision"] is True,
                {words(name): words(reason) for name, reason in values["expected"].items()},
                {words(name): texts(forms) for name, forms in values["accepted"].items()},
                tuple(name for name in known if name in values["on_models"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ProtocolError(f"nothing that was discovered: {type(error).__name__}") from None


def known_of(values: Any, known: Sequence[str]) -> list[str]:
    """The components that a process has, in the order of the catalogue."""
    return [name for name in known if name in values["components"]]


class Connection:
    """A worker that has discovered the implementation, or the next one where that has ended."""

    def __init__(
        self,
        workers: Workers,
        impl: str,
        time_limit: float,
        known: Sequence[str],
        eps: float | None = None,
        level: Level = Level.PROCESS,
        limits: Limits | None = None,
    ) -> None:
        self.workers, self.impl, self.time_limit, self.known, self.eps = workers, impl, time_limit, known, eps
        self.level, self.limits = level, limits or LIMITS
        self.worker: Worker | None = None
        self.settled: dict[str, Any] | None = None
        self.component: str | None = None
        """What is run; None while the implementation is discovered."""
        self._number = 0
        """Of the last message. A reply has the number of its message."""
        self.generation = 0
        """How many workers there were."""

    @property
    def patience(self) -> float:
        """Wall seconds for a reply; 0 for no limit."""
        return 2 * WALL_FACTOR * self.time_limit + SLACK if self.time_limit else 0.0

    def discover(self) -> RemoteFound:
        """Start a worker and let it find the implementation. Raises UsageError as ``discover`` does."""
        self.worker = self.workers.start()
        self.generation += 1
        self.component = None
        seconds = DISCOVERING * WALL_FACTOR * import_seconds(self.time_limit)
        body = {"do": "discover", "impl": self.impl, "eps": self.eps, "time_limit": self.time_limit}
        body |= self.workers.place(self.worker, self.level, self.limits)
        try:
            return RemoteFound.of(self._reply(body, Packer(), seconds)[0], self.known)
        except ProtocolError as error:
            raise UsageError(f"--impl={self.impl}: {self.lost(str(error))}. No check was run.") from None
        except Lost as lost:
            raise ImportFailed(f"--impl={self.impl}: while it is imported, {lost}. No check was run.") from None

    def prove(self) -> None:
        """Start a worker without an implementation. Raises UsageError where its level does not hold."""
        self.worker = self.workers.start()
        body = {"do": "prove", **self.workers.place(self.worker, self.level, self.limits)}
        try:
            self._reply(body, Packer(), PROVING_SECONDS)
        except Lost as lost:
            raise UsageError(f"--impl-isolation={self.level} does not hold on this machine: {lost}") from None
        self.close()

    def settle(self, eps: float | None, without: Sequence[str]) -> None:
        """Tell the worker, and those after it, what is judged."""
        self.settled = {"do": "settle", "eps": eps, "before": self.eps, "without": list(without)}
        try:
            self._reply(self.settled, Packer(), SETTLING_SECONDS)
        except Lost as lost:
            raise ImportFailed(f"--impl={self.impl}: after it was imported, {lost}. No check was run.") from None

    def ask(self, body: Mapping[str, Any], packer: Packer, component: str, seconds: float = -1.0) -> Any:
        """The reply to a message, with what unpacks it. Raises Lost."""
        if self.worker is None:
            try:
                self.discover()
                if self.settled is not None:
                    self._reply(self.settled, Packer(), SETTLING_SECONDS)
            except UsageError as error:
                raise Lost(f"it cannot be had again: {error}") from None
        self.component = component
        return self._reply(body, packer, self.patience if seconds < 0 else seconds)

    def lost(self, why: str, timed_out: bool = False) -> Lost:
        """End the worker; what happened, as far as its end tells."""
        worker, self.worker = self.worker, None
        if worker is None:
            return Lost(why, timed_out)
        status = self.workers.end(worker)
        told = f"{why} ({_end_in_words(status)})" if why == GONE else why
        printed = words(bytes(worker.printed).decode("utf-8", "replace")).strip()
        return Lost(f"{told}\n{printed[-MOST_PRINTED:]}" if printed and why == GONE else told, timed_out)

    def close(self) -> None:
        """End the worker."""
        if self.worker is not None:
            self.lost("")

    def _reply(self, body: Mapping[str, Any], packer: Packer, seconds: float) -> tuple[Any, Unpacker]:
        assert self.worker is not None
        channel, deadline, started = self.worker.channel, deadline_in(seconds), time.monotonic()
        try:
            packer.finish()
            self._number += 1
            channel.send({**body, "number": self._number}, packer.blobs, deadline)
            while True:
                reply, memory = channel.receive(deadline)
                if type(reply) is not dict or len(reply) > MOST_KEYS or reply.get("number") != self._number:
                    raise ProtocolError("no reply to what was asked")
                if "ask" not in reply:
                    break
                answer, given = self.workers.oracle.answer(reply["ask"], memory, self.component)
                channel.send(answer, given.blobs, deadline)
        except Ended:
            raise self.lost(GONE) from None
        except Silent as silent:
            raise self.lost(f"{silent}: its process was ended after {seconds:g} s", timed_out=True) from None
        except ProtocolError as error:
            raise self.lost(f"its process sent {error}, and was ended") from None
        except BaseException:  # an interruption: the reply will never be read
            self.close()
            raise
        if type(used := reply.get("seconds")) is float:  # as it says, and no more than there were
            spent.add(min(used, time.monotonic() - started))
        if "usage" in reply:
            said = words(reply["usage"])
            self.close()
            raise ImportFailed(said) if reply.get("import") is True else UsageError(said)
        if "reply" not in reply:
            said = words(reply.get("broken", "")) if type(reply.get("broken", "")) is str else ""
            raise self.lost(f"its process broke: {said}")
        return reply["reply"], Unpacker(memory)


GONE = "its process ended"
MOST_PRINTED = 1000
"""Characters of what a process printed last that are told with its end."""


def _end_in_words(status: int | None) -> str:
    if status is None:
        return "nobody knows how"
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"
