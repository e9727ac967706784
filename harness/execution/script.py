"""One run of one case: its calls in order, the backward pass, and what came of it as an answer."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy
import torch

from harness.core.case import HARNESS_STEP, Call
from harness.core.contract import Contract
from harness.core.implementation import Answer, Effect, EffectKind, MeasuredOutput, Phase, Request
from harness.core.steps import Step
from harness.core.tree import leaves, map_leaves
from harness.core.values import load_function
from harness.execution import call as chokepoint
from harness.execution.case_arguments import CaseArguments
from harness.execution.crashes import crash_of
from harness.execution.gradients import Backward
from harness.execution.memory_footprint import bytes_held
from harness.execution.session import Adapter, Session
from harness.execution.tensor_copies import detached
from harness.execution.time_limit import TimeLimit
from harness.execution.tracing import Tape
from harness.stubs import dependencies

Middleware = Callable[[Callable[[Mapping[str, Any]], Any], str, Mapping[str, Any], Request], Any]
"""(call, method, arguments, request) -> what the case gets for the call's result."""


class Script:
    """One run. ``seconds``: processor seconds that it may take, 0 for no limit; see :class:`TimeLimit`.

    ``own``: which files are the implementation's, for a trace.
    """

    def __init__(
        self,
        contract: Contract,
        request: Request,
        middleware: Middleware | None,
        seconds: float,
        own: Container[str] = (),
    ) -> None:
        self.contract, self.request, self.middleware, self.seconds = contract, request, middleware, seconds
        is_taped = request.trace or bool(request.replacements)
        self.tape = Tape(own, request.replacements, request.trace) if is_taped else None
        self.arguments = CaseArguments(request)
        self.answered: list[Any] = []
        """What the answer holds of each output."""
        self.effects: list[Effect] = []
        self.facts: dict[str, float] = {}
        self.is_fixed = contract.is_function and not contract.arguments("parameter")
        """Whether it learns nothing, so that its results need a gradient only where its inputs do."""
        self.phase, self.at = Phase.FORWARD, 0

    def run(self, adapter: Adapter) -> Answer:
        """The answer; whatever the implementation raises is in it as a crash."""
        try:
            with TimeLimit(self.seconds):
                gradients = self._run(adapter)
        except BaseException as error:
            crash = crash_of(error, adapter, self.phase, self.at)
            return Answer(self._outputs(), {}, tuple(self.effects), crash, steps=self._steps())
        return Answer(self._outputs(), gradients, tuple(self.effects), None, self.facts, self._steps())

    def _steps(self) -> tuple[Step, ...]:
        return tuple(self.tape.steps) if self.tape is not None and self.request.trace else ()

    def _run(self, adapter: Adapter) -> dict[str, Any]:
        """Make all calls, and return the gradients. Raises whatever the implementation raises."""
        session = chokepoint.invoke(adapter.session, self.contract, self.request)
        with _gradient_context(self.request), self.tape or nullcontext():
            for at, call in enumerate(self.request.case.calls):
                self.at = at
                output = self._harness_step(call) if call.method == HARNESS_STEP else self._call(session, call)
                self.arguments.outputs.append(output)
                self.answered.append(self._for_the_answer(call, output))
        self.effects += self.arguments.changed_later()
        gradients: dict[str, Any] = {}
        if self.request.gradients is not None:
            self.phase = Phase.BACKWARD
            backward = Backward(self.arguments.leaves, self.arguments.labels, self.effects)
            last = self.arguments.outputs[-1]
            gradients = backward.run(session, last, self.request, self.arguments.changed_now)
        if _is_incomplete(self.arguments.outputs) and (part := dependencies.beneath(adapter.source)):
            raise NotImplementedError(part)
        if self.request.weigh:
            self.facts |= self._bytes_held(session.built)
        return gradients

    def _outputs(self) -> tuple[Any, ...]:
        return tuple(map_leaves(self.answered, lambda _, leaf: detached(leaf)))

    def _call(self, session: Session, call: Call) -> Any:
        signature = self.contract.calls.get(call.method)
        given = self.arguments.of_call(self.at, call, signature)
        is_number = signature is not None and signature.returns_number

        def through(arguments: Mapping[str, Any]) -> Any:
            output = self._without_facts(chokepoint.invoke(session.call, call.with_arguments(arguments)))
            return _as_number(output) if is_number else output

        if self.middleware is None:
            output = through(given)
        else:
            output = self._without_facts(self.middleware(through, call.method, given, self.request))
        is_last = self.at + 1 == len(self.request.case.calls)
        self.effects += self.arguments.changed_by(call, given, is_last)
        if self.is_fixed and self.request.gradients is None and _needs_a_gradient(output):
            text = "what it returns needs a gradient, though nothing that was given does"
            self.effects.append(Effect(EffectKind.OWN_GRADIENT, text, method=call.method))
        return output

    def _harness_step(self, call: Call) -> Any:
        """A step of the harness's own: it may call objects of the implementation, so that it is invoked too."""
        given = self.arguments.of_harness_step(self.at, call)
        return chokepoint.invoke(load_function(given.pop("do")), **given)

    def _for_the_answer(self, call: Call, output: Any) -> Any:
        """What the answer holds of an output: a copy as of now of a live one, no objects of the harness's own steps."""
        if call.method == HARNESS_STEP:
            return map_leaves(output, lambda _, leaf: leaf if _is_plain(leaf) else f"<{type(leaf).__name__}>")
        signature = self.contract.calls.get(call.method)
        if signature is not None and signature.objects:
            return None if output is None and not signature.returns_nothing else "(objects)"
        if signature is not None and signature.live:
            return map_leaves(output, lambda _, leaf: leaf.detach().clone() if torch.is_tensor(leaf) else leaf)
        return output

    def _bytes_held(self, built: Any) -> dict[str, float]:
        """Bytes held by the object that was built and by each result; of a method called twice, the last."""
        returned = zip(self.request.case.calls, self.arguments.outputs, strict=True)
        found = {
            f"bytes of {call.method}()": float(bytes_held(output)) for call, output in returned if output is not None
        }
        return found if built is None else {**found, "bytes": float(bytes_held(built))}

    def _without_facts(self, output: Any) -> Any:
        """What was returned; facts that came with it are kept apart."""
        if not isinstance(output, MeasuredOutput):
            return output
        self.facts.update(output.facts)
        return output.value


def _as_number(output: Any) -> Any:
    """A number of Python, NumPy or torch as a tensor [] of float64; what is no number as it came."""
    if isinstance(output, (int, float, numpy.integer, numpy.floating)) and not isinstance(output, bool):
        return torch.tensor(float(output), dtype=torch.float64)
    if torch.is_tensor(output) and output.numel() == 1 and not output.is_complex():
        return output.detach().double().reshape(())
    return output


def _is_incomplete(outputs: list[Any]) -> bool:
    """Whether the last call returned None, or None among other things."""
    last = outputs[-1] if outputs else ()
    return last is None or (isinstance(last, tuple) and any(entry is None for entry in last))


def _needs_a_gradient(output: Any) -> bool:
    return any(type(leaf) is torch.Tensor and leaf.requires_grad for _, leaf in leaves(output))


def _is_plain(leaf: Any) -> bool:
    """Whether an answer can hold it: a tensor, a number, a text or nothing."""
    return torch.is_tensor(leaf) or leaf is None or type(leaf) in (bool, int, float, str, bytes)


def _gradient_context(request: Request) -> AbstractContextManager[Any]:
    if request.context == "inference":
        return torch.inference_mode()
    return torch.enable_grad() if request.gradients is not None else nullcontext()
