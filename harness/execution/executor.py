"""The executor itself: clones what goes in, watches for side effects, turns what their code raises into a Crash.

No other code touches the implementation.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import torch

from harness.core.case import CALL, HARNESS_STEP, Call, Case, is_float
from harness.core.claim import NotSupported
from harness.core.contract import Contract
from harness.core.errors import CannotMatch
from harness.core.formatting import said
from harness.core.implementation import Answer, Crash, CrashKind, MeasuredOutput, Offer, Phase, Request
from harness.core.tree import dotted, leaves, map_leaves
from harness.core.values import Earlier, Given, Resource, load_function
from harness.execution import environment
from harness.execution.error_hints import hint
from harness.execution.functions import Adapter, Session, invoke
from harness.execution.memory_footprint import bytes_held
from harness.execution.source_location import source_location
from harness.execution.time_limit import TimedOut, TimeLimit
from harness.execution.timed_script import Prepared, by_adapter
from harness.stubs import dependencies as waiting

HERE = str(Path(__file__).resolve().parents[1])
Middleware = Callable[..., Any]


class Executor:
    """An Implementation in this process.

    ``adapters``: component name -> how it is called. ``around``: a context manager in force during every run (a known
    mistake switched on, say). ``middleware(call, method, arguments, request)``: stands between the script and their code;
    used to sabotage right components. ``time_limit``: seconds for one script, 0 for none. ``trusted``: our own reference, whose
    side effects nobody looks at; only its random numbers are seeded and put back.
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
    ) -> None:
        self.name, self.adapters, self.contracts = name, dict(adapters), contracts
        self.watched = environment.seeded if trusted else environment.watched
        self.around, self.middleware, self.time_limit = around, middleware, time_limit
        self.components = tuple(self.adapters)
        self.places: dict[str, tuple[str, int]] = {}
        self._unfinished: dict[str, str] = dict.fromkeys(self.adapters, "") if trusted else {}

    def offers(self, component: str) -> Offer | None:
        adapter = self.adapters.get(component)
        if adapter is None:
            return None
        if component not in self.places:  # finding a class in its file takes 10 ms
            self.places[component] = getattr(adapter, "place", None) or source_location(adapter.source)
        where, line = self.places[component]
        if why := self.to_do(component):  # nothing of it is built or called
            return Offer(component, where, line, to_do=why)
        backward = getattr(adapter, "backward", None)
        if backward is None:
            return Offer(component, where, line, adapter.kind, adapter.absent, adapter.notes)
        by_hand = (backward.name, *source_location(backward.function))
        return Offer(component, where, line, adapter.kind, adapter.absent, adapter.notes, by_hand)

    def to_do(self, component: str) -> str:
        """Why a component that is there is not written yet, told without calling it; an empty text where it is."""
        if component not in self._unfinished:
            adapter = self.adapters[component]
            told = getattr(adapter, "to_do", "")
            self._unfinished[component] = told or waiting.as_a_whole(adapter.source, self.contracts[component])
        return self._unfinished[component]

    def run(self, request: Request) -> Answer:
        adapter = self.adapters.get(request.component)
        if adapter is None:
            return Answer(crash=Crash(CrashKind.TO_DO, "", f"{self.name} has no {request.component}"))
        if why := self.to_do(request.component):
            return Answer(crash=Crash(CrashKind.TO_DO, "", why))
        contract = self.contracts[request.component]
        with self.around(), self.watched(request) as effects, TimeLimit(self.time_limit):
            script = _Script(contract, request, self.middleware)
            answer = script.run(adapter)
        return replace(answer, effects=(*answer.effects, *effects))

    def prepared(self, request: Request, *, whole: bool = False, fresh: bool = False) -> Prepared:
        """Their code without this executor, for timing it: see :class:`harness.execution.timed_script.Prepared`.

        Raises NotSupported with the reason where there is nothing to time: it is absent, to do, not supported, or it raises.
        """
        adapter = self.adapters.get(request.component)
        if adapter is None:
            raise NotSupported(f"{self.name} has no {request.component}")
        if why := self.to_do(request.component):
            raise NotSupported(f"to do: {why}")
        contract, start = self.contracts[request.component], by_adapter(adapter)
        try:
            with TimeLimit(self.time_limit):
                return Prepared(contract, request, start, whole=whole, fresh=fresh, around=self.around)
        except NotSupported:
            raise
        except NotImplementedError as error:
            raise NotSupported(f"to do: {error}") from error
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            part = waiting.behind(error) or (
                waiting.beneath(adapter.source, modules=True) if isinstance(error, CannotMatch) else ""
            )
            raise NotSupported(f"to do: {part}" if part else f"it raises {type(error).__name__}: {error}") from error


