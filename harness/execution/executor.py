"""The only caller of an implementation in this process: a request comes in, an answer goes back."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from types import CodeType
from typing import Any

from harness.core.change import Change
from harness.core.claim import NotSupported
from harness.core.contract import Contract
from harness.core.implementation import Answer, Crash, CrashKind, Offer, Request
from harness.execution import environment
from harness.execution.changed_code import CannotChange, ChangedCode, LoadedFile
from harness.execution.crashes import crash_of, unwritten_part
from harness.execution.discovered import Discovered
from harness.execution.functions import MisfitAdapter
from harness.execution.guarded import limit_for_calls
from harness.execution.held_state import changed, held_by, held_in
from harness.execution.line_coverage import LineCoverage, codes_of
from harness.execution.misfits import PlugIn
from harness.execution.own_files import OwnFiles
from harness.execution.run_lines import Lines, lines_of
from harness.execution.script import Middleware, Script
from harness.execution.session import Adapter
from harness.execution.source_location import source_location
from harness.execution.time_limit import TimedOut, TimeLimit
from harness.execution.timed_script import Prepared, by_adapter
from harness.stubs import dependencies

EXPERIMENT_SECONDS = 5.0
"""Processor seconds for a run that is traced, or that goes on with replaced values: it says nothing of their code."""
AS_BUILT_SECONDS = 10.0
"""Processor seconds for a case of a class that is run with its own weights."""
MOST_TIME_OUTS = 2
"""Cases of a component that may time out: it is not called again after that, so that its other checks need not wait."""


class Executor(Discovered):
    """An Implementation in this process.

    ``adapters``: component name -> how it is called. ``around``: a context manager in force during every run (a known
    mistake that is switched on, say). ``middleware``: stands between a case and their code; used to sabotage right
    components. ``time_limit``: processor seconds for one case and for one call outside a case, 0 for none; see
    :class:`harness.execution.time_limit.TimeLimit`. ``trusted``: the reference, whose side effects are not watched; its
    random numbers are seeded and restored. ``traced``: whether the lines that are reached are noted on a sample of the
    runs.
    """

    def __init__(
        self,
        name: str,
        adapters: Mapping[str, Adapter],
        contracts: Mapping[str, Contract],
        *,
        around: Callable[[], AbstractContextManager[Any]] = nullcontext,
        middleware: Middleware | None = None,
        time_limit: float = 60.0,
        trusted: bool = False,
        traced: bool = True,
    ) -> None:
        self.name, self.adapters, self.contracts = name, dict(adapters), contracts
        self.watched = environment.seeded if trusted else environment.watched
        self.around, self.middleware, self.time_limit = around, middleware, time_limit
        self.components = tuple(self.adapters)
        self._places: dict[str, tuple[str, int]] = {}
        self._to_do: dict[str, str] = dict.fromkeys(self.adapters, "") if trusted else {}
        self._plug_in: dict[str, PlugIn] = dict.fromkeys(self.adapters, PlugIn()) if trusted else {}
        self._lines = LineCoverage(self._files) if traced and not trusted else None
        self._codes: dict[str, frozenset[CodeType]] | None = None
        """The functions of each component that has code of its own."""
        self._own = OwnFiles(self._files, ours=trusted)
        self._never_returned: dict[str, Crash] = {}
        self._time_outs: Counter[str] = Counter()
        self._loaded: dict[str, LoadedFile] = {}

    @property
    def found(self) -> Mapping[str, Adapter]:
        """Its adapters."""
        return self.adapters

    def offers(self, component: str) -> Offer | None:
        """How a component is called, None where there is none.

        Nothing of a component that is to do is built or called.
        """
        adapter = self.adapters.get(component)
        if adapter is None:
            return None
        if component not in self._places:  # finding a class in its file takes 10 ms
            self._places[component] = adapter.place
        where, line = self._places[component]
        if why := self.to_do(component):
            return Offer(component, where, line, to_do=why)
        if (misfit := self.plug_in(component)).needs:
            return Offer(component, where, line, misfit=misfit.needs, plug_in=misfit.lines)
        if component in self._never_returned:
            return Offer(component, where, line)
        try:
            with limit_for_calls(self.time_limit):
                kind, absent, notes = adapter.kind, adapter.absent, adapter.notes
        except TimedOut as error:  # a module that never returns when it is built or looked at
            self._never_returned[component] = crash_of(error, adapter)
            return Offer(component, where, line)
        backward = adapter.backward
        manual = None if backward is None else (backward.name, *source_location(backward.function))
        return Offer(component, where, line, kind, absent, notes, manual)

    @property
    def is_altered(self) -> bool:
        """Whether what runs is not what their files say: a known mistake is in force, or a sabotage."""
        return self.around is not nullcontext or self.middleware is not None

    def with_changes(self, changes: Sequence[ChangedCode], time_limit: float) -> Executor:
        """The same implementation with changes of its files in force in every run. ``time_limit``: see the class."""

        @contextmanager
        def around() -> Iterator[None]:
            with ExitStack() as stack, self.around():
                for change in changes:
                    stack.enter_context(change.in_force())
                yield

        new = {name: adapter.anew() for name, adapter in self.adapters.items()}
        changed = Executor(self.name, new, self.contracts, around=around, time_limit=time_limit, traced=False)
        changed._to_do, changed._plug_in, changed._places = self._to_do, self._plug_in, self._places
        return changed

    def with_files_changed(self, changes: Sequence[Change], time_limit: float) -> Executor | None:
        """See :class:`harness.execution.discovered.Discovered`."""
        codes = []
        for change in changes:
            try:
                if change.file not in self._loaded:
                    self._loaded[change.file] = LoadedFile(change.file, change.before)
                codes.append(ChangedCode(change, self._loaded[change.file]))
            except CannotChange:
                return None
        return self.with_changes(codes, time_limit)

    def as_built(self, component: str) -> Executor | None:
        """A class that could not be plugged in, with its own weights."""
        adapter = self.adapters.get(component)
        if not isinstance(adapter, MisfitAdapter) or adapter.as_built is None:
            return None
        return Executor(self.name, {component: adapter.as_built}, self.contracts, time_limit=AS_BUILT_SECONDS)

    def lines_of(self, run: Callable[[], object]) -> Lines:
        """The lines of own files that run."""
        return lines_of(run)

    def kept(self) -> dict[str, dict[str, Any]]:
        """What the module of each component keeps, by component."""
        return {name: held_by(adapter.source) for name, adapter in self.adapters.items()}

    def changed_since(self, kept: Mapping[str, Mapping[str, Any]], component: str) -> list[str]:
        """What the module of a component keeps that is not what it was."""
        return changed(kept[component], held_by(self.adapters[component].source))

    def to_do(self, component: str) -> str:
        """Why a component that is there is not written yet, known without calling it; an empty text where it is."""
        if component not in self._to_do:
            adapter = self.adapters[component]
            why = adapter.to_do or dependencies.as_a_whole(adapter.source, self.contracts[component])
            self._to_do[component] = why
        return self._to_do[component]

    def plug_in(self, component: str) -> PlugIn:
        """What a component needs that the contract does not give, known without calling it."""
        if component not in self._plug_in:
            self._plug_in[component] = self.adapters[component].plug_in(self.contracts[component])
        return self._plug_in[component]

    def never_given(self, component: str) -> tuple[str, ...]:
        """Arguments of the implementation with a default that no case gives."""
        adapter = self.adapters[component]
        if self.to_do(component) or self.plug_in(component).needs:
            return ()
        entry = adapter.entry
        seen = self._lines.at_default(entry) if self._lines is not None and entry is not None else ()
        return (*adapter.never_given(self.contracts[component]), *seen)

    def unreached(self, component: str) -> tuple[tuple[str, ...], int]:
        """Lines of a component's own functions that no traced run reached, and how many runs were traced.

        What another component's function or class is made of is that one's own.
        """
        if self._lines is None:
            return (), 0
        if self._codes is None:  # asked after every check
            own = {name: adapter for name, adapter in self.adapters.items() if adapter.has_own_code}
            self._codes = {name: frozenset(codes_of(adapter.source)) for name, adapter in own.items()}
        owned = dict(self._codes)
        mine = owned.pop(component, frozenset())
        others = frozenset().union(*owned.values()) - mine
        found = self._lines.unreached(component, lambda code: code not in others) if mine else ()
        return found, self._lines.runs.get(component, 0)

    def _files(self) -> set[str]:
        return {source_location(adapter.source)[0] for adapter in self.adapters.values()}

    def run(self, request: Request) -> Answer:
        """Run a case. Never raises for what their code does; see :class:`harness.core.implementation.Crash`.

        A component that did not return from a call outside a case (building, probing), or from ``MOST_TIME_OUTS``
        cases, is not called again.
        """
        component = request.component
        adapter = self.adapters.get(component)
        if adapter is None:
            return Answer(crash=Crash(CrashKind.TO_DO, "", f"{self.name} has no {component}"))
        if why := self.to_do(component):
            return Answer(crash=Crash(CrashKind.TO_DO, "", why))
        if needs := self.plug_in(component).needs:
            return Answer(crash=Crash(CrashKind.MISFIT, "", needs))
        if component in self._never_returned:
            return Answer(crash=self._never_returned[component])
        is_experiment = request.trace or bool(request.replacements)
        seconds = min(self.time_limit or math.inf, EXPERIMENT_SECONDS) if is_experiment else self.time_limit
        script = Script(self.contracts[component], request, self.middleware, seconds, self._own)
        lines = nullcontext() if self._lines is None or is_experiment else self._lines.watching(request)
        with self.around(), self.watched(request) as effects, limit_for_calls(self.time_limit), lines:
            answer = script.run(adapter)
        if answer.crash is not None and answer.crash.kind == CrashKind.TIMED_OUT and not is_experiment:
            self._time_outs[component] += 1
            if self._time_outs[component] == MOST_TIME_OUTS:
                self._never_returned[component] = answer.crash
        return replace(answer, effects=(*answer.effects, *effects))

    def changed_by_a_call(self, request: Request) -> list[str]:
        """Attributes of the object that a case calls which are not what they were when the same call was made before.

        None of a plain function, and none where it raises.
        """
        adapter, contract = self.adapters[request.component], self.contracts[request.component]
        try:
            with self.around(), self.watched(request), TimeLimit(min(self.time_limit or math.inf, EXPERIMENT_SECONDS)):
                session = adapter.session(contract, request)
                for call in request.case.calls:
                    session.call(call)
                held = session.built if session.called is None else session.called
                before = held_in(held)
                session.call(request.case.calls[-1])
                return changed(before, held_in(held)) if held is not None else []
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException:  # whatever their code raises: its checks tell
            return []

    def prepared(self, request: Request, *, whole: bool = False, fresh: bool = False) -> Prepared:
        """Their code without this executor, for timing it: see :class:`harness.execution.timed_script.Prepared`.

        Raises NotSupported with the reason where there is nothing to time: it is absent, to do, or it raises.
        """
        adapter = self.adapters.get(request.component)
        if adapter is None:
            raise NotSupported(f"{self.name} has no {request.component}")
        if why := self.to_do(request.component):
            raise NotSupported(f"to do: {why}")
        contract, start = self.contracts[request.component], by_adapter(adapter)
        try:
            with limit_for_calls(self.time_limit), TimeLimit(self.time_limit):
                return Prepared(contract, request, start, whole=whole, fresh=fresh, around=self.around)
        except NotSupported:
            raise
        except NotImplementedError as error:
            raise NotSupported(f"to do: {error}") from error
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            part = unwritten_part(error, adapter)
            raise NotSupported(f"to do: {part}" if part else f"it raises {type(error).__name__}: {error}") from error


__all__ = ["Executor", "TimedOut"]
