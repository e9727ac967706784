"""Module classes that were found rather than declared: how they are built, what they may lack, how they are called."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from types import MethodType
from typing import Any

import torch
from torch import nn

from harness.core.case import Case
from harness.core.claim import NotSupported
from harness.core.contract import Contract
from harness.core.declaration import Declaration
from harness.core.errors import CannotMatch
from harness.core.implementation import OfferKind, Request
from harness.core.values import Settings, TrackedSettings
from harness.execution.bound_call import Ready
from harness.execution.misfits import PlugIn
from harness.execution.session import Adapter, Session
from harness.execution.time_limit import TimedOut
from harness.modules.adapter import ModuleAdapter, building
from harness.modules.build_sizes import sizes_for
from harness.modules.call_in_place import WHOLE
from harness.modules.class_location import location
from harness.modules.construction import construct, global_sizes, globals_set
from harness.modules.disambiguation import disambiguate, settled_layout
from harness.modules.forward_arguments import WithMore
from harness.modules.forward_roles import SIZES
from harness.modules.holder import Holder, How, passes_options, timed_call
from harness.modules.learned_arguments import learned_more
from harness.modules.matching import plan
from harness.modules.parameter_map import Plan
from harness.modules.probing import PROBE_SECONDS, trial_call
from harness.modules.size_names import Sizes

GLOBALS = "_plumbline_globals"
"""Attribute of a module: (its Python module, sizes that are globals there)."""
LEAST = 0.6
"""Of the tensors that a component must have, the share that a class must have to be taken for it."""
MOST_SURPLUS = 3
"""Parameters that a class may have beside, which are left as they were built."""


class Factory:
    """Builds a class at the sizes of a case, by the names that its constructor uses.

    ``biases``: whether its switch of biases is on; ``chose_biases``: whether it has such a switch.
    """

    def __init__(self, kind: type, contract: Contract, biases: bool = True) -> None:
        self.kind, self.contract, self.biases = kind, contract, biases and contract.has_biases
        self.chose_biases = False
        self.__name__ = kind.__name__
        self.__module__ = kind.__module__

    def __call__(self, config: Settings) -> nn.Module:
        """One at these sizes, without dropout. Raises CannotBuild, and whatever the constructor raises."""
        known = config.known() if isinstance(config, TrackedSettings) else config.as_dict()
        note_read = config.read.update if isinstance(config, TrackedSettings) else (lambda _: None)
        values, comes_from = sizes_for(known)
        sizes = Sizes(
            values,
            self.contract.size_names,
            lambda size: note_read(comes_from.get(size, (size,))),
            biases=self.biases,
        )
        namespace = vars(sys.modules[self.kind.__module__])
        names = global_sizes(self.kind, sizes)
        given = {name: sizes.value(name, names) for name in names}
        with globals_set(self.kind.__module__, given):
            made: nn.Module = construct(self.kind, sizes, namespace)
        self.chose_biases |= sizes.chose_biases and self.contract.has_biases
        if given:
            made.__dict__[GLOBALS] = (self.kind.__module__, given)
        made.__dict__[SIZES] = sizes
        without_inference_mode(made)
        without_dropout(made)
        return made


def without_inference_mode(module: nn.Module) -> None:
    """A forward that is decorated with ``torch.inference_mode()`` is called without: what it computes has gradients."""
    for inner in module.modules():
        forward = type(inner).forward
        entered = [
            getattr(cell.cell_contents, "__self__", None) for cell in getattr(forward, "__closure__", None) or ()
        ]
        if any(isinstance(context, torch.inference_mode) for context in entered):
            inner.forward = MethodType(forward.__wrapped__, inner)  # type: ignore[attr-defined]


def without_dropout(module: nn.Module) -> None:
    """Turn off dropout whose rate is no argument: contracts are about what is computed without it."""
    for inner in module.modules():
        if isinstance(inner, nn.modules.dropout._DropoutNd):
            inner.p = 0.0
        elif type(inner).__module__.startswith("torch.nn.") and isinstance(getattr(inner, "dropout", None), float):
            inner.dropout = 0.0  # type: ignore[assignment]  # torch's own layer that passes its rate on


class PartFactory:
    """Builds a model and returns one module inside it."""

    def __init__(self, whole: Factory, path: str) -> None:
        self.whole, self.path = whole, path
        self.__name__ = f"{whole.__name__}(...).{path}"
        self.__module__ = whole.__module__

    def __call__(self, config: Settings) -> nn.Module:
        """The part of a new model at these sizes; it keeps the model."""
        model = self.whole(config)
        part = model.get_submodule(self.path)
        part.__dict__[WHOLE] = [model]
        if GLOBALS in model.__dict__:
            part.__dict__[GLOBALS] = model.__dict__[GLOBALS]
        return part


class FoundModule(ModuleAdapter):
    """A module class, or a module inside one, that was found rather than declared.

    ``found``: in words, where; ``within``: the model that it was found inside. ``known``: its plan, where it was
    matched already; ``place``: file and line. A class may lack a few tensors of the contract, or have a few more: then
    it is judged as it is, and a note says so.
    """

    sizes_by_name = True

    def __init__(
        self,
        declaration: Declaration,
        contract: Contract,
        kind: type,
        found: str,
        known: Plan | None = None,
        place: tuple[str, int] | None = None,
        seconds: float = PROBE_SECONDS,
    ) -> None:
        super().__init__(declaration, contract, seconds)
        self.source, self.found, self.within = kind, found, ""
        self._place = place or location(kind)
        self.has_own_code = place is None
        self.remark(found)
        for text in getattr(kind, "remarks", ()):  # of a class that is no torch module
            self.remark(text)
        if known is not None:
            self.plan, self._probed = known, True

    @property
    def place(self) -> tuple[str, int]:
        """File and line of the class, or of the line that makes the module."""
        return self._place

    def built(self, arguments: Mapping[str, Any]) -> Any:
        """As any factory's; sizes that a class refuses once it is known to be buildable are not supported."""
        try:
            return super().built(arguments)
        except (NotImplementedError, NotSupported, CannotMatch):
            raise
        except Exception as error:
            if self.plan is None:
                raise
            raise NotSupported(f"it cannot be built at these sizes ({type(error).__name__}: {error})") from error

    def match(self, module: nn.Module, arguments: Mapping[str, Any]) -> Plan:
        """By names and shapes, then by order, then by what it computes, where a call of it ends."""
        declared = self.declaration
        found = plan(self.contract, module, arguments, declared.names, declared.layout, by_order=True)
        if found.fine and found.ordered:
            try:
                found = disambiguate(found, self, module, arguments, partial(ModuleAdapter.built, self))
            except TimedOut as error:  # the order stays a guess
                self.note_timed_out(error)
        try:
            found = settled_layout(found, self, module, arguments, partial(ModuleAdapter.built, self))
        except TimedOut as error:
            self.note_timed_out(error)
        return judged_as_it_is(found)

    def _learn_calling(self, made: Holder, case: Case) -> None:
        """What its forward takes beside the input, and then how it is called."""
        how = self.declaration.call
        if isinstance(how, CallFound) and how.inner is None and self.plan is not None:
            how.inner = learned_more(self.contract, self.plan, (made, case), self.trial, self._run)
            if how.inner is not None and (words := how.inner.words):
                self.remark(words)
        super()._learn_calling(made, case)

    def know(self, plan: Plan, made: Holder, case: Case) -> None:
        """Take this plan, and see how a module that was built for this case is called."""
        self.plan, self._probed = plan, True
        self._learn_calling(made, case)

    def plug_in(self, contract: Contract) -> PlugIn:
        """What its forward needs that nobody here can give."""
        self.probe()
        how = getattr(self.declaration.call, "inner", None)
        return how.plug_in(self.source.__name__, contract.name) if isinstance(how, WithMore) else PlugIn()

    def _run(self, holder: Holder, *arguments: Any) -> Any:
        with building(), torch.no_grad():
            return trial_call("calling", self.source, self.seconds, torch.func.functional_call, holder, *arguments)


