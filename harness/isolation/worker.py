"""The process of the implementation: it finds the code, and answers the judge. It has no seed and no reference.

Requests come as frames, ``{"do": name, ...}``; each gets one reply, ``{"reply": ...}``, ``{"usage": text}`` where
there is nothing to check, or ``{"broken": text}``. Before the reply it may ask the judge, ``{"ask": ...}``.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import replace
from typing import Any

import torch

from harness.core.change import Change
from harness.core.claim import NotSupported
from harness.core.contract import Contract
from harness.core.errors import ImportFailed, UsageError
from harness.core.whole import as_it_is
from harness.discovery.locate import Place
from harness.discovery.search import Found, discover
from harness.execution.executor import Executor
from harness.execution.session import Adapter
from harness.isolation.answers import packed_answer, packed_offer
from harness.isolation.channel import Channel, Ended
from harness.isolation.packing import Packer
from harness.isolation.requests import request_of
from harness.isolation.unpacking import Unpacker
from harness.modules.whole_model import WholeAdapter
from harness.project.epsilon import with_eps

MAIN = 0
"""Number of the implementation as it is; others are variations of it."""


class Asker:
    """Asks the judge for what the reference would give.

    ``channel``: of the process that this is; ``number``: of the message that is being answered.
    """

    channel: Channel | None = None
    number = 0

    def __init__(self) -> None:
        self._constant: dict[str, Any] = {}

    def __call__(self, where: str, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """What a function of the reference gives. Raises NotSupported where the judge does not say."""
        if self.channel is None:
            raise NotSupported("the reference is not in the process of the implementation")
        if where in self._constant and not (given or named):
            return copy(self._constant[where])
        packer = Packer()
        question = {
            "of": where,
            "given": [packer.pack(value) for value in given],
            "named": [[name, packer.pack(value)] for name, value in named.items()],
        }
        packer.finish()
        self.channel.send({"ask": question, "number": self.number}, packer.blobs)
        body, memory = self.channel.receive()
        if "refused" in body:
            raise NotSupported(str(body["refused"]))
        value = Unpacker(memory, from_the_judge=True).unpack(body["value"])
        if not (given or named):  # a table, which takes longer to send than to copy
            self._constant[where] = value
            return copy(value)
        return value


class Worker:
    """Serves one connection. ``contracts``: as their sheets state them. ``enter``: what makes the process a place where
    the code may run; it is called before any of it does."""

    def __init__(
        self,
        channel: Channel,
        contracts: Mapping[str, Contract],
        enter: Callable[[Mapping[str, Any], Place | None], None],
        asker: Asker,
    ) -> None:
        self.channel, self.contracts, self.enter, self.asker = channel, contracts, enter, asker
        self.found: Found | None = None
        self.executors: dict[int, Executor] = {}
        self.kept: dict[int, Any] = {}
        self.numbers = 0

    def serve(self) -> None:
        """Answer until the judge is gone."""
        while True:
            try:
                body, memory = self.channel.receive()
            except Ended:
                return
            packer, number, started = Packer(), body["number"], time.process_time()
            self.asker.number = number
            try:
                reply = {"reply": HANDLERS[body["do"]](self, body, Unpacker(memory, from_the_judge=True), packer)}
                packer.finish()
            except UsageError as wrong:
                reply, packer = {"usage": str(wrong), "import": isinstance(wrong, ImportFailed)}, Packer()
            except Ended:
                return
            except BaseException as error:  # their code may have changed anything here
                reply, packer = {"broken": f"{type(error).__name__}: {error}"}, Packer()
            try:
                used = time.process_time() - started
                self.channel.send({**reply, "number": number, "seconds": used}, packer.blobs)
            except Ended:
                return

    def on(self, body: Mapping[str, Any]) -> Executor:
        """The executor that a message is for."""
        return self.executors[body.get("on", MAIN)]

    def add(self, executor: Executor | None) -> int | None:
        """The number of a variation from now on."""
        if executor is None:
            return None
        self.numbers += 1
        self.executors[self.numbers] = executor
        return self.numbers


def _discover(worker: Worker, body: Mapping[str, Any], unpacker: Unpacker, packer: Packer) -> dict[str, Any]:
    """Find the implementation, and tell what it has."""
    torch.set_num_threads(1)
    os.chdir(body["folder"])
    sys.path[:] = body["path"]
    eps = body["eps"]
    contracts = _with_eps(worker.contracts, eps)
    found = discover(body["impl"], contracts, body["time_limit"], lambda place: worker.enter(body, place))
    on_models = [name for name, adapter in found.adapters.items() if _asks_the_module(adapter)]
    adapters = {name: adapter for name, adapter in found.adapters.items() if name not in on_models}
    worker.found = replace(found, adapters=adapters)
    worker.executors[MAIN] = executor = Executor(found.name, adapters, contracts, time_limit=body["time_limit"])
    return {
        "name": found.name,
        "where": found.where,
        "variants": dict(found.variants),
        "notes": [note.as_dict() for note in found.notes],
        "eps": found.eps,
        "half_precision": found.half_precision,
        "expected": dict(found.expected),
        "accepted": {name: list(forms) for name, forms in found.accepted.items()},
        "on_models": on_models,
        "components": {name: _facts(executor, name) for name in adapters},
    }


def _asks_the_module(adapter: Adapter) -> bool:
    """Whether what is right is asked of the implementation's own module: then the judge would have to run it."""
    whole = adapter.contract.whole if isinstance(adapter, WholeAdapter) else None
    return whole is not None and whole.contract is not as_it_is