class _Script:
    """One run of one request."""

    def __init__(self, contract: Contract, request: Request, middleware: Middleware | None) -> None:
        self.contract, self.request, self.middleware = contract, request, middleware
        self.leaves: dict[str, torch.Tensor] = {}
        self.labels: dict[tuple[Any, ...], str] = {}
        self.kept: list[Any] = []
        self.outputs: list[Any] = []
        self.shown: list[Any] = []
        self.handed: list[tuple[str, Mapping[str, Any]]] = []
        self.effects: list[str] = []
        self.facts: dict[str, float] = {}
        self.lent: list[tuple[str, torch.Tensor, torch.Tensor]] = []
        self.phase, self.at = Phase.FORWARD, 0

    def run(self, adapter: Adapter) -> Answer:
        gradients: dict[str, Any] = {}
        try:
            session = adapter.session(self.contract, self.request)
            with _gradient_context(self.request):
                for at, call in enumerate(self.request.case.calls):
                    self.at = at
                    output = self._ours(call) if call.method == HARNESS_STEP else self._one(session, call)
                    self.outputs.append(output)
                    self.shown.append(self._as_shown(call, output))
            self.effects += [f"{what} was changed by a later call" for what, a, b in self.lent if not _unchanged(a, b)]
            if self.request.gradients is not None:
                self.phase = Phase.BACKWARD
                gradients = self._backward(session)
            if _lacks_something(self.outputs) and (part := waiting.beneath(adapter.source)):
                return self._crash(CrashKind.TO_DO, NotImplementedError(part))
            if self.request.weigh:
                self.facts |= self._weights(getattr(session, "built", None))
            outputs = tuple(map_leaves(self.shown, lambda _, leaf: _detached(leaf)))
            return Answer(outputs, gradients, tuple(self.effects), None, self.facts)
        except NotSupported as error:
            return self._crash(CrashKind.NOT_SUPPORTED, error)
        except NotImplementedError as error:
            return self._crash(CrashKind.TO_DO, error)
        except TimedOut as error:
            return self._crash(CrashKind.TIMED_OUT, error)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # an exit, a pytest.skip of theirs, a panic in an extension written in Rust
            part = waiting.behind(error)
            if not part and isinstance(error, CannotMatch):
                part = waiting.beneath(adapter.source, modules=True)
            return (
                self._crash(CrashKind.TO_DO, NotImplementedError(part))
                if part
                else self._crash(CrashKind.RAISED, error)
            )

    def _one(self, session: Session, call: Call) -> Any:
        signature = self.contract.calls.get(call.method)
        roles = {a.name: a.role for a in signature.arguments} if signature else {}
        kept: list[Any] = []
        given = map_leaves(dict(call.arguments), lambda path, leaf: self._given(path, leaf, roles, kept))
        self.handed.append((call.method, given))
        numbers = signature is not None and signature.result == "number"

        def through(arguments: Mapping[str, Any]) -> Any:
            heard = self._heard(session.call(call.with_arguments(arguments)))
            return _as_number(heard) if numbers else heard

        if self.middleware is None:
            output = through(given)
        else:
            output = self._heard(self.middleware(through, call.method, given, self.request))
        self.effects += [
            f"{name} was changed in place by {call.method}()"
            for name, value in call.arguments.items()
            if _is_flat(value) and given[name] != value
        ]
        self.kept = kept
        for label, original, passed in kept:
            if not _unchanged(passed, original):
                self.effects.append(
                    f"{label} was changed in place by {call.method}()"
                    if call.method != CALL
                    else f"{label} was changed in place"
                )
            elif self.at + 1 < len(self.request.case.calls):
                self.lent.append((f"{label}, given to {call.method}(),", passed, original))
        return output

    def _ours(self, call: Call) -> Any:
        """A line of our own between their calls."""
        roles = dict.fromkeys(call.arguments, "setting")
        given = map_leaves(dict(call.arguments), lambda path, leaf: self._given(path, leaf, roles, []))
        return load_function(given.pop("do"))(**given)

    def _as_shown(self, call: Call, output: Any) -> Any:
        """What the answer holds of an output: of a live one a copy as of now, of our own lines no objects."""
        if call.method == HARNESS_STEP:
            return map_leaves(output, lambda _, leaf: leaf if _is_plain(leaf) else f"<{type(leaf).__name__}>")
        signature = self.contract.calls.get(call.method)
        if signature is not None and signature.objects:
            return None if output is None and not signature.result.startswith("nothing") else "(objects)"
        if signature is not None and signature.live:
            return map_leaves(output, lambda _, leaf: leaf.detach().clone() if torch.is_tensor(leaf) else leaf)
        return output

    def _weights(self, built: Any) -> dict[str, float]:
        """Bytes held by the object that was built, and by what each call returned (of a method called twice, the last)."""
        returned = zip(self.request.case.calls, self.outputs, strict=True)
        found = {
            f"bytes of {call.method}()": float(bytes_held(output)) for call, output in returned if output is not None
        }
        return found if built is None else {**found, "bytes": float(bytes_held(built))}

    def _heard(self, output: Any) -> Any:
        """What was returned; facts that came with it are kept apart."""
        if not isinstance(output, MeasuredOutput):
            return output
        self.facts.update(output.facts)
        return output.value

    def _given(self, path: tuple[Any, ...], leaf: Any, roles: Mapping[str, str], kept: list[Any]) -> Any:
        if isinstance(leaf, Resource):
            return leaf.load()
        if isinstance(leaf, Given):
            return next(given[leaf.argument] for method, given in reversed(self.handed) if method == leaf.method)
        if isinstance(leaf, Earlier):
            value = self._returned(leaf)
            if type(value) is torch.Tensor:
                kept.append((dotted(path), value.detach().clone(), value))
            return value
        if not torch.is_tensor(leaf):
            return leaf
        label = dotted(path)
        passed = _clone(leaf)
        if self.request.gradients is not None and is_float(leaf) and roles.get(path[0]) != "setting":
            # The clone handed over is not a leaf: a write in place then shows as a changed argument, with its
            # gradient still right, rather than as autograd's refusal to write to a leaf.
            start = passed.requires_grad_()
            self.labels[(self.at, *path)] = name = label if label not in self.leaves else f"{label}@{self.at}"
            self.leaves[name] = start
            passed = _view_clone(start)
        kept.append((label, leaf, passed))
        return passed

    def _returned(self, earlier: Earlier) -> Any:
        """What an earlier call of this script returned, the very object."""
        made = zip(self.request.case.calls, self.outputs, strict=False)
        value = [output for call, output in made if call.method == earlier.method][-1 - earlier.back]
        if earlier.entry is None:
            return value
        if not isinstance(value, (list, tuple)) or len(value) <= earlier.entry:
            raise TypeError(
                f"{earlier.method}() must return at least {earlier.entry + 1} values; it returned a {type(value).__name__}"
            )
        return value[earlier.entry]

    def _backward(self, session: Session) -> dict[str, Any]:
        drawn = self._cotangents()
        before = [cotangent.clone() for _, cotangent in drawn]
        own = getattr(session, "gradients", None)
        found = self._by_autograd(session, drawn) if own is None else self._by_their_own(own, drawn)
        if any(not _same(a, b) for (_, a), b in zip(drawn, before, strict=True)):
            self.effects.append("the incoming gradient was changed in place")
        return found

    def _cotangents(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Every floating-point tensor of the last result, with its incoming gradient."""
        drawn = []
        generator = torch.Generator().manual_seed(self.request.gradients or 0)
        for _, leaf in leaves(self.outputs[-1]):
            if is_float(leaf):
                random_values = torch.randn(leaf.shape, generator=generator, dtype=torch.float32)
                if self.request.output_part is not None:
                    random_values = _only(random_values, *self.request.output_part)
                drawn.append((leaf, random_values.to(leaf.dtype).to(leaf.device)))
        return drawn

    def _by_autograd(self, session: Session, drawn: list[tuple[torch.Tensor, torch.Tensor]]) -> dict[str, Any]:
        live = {name: value for name, value in session.parameters().items() if torch.is_tensor(value)}
        for value in live.values():
            if value.requires_grad and value.is_leaf:
                value.grad = None
        found: dict[str, Any] = dict.fromkeys((*self.leaves, *live))
        drawn = [(leaf, cotangent) for leaf, cotangent in drawn if leaf.requires_grad]
        if drawn:
            torch.autograd.backward([leaf for leaf, _ in drawn], [cotangent for _, cotangent in drawn])
            for name, leaf in (*self.leaves.items(), *live.items()):
                gradient = _gradient_of(leaf)
                if (
                    gradient is not None
                ):  # of an argument and a live tensor of one name, the one that was reached counts
                    found[name] = gradient
        after = getattr(session, "after_backward", None)
        if after is not None:
            after(found)
        return found

    def _by_their_own(self, own: Callable[..., Any], drawn: list[tuple[torch.Tensor, torch.Tensor]]) -> dict[str, Any]:
        """Gradients that the session gives without autograd: another library's, or a hand-written function's."""
        found = {**dict.fromkeys(self.leaves), **own([cotangent for _, cotangent in drawn], self.labels)}
        changed = [label for label, original, passed in self.kept if not _unchanged(passed, original)]
        written = [f"{label} was changed in place by its backward function" for label in changed]
        self.effects += [
            text for text in written if not any(e.startswith(text.partition(" by ")[0]) for e in self.effects)
        ]
        return found

    def _crash(self, kind: CrashKind, error: BaseException) -> Answer:
        limit = f"{type(error).__name__}"
        message = said(error) or limit
        if kind == CrashKind.RAISED and (advice := hint(message)):
            message = f"{message} ({advice})"
        crash = Crash(kind, limit, message, _frames(error), self.phase, self.at)
        outputs = tuple(map_leaves(self.shown, lambda _, leaf: _detached(leaf)))
        return Answer(outputs, {}, tuple(self.effects), crash)


def _as_number(output: Any) -> Any:
    """A number as a tensor [] of float64, whether it is Python's, NumPy's or a tensor; what is none as it came."""
    if isinstance(output, (int, float, numpy.integer, numpy.floating)) and not isinstance(output, bool):
        return torch.tensor(float(output), dtype=torch.float64)
    if torch.is_tensor(output) and output.numel() == 1 and not output.is_complex():
        return output.detach().double().reshape(())
    return output


def _clone(tensor: torch.Tensor) -> torch.Tensor:
    """A copy with the same strides (an expanded or transposed argument stays one)."""
    if tensor.is_contiguous():
        return tensor.detach().clone()
    if 0 in tensor.stride():  # expanded: copy the memory behind it, expand again
        narrow = tensor
        for axis, step in enumerate(tensor.stride()):
            if step == 0 and tensor.shape[axis] > 1:
                narrow = narrow.narrow(axis, 0, 1)
        return narrow.detach().clone().expand(tensor.shape)
    copy = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=tensor.device)
    return copy.copy_(tensor.detach())


def _view_clone(start: torch.Tensor) -> torch.Tensor:
    """A non-leaf tensor with the values and strides of ``start`` through which gradients flow back to it."""
    if start.is_contiguous() or 0 in start.stride():
        return start.clone() if start.is_contiguous() else start.view_as(start)
    return start.clone(memory_format=torch.preserve_format)


def _gradient_of(tensor: torch.Tensor) -> torch.Tensor | None:
    """The gradient that reached a tensor; of a view of a learned tensor (its transpose, say), that tensor's, viewed alike."""
    base = tensor if tensor.is_leaf else tensor._base
    if base is None or not base.is_leaf or base.grad is None:
        return None
    gradient = base.grad.detach().to_dense()  # a sparse one is legal
    if base is tensor:
        return gradient.clone()
    alike = torch.empty_strided(base.shape, base.stride(), dtype=gradient.dtype, device=gradient.device).copy_(gradient)
    return alike.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset() - base.storage_offset()).clone()


