"""A plain function, or a class (or factory) whose methods are the calls of the contract."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from harness.core.case import CALL, Call
from harness.core.claim import Misfit, NotSupported
from harness.core.contract import Argument, Contract, Signature
from harness.core.implementation import OfferKind, Request
from harness.core.values import Settings, TrackedSettings, TrackedWeights, tracked_weights
from harness.execution import call as chokepoint
from harness.execution.arguments import bound, unnamed_tensors, untaken
from harness.execution.bound_call import Ready
from harness.execution.lazy import read_to_the_end, watched
from harness.execution.misfits import PlugIn, never_given, plug_in
from harness.execution.session import Adapter, Session
from harness.stubs.detection import unfinished


class FunctionAdapter(Adapter):
    """A plain function with the contract's arguments."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.source = function
        self.lacking: set[str] = set()

    def session(self, contract: Contract, request: Request) -> Session:
        """A session for one request."""
        function = copy.deepcopy(self.source) if request.context == "deepcopied" else self.source
        return _FunctionSession(function, contract, self.lacking)

    @property
    def absent(self) -> tuple[str, ...]:
        """Optional tensors that it was seen not to read, see ``by_name`` of an Argument."""
        return tuple(sorted(self.lacking))

    def plug_in(self, contract: Contract) -> PlugIn:
        """What it needs to be called as the contract says."""
        return plug_in(self.source, contract.calls[CALL], contract.name)

    def never_given(self, contract: Contract) -> tuple[str, ...]:
        """Parameters that stay at their default."""
        return never_given(self.source, contract.calls[CALL])


class _FunctionSession(Session):
    """``lacking``: names of optional tensors that the function does not read; what is seen is added."""

    def __init__(self, function: Callable[..., Any], contract: Contract, lacking: set[str]) -> None:
        self.function, self.contract, self.lacking = function, contract, lacking

    def call(self, call: Call) -> Any:
        signature = self.contract.calls[CALL]
        self.lacking |= unnamed_tensors(self.function, signature, call.arguments)
        records = {n: TrackedSettings(value) for n, value in call.arguments.items() if isinstance(value, Settings)}
        read: set[str] = set()
        weights = {
            a.name: tracked_weights(call.arguments[a.name], read)
            for a in signature.arguments
            if a.role == "parameter" and any(field.by_name for field in _flat(a)) and a.name in call.arguments
        }
        result = chokepoint.invoke(bound(self.function, signature, {**call.arguments, **records, **weights}))
        for name, value in weights.items():
            argument = next(a for a in signature.arguments if a.name == name)
            unread = sorted(
                {f.name for f in _flat(argument) if f.by_name and f.name not in read and _has(value, f.name)}
            )
            if unread:
                self.lacking.update(unread)
                raise NotSupported(f"it takes no {', '.join(unread)}")
        for name, record in records.items():
            unread = untaken(next(a for a in signature.arguments if a.name == name).fields, record.known(), record.read)
            if unread:
                raise NotSupported(f"it takes no {', '.join(unread)}")
        return result

    def ready(self, call: Call) -> Ready:
        return Ready(bound(self.function, self.contract.calls[CALL], call.arguments))


def _flat(argument: Argument) -> list[Argument]:
    """An argument's fields, and theirs."""
    return [one for inner in argument.fields for one in (inner, *_flat(inner))]


def _has(value: Any, name: str) -> bool:
    """Whether a record of tensors of which something was read, or one in it, has a tensor of this name."""
    if isinstance(value, list):
        return any(_has(inner, name) for inner in value)
    if not isinstance(value, TrackedWeights) or not value.is_read:
        return False
    return any((key == name and inner is not None) or _has(inner, name) for key, inner in dict.items(value))


class ClassAdapter(Adapter):
    """A class or factory: ``build`` makes the object, every other call is a method of it.

    ``extra``: more arguments for the constructor, given where it takes them by name.
    """

    def __init__(self, build: Callable[..., Any], extra: Mapping[str, Any] | None = None) -> None:
        self.source, self.extra = build, dict(extra or {})

    @property
    def kind(self) -> OfferKind:
        """What reports call it."""
        return OfferKind.CLASS

    def session(self, contract: Contract, request: Request) -> Session:
        """A session for one request."""
        return _ObjectSession(self.source, contract, request, self.extra)

    def plug_in(self, contract: Contract) -> PlugIn:
        """What it needs to be built as the contract says."""
        return plug_in(self.source, contract.calls["build"], contract.name, self.extra)

    def never_given(self, contract: Contract) -> tuple[str, ...]:
        """Parameters of the constructor, and of the methods of a class, that stay at their default."""
        found = list(never_given(self.source, contract.calls["build"], self.extra))
        for name, signature in contract.calls.items():
            method = getattr(self.source, name, None) if inspect.isclass(self.source) else None
            if inspect.isfunction(method):
                rest = never_given(partial(method, None), signature)
                found += [f"{name}({one})" for one in rest]
        return tuple(found)