def judged_as_it_is(found: Plan) -> Plan:
    """The plan of a module that is nearly the component: what it lacks and what it has beside is noted."""
    if found.fine or found.problems or found.unplaced:
        return found
    have = {m.expected.path for m in found.matches if not m.expected.optional}
    lacking = list(dict.fromkeys(slot.label for slot in found.missing))
    share = len(have) / max(len(have) + len(lacking), 1)
    matrices = any(len(extra.shape) > 1 for extra in found.surplus)  # another way to compute, not one more bias
    if share < LEAST or matrices or len(found.surplus) > MOST_SURPLUS or (lacking and found.surplus):
        return found
    notes = [f"it has no {', '.join(lacking)}, which {found.contract} has; judged as it is"] if lacking else []
    if found.surplus:
        beside = ", ".join(extra.pattern for extra in found.surplus)
        rest = "biases are set to zero, others stay as built"
        notes.append(f"it has {beside}, which {found.contract} does not have; {rest}")
    kept = tuple(name for extra in found.surplus for name in extra.names)
    return replace(found, missing=(), surplus=(), kept=kept, lacking=found.missing, notes=(*found.notes, *notes))


class CallFound:
    """How a module that was found is called: with the sizes that are globals set, and inputs of ``rank`` axes alone.

    ``inner``: how it is called beyond that, see :class:`harness.modules.holder.Holder`.
    """

    def __init__(self, rank: int | None, inner: How | None = None) -> None:
        self.rank, self.inner = rank, inner

    @property
    def passes_options(self) -> bool:
        """Whether the module's own forward is given every option."""
        return self.inner is None or passes_options(self.inner)

    def __call__(self, module: nn.Module, *inputs: Any, **options: Any) -> Any:
        """What it returns. Raises NotSupported where it fails on an input of other axes than ``rank``."""
        home, values = module.__dict__.get(GLOBALS, ("", {}))
        with globals_set(home, values):
            try:
                return module(*inputs, **options) if self.inner is None else self.inner(module, *inputs, **options)
            except NotSupported:
                raise
            except Exception as error:
                if self.rank is not None and torch.is_tensor(inputs[0]) and inputs[0].dim() != self.rank:
                    raise NotSupported(f"it takes {self.rank} axes alone ({type(error).__name__})") from error
                raise

    def ready(self, module: nn.Module, inputs: list[Any], options: dict[str, Any]) -> Ready:
        """For timing: with nothing of the harness around it but the globals."""
        home, values = module.__dict__.get(GLOBALS, ("", {}))
        with globals_set(home, values):
            alone = timed_call(module, self.inner, inputs, options)
        if not values:
            return alone

        def with_globals() -> Any:
            with globals_set(home, values):
                return alone.call()

        return replace(alone, call=with_globals)


class InsideOnly(Adapter):
    """A component that is no module of its own: it is judged with the model it is written into."""

    kind = OfferKind.INSIDE

    def __init__(self, component: str, whole: FoundModule) -> None:
        self.component, self.source, self.whole = component, whole.source, whole

    @property
    def place(self) -> tuple[str, int]:
        """That of the model."""
        return self.whole.place

    @property
    def notes(self) -> tuple[str, ...]:
        """Where it is judged."""
        return (f"no module of its own; judged inside {self.whole.contract.name}",)

    def session(self, contract: Contract, request: Request) -> Session:
        """Raises NotSupported."""
        raise NotSupported(self.notes[0])
