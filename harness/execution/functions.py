"""How one component of somebody's code is called: a function, or a class (or factory) whose methods are the calls."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Container, Iterable, Mapping
from functools import partial
from typing import Any, Protocol

from harness.core.case import CALL, Call
from harness.core.claim import NotSupported
from harness.core.contract import Argument, Contract, Signature
from harness.core.implementation import Request
from harness.core.values import Settings, TrackedSettings
from harness.execution.bound_call import Ready
from harness.execution.environment import restored as nothing_disturbed
from harness.stubs.detection import unfinished


class Session(Protocol):
    """Plays the calls of one script, in order. Each script gets a session of its own."""

    def call(self, call: Call) -> Any:
        """Make one call of the script and return what came back."""

    def ready(self, call: Call) -> Ready:
        """The same call with all that is ours done beforehand, to be made again and again."""

    def parameters(self) -> Mapping[str, Any]:
        """Live learned tensors of the object that the script built, whose gradients belong to the answer."""


class Adapter(Protocol):
    """Makes sessions for one component, and says how it is plugged in."""

    source: Any

    @property
    def kind(self) -> str:
        """Whether it is a "function", a "class" or a "module"."""

    @property
    def absent(self) -> tuple[str, ...]:
        """Optional parameters of the contract that it does not have."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of how it is plugged."""

    def session(self, contract: Contract, request: Request) -> Session:
        """A fresh session for this request."""


def untaken(arguments: Iterable[Argument], given: Mapping[str, Any], read: Container[str]) -> list[str]:
    """Optional settings that were given another value than the default, and never read."""
    return [
        a.name for a in arguments if a.optional and a.name not in read and given.get(a.name, a.default) != a.default
    ]


class FunctionAdapter:
    """A plain function with the contract's arguments."""

    kind = "function"
    absent: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __init__(self, function: Callable[..., Any]) -> None:
        self.source = function

    def session(self, contract: Contract, request: Request) -> Session:
        function = copy.deepcopy(self.source) if request.context == "deepcopied" else self.source
        return _FunctionSession(function, contract)


class _FunctionSession:
    def __init__(self, function: Callable[..., Any], contract: Contract) -> None:
        self.function, self.contract = function, contract

    def call(self, call: Call) -> Any:
        signature = self.contract.calls[CALL]
        records = {n: TrackedSettings(value) for n, value in call.arguments.items() if isinstance(value, Settings)}
        result = invoke(self.function, signature, {**call.arguments, **records})
        for name, record in records.items():
            unread = untaken(next(a for a in signature.arguments if a.name == name).fields, record.known(), record.read)
            if unread:
                raise NotSupported(f"it takes no {', '.join(unread)}")
        return result

    def ready(self, call: Call) -> Ready:
        return Ready(bound(self.function, self.contract.calls[CALL], call.arguments))

    def parameters(self) -> Mapping[str, Any]:
        return {}


class ClassAdapter:
    """A class or factory: ``build`` makes the object, every other call is a method of it."""

    kind = "class"
    absent: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __init__(self, build: Callable[..., Any], extra: Mapping[str, Any] | None = None) -> None:
        self.source, self.extra = build, dict(extra or {})

    def session(self, contract: Contract, request: Request) -> Session:
        return _ObjectSession(self.source, contract, request, self.extra)


class _ObjectSession:
    def __init__(self, build: Callable[..., Any], contract: Contract, request: Request, extra: dict[str, Any]) -> None:
        self.build, self.contract, self.request, self.extra = build, contract, request, extra
        self.built: Any = None
        self.objects: dict[str, Any] = {}

    def call(self, call: Call) -> Any:
        signature = self.contract.calls[call.method]
        self.built = self.objects.get(call.of)
        if call.method == "build":
            self.built = invoke(self.build, signature, call.arguments, extra=self.extra)
            if self.built is None:
                name = getattr(self.build, "__name__", "what builds it")
                raise TypeError(f"{name}() returned None, not what it builds: is a `return` missing?")
            if self.request.context == "deepcopied":
                self.built = copy.deepcopy(self.built)
            self.objects[call.of] = self.built
            return None
        result = invoke(self._method(call, signature), signature, call.arguments)
        return self._named(result) if call.method == "parameters" else result

    def ready(self, call: Call) -> Ready:
        self.built = self.objects.get(call.of)
        own = getattr(self.built, f"{call.method}_ready", None)  # of classes of ours around theirs
        if own is not None:
            return Ready(own(**call.arguments))
        signature = self.contract.calls[call.method]
        return Ready(bound(self._method(call, signature), signature, call.arguments))

    def _method(self, call: Call, signature: Signature) -> Callable[..., Any]:
        method = getattr(self.built, call.method, None)
        if method is None:
            if call.method in self.contract.optional_methods:
                raise NotSupported(f"{type(self.built).__name__} has no method {call.method}()")
            if callable(self.built) and call.method in ("forward", CALL):
                method = self.built
            else:
                raise NotImplementedError(f"{type(self.built).__name__} has no method {call.method}() yet")
        may_be_empty = (
            call.method in self.contract.optional_methods and signature.result == "nothing"
        )  # train() of a layer
        if not may_be_empty and (why := unfinished(method)):
            raise NotImplementedError(f"{call.method}() is to do: {why}")
        return method  # type: ignore[no-any-return]

    def parameters(self) -> Mapping[str, Any]:
        if "parameters" not in self.contract.calls:
            return {}
        live = getattr(self.built, "parameters", None)
        if callable(live):
            return self._named(live())
        if "parameters" in self.contract.optional_methods:
            return {}
        raise NotImplementedError(f"{type(self.built).__name__} has no method parameters() yet")

    def _named(self, found: Any) -> Any:
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
                f"parameters() must return a dictionary of what is trained, by the contract's names; which is {', '.join(strange)}?"
            )
        return named


