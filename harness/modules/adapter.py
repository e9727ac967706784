"""A torch.nn.Module becomes a component: built for each case's sizes, given that case's weights."""

from __future__ import annotations

import inspect
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import torch
from torch import nn

from harness.core.case import Case, is_float
from harness.core.claim import NotSupported
from harness.core.contract import Contract
from harness.core.declaration import Declaration
from harness.core.errors import CannotMatch
from harness.core.implementation import OfferKind, Request
from harness.core.tree import leaves
from harness.core.values import Settings, TrackedSettings
from harness.execution import call
from harness.execution.environment import restored
from harness.execution.session import Adapter
from harness.execution.time_limit import TimedOut
from harness.modules.build_sizes import CONTEXT, unread_settings
from harness.modules.call_in_place import WHOLE
from harness.modules.expected_parameters import positions, sizes
from harness.modules.holder import Holder
from harness.modules.matching import plan
from harness.modules.module_session import ModuleSession
from harness.modules.output_form import Calling, calling, result_of
from harness.modules.parameter_map import Plan, Row
from harness.modules.probing import PROBE_SECONDS, interrupted_at, trial_call
from harness.modules.telling_cases import telling_cases

KEPT = 64
"""Built modules that are kept, one per sizes, settings and dtype."""


class ModuleAdapter(Adapter):
    """A factory of modules (or of plain functions, which are then called with the contract's arguments).

    ``kind``, ``absent`` and ``notes`` are known after one module was built for a small case; an error there is reported
    when a case is run. Where that did not end within ``seconds`` of processor time, every session raises TimedOut.
    """

    has_factory = True
    sizes_by_name = False
    """Whether it is built by a constructor that was given sizes by what its arguments are called."""

    def __init__(self, declaration: Declaration, contract: Contract, seconds: float = PROBE_SECONDS) -> None:
        self.declaration, self.contract, self.seconds = declaration, contract, seconds
        self.source: Any = declaration.factory
        self.plan: Plan | None = None
        self.remarks: list[str] = []
        self.calling = Calling()
        self.timed_out: TimedOut | None = None
        self._interrupted_at: TracebackType | None = None
        self._built: OrderedDict[Any, tuple[Any, set[str]]] = OrderedDict()
        self._probed = False
        self._is_module = True

    def forget(self) -> None:
        """Forget the modules that were built."""
        self._built = OrderedDict()

    @property
    def kind(self) -> OfferKind:
        """A module, or a function where the factory builds functions."""
        self.probe()
        return OfferKind.MODULE if self._is_module else OfferKind.FUNCTION

    @property
    def entry(self) -> Callable[..., Any] | None:
        """The forward pass of the modules that it built, where they are of a class of the implementation."""
        kinds = [type(made.inner) for made, _ in self._built.values() if isinstance(made, Holder)]
        own = [kind for kind in kinds if not kind.__module__.startswith("torch.")]
        return getattr(own[0], "forward", None) if own else None

    @property
    def absent(self) -> tuple[str, ...]:
        """Optional parameters of the contract that the module does not have."""
        self.probe()
        return self.plan.absent if self.plan is not None and self.plan.fine else ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of how it is plugged in."""
        self.probe()
        return (*(self.plan.notes if self.plan is not None else ()), *self.remarks)

    def session(self, contract: Contract, request: Request) -> ModuleSession:
        """A session for one case. Raises TimedOut where a trial call did not end: the case would not either."""
        self.probe()
        self.raise_timed_out()
        return ModuleSession(self, request)

    def raise_timed_out(self) -> None:
        """Raises the TimedOut of the trial call, with the line at which it was interrupted."""
        if self.timed_out is not None:
            raise self.timed_out.with_traceback(self._interrupted_at)

    def rows(self) -> list[Row]:
        """The table of parameters; empty where nothing could be built."""
        self.probe()
        return self.plan.rows() if self.plan is not None else []

    def output_of(self, result: Any, given: Any) -> Any:
        """The tensor in what the module returned: where the declaration says, or where such modules keep it.

        ``given``: its first input, whose leading axes come back where the module flattened them.
        """
        output = self.declaration.output
        if output is not None:
            if isinstance(output, str):
                return call.invoke(getattr, result, output)
            return result[output] if isinstance(output, int) else call.invoke(output, result)
        value, where = result_of(result)
        if where:
            self.remark(where)
        if self.calling.flat and torch.is_tensor(value) and value.dim() == 2:
            value = value.reshape(*given.shape, -1)
        return value

    def remark(self, text: str) -> None:
        """Note something that was seen while it was called."""
        if text not in self.remarks:
            self.remarks.append(text)

    # building --------------------------------------------------------------------------------------------------------

    def configuration(self, arguments: Mapping[str, Any]) -> Settings:
        """The sizes and settings of one call, by name, as the factory receives them; defaults for what is left out."""
        values: dict[str, Any] = dict(sizes(self.contract, arguments))
        for a in self.contract.arguments("setting"):
            value = arguments.get(a.name, a.default)
            if isinstance(value, Settings):
                values.update(value.as_dict())
            elif value is not None:
                values[a.name] = value
                values.setdefault(a.name.removeprefix("n_"), value)
        values.setdefault("context", max(CONTEXT, positions(self.contract, arguments)))
        return Settings(**values)

    def built(self, arguments: Mapping[str, Any]) -> Any:
        """The module (or function) for this call's sizes, settings, dtype and device; built once.

        Raises NotSupported where a setting of the call was never read, and whatever the factory raises.
        """
        config = TrackedSettings(self.configuration(arguments))
        dtype, device = _kind_of_numbers(arguments)
        key = (repr(config), dtype, device)
        if key not in self._built:
            self._built[key] = self._made(config, dtype, device), config.read
            if len(self._built) > KEPT:
                self._built.popitem(last=False)
        made, read = self._built[key]
        if isinstance(made, Holder):
            unread = unread_settings(self.contract, arguments, read)
            if unread:
                raise NotSupported(f"its factory takes no {', '.join(unread)}")
        return made

    def read(self, arguments: Mapping[str, Any]) -> set[str]:
        """What the factory read of the configuration when it built the module for this call."""
        config, (dtype, device) = self.configuration(arguments), _kind_of_numbers(arguments)
        return self._built[(repr(config), dtype, device)][1]

    def fresh(self, arguments: Mapping[str, Any]) -> Any:
        """Another one, newly built."""
        dtype, device = _kind_of_numbers(arguments)
        return self._made(self.configuration(arguments), dtype, device)

    def _made(self, config: Settings, dtype: torch.dtype, device: torch.device) -> Any:
        with building():
            made = call.invoke(self.declaration.factory, config)
            if isinstance(made, nn.Module):
                for whole in made.__dict__.get(WHOLE, ()):
                    _moved(whole, device, dtype)
                return Holder(_moved(made, device, dtype), self.declaration.call)
        if callable(made):
            return made
        hint = "; is a `return` missing?" if made is None else ""
        name = getattr(self.declaration.factory, "__name__", "the factory")
        raise TypeError(f"{name}(config) returned {_described(made)}, not a torch.nn.Module or a function{hint}")

    # matching --------------------------------------------------------------------------------------------------------

    def plan_for(self, module: nn.Module, arguments: Mapping[str, Any]) -> Plan:
        """How the parameters match: decided once, with sizes that tell them apart. Raises CannotMatch otherwise."""
        self.probe()
        if self.plan is None:
            self.plan = self.match(module, arguments)
        if not self.plan.fine:
            raise CannotMatch(self.plan.refusal())
        return self.plan

    def match(self, module: nn.Module, arguments: Mapping[str, Any]) -> Plan:
        """Match the parameters of a module that was built for this call."""
        return plan(self.contract, module, arguments, self.declaration.names, self.declaration.layout)

    def probe(self) -> None:
        """Build a small module, match its parameters, see how it is called. Done once; raises nothing."""
        if self._probed:
            return
        self._probed = True
        try:
            self._try_cases()
        except TimedOut as error:
            self.note_timed_out(error)

    def note_timed_out(self, error: TimedOut) -> None:
        """A trial call did not end: no case is run, and a note says why."""
        self.timed_out, self._interrupted_at, self._probed = error, error.__traceback__, True
        at = f" It was interrupted at {place}." if (place := interrupted_at(error)) else ""
        self.remark(f"{error}{at}")

    def trial(self, arguments: Mapping[str, Any]) -> Any:
        """:meth:`built` under the limit of a trial call. Raises TimedOut too."""
        return trial_call("building", self.source, self.seconds, self.built, arguments)

    def _try_cases(self) -> None:
        """Match the parameters on the case that tells them apart best, of those that the module can have."""
        for case in telling_cases(self.contract):
            try:
                made = self.trial(case.arguments)
            except Exception:  # reported when a case is run, with the frames of the implementation
                continue
            self._is_module = isinstance(made, Holder)
            if not self._is_module:
                return
            found = self.match(made.inner, case.arguments)
            if self.plan is None or found.fine:
                self.plan = found
            if found.fine:
                if self.timed_out is None:
                    self._learn_calling(made, case)
                return

    def _learn_calling(self, made: Holder, case: Case) -> None:
        """See how it wants to be called, where the declaration does not say."""
        if self.declaration.output is not None:
            return
        given = [case.arguments[a.name] for a in self.contract.arguments("input") if a.name in case.arguments]
        inputs = tuple(value.clone() if torch.is_tensor(value) else value for value in given)  # it may write to them
        expected = self.contract.reference(**case.arguments)
        if torch.is_tensor(expected):
            with building():
                self.calling = calling(made, inputs, expected.shape, self.source, self.seconds)
            if self.calling.note:
                self.remark(self.calling.note)


def _moved(module: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """A module in this dtype on this device; complex tables stay complex, where torch would drop the imaginary part."""
    tables = [
        (inner, name, value)
        for inner in module.modules()
        for name, value in inner.named_buffers(recurse=False)
        if value.is_complex()
    ]
    moved: nn.Module = call.invoke(module.to, device=device, dtype=dtype)
    for inner, name, value in tables:
        inner._buffers[name] = value.to(device, torch.complex128 if dtype == torch.float64 else torch.complex64)
    return moved


def mapping_table(adapter: object, contract: Contract) -> list[Row]:
    """Rows of how a component's parameters were found; none for a function."""
    return adapter.rows() if isinstance(adapter, ModuleAdapter) else []


def _kind_of_numbers(arguments: Mapping[str, Any]) -> tuple[torch.dtype, torch.device]:
    for _, leaf in leaves(dict(arguments)):
        if is_float(leaf):
            return leaf.dtype, leaf.device
    return torch.get_default_dtype(), torch.device("cpu")


@contextmanager
def building() -> Iterator[None]:
    """For building a module: generators and flags are restored, and it never happens inside inference mode.

    Warnings are of sizes that only a trial has, and are not shown: "zero-element tensors" where it takes no head size.
    """
    with restored(), torch.inference_mode(False), torch.enable_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _described(value: object) -> str:
    if value is None:
        return "None"
    return "a class" if inspect.isclass(value) else f"a {type(value).__name__}"


__all__ = ["ModuleAdapter", "mapping_table", "telling_cases"]