def _lacks_something(outputs: list[Any]) -> bool:
    """Whether the last call returned None, or None among other things."""
    last = outputs[-1] if outputs else ()
    return last is None or (isinstance(last, tuple) and any(entry is None for entry in last))


def _is_plain(leaf: Any) -> bool:
    """Whether it can pass the executor: a tensor, a number, a text or nothing."""
    return torch.is_tensor(leaf) or leaf is None or type(leaf) in (bool, int, float, str, bytes)


def _is_flat(value: Any) -> bool:
    """Whether it is a list or dictionary of plain values (ids, names, a vocabulary)."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else (None,)
    return all(type(entry) in (int, float, str, bytes) for entry in inner)


def _unchanged(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape and _same(one, other)


def _only(values: torch.Tensor, axis: int, start: int, stop: int) -> torch.Tensor:
    """The values from ``start`` to ``stop`` along an axis (where there is such an axis), zeros elsewhere."""
    if values.dim() <= axis:
        return values
    place = torch.arange(values.shape[axis]).view(-1, *(1,) * (values.dim() - axis - 1))
    return torch.where((place >= start) & (place < stop), values, torch.zeros_like(values))


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    one, other = one.detach(), other.detach()
    if torch.equal(one, other):
        return True
    return bool(
        is_float(one)
        and torch.equal(torch.isnan(one), torch.isnan(other))
        and torch.equal(torch.nan_to_num(one), torch.nan_to_num(other))
    )


def _detached(leaf: Any) -> Any:
    """The tensor without its history, of the same class; a later write of theirs cannot change it."""
    return leaf.detach().clone() if type(leaf) is torch.Tensor else leaf


def _gradient_context(request: Request) -> AbstractContextManager[Any]:
    if request.context == "inference":
        return torch.inference_mode()
    return torch.enable_grad() if request.gradients is not None else nullcontext()


def _frames(error: BaseException) -> tuple[str, ...]:
    """Their own frames, as Python prints them; ours and the libraries' left out."""
    libraries = (HERE, sys.prefix, sys.base_prefix, "<frozen")
    found = []
    for frame in traceback.extract_tb(error.__traceback__):
        if not frame.filename.startswith(libraries):
            found.append(f"{frame.filename}:{frame.lineno}, in {frame.name}\n    {frame.line or ''}".rstrip())
    return tuple(found)


__all__ = ["Case", "Executor", "TimedOut", "invoke"]