def invoke(
    function: Callable[..., Any],
    signature: Signature,
    arguments: Mapping[str, Any],
    extra: Mapping[str, Any] | None = None,
) -> Any:
    """Call somebody's function with these arguments; see :func:`bound`."""
    return bound(function, signature, arguments, extra)()


def bound(
    function: Callable[..., Any],
    signature: Signature,
    arguments: Mapping[str, Any],
    extra: Mapping[str, Any] | None = None,
) -> partial[Any]:
    """Somebody's function with its arguments: by keyword where its parameter names are the contract's, by position otherwise.

    Raises TypeError with both signatures where neither fits. Optional settings that the case leaves out are not passed;
    NotSupported where the case needs an optional argument that the function does not take.
    """
    names = [a.name for a in signature.arguments if a.name in arguments]
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # builtins without a signature
        return partial(function, *(arguments[name] for name in names))
    named = {n for n, p in parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    more = {k: v for k, v in (extra or {}).items() if k in named or takes_any}
    needs = [
        n for n, p in parameters.items() if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if len(needs) > len(names) + len(more):
        raise _cannot_be_called(function, signature, f"; give {', '.join(needs[len(names) :])} a default")
    if takes_any or all(name in named for name in names):
        return partial(function, **{name: arguments[name] for name in names}, **more)
    by_name = {a.name: a for a in signature.arguments}
    positional = [p for p in parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    open_ended = any(p.kind is p.VAR_POSITIONAL for p in parameters.values())
    if open_ended or len(positional) >= len(names):
        required_keywords = [p.name for p in parameters.values() if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
        if not required_keywords:
            return partial(function, *(arguments[name] for name in names), **more)
    trimmed = list(names)
    while len(trimmed) > len(positional) and _may_stay_out(by_name[trimmed[-1]], arguments[trimmed[-1]]):
        trimmed.pop()
    in_order = all(p.name not in by_name or p.name == ours for p, ours in zip(positional, trimmed, strict=False))
    if len(trimmed) == len(positional) and in_order and not any(p.kind is p.KEYWORD_ONLY for p in parameters.values()):
        return partial(function, *(arguments[name] for name in trimmed), **more)
    unknown = [name for name in names if name not in named]
    left_out = [n for n in unknown if _may_stay_out(by_name[n], arguments[n])]
    rest = [name for name in names if name not in left_out]
    if left_out and all(
        name in named for name in rest
    ):  # by position, one left out in the middle would shift the others
        return partial(function, **{name: arguments[name] for name in rest}, **more)
    settings_left = [n for n in unknown if by_name[n].optional and by_name[n].role == "setting"]
    needed = [n for n in names if n not in settings_left]
    if settings_left and (set(settings_left) == set(unknown) or len(positional) == len(needed)):
        raise NotSupported(f"it takes no {', '.join(settings_left)}")
    raise _cannot_be_called(function, signature, ", by these names or in this order")


def _cannot_be_called(function: Callable[..., Any], signature: Signature, how: str) -> TypeError:
    ours = ", ".join(a.name for a in signature.arguments)
    return TypeError(
        f"{getattr(function, '__name__', function)}{inspect.signature(function)} cannot be called as the contract says: "
        f"it must take ({ours}){how}"
    )


def _may_stay_out(argument: Argument, value: Any) -> bool:
    """Whether leaving this argument out means the same as passing this value."""
    return argument.optional and _is(value, argument.default)


def _is(value: Any, default: Any) -> bool:
    """Whether a plain value is the default, or both are empty (tensors never are)."""
    if isinstance(value, (list, tuple, dict)):
        return type(value) is type(default) and not value and not default
    return type(value) is type(default) and isinstance(value, (bool, int, float, str, type(None))) and value == default


__all__ = [
    "Adapter",
    "ClassAdapter",
    "FunctionAdapter",
    "Session",
    "bound",
    "invoke",
    "nothing_disturbed",
    "untaken",
]
