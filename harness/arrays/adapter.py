"""Components on another library's arrays: what goes in and comes out crosses to and from torch here.

The executor, the claims and the reports see torch tensors only. Gradients are the library's own (``jax.vjp``) or those of a
hand-written backward function, which is judged wherever there is one, for code in torch too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import torch

from harness.arrays.detection import FRAMEWORKS, framework_of
from harness.arrays.libraries import KINDS
from harness.core.case import Call, is_float
from harness.core.claim import NotSupported
from harness.core.contract import Argument, Contract
from harness.core.errors import UsageError, did_you_mean
from harness.core.implementation import MeasuredOutput, Request
from harness.core.tree import Path, leaves, map_leaves
from harness.execution.bound_call import Ready
from harness.execution.manual_backward import ManualBackward
from harness.execution.session import Adapter, Session

Place = tuple[str | int, ...]
"""Where an argument stands in a script: (index of the call, name of the argument, ...)."""


def fitted(
    adapters: Mapping[str, Adapter],
    contracts: Mapping[str, Contract],
    member: Callable[[str], Any],
    declared: Mapping[str, str],
) -> tuple[dict[str, Adapter], list[str]]:
    """The same adapters; those whose code takes another library's arrays, or has a ``COMPONENT_backward`` beside it, are
    wrapped. ``member`` finds a name beside the components, ``declared`` holds the libraries that a module declares.
    And what a person should know of it: that in torch autograd is not asked, or why it is.
    """
    notes: list[str] = []
    fitting: dict[str, Adapter] = {}
    sources = [adapter.source for adapter in adapters.values()]
    for name, adapter in adapters.items():
        contract = contracts[name]
        framework = "torch"
        if any(_holds_arrays(a) for signature in contract.calls.values() for a in signature.arguments):
            built = adapter.has_factory  # a factory may import its module from elsewhere
            framework = declared.get(name) or framework_of(adapter.source, () if built else sources, imports=not built)
        backward = _backward_of(adapter, contract, member)
        if backward is not None and framework == "torch":
            if backward.fits():
                notes.append(f"{name}: {backward.name} is judged as its gradient, autograd is not asked")
            else:
                notes.append(
                    f"{name}: {backward.name} is not judged, it takes more than {name}'s arguments; autograd is"
                )
                backward = None
        fits = framework == "torch" and backward is None
        fitting[name] = adapter if fits else ArrayAdapter(adapter, framework, backward)
    return fitting, notes


def declared_frameworks(said: Any, contracts: Iterable[str], where: str) -> dict[str, str]:
    """``PLUMBLINE["framework"]``: one name for every component, or a dictionary by component. Raises UsageError otherwise."""
    names = list(contracts)
    by_name = dict(said) if isinstance(said, Mapping) else dict.fromkeys(names, said)
    legal = f"legal are {', '.join(FRAMEWORKS)}"
    for name, framework in by_name.items():
        if name not in names:
            raise UsageError(f"{where}: PLUMBLINE declares the framework of {name!r}, which is no component")
        if framework not in FRAMEWORKS:
            hint = did_you_mean(str(framework), FRAMEWORKS)
            raise UsageError(
                f"{where}: PLUMBLINE declares the framework {framework!r}; {hint + ' ' if hint else ''}{legal}"
            )
    return by_name


def _backward_of(adapter: Adapter, contract: Contract, member: Callable[[str], Any]) -> ManualBackward | None:
    """``COMPONENT_backward``: beside the component, or in the module where the component's function was written."""
    if not (contract.is_function and contract.differentiable):
        return None
    inside = getattr(adapter.source, "__globals__", {})
    own = getattr(adapter.source, "__name__", contract.name)
    for name in dict.fromkeys((f"{contract.name}_backward", f"{own}_backward")):
        found = member(name) or inside.get(name) or getattr(member(contract.name), name, None)
        if callable(found) and not isinstance(found, type):
            return ManualBackward(found, contract)
    return None


def _holds_arrays(argument: Argument) -> bool:
    return "float[" in argument.kind or "int[" in argument.kind or bool(argument.fields)


class ArrayAdapter(Adapter):
    """Another adapter whose code takes a library's arrays, or brings a hand-written backward function."""

    def __init__(self, inner: Adapter, framework: str, backward: ManualBackward | None = None) -> None:
        self.inner, self.framework, self.backward = inner, framework, backward
        self.source = inner.source
        self.widens = False

    @property
    def unwrapped(self) -> Adapter:
        return self.inner

    @property
    def place(self) -> tuple[str, int]:
        return self.inner.place

    @property
    def kind(self) -> str:
        return self.inner.kind

    @property
    def absent(self) -> tuple[str, ...]:
        return self.inner.absent

    @property
    def notes(self) -> tuple[str, ...]:
        kind = KINDS[self.framework]
        said = [*self.inner.notes]
        if self.framework != "torch":
            said.append(f"its arrays are {kind.title}'s")
        if self.backward is not None:
            said.append(f"its gradients are those of {self.backward.name}, written by hand")
        elif kind.how:
            said.append(f"its gradients are taken by {kind.how}")
        if self.widens:
            said.append("it returns float64 for float32 (a NumPy scalar, as np.sqrt(2.0) is one, widens what it meets)")
        return tuple(said)

    def session(self, contract: Contract, request: Request) -> ArraySession:
        return ArraySession(self, contract, request)


