"""The calls of one case, made on a module of the implementation."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from harness.core.case import CALL, Call
from harness.core.claim import NotSupported
from harness.core.errors import OtherSize
from harness.core.implementation import MeasuredOutput, Request
from harness.execution import call as execution
from harness.execution.arguments import bound, given_by_name
from harness.execution.bound_call import Ready
from harness.execution.session import Session
from harness.modules.dropout import with_dropout
from harness.modules.expected_parameters import ExpectedParameter
from harness.modules.holder import Holder, passes_options, timed_call
from harness.modules.layouts import Arrangement
from harness.modules.parameter_map import Basis
from harness.modules.parameter_values import values_for

if TYPE_CHECKING:
    from harness.modules.adapter import ModuleAdapter

Own = tuple[Holder, tuple[tuple[torch.Tensor, torch.Tensor], ...]]
"""A module that holds given tensors as its own, and (given tensor, its own parameter) of each that is trained."""


class ModuleSession(Session):
    """Makes the calls of one case on modules that are kept between cases, as a program would keep them."""

    def __init__(self, adapter: ModuleAdapter, request: Request) -> None:
        self.adapter, self.request = adapter, request
        self.own: Own | None = None

    def call(self, call: Call) -> Any:
        """The output of the module for this call's weights and inputs, and how many numbers it trains.

        Raises NotSupported where the module takes no setting or size that the call has, CannotMatch where its
        parameters do not fit, and whatever the module raises.
        """
        made = self.adapter.built(call.arguments)
        signature = self.adapter.contract.calls[CALL]
        if not isinstance(made, Holder):
            function = self._deep_copy(made) if self.request.context == "deepcopied" else made
            return execution.invoke(bound(function, signature, call.arguments))
        self.called = made.inner
        values = self._values(made, call.arguments)
        inputs, options = self._inputs(call, made)
        if self.request.context in ("deepcopied", "reloaded") and self.request.gradients is None:
            other = self._copied(values, call.arguments)
            self._set_mode(other)
            result = execution.invoke(other, *inputs, **options)
        else:
            self._set_mode(made)
            named = {f"inner.{name}": value for name, value in values.items()}
            with with_dropout(made, self.request.mode):
                result = execution.invoke(torch.func.functional_call, made, named, tuple(inputs), options)
            _forget_graphs(made.inner)
        value = self.adapter.output_of(result, call.arguments[signature.arguments[0].name])
        return MeasuredOutput(value, {"parameters": _trained_numbers(made.inner) - self._surplus(values)})

    def _surplus(self, values: Mapping[str, torch.Tensor]) -> int:
        """Numbers in the rows that tables have before those of the contract. ``values``: what the module was given."""
        plan = self.adapter.plan
        tables = [m for m in plan.matches if m.layout.kind is Arrangement.ROWS_BEFORE] if plan is not None else []
        given = [(values.get(m.found.names[0]), m.expected) for m in tables]
        return sum(value.numel() - self._numbers(slot) for value, slot in given if value is not None)

    def _numbers(self, slot: ExpectedParameter) -> int:
        value: Any = self.request.case.calls[-1].arguments
        for step in slot.path:
            value = value[step]
        return int(value.numel())

    def ready(self, call: Call) -> Ready:
        """The call for timing, on a module that holds the weights of the first call; later ones bring inputs."""
        if self.own is None:
            made = self.adapter.built(call.arguments)
            if not isinstance(made, Holder):
                return Ready(bound(made, self.adapter.contract.calls[CALL], call.arguments))
            self.own = self._loaded(self._values(made, call.arguments), call.arguments)
        holder, handed = self.own
        self._set_mode(holder)
        inputs, options = self._inputs(call, holder)
        timed = timed_call(holder.inner, holder.how, inputs, options)

        def value(raw: Any) -> Any:
            return self.adapter.output_of(timed.value(raw), inputs[0])

        return Ready(timed.call, value, handed=handed)

    def _values(self, made: Holder, arguments: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        """The weights of a call, by the names of their parameters."""
        matched = self.adapter.plan_for(made.inner, arguments)
        try:
            return values_for(matched, made.inner, arguments)
        except OtherSize as error:
            unread = [name for name in error.sizes if name not in self.adapter.read(arguments)]
            reason = str(error).partition(";")[0]
            if unread:  # a hidden size of four times the width, say, whatever the case has
                raise NotSupported(f"its factory takes no {', '.join(unread)}: {reason}") from None
            if self.adapter.sizes_by_name:  # a size that it rounds, say: what its names mean was a guess
                raise NotSupported(f"it was built at other sizes than the case has: {reason}") from None
            raise

    def _inputs(self, call: Call, made: Holder) -> tuple[list[Any], dict[str, Any]]:
        """By position; with what is given by name under the names that its forward has for it."""
        arguments = [a for a in self.adapter.contract.calls[CALL].arguments if a.role == "input"]
        inputs = [call.arguments.get(a.name) for a in arguments if not a.by_name]
        while inputs and inputs[-1] is None:
            inputs.pop()
        options = dict.fromkeys(self.adapter.calling.options, inputs[0]) if inputs else {}
        takes = made.inner.forward if made.how is None or passes_options(made.how) else made.how
        return inputs, options | given_by_name(takes, arguments, call.arguments)

    def _set_mode(self, module: nn.Module) -> None:
        execution.invoke(module.train, self.request.mode != "eval")

    def _loaded(self, values: Mapping[str, torch.Tensor], arguments: Mapping[str, Any]) -> Own:
        """A new module with these numbers as its own."""
        own: Holder = self.adapter.fresh(arguments)
        live = dict(own.inner.named_parameters(remove_duplicate=False))
        with torch.no_grad():
            for name, value in values.items():
                live[name].copy_(value)
        return own, tuple((value, live[name]) for name, value in values.items() if live[name].requires_grad)

    def _copied(self, values: Mapping[str, torch.Tensor], arguments: Mapping[str, Any]) -> Holder:
        """A module that holds these numbers as its own, then a deep copy of it, or a new one that loaded its state."""
        first, _ = self._loaded(values, arguments)
        if self.request.context == "deepcopied":
            copied: Holder = self._deep_copy(first)
            return copied
        second: Holder = self.adapter.fresh(arguments)
        copies = self._copies(values, first)
        for parameter in _named(first, copies):
            parameter.copy_(parameter.roll(1, 0))
        state = execution.invoke(first.inner.state_dict)
        execution.invoke(second.inner.load_state_dict, state)
        for parameter in _named(second, copies):
            parameter.copy_(parameter.roll(-1, 0))
        return second

    def _copies(self, values: Mapping[str, torch.Tensor], made: Holder) -> list[str]:
        """Parameters that are given the numbers of another one: a head of its own, say, where the contract has none.

        They are saved with other numbers, and turned back after loading: loading must not take one for the other.
        """
        plan = self.adapter.plan_for(made.inner, {})
        copied = [name for m in plan.matches if m.basis is Basis.COPY for name in m.found.names]
        return [name for name in copied if name in values]

    def _deep_copy(self, thing: Callable[..., Any]) -> Any:
        return execution.invoke(copy.deepcopy, thing)


def _forget_graphs(module: nn.Module) -> None:
    """What it keeps between calls (a cache) keeps its numbers, not the graph of the call, nor its inference mode."""
    for inner in module.modules():
        for held in (inner.__dict__, inner._buffers):
            for name, value in list(held.items()):
                if torch.is_tensor(value) and (value.grad_fn is not None or value.is_inference()):
                    with torch.inference_mode(False), torch.no_grad():
                        held[name] = value.detach().clone()


def _named(holder: Holder, names: Iterable[str]) -> list[torch.Tensor]:
    live = dict(holder.inner.named_parameters(remove_duplicate=False))
    return [live[name].data for name in names if name in live]


def _trained_numbers(module: nn.Module) -> float:
    """Numbers in its trainable parameters, tied ones counted once."""
    return float(sum(p.numel() for p in module.parameters() if p.requires_grad))
