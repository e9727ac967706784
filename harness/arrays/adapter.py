"""Components on another library's arrays, and components with a hand-written backward function.

The executor, the claims and the reports see torch tensors only, see :mod:`harness.arrays.session`. Gradients are the
library's own (``jax.vjp``) or those of a hand-written backward function, which is checked wherever there is one, for
code in torch too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from harness.arrays.detection import FRAMEWORKS, framework_of
from harness.arrays.libraries import KINDS
from harness.arrays.session import ArraySession
from harness.core.contract import Contract
from harness.core.errors import UsageError, did_you_mean
from harness.core.implementation import OfferKind, Request
from harness.core.note import Note, NoteCode
from harness.execution.manual_backward import ManualBackward
from harness.execution.misfits import PlugIn
from harness.execution.session import Adapter


def with_arrays(
    adapters: Mapping[str, Adapter],
    contracts: Mapping[str, Contract],
    member: Callable[[str], Any],
    declared: Mapping[str, str],
) -> tuple[dict[str, Adapter], list[Note]]:
    """(the adapters, what a person should know of them).

    Those whose code takes another library's arrays, or has a ``COMPONENT_backward`` beside it, are wrapped. ``member``
    finds a name beside the components, ``declared`` holds the libraries that a module declares, by component.
    """
    notes: list[Note] = []
    wrapped: dict[str, Adapter] = {}
    sources = [getattr(adapter.source, "own_class", adapter.source) for adapter in adapters.values()]
    for name, adapter in adapters.items():
        contract = contracts[name]
        framework = "torch"
        if any(a.holds_arrays for signature in contract.calls.values() for a in signature.arguments):
            built = adapter.has_factory  # a factory may import its module from elsewhere
            found = "torch" if _is_module_class(adapter.source) else ""
            found = found or framework_of(adapter.source, () if built else sources, imports=not built)
            framework = declared.get(name) or found
        backward = _backward_of(adapter, contract, member)
        if backward is not None and framework == "torch":
            if backward.fits():
                text = f"{name}: {backward.name} is checked as its gradient, instead of autograd's"
            else:
                text = f"{name}: {backward.name} takes more than {name}'s arguments, so autograd's gradient is checked"
                backward = None
            notes.append(Note(name, NoteCode.GRADIENT, text))
        plain = framework == "torch" and backward is None
        wrapped[name] = adapter if plain else ArrayAdapter(adapter, framework, backward)
    return wrapped, notes


def _is_module_class(source: Any) -> bool:
    """Whether it is a class of torch modules, which take tensors whatever they compute with."""
    return isinstance(source, type) and issubclass(source, torch.nn.Module)


def declared_frameworks(declared: Any, contracts: Iterable[str], where: str) -> dict[str, str]:
    """``PLUMBLINE["framework"]``: one name for all components, or a dictionary. Raises UsageError otherwise."""
    names = list(contracts)
    by_name = dict(declared) if isinstance(declared, Mapping) else dict.fromkeys(names, declared)
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


class ArrayAdapter(Adapter):
    """Another adapter whose code takes a library's arrays, or brings a hand-written backward function."""

    def __init__(self, inner: Adapter, framework: str, backward: ManualBackward | None = None) -> None:
        self.inner, self.framework, self.backward = inner, framework, backward
        self.source = inner.source
        self.widens = False

    @property
    def unwrapped(self) -> Adapter:
        """The adapter of the code itself."""
        return self.inner

    @property
    def place(self) -> tuple[str, int]:
        """As the inner adapter knows it."""
        return self.inner.place

    @property
    def kind(self) -> OfferKind:
        """As the inner adapter's."""
        return self.inner.kind

    @property
    def absent(self) -> tuple[str, ...]:
        """As the inner adapter's."""
        return self.inner.absent

    @property
    def notes(self) -> tuple[str, ...]:
        """Those of the inner adapter, the library, and where the gradients come from."""
        kind = KINDS[self.framework]
        notes = [*self.inner.notes]
        if self.framework != "torch":
            notes.append(f"its arrays are {kind.title}'s")
        if self.backward is not None:
            notes.append(f"its gradients are those of {self.backward.name}, written by hand")
        elif kind.how:
            notes.append(f"its gradients are taken by {kind.how}")
        if self.widens:
            notes.append(
                "it returns float64 for float32 (a NumPy scalar, as np.sqrt(2.0) is one, widens what it meets)"
            )
        return tuple(notes)

    def plug_in(self, contract: Contract) -> PlugIn:
        """As the inner adapter's."""
        return self.inner.plug_in(contract)

    def never_given(self, contract: Contract) -> tuple[str, ...]:
        """As the inner adapter's."""
        return self.inner.never_given(contract)

    @property
    def entry(self) -> Callable[..., Any] | None:
        """As the inner adapter's."""
        return self.inner.entry

    @property
    def has_own_code(self) -> bool:  # type: ignore[override]
        """As the inner adapter's."""
        return self.inner.has_own_code

    def session(self, contract: Contract, request: Request) -> ArraySession:
        """A session that converts tensors and arrays around one of the inner adapter."""
        return ArraySession(self, contract, request)