def _prove(worker: Worker, body: Mapping[str, Any], unpacker: Unpacker, packer: Packer) -> None:
    """Show that the level holds, without any implementation. Raises UsageError where it does not."""
    worker.enter(body, None)


def _facts(executor: Executor, name: str) -> dict[str, Any]:
    adapter, forms, plug_in = executor.adapters[name], executor.adapters[name].called_in_forms, executor.plug_in(name)
    return {
        "within": adapter.within,
        "called_in_forms": None if forms is None else list(forms),
        "place": list(adapter.place),
        "to_do": executor.to_do(name),
        "needs": plug_in.needs,
        "lines": list(plug_in.lines),
    }


def _with_eps(contracts: Mapping[str, Contract], eps: float | None) -> Mapping[str, Contract]:
    return contracts if eps is None else {name: with_eps(contract, eps) for name, contract in contracts.items()}


def _settle(worker: Worker, body: Mapping[str, Any], unpacker: Unpacker, packer: Packer) -> None:
    """Take over what the judge settled: the epsilon, and which components are judged."""
    found, eps = worker.found, body["eps"]
    assert found is not None
    contracts = _with_eps(worker.contracts, eps)
    for name, adapter in found.adapters.items():
        if hasattr(adapter, "contract") and eps != body["before"]:
            adapter.contract = contracts[name]
    adapters = {name: adapter for name, adapter in found.adapters.items() if name not in body["without"]}
    limit = worker.executors[MAIN].time_limit
    worker.executors[MAIN] = Executor(found.name, adapters, contracts, time_limit=limit)


def _offers(worker: Worker, body: Mapping[str, Any], unpacker: Unpacker, packer: Packer) -> dict[str, Any] | None:
    return packed_offer(worker.on(body).offers(body["component"]))


def _run(worker: Worker, body: Mapping[str, Any], unpacker: Unpacker, packer: Packer) -> dict[str, Any]:
    """Play a request; tell the lines that ran where that is asked for."""
    executor, request = worker.on(body), request_of(unpacker, body["request"])
    answers = []
    ran = executor.lines_of(lambda: answers.append(executor.run(request))) if body["lines"] else {}
    if not body["lines"]:
        answers.append(executor.run(request))
    return {"answer": packed_answer(packer, answers[0]), "lines": {file: sorted(found) for file, found in ran.items()}}


def _changed_by_a_call(worker: Worker, body: Mapping[str, Any], unpacker: Unpacker, packer: Packer) -> list[str]:
    return worker.on(body).changed_by_a_call(request_of(unpacker, body["request"]))


def _never_given(worker: Worker, body: Mapping[str, Any], unpacker: Unpacker, packer: Packer) -> list[str]:
    return list(worker.on(body).never_given(body["component"]))


def _unreached(worker: Worker, body: Mapping[str, Any], unpacker: Unpacker, packer: Packer) -> list[Any]:
    lines, runs = worker.on(body).unreached(body["component"])
    return [list(lines), runs]


def _kept(worker: Worker, body: Mapping[str, Any], unpacker: Unpacker, packer: Packer) -> int:
    worker.numbers += 1
    worker.kept[worker.numbers] = worker.on(body).kept()
    return worker.numbers


def _changed_since(worker: Worker, body: Mapping[str, Any], unpacker: Unpacker, packer: Packer) -> list[str]:
    return worker.on(body).changed_since(worker.kept[body["kept"]], body["component"])


def _as_built(worker: Worker, body: Mapping[str, Any], unpacker: Unpacker, packer: Packer) -> int | None:
    return worker.add(worker.on(body).as_built(body["component"]))


def _changed(worker: Worker, body: Mapping[str, Any], unpacker: Unpacker, packer: Packer) -> int | None:
    """The same implementation with its files changed, as long as nobody forgets it."""
    for number in body["forget"]:
        worker.executors.pop(number, None)
    changes = [Change(*one) for one in body["changes"]]
    return worker.add(worker.on(body).with_files_changed(changes, body["time_limit"]))


HANDLERS: dict[str, Callable[[Worker, Mapping[str, Any], Unpacker, Packer], Any]] = {
    "prove": _prove,
    "discover": _discover,
    "settle": _settle,
    "offers": _offers,
    "run": _run,
    "changed_by_a_call": _changed_by_a_call,
    "never_given": _never_given,
    "unreached": _unreached,
    "kept": _kept,
    "changed_since": _changed_since,
    "as_built": _as_built,
    "changed": _changed,
}
