"""A case of which some calls are timed: everything else is done beforehand, and looked at afterwards.

What is timed is their call alone, on plain contiguous tensors: nothing is copied, watched or checked meanwhile. Inputs
are new for every call, so that code which remembers an answer by the tensor that it was given has to compute it again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch

from harness.core.case import Case, is_float
from harness.core.claim import NotSupported
from harness.core.contract import Contract
from harness.core.implementation import Answer, Request
from harness.core.tree import Path, dotted, map_leaves
from harness.core.values import Resource
from harness.execution import call as chokepoint
from harness.execution.bound_call import Ready
from harness.execution.gradients import incoming_gradients
from harness.execution.session import Adapter, Session
from harness.execution.tensor_copies import is_unchanged
from harness.execution.timed_backward import Reader, forward_only, with_autograd, without_autograd
from harness.execution.timed_calls import made, one_after_the_other, resolved

Starter = Callable[["Prepared", Case], Ready]
"""Makes the calls before the timed ones of a loaded case, and makes the timed ones ready."""


class Prepared:
    """``prepared()`` returns a call to be timed; ``answer`` and ``changed`` are about the call that was prepared last.

    ``whole``: all calls but ``build`` are timed, else the last. ``fresh``: a timed call changes what it is called on,
    so that what goes before is run again for each. ``around``: in force during their calls.

    ``session``: what made the calls so far, and ``outputs`` what they returned; both for the starter.
    ``notes``: what a person should know of the timed calls.

    Raises what their code raises, on its first call. The call that is returned is their code: whoever makes it goes
    through :func:`harness.execution.call.invoke`, for a whole round of calls at a time.
    """

    def __init__(
        self,
        contract: Contract,
        request: Request,
        start: Starter,
        *,
        whole: bool = False,
        fresh: bool = False,
        around: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        self.contract, self.request, self.start, self.fresh, self.around = contract, request, start, fresh, around
        calls = request.case.calls
        self.first = len(calls) - 1 if not whole else int(calls[0].method == "build")
        self.session: Session | None = None
        self.outputs: list[Any] = []
        self.notes: tuple[str, ...] = ()
        self._kept: dict[Path, Any] = {}
        """Arguments that are loaded once."""
        self._differentiable: dict[Path, str] = {}
        """Where the arguments stand that have a gradient, and their labels."""
        self._read: Reader = lambda raw: (raw, {})
        self._incoming: list[torch.Tensor] = []
        self._given: list[tuple[str, torch.Tensor, torch.Tensor]] = []
        self.answer(chokepoint.invoke(self()))

    def __call__(self) -> Callable[[], Any]:
        """A call of their code, ready to be timed."""
        if self.fresh:
            self._kept, self.session = {}, None
        with self.around():
            ready = chokepoint.invoke(self.start, self, self._loaded())
            call, self._read = forward_only(ready)
            if self.request.gradients is not None:
                call, self._read = chokepoint.invoke(self._there_and_back, ready)
        if ready.wait is not None:
            call = partial(_waited_for, ready.wait, call)
        self.notes = tuple(dict.fromkeys((*self.notes, *ready.notes, *(self.session.notes if self.session else ()))))
        return call if self.around is nullcontext else partial(_within, self.around, call)

    def answer(self, raw: Any) -> Answer:
        """What the call that was prepared last returned, as the contract speaks of it, and the gradients."""
        value, gradients = chokepoint.invoke(self._read, raw)
        outputs = tuple(value) if len(self.request.case.calls) - self.first > 1 else (value,)
        if self.request.gradients is not None and self.session is not None:
            self.session.after_backward(gradients)
        return Answer(
            tuple(map_leaves(list(outputs), lambda _, leaf: leaf.detach() if torch.is_tensor(leaf) else leaf)),
            gradients,
        )

    def changed(self) -> str:
        """The label of the first argument that was written to, or an empty text."""
        return next((label for label, original, passed in self._given if not is_unchanged(passed, original)), "")

    def _loaded(self) -> Case:
        """The case on plain tensors: inputs are made again, the rest is as it was loaded first."""
        backward = self.request.gradients is not None
        given: list[tuple[str, torch.Tensor, torch.Tensor]] = []
        labels: set[str] = set()
        roles = {m: {a.name: a.role for a in s.arguments} for m, s in self.contract.calls.items()}

        def load(path: Path, leaf: Any) -> Any:
            at, name = int(path[0]), str(path[1])
            role = roles.get(self.request.case.calls[at].method, {}).get(name, "setting")
            if path in self._kept and role != "input":
                passed = self._kept[path]
            elif isinstance(leaf, Resource):
                passed = self._kept[path] = leaf.load()
            elif torch.is_tensor(leaf):
                passed = leaf.detach().clone(memory_format=torch.contiguous_format)
                if backward and is_float(leaf) and role != "setting":
                    passed.requires_grad_()
                self._kept[path] = passed
            else:
                return leaf
            if torch.is_tensor(passed):
                given.append((dotted(path[1:]), leaf, passed))
                if passed.requires_grad:
                    label = dotted(path[1:]) if dotted(path[1:]) not in labels else f"{dotted(path[1:])}@{at}"
                    labels.add(label)
                    self._differentiable[path] = label
            return passed

        case = self.request.case.mapped(load)
        self._given = given
        return case

    def _there_and_back(self, ready: Ready) -> tuple[Callable[[], Any], Reader]:
        """A call forwards and back."""
        if not self._incoming:
            with torch.enable_grad():
                result = ready.value(ready.call())
            self._incoming = [gradient for _, gradient in incoming_gradients(result, self.request)]
        if ready.backward is not None:
            return without_autograd(ready, self._incoming, self._differentiable)
        wanted = {label: self._kept[path] for path, label in self._differentiable.items()}
        wanted |= {name: tensor for name, tensor in self._learned().items() if tensor.requires_grad}
        return with_autograd(ready, self._incoming, wanted)

    def _learned(self) -> Mapping[str, torch.Tensor]:
        """What the object that was built trains."""
        found = {} if self.session is None else self.session.parameters()
        return {name: tensor for name, tensor in found.items() if torch.is_tensor(tensor)}


def by_adapter(adapter: Adapter) -> Starter:
    """A case is started, and its timed calls made ready, by the session of an adapter."""

    def start(prepared: Prepared, case: Case) -> Ready:
        calls, first = case.calls, prepared.first
        if prepared.session is None:
            prepared.session = adapter.session(prepared.contract, prepared.request)
            with torch.set_grad_enabled(prepared.request.gradients is not None):
                prepared.outputs = []
                for at in range(first):
                    prepared.outputs.append(made(prepared.session, calls, at, prepared.outputs))
        session = prepared.session
        steps = [session.ready(resolved(calls, at, prepared.outputs)) for at in range(first, len(calls))]
        return steps[0] if len(steps) == 1 else one_after_the_other(steps, first)

    return start


def by_function(make: Callable[[Case], Callable[[], Any] | None]) -> Starter:
    """The timed part is made from the whole case by a function of a contract sheet.

    Raises NotSupported where it makes none.
    """

    def start(prepared: Prepared, case: Case) -> Ready:
        call = make(case)
        if call is None:
            raise NotSupported("its library is not installed here, or cannot do it")
        return Ready(call)

    return start


def _waited_for(wait: Callable[[Any], Any], call: Callable[[], Any]) -> Any:
    return wait(call())


def _within(around: Callable[[], AbstractContextManager[Any]], call: Callable[[], Any]) -> Any:
    with around():
        return call()


__all__ = ["Prepared", "by_adapter", "by_function"]
