"""The calls of one case on another library's arrays: what goes in and comes out crosses to and from torch here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from harness.arrays.libraries import KINDS
from harness.core.case import Call, is_float
from harness.core.claim import NotSupported
from harness.core.contract import Contract
from harness.core.implementation import MeasuredOutput, Request
from harness.core.tree import Path, leaves, map_leaves
from harness.execution.bound_call import Ready
from harness.execution.manual_backward import ManualBackward
from harness.execution.session import Session

if TYPE_CHECKING:
    from harness.arrays.adapter import ArrayAdapter

Reader = Callable[[Any], tuple[Any, dict[str, Any]]]
"""From what a timed call returned to (its result or None, gradients by label)."""


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
        """What gives the gradients: a hand-written function, or a method ``backward`` of an object."""
        built = self.inner.built
        if self.adapter.framework != "torch" and callable(getattr(built, "backward", None)):
            return ManualBackward(built.backward, self.contract)
        return self.adapter.backward

    def call(self, call: Call) -> Any:
        """The call on arrays, and its result as tensors. Raises NotSupported for 16-bit numbers in NumPy."""
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
        """What NumPy's scalars widened to float64 on the way, in float32 again: that is no mistake there."""
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
        labels: Mapping[Path, str],
    ) -> tuple[Callable[[], Any], Reader]:
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
            method, everything, returned, wanted, earlier = self._for_backward(labels)
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
                    "its gradients are traced again in every call: compiled by the library, it raises "
                    f"{type(error).__name__}",
                )
        return self.derivative

    def gradients(self, incoming: Iterable[torch.Tensor], labels: Mapping[Path, str]) -> dict[str, Any]:
        """Gradients by label, see :meth:`harness.execution.session.Session.gradients`.

        Raises NotSupported where the code gives none, TypeError where what it gives is no array.
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

    def _by_hand(self, incoming: list[Any], labels: Mapping[Path, str]) -> dict[str, Any]:
        assert self.backward is not None
        method, given, returned, wanted, earlier = self._for_backward(labels)
        return self.backward.gradients(method, given, returned, incoming, wanted, earlier)

    def _for_backward(
        self, labels: Mapping[Path, str]
    ) -> tuple[str, dict[str, Any], Any, dict[Path, str], dict[Path, str]]:
        """What a backward function needs of the last call.

        Its method, all arguments, what it returned, and the labels of the arguments that have a gradient by their
        paths, in this call and in earlier ones.
        """
        last = len(self.run) - 1
        wanted: dict[Path, str] = {place[1:]: label for place, label in labels.items() if place[0] == last}
        earlier = {place[1:]: label for place, label in labels.items() if place[0] != last}
        earlier.update({(name,): name for name in self._learned() if (name,) not in earlier})
        before = {name: value for _, given, _ in self.run[:-1] for name, value in given.items()}
        call, given, returned = self.run[-1]
        return call.method, {**before, **given}, returned, wanted, earlier

    def _derived(self, incoming: list[Any], labels: Mapping[Path, str]) -> dict[str, Any]:
        """The whole case once more under the library's own differentiation, as a function of every such argument."""
        forward, values = self._differentiable(labels)
        return dict(self.arrays.slopes(forward, values, incoming))

    def _differentiable(
        self, labels: Mapping[Path, str]
    ) -> tuple[Callable[[dict[str, Any]], list[Any]], dict[str, Any]]:
        """The case so far as a function of every argument that has a gradient, and their values."""
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
        """What an object learns and the case did not give: ``parameters()``, where a method loads just that."""
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
