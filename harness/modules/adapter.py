"""Somebody's torch.nn.Module becomes a component: built for each case's sizes, and given that case's weights."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import seed as hypothesis_seed
from hypothesis.errors import HypothesisSideeffectWarning
from torch import nn

from harness.core.case import CALL, Call, Case, is_float
from harness.core.claim import NotSupported
from harness.core.contract import Contract
from harness.core.declaration import Declaration
from harness.core.errors import CannotMatch, OtherSize
from harness.core.implementation import MeasuredOutput, Request
from harness.core.tree import leaves
from harness.core.values import Settings, TrackedSettings
from harness.execution.arguments import bound, untaken
from harness.execution.bound_call import Ready
from harness.execution.environment import restored
from harness.execution.session import Adapter, Session
from harness.modules.expected_parameters import positions, sizes, slots
from harness.modules.matching import plan
from harness.modules.output_form import Calling, calling, result_of
from harness.modules.parameter_map import Plan, Row
from harness.modules.parameter_values import values_for

ROOM = 256
"""The longest sequence that a part may be asked to take, where its contract does not say (``config.context``); longer where
a case is."""
KEPT = 64
"""Built modules that are kept, one per sizes, settings and dtype."""
PROBES, HAND = 30, 6
"""Cases drawn to find one whose sizes tell the parameters apart, and how many at a time: a hand starts simple."""


class ModuleAdapter(Adapter):
    """A factory of modules (or of plain functions, which are then called with the contract's arguments).

    ``kind``, ``absent`` and ``notes`` are known after one module was built for a small case; what goes wrong there is
    told when a case is run.
    """

    has_factory = True

    def __init__(self, declaration: Declaration, contract: Contract) -> None:
        self.declaration, self.contract = declaration, contract
        self.source = declaration.factory
        self._built: OrderedDict[Any, Any] = OrderedDict()
        self._plan: Plan | None = None
        self._probed = False
        self._is_module = True
        self._remarks: list[str] = []
        self.calling = Calling()

    @property
    def kind(self) -> str:
        self._probe()
        return "module" if self._is_module else "function"

    @property
    def absent(self) -> tuple[str, ...]:
        self._probe()
        return self._plan.absent if self._plan is not None and self._plan.fine else ()

    @property
    def notes(self) -> tuple[str, ...]:
        self._probe()
        return (*(self._plan.notes if self._plan is not None else ()), *self._remarks)

    def session(self, contract: Contract, request: Request) -> ModuleSession:
        return ModuleSession(self, request)

    def rows(self) -> list[Row]:
        """The table of parameters."""
        self._probe()
        return self._plan.rows() if self._plan is not None else []

    def output_of(self, result: Any, given: Any) -> Any:
        """The tensor in what the module returned: where the declaration says, or where such modules keep it.

        ``given``: its first input, whose leading axes come back where the module flattened them.
        """
        output = self.declaration.output
        if output is not None:
            if isinstance(output, str):
                return getattr(result, output)
            return result[output] if isinstance(output, int) else output(result)
        value, where = result_of(result)
        if where:
            self.remark(where)
        if self.calling.flat and torch.is_tensor(value) and value.dim() == 2:
            value = value.reshape(*given.shape, -1)
        return value

    def remark(self, text: str) -> None:
        """A note about what was seen while it was called."""
        if text not in self._remarks:
            self._remarks.append(text)

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
                if a.name.startswith("n_"):
                    values.setdefault(a.name[2:], value)
        values.setdefault("context", max(ROOM, positions(self.contract, arguments)))
        return Settings(**values)

    def built(self, arguments: Mapping[str, Any]) -> Any:
        """The module (or function) for this call's sizes, settings, dtype and device; built once."""
        config = TrackedSettings(self.configuration(arguments))
        dtype, device = _kind_of_numbers(arguments)
        key = (repr(config), dtype, device)
        if key not in self._built:
            self._built[key] = self._made(config, dtype, device), config.read
            if len(self._built) > KEPT:
                self._built.popitem(last=False)
        made, read = self._built[key]
        if isinstance(made, Holder):
            settings_ = self.contract.arguments("setting")
            unread = untaken(settings_, arguments, read)
            for a in settings_:
                if isinstance(arguments.get(a.name), Settings):
                    unread += untaken(a.fields, arguments[a.name].as_dict(), read)
            if unread:
                raise NotSupported(f"its factory takes no {', '.join(unread)}")
        return made

    def read(self, arguments: Mapping[str, Any]) -> set[str]:
        """What the factory read of the configuration when it built the module for this call."""
        config, (dtype, device) = self.configuration(arguments), _kind_of_numbers(arguments)
        return self._built[(repr(config), dtype, device)][1]

    def fresh(self, arguments: Mapping[str, Any]) -> Any:
        """Another one, built anew."""
        dtype, device = _kind_of_numbers(arguments)
        return self._made(self.configuration(arguments), dtype, device)

    def _made(self, config: Settings, dtype: torch.dtype, device: torch.device) -> Any:
        with _nothing_disturbed():
            made = self.declaration.factory(config)
            if isinstance(made, nn.Module):
                for whole in made.__dict__.get("_plumbline_whole", ()):  # of which this is a part
                    whole.to(device=device, dtype=dtype)
                return Holder(made.to(device=device, dtype=dtype), self.declaration.call)
        if callable(made):
            return made
        hint = "; is a `return` missing?" if made is None else ""
        name = getattr(self.declaration.factory, "__name__", "the factory")
        raise TypeError(f"{name}(config) returned {_kind(made)}, not a torch.nn.Module or a function{hint}")

    # matching --------------------------------------------------------------------------------------------------------

    def plan_for(self, module: nn.Module, arguments: Mapping[str, Any]) -> Plan:
        """How the parameters match: decided once, with sizes that tell them apart. Raises CannotMatch otherwise."""
        self._probe()
        if self._plan is None:
            self._plan = self._planned(module, arguments)
        if not self._plan.fine:
            raise CannotMatch(self._plan.refusal())
        return self._plan

    def _planned(self, module: nn.Module, arguments: Mapping[str, Any]) -> Plan:
        return plan(self.contract, module, arguments, self.declaration.names, self.declaration.layout)

    def _probe(self) -> None:
        """Match the parameters on the drawn case that tells them apart best, of those that the module can have."""
        if self._probed:
            return
        self._probed = True
        for case in telling_cases(self.contract):
            try:
                made = self.built(case.arguments)
            except Exception:  # told when a case is run, with their frames
                continue
            self._is_module = isinstance(made, Holder)
            if not self._is_module:
                return
            found = self._planned(made.inner, case.arguments)
            if self._plan is None or found.fine:
                self._plan = found
            if found.fine:
                self._how(made, case)
                return

    def _how(self, made: Holder, case: Case) -> None:
        """See how it wants to be called, where nobody said."""
        if self.declaration.output is not None:
            return
        inputs = tuple(case.arguments[a.name] for a in self.contract.arguments("input") if a.name in case.arguments)
        expected = self.contract.reference(**case.arguments)
        if torch.is_tensor(expected):
            with _nothing_disturbed():
                self.calling = calling(made.inner, made, inputs, expected.shape)
            if self.calling.note:
                self.remark(self.calling.note)


class Holder(nn.Module):
    """Somebody's module, and how it is called."""

    def __init__(self, inner: nn.Module, how: Callable[..., Any] | None) -> None:
        super().__init__()
        self.inner, self.how = inner, how

    def forward(self, *inputs: Any, **options: Any) -> Any:
        return self.inner(*inputs, **options) if self.how is None else self.how(self.inner, *inputs, **options)


def bare(module: nn.Module, how: Callable[..., Any] | None, inputs: list[Any], options: dict[str, Any]) -> Ready:
    """A call of a module with nothing of ours inside: as it is called itself, as its adapter says (``how.ready``), or as
    somebody's own ``how`` calls it."""
    if how is None:
        return Ready(partial(module, *inputs, **options))
    ready: Callable[..., Ready] | None = getattr(how, "ready", None)
    return Ready(partial(how, module, *inputs, **options)) if ready is None else ready(module, inputs, options)


class ModuleSession(Session):
    """Plays the calls of one script on modules that are kept between scripts, as a program would keep them."""

    def __init__(self, adapter: ModuleAdapter, request: Request) -> None:
        self.adapter, self.request = adapter, request
        self.own: tuple[Holder, tuple[tuple[torch.Tensor, torch.Tensor], ...]] | None = None

    def call(self, call: Call) -> Any:
        made = self.adapter.built(call.arguments)
        signature = self.adapter.contract.calls[CALL]
        if not isinstance(made, Holder):
            function = copy.deepcopy(made) if self.request.context == "deepcopied" else made
            return bound(function, signature, call.arguments)()
        values = self._values(made, call.arguments)
        inputs, options = self._inputs(call)
        if self.request.context in ("deepcopied", "reloaded") and self.request.gradients is None:
            other = self._copied(made, values, call.arguments)
            other.train(self.request.mode == "train")
            result = other(*inputs, **options)
        else:
            made.train(self.request.mode == "train")
            named = {f"inner.{name}": value for name, value in values.items()}
            result = torch.func.functional_call(made, named, tuple(inputs), options)
        value = self.adapter.output_of(result, call.arguments[signature.arguments[0].name])
        return MeasuredOutput(value, {"parameters": _count(made.inner)})

    def ready(self, call: Call) -> Ready:
        """On a module of its own that holds the weights of the first call; later ones bring other inputs."""
        if self.own is None:
            made = self.adapter.built(call.arguments)
            if not isinstance(made, Holder):
                return Ready(bound(made, self.adapter.contract.calls[CALL], call.arguments))
            self.own = self._loaded(self._values(made, call.arguments), call.arguments)
        holder, handed = self.own
        holder.train(self.request.mode == "train")
        inputs, options = self._inputs(call)
        ready = bare(holder.inner, holder.how, inputs, options)
        return Ready(ready.call, lambda raw: self.adapter.output_of(ready.value(raw), inputs[0]), handed=handed)

    def _values(self, made: Holder, arguments: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        """The weights of a call, by the names of their parameters."""
        matched = self.adapter.plan_for(made.inner, arguments)
        try:
            return values_for(matched, made.inner, arguments)
        except OtherSize as error:
            unread = [name for name in error.sizes if name not in self.adapter.read(arguments)]
            if unread:  # a hidden size of four times the width, say, whatever the case has
                raise NotSupported(
                    f"its factory takes no {', '.join(unread)}: {str(error).partition(';')[0]}"
                ) from None
            raise

    def _inputs(self, call: Call) -> tuple[list[Any], dict[str, Any]]:
        signature = self.adapter.contract.calls[CALL]
        inputs = [call.arguments.get(a.name) for a in signature.arguments if a.role == "input"]
        while inputs and inputs[-1] is None:
            inputs.pop()
        return inputs, dict.fromkeys(self.adapter.calling.options, inputs[0]) if inputs else {}

    def _loaded(
        self, values: Mapping[str, torch.Tensor], arguments: Mapping[str, Any]
    ) -> tuple[Holder, tuple[tuple[torch.Tensor, torch.Tensor], ...]]:
        """A new module with these numbers as its own, and which of its parameters stands for which of them."""
        own: Holder = self.adapter.fresh(arguments)
        live = dict(own.inner.named_parameters(remove_duplicate=False))
        with torch.no_grad():
            for name, value in values.items():
                live[name].copy_(value)
        return own, tuple((value, live[name]) for name, value in values.items() if live[name].requires_grad)

    def _copied(self, made: Holder, values: Mapping[str, torch.Tensor], arguments: Mapping[str, Any]) -> Holder:
        """A module that holds these numbers as its own, then a deep copy of it, or a new one that loaded its state."""
        first, _ = self._loaded(values, arguments)
        if self.request.context == "deepcopied":
            return copy.deepcopy(first)
        second: Holder = self.adapter.fresh(arguments)
        second.inner.load_state_dict(first.inner.state_dict())
        return second


def mapping_table(adapter: Any, contract: Contract) -> list[Row]:
    """Rows of how a component's parameters were found; none for a function."""
    return adapter.rows() if isinstance(adapter, ModuleAdapter) else []


_TELLING: dict[int, tuple[Contract, list[Case]]] = {}


def telling_cases(contract: Contract) -> list[Case]:
    """Some cases, first those whose sizes tell the parameters apart: all there, none of size 1, few of them equal.

    Drawn once per contract: every adapter of it asks.
    """
    if id(contract) not in _TELLING:
        _TELLING[id(contract)] = contract, _telling_cases(contract)
    return _TELLING[id(contract)][1]


def _telling_cases(contract: Contract) -> list[Case]:
    drawn: list[Case] = []
    for hand in range(PROBES // HAND):

        @hypothesis_seed(hand)
        @settings(
            max_examples=HAND,
            phases=[Phase.generate],
            database=None,
            deadline=None,
            derandomize=False,
            suppress_health_check=list(HealthCheck),
            verbosity=Verbosity.quiet,
            print_blob=False,
        )
        @given(contract.cases())
        def collect(case: Case) -> None:
            drawn.append(case)

        with warnings.catch_warnings():  # a report may ask what is offered before Hypothesis expects to be used
            warnings.simplefilter("ignore", HypothesisSideeffectWarning)
            collect()

    def clarity(case: Case) -> tuple[int, int, int, int]:
        """Sizes of 1; sizes that coincide with each other or with a quotient of two (a head size); what is left out."""
        shapes = [slot.shape for slot in slots(contract, case.arguments) if slot.part is None]
        config = _numbers(case.arguments)
        named = {**sizes(contract, case.arguments), **config}
        values = list(named.values())
        quotients = [a // b for a in values for b in values if b and a > b and a % b == 0]
        ones = sum(size == 1 for shape in shapes for size in shape) + sum(v == 1 for v in config.values())
        lists = sum(len(v) < 2 for v in _lists(case.arguments))
        same = len(values) - len(set(values)) + sum(q == 1 or q in values for q in quotients)
        absent = sum(leaf is None for _, leaf in leaves(dict(case.arguments)))
        return (ones + lists, same, absent, sum(values))

    return sorted(drawn, key=clarity)


def _numbers(arguments: Mapping[str, Any]) -> dict[str, int]:
    """The whole numbers among the settings, those of a record of sizes one by one."""
    flat: dict[str, Any] = {}
    for name, value in arguments.items():
        flat.update(value.as_dict() if isinstance(value, Settings) else {name: value})
    return {name: value for name, value in flat.items() if type(value) is int}


def _lists(value: Any) -> Iterator[list[Any]]:
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _lists(inner)
    elif isinstance(value, list):
        yield value


def _kind_of_numbers(arguments: Mapping[str, Any]) -> tuple[torch.dtype, torch.device]:
    for _, leaf in leaves(dict(arguments)):
        if is_float(leaf):
            return leaf.dtype, leaf.device
    return torch.get_default_dtype(), torch.device("cpu")


@contextmanager
def _nothing_disturbed() -> Iterator[None]:
    """For building a module: generators are put back, and it never happens inside inference mode."""
    with restored(), torch.inference_mode(False), torch.enable_grad():
        yield


def _count(module: nn.Module) -> float:
    """Numbers in its trainable parameters, tied ones counted once."""
    return float(sum(p.numel() for p in module.parameters() if p.requires_grad))


def _kind(value: Any) -> str:
    return "None" if value is None else f"{'a class' if inspect.isclass(value) else 'a ' + type(value).__name__}"


__all__ = ["ModuleAdapter", "mapping_table", "telling_cases"]