class ArraySession(Session):
    """Makes the calls of a case on another library's arrays, and gives the gradients that autograd cannot."""

    gives_gradients = True

    def __init__(self, adapter: ArrayAdapter, contract: Contract, request: Request) -> None:
        self.adapter, self.contract, self.request = adapter, contract, request
        self.arrays = KINDS[adapter.framework]()
        self.inner: Session = adapter.inner.session(contract, request)
        dtypes = {t.dtype for _, t in request.case.tensors() if is_float(t)}
        self.wide, self.narrow = torch.float64 in dtypes, dtypes == {torch.float32}
        self.half = bool(dtypes & {torch.bfloat16, torch.float16})
        self.run: list[tuple[Call, dict[str, Any], Any]] = []
        """Each call with its tensors, the arrays made of them, and what came back."""
        self.derivative: Callable[..., Any] | None = None

    @property
    def backward(self) -> ManualBackward | None:
        """What gives the gradients: a hand-written function beside the component, or a method ``backward`` of an object."""
        built = self.inner.built
        if self.adapter.framework != "torch" and callable(getattr(built, "backward", None)):
            return ManualBackward(built.backward, self.contract)
        return self.adapter.backward

    def call(self, call: Call) -> Any:
        if self.adapter.framework == "numpy" and self.half:
            raise NotSupported("NumPy code computes in float32 and float64: bfloat16 and float16 are not judged")
        with self.arrays.scope(self.wide):
            given = self._taken(call.arguments)
            returned = self.inner.call(call.with_arguments(given))
            facts = returned.facts if isinstance(returned, MeasuredOutput) else None
            returned = returned.value if isinstance(returned, MeasuredOutput) else returned
            self.run.append((call, given, returned))
            if self.backward is not None and self.contract.differentiable:
                returned, _ = self.backward.split(returned, call.method)
            value = map_leaves(returned, lambda _, leaf: self._narrowed(self.arrays.give(leaf)))
        return value if facts is None else MeasuredOutput(value, facts)

    def _narrowed(self, value: Any) -> Any:
        """What NumPy's scalars have widened to float64 on the way, in float32 again: that is no mistake there."""
        if self.adapter.framework != "numpy" or not self.narrow or not is_float(value) or value.dtype != torch.float64:
            return value
        self.adapter.widens = True
        return value.float()

    def ready(self, call: Call) -> Ready:
        """Arrays are made beforehand and read afterwards; a library that computes in the background is waited for."""
        if self.wide:
            raise NotSupported("what is timed in another library is timed in float32")
        given = self._taken(call.arguments)
        inner = self.inner.ready(call.with_arguments(given))

        def value(raw: Any) -> Any:
            raw = inner.value(raw)
            if self.backward is not None and self.contract.differentiable:
                raw, _ = self.backward.split(raw, call.method)
            return map_leaves(raw, lambda _, leaf: self._narrowed(self.arrays.give(leaf)))

        back = partial(self._back, call, given, inner) if self.request.gradients is not None else None
        return Ready(inner.call, value, self.arrays.wait, backward=back, notes=inner.notes)

    def _back(
        self,
        call: Call,
        given: dict[str, Any],
        inner: Ready,
        incoming: Iterable[torch.Tensor],
        labels: Mapping[Place, str],
    ) -> tuple[Callable[[], Any], Callable[[Any], tuple[Any, dict[str, Any]]]]:
        """Forwards and back as one call, and a reader of what it returns: (what came out, gradients by label)."""
        arrays = [self.arrays.take(tensor) for tensor in incoming]

        def read(found: Mapping[str, Any]) -> dict[str, Any]:
            return {label: self._given_back(label, value) for label, value in found.items()}

        self.run.append((call, given, inner.call()))
        try:
            if self.backward is None:
                forward, values = self._differentiable(labels)
                derived = self._derivative(forward, values, arrays)
                return (lambda: derived(values, arrays)), lambda found: (None, read(found))
            method, everything, returned, wanted, earlier = self._asked(labels)
            back, named = self.backward.prepared(method, everything, returned, arrays, wanted, earlier)
        finally:
            self.run.pop()

        def both() -> Any:
            out = inner.call()
            return out, back(out)

        return both, lambda pair: (pair[0], read(named(pair[1])))

    def _derivative(
        self, forward: Callable[..., Any], values: dict[str, Any], incoming: list[Any]
    ) -> Callable[..., Any]:
        """The library's own derivative, compiled where it can be; once for all calls of this session."""
        if self.derivative is None:
            plain = lambda moved, upstream: self.arrays.slopes(forward, moved, upstream)  # noqa: E731
            self.derivative = self.arrays.compiled(plain)
            try:
                self.derivative(values, incoming)
            except Exception as error:  # code that asks for a number's value cannot be compiled as a whole
                self.derivative = plain
                self.notes += (
                    f"its gradients are derived anew in every call: compiled as one, it raises {type(error).__name__}",
                )
        return self.derivative

    def gradients(self, incoming: Iterable[torch.Tensor], labels: Mapping[Place, str]) -> dict[str, Any]:
        """Gradients by label: ``labels`` names the arguments of the script that have one, ``incoming`` holds the gradient
        of each floating-point result of the last call. Raises NotSupported where their code gives none.
        """
        with self.arrays.scope(self.wide):
            arrays = [self.arrays.take(tensor) for tensor in incoming]
            found = self._by_hand(arrays, labels) if self.backward is not None else self._derived(arrays, labels)
            return {label: self._given_back(label, value) for label, value in found.items()}

    def _given_back(self, label: str, value: Any) -> Any:
        tensor = self._narrowed(self.arrays.give(value))
        if tensor is None or type(tensor) is torch.Tensor:
            return tensor if tensor is None else tensor.detach().clone()
        who = self.backward.name if self.backward is not None else "it"
        raise TypeError(f"{who} returned a {type(value).__name__} as the gradient of {label}, not an array")

    def _by_hand(self, incoming: list[Any], labels: Mapping[Place, str]) -> dict[str, Any]:
        assert self.backward is not None
        method, given, returned, wanted, earlier = self._asked(labels)
        return self.backward.gradients(method, given, returned, incoming, wanted, earlier)

    def _asked(self, labels: Mapping[Place, str]) -> tuple[str, dict[str, Any], Any, dict[Path, str], dict[Path, str]]:
        """What a backward function is asked about the last call: its method, all arguments, what it returned, and where the
        arguments stand that have a gradient, in this call and in earlier ones."""
        last = len(self.run) - 1
        wanted: dict[Path, str] = {place[1:]: label for place, label in labels.items() if place[0] == last}
        earlier = {place[1:]: label for place, label in labels.items() if place[0] != last}
        earlier.update({(name,): name for name in self._learned() if (name,) not in earlier})
        before = {name: value for _, given, _ in self.run[:-1] for name, value in given.items()}
        call, given, returned = self.run[-1]
        return call.method, {**before, **given}, returned, wanted, earlier

    def _derived(self, incoming: list[Any], labels: Mapping[Place, str]) -> dict[str, Any]:
        """The whole script once more under the library's own differentiation, as a function of every such argument."""
        forward, values = self._differentiable(labels)
        return dict(self.arrays.slopes(forward, values, incoming))

    def _differentiable(
        self, labels: Mapping[Place, str]
    ) -> tuple[Callable[[dict[str, Any]], list[Any]], dict[str, Any]]:
        """The script so far as a function of every argument that has a gradient, and their values."""
        if not self.arrays.how:
            raise NotSupported(self._how_to_offer())
        values = {}
        for at, (call, _, _) in enumerate(self.run):
            for path, leaf in leaves(dict(call.arguments), (at,)):
                if path in labels:
                    values[labels[path]] = self.arrays.take(leaf)
        learned = {name: value for name, value in self._learned().items() if name not in values}
        values.update(learned)
        run = list(self.run)

        def forward(moved: dict[str, Any]) -> list[Any]:
            session = self.adapter.inner.session(self.contract, self.request)
            result: Any = None
            for at, (call, given, _) in enumerate(run):
                if learned and at == len(run) - 1:
                    session.call(Call(self._loader(), {name: moved[name] for name in learned}))
                swap = lambda path, leaf: moved[labels[path]] if path in labels else leaf  # noqa: E731
                result = session.call(call.with_arguments(map_leaves(given, swap, (at,))))
            result = result.value if isinstance(result, MeasuredOutput) else result
            expected = leaves(run[-1][2])
            pairs = zip(leaves(result), expected, strict=True)
            return [now for (_, now), (_, leaf) in pairs if is_float(self.arrays.give(leaf))]

        return forward, values

    def _learned(self) -> dict[str, Any]:
        """What an object learns and was not given by the script: ``parameters()``, where another method loads just that."""
        loader = self._loader()
        if not loader or any(call.method == loader for call, _, _ in self.run):
            return {}
        return dict(self.inner.parameters())

    def _loader(self) -> str:
        """The method that sets what ``parameters()`` returns."""
        if "parameters" not in self.contract.calls:
            return ""
        for method, signature in self.contract.calls.items():
            learned = bool(signature.arguments) and all(a.role == "parameter" for a in signature.arguments)
            if method != "build" and learned:
                return method
        return ""

    def _taken(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        taken: dict[str, Any] = map_leaves(
            dict(arguments), lambda _, leaf: self.arrays.take(leaf) if torch.is_tensor(leaf) else leaf
        )
        return taken

    def _how_to_offer(self) -> str:
        if not self.contract.is_function:
            return "it gives no gradients: write a method backward(grad_out) that returns them by name"
        names = ", ".join(a.name for s in self.contract.calls.values() for a in s.arguments)
        return f"it gives no gradients: write {self.contract.name}_backward(grad_out, {names}) beside it"
