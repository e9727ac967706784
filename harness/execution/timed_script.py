"""A script of which some calls are timed: everything else is done beforehand, and looked at afterwards.

What is timed is their call alone, on plain contiguous tensors: nothing is cloned, watched or checked meanwhile. Inputs
are fresh for every call, so that code which remembers an answer by the tensor that it was given has to compute it again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch

from harness.core.case import HARNESS_STEP, Call, Case, is_float
from harness.core.claim import NotSupported
from harness.core.contract import Contract
from harness.core.implementation import Answer, MeasuredOutput, Request
from harness.core.tree import Path, dotted, leaves, map_leaves
from harness.core.values import Earlier, Given, Resource, load_function
from harness.execution.bound_call import Ready
from harness.execution.session import Adapter, Session

Starter = Callable[["Prepared", Case], Ready]
"""Plays what goes before the timed calls of a loaded script, and makes these ready."""


class Prepared:
    """``prepared()`` returns a call to be timed; ``answer`` and ``changed`` are about the call that was prepared last.

    ``whole``: all calls but ``build`` are timed, else the last. ``fresh``: a timed call changes what it is called on, so
    that what goes before is run anew for each. ``around``: in force during their calls.
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
        self.kept: dict[Path, Any] = {}
        self.differentiable: dict[Path, str] = {}
        """Where the arguments stand that have a gradient, and their labels."""
        self.live: dict[str, torch.Tensor] = {}
        self.session: Session | None = None
        self.outputs: list[Any] = []
        self.read: Callable[[Any], tuple[Any, dict[str, Any]]] = lambda raw: (raw, {})
        self.incoming: list[torch.Tensor] = []
        self.given: list[tuple[str, torch.Tensor, torch.Tensor]] = []
        self.notes: tuple[str, ...] = ()
        self.answer(self()())  # what it raises, it raises here

    def __call__(self) -> Callable[[], Any]:
        """A call of theirs, ready to be timed."""
        if self.fresh:
            self.kept, self.session = {}, None
        with self.around():
            ready = self.start(self, self._loaded())
            call = self._there_and_back(ready) if self.request.gradients is not None else self._there(ready)
        if ready.wait is not None:
            call = partial(_waited_for, ready.wait, call)
        self.notes = tuple(dict.fromkeys((*self.notes, *ready.notes, *(self.session.notes if self.session else ()))))
        return call if self.around is nullcontext else partial(_within, self.around, call)

    def answer(self, raw: Any) -> Answer:
        """What the call that was prepared last returned, as the contract speaks of it, and the gradients."""
        value, gradients = self.read(raw)
        outputs = tuple(value) if len(self.request.case.calls) - self.first > 1 else (value,)
        after = getattr(self.session, "after_backward", None)
        if self.request.gradients is not None and after is not None:
            after(gradients)
        return Answer(
            tuple(map_leaves(list(outputs), lambda _, leaf: leaf.detach() if torch.is_tensor(leaf) else leaf)),
            gradients,
        )

    def changed(self) -> str:
        """The first argument that is not what it was, or an empty text."""
        for label, original, passed in self.given:
            now, then = passed.detach(), original
            if now.shape != then.shape or not (torch.equal(now, then) or _same_but_for_nan(now, then)):
                return label
        return ""

    # beforehand ------------------------------------------------------------------------------------------------------

    def _loaded(self) -> Case:
        """The script on plain tensors: inputs anew, the rest as it was loaded first."""
        backward, given = self.request.gradients is not None, []
        labels: set[str] = set()
        roles = {m: {a.name: a.role for a in s.arguments} for m, s in self.contract.calls.items()}

        def load(path: Path, leaf: Any) -> Any:
            at, name = int(path[0]), str(path[1])
            role = roles.get(self.request.case.calls[at].method, {}).get(name, "setting")
            if path in self.kept and role != "input":
                passed = self.kept[path]
            elif isinstance(leaf, Resource):
                passed = self.kept[path] = leaf.load()
            elif torch.is_tensor(leaf):
                passed = leaf.detach().clone(memory_format=torch.contiguous_format)
                if backward and is_float(leaf) and role != "setting":
                    passed.requires_grad_()
                self.kept[path] = passed
            else:
                return leaf
            if torch.is_tensor(passed):
                given.append((dotted(path[1:]), leaf, passed))
                if passed.requires_grad:
                    label = dotted(path[1:]) if dotted(path[1:]) not in labels else f"{dotted(path[1:])}@{at}"
                    labels.add(label)
                    self.differentiable[path] = label
            return passed

        case = self.request.case.mapped(load)
        self.given = given
        return case

    def _there(self, ready: Ready) -> Callable[[], Any]:
        self.read = lambda raw: (ready.value(raw), {})
        return ready.call

    def _there_and_back(self, ready: Ready) -> Callable[[], Any]:
        """Forwards, and the gradients of every argument and parameter for incoming gradients that stay the same."""
        if not self.incoming:
            with torch.enable_grad():
                self.incoming = self._cotangents(ready.value(ready.call()))
        if ready.backward is not None:
            call, found = ready.backward(self.incoming, self.differentiable)

            def read_both(raw: Any) -> tuple[Any, dict[str, Any]]:
                out, gradients = found(raw)
                return None if out is None else ready.value(out), gradients

            self.read = read_both
            return call
        own = {label: self.kept[path] for path, label in self.differentiable.items()}
        own |= {name: tensor for name, tensor in self._live().items() if tensor.requires_grad}
        made, handed = [m for m, _ in ready.handed], [leaf for _, leaf in ready.handed]
        wanted, incoming, value = [*own.values(), *handed], self.incoming, ready.value
        call = ready.call
        gradient = torch.autograd.grad

        def there_and_back() -> Any:
            out = call()
            slopes = [leaf for _, leaf in leaves(value(out)) if is_float(leaf)]
            return out, gradient(slopes, wanted, incoming, allow_unused=True)

        def read(pair: Any) -> tuple[Any, dict[str, Any]]:
            out, found = pair
            gradients = dict(zip(own, found, strict=False))
            reached = [
                (m, g) for m, g in zip(made, found[len(own) :], strict=True) if g is not None and m.requires_grad
            ]
            if reached:
                inputs, through = list(own.values()), [m for m, _ in reached]
                more = gradient(through, inputs, [g for _, g in reached], retain_graph=True, allow_unused=True)
                for name, one in zip(own, more, strict=True):
                    if one is not None:
                        gradients[name] = one if gradients[name] is None else gradients[name] + one
            return value(out), gradients

        self.read = read
        return there_and_back

    def _live(self) -> Mapping[str, torch.Tensor]:
        """What the object that was built trains."""
        found = {} if self.session is None else self.session.parameters()
        return {name: tensor for name, tensor in found.items() if torch.is_tensor(tensor)}

    def _cotangents(self, value: Any) -> list[torch.Tensor]:
        """Incoming gradients as the executor draws them, for every floating-point tensor of the result."""
        generator = torch.Generator().manual_seed(self.request.gradients or 0)
        floats = [leaf for _, leaf in leaves(value) if is_float(leaf)]
        drawn = [torch.randn(leaf.shape, generator=generator, dtype=torch.float32) for leaf in floats]
        return [cotangent.to(leaf.dtype).to(leaf.device) for cotangent, leaf in zip(drawn, floats, strict=True)]