class UnwrittenAdapter(Adapter):
    """A module class that is not written yet: it is never built. ``why``: the reason, in words."""

    def __init__(self, source: type, why: str) -> None:
        self.source, self.why = source, why

    @property
    def kind(self) -> OfferKind:
        """What reports call it."""
        return OfferKind.MODULE

    @property
    def to_do(self) -> str:
        """Why it is to do."""
        return self.why

    def session(self, contract: Contract, request: Request) -> Session:
        """A session for one request."""
        raise NotImplementedError(self.why)


class MisfitAdapter(Adapter):
    """A class that is named like a component and cannot be plugged in: it is not built again.

    ``needs``: what it needs, in words; ``lines``: the shortest lines of Python that would plug it in. ``as_built``:
    how it is run with its own weights, for what holds whatever they are.
    """

    def __init__(self, source: type, needs: str, lines: tuple[str, ...], as_built: Adapter | None = None) -> None:
        self.source, self.needs, self.as_built = source, PlugIn(needs, lines), as_built

    @property
    def kind(self) -> OfferKind:
        """What reports call it."""
        return OfferKind.MODULE

    def plug_in(self, contract: Contract) -> PlugIn:
        """What it needs."""
        return self.needs

    def session(self, contract: Contract, request: Request) -> Session:
        """Raises Misfit."""
        raise Misfit(self.needs.needs)


class _ObjectSession(Session):
    def __init__(self, build: Callable[..., Any], contract: Contract, request: Request, extra: dict[str, Any]) -> None:
        self.build, self.contract, self.request, self.extra = build, contract, request, extra
        self.objects: dict[str, Any] = {}

    def call(self, call: Call) -> Any:
        signature = self.contract.calls[call.method]
        self.built = self.objects.get(call.of)
        if call.method == "build":
            self.objects[call.of] = self.built = self._build(signature, call.arguments)
            return None
        if signature.lazy:
            arguments, stream = watched(signature, call)
            results = chokepoint.invoke(bound(self._method(call, signature), signature, arguments))
            return chokepoint.invoke(read_to_the_end, results, stream)
        result = chokepoint.invoke(bound(self._method(call, signature), signature, call.arguments))
        return self._by_contract_names(result) if call.method == "parameters" else result

    def _build(self, signature: Signature, arguments: Mapping[str, Any]) -> Any:
        built = chokepoint.invoke(bound(self.build, signature, arguments, self.extra))
        if built is None:
            name = getattr(self.build, "__name__", "what builds it")
            raise TypeError(f"{name}() returned None, not what it builds: is a `return` missing?")
        return copy.deepcopy(built) if self.request.context == "deepcopied" else built

    def ready(self, call: Call) -> Ready:
        self.built = self.objects.get(call.of)
        # A contract sheet's class around somebody's object may have METHOD_ready(), which leaves its own work out.
        prepare = getattr(self.built, f"{call.method}_ready", None)
        if prepare is not None:
            return Ready(prepare(**call.arguments))
        signature = self.contract.calls[call.method]
        return Ready(bound(self._method(call, signature), signature, call.arguments))

    def _method(self, call: Call, signature: Signature) -> Callable[..., Any]:
        method: Callable[..., Any] | None = getattr(self.built, call.method, None)
        optional = call.method in self.contract.optional_methods
        if method is None:
            if optional:
                raise NotSupported(f"{type(self.built).__name__} has no method {call.method}()")
            if not callable(self.built) or call.method not in ("forward", CALL):
                raise NotImplementedError(f"{type(self.built).__name__} has no method {call.method}() yet")
            method = self.built
        may_be_empty = optional and signature.returns_only_nothing  # train() of a layer
        if not may_be_empty and (why := unfinished(method)):
            raise NotImplementedError(f"{call.method}() is to do: {why}")
        return method

    def parameters(self) -> Mapping[str, Any]:
        if "parameters" not in self.contract.calls:
            return {}
        live = getattr(self.built, "parameters", None)
        if callable(live):
            return self._by_contract_names(live())
        if "parameters" in self.contract.optional_methods:
            return {}
        raise NotImplementedError(f"{type(self.built).__name__} has no method parameters() yet")

    def _by_contract_names(self, found: Any) -> Mapping[str, Any]:
        """What ``parameters()`` returned; a torch module's generator becomes a dictionary with the contract's names."""
        if isinstance(found, Mapping):
            return found
        if not hasattr(self.built, "named_parameters"):
            raise TypeError(f"parameters() must return a dictionary of what is trained, not a {type(found).__name__}")
        wanted = {a.name: a for s in self.contract.calls.values() for a in s.arguments if a.role == "parameter"}
        known = sorted(((alias, n) for n, a in wanted.items() for alias in a.aliases), key=lambda pair: -len(pair[0]))
        named = {}
        for path, tensor in self.built.named_parameters():
            if tensor.requires_grad:
                fits = (name for alias, name in known if path == alias or path.endswith("." + alias))
                named[path if path in wanted else next(fits, path)] = tensor
        strange = [path for path in named if path not in wanted]
        if strange:
            raise NotImplementedError(
                f"parameters() must return a dictionary of what is trained, by the contract's names; "
                f"which is {', '.join(strange)}?"
            )
        return named