def by_adapter(adapter: Adapter) -> Starter:
    """A script is started, and its timed calls made ready, by the session of an adapter."""

    def start(prepared: Prepared, case: Case) -> Ready:
        calls, first = case.calls, prepared.first
        if prepared.session is None:
            prepared.session = adapter.session(prepared.contract, prepared.request)
            with torch.set_grad_enabled(prepared.request.gradients is not None):
                prepared.outputs = []
                for at in range(first):
                    prepared.outputs.append(_played(prepared.session, calls, at, prepared.outputs))
        session = prepared.session
        if len(calls) - first == 1:
            return session.ready(_resolved(calls, first, prepared.outputs))
        return _one_after_the_other(
            [session.ready(_resolved(calls, at, prepared.outputs)) for at in range(first, len(calls))], first
        )

    return start


def by_function(make: Callable[[Case], Callable[[], Any] | None]) -> Starter:
    """The timed part is made from the whole script by a function of a contract sheet. Raises NotSupported where it makes none."""

    def start(prepared: Prepared, case: Case) -> Ready:
        call = make(case)
        if call is None:
            raise NotSupported("its library is not installed here, or cannot do it")
        return Ready(call)

    return start


def _played(session: Session, calls: tuple[Call, ...], at: int, outputs: list[Any]) -> Any:
    call = _resolved(calls, at, outputs)
    if call.method == HARNESS_STEP:
        arguments = dict(call.arguments)
        return load_function(arguments.pop("do"))(**arguments)
    returned = session.call(call)
    return returned.value if isinstance(returned, MeasuredOutput) else returned


def _resolved(calls: tuple[Call, ...], at: int, outputs: list[Any]) -> Call:
    """The call with what earlier ones returned or were given; what is yet to be returned as a mark."""

    def resolve(_: Path, leaf: Any) -> Any:
        if isinstance(leaf, Given):
            return next(c.arguments[leaf.argument] for c in reversed(calls[:at]) if c.method == leaf.method)
        if not isinstance(leaf, Earlier):
            return leaf
        which = [i for i, c in enumerate(calls[:at]) if c.method == leaf.method][-1 - leaf.back]
        if which >= len(outputs):
            return _Later(which, leaf.entry)
        return outputs[which] if leaf.entry is None else outputs[which][leaf.entry]

    return calls[at].with_arguments(map_leaves(dict(calls[at].arguments), resolve))


class _Later:
    """What a call returns that is yet to be made."""

    def __init__(self, at: int, entry: int | None) -> None:
        self.at, self.entry = at, entry


def _one_after_the_other(steps: list[Ready], first: int) -> Ready:
    """Several calls as one, each handed what those before it returned."""
    plan = []
    for step in steps:
        if not isinstance(step.call, partial) or step.handed or step.backward:
            raise NotSupported("calls of such an adapter cannot be timed one after the other")
        plan.append((step.call.func, step.call.args, step.call.keywords))

    def all_of_them() -> list[Any]:
        returned: list[Any] = []

        def now(value: Any) -> Any:
            if not isinstance(value, _Later):
                return value
            earlier = returned[value.at - first]
            return earlier if value.entry is None else earlier[value.entry]

        for function, args, keywords in plan:
            returned.append(function(*map(now, args), **{name: now(value) for name, value in keywords.items()}))
        return returned

    def values(raw: list[Any]) -> list[Any]:
        return [step.value(one) for step, one in zip(steps, raw, strict=True)]

    return Ready(all_of_them, values, steps[-1].wait)


def _same_but_for_nan(one: torch.Tensor, other: torch.Tensor) -> bool:
    return (
        is_float(one) and torch.equal(one.isnan(), other.isnan()) and torch.equal(one.nan_to_num(), other.nan_to_num())
    )


def _waited_for(wait: Callable[[Any], Any], call: Callable[[], Any]) -> Any:
    return wait(call())


def _within(around: Callable[[], AbstractContextManager[Any]], call: Callable[[], Any]) -> Any:
    with around():
        return call()


__all__ = ["Prepared", "by_adapter", "by_function"]
