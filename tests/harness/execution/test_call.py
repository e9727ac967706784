"""Code of the person is called in one place, and code that never returns is called once."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import Call, Case
from harness.core.contract import Argument, Contract, Signature
from harness.core.implementation import Answer, CrashKind, Request
from harness.execution import call
from harness.execution.executor import Executor
from harness.execution.functions import ClassAdapter, FunctionAdapter
from harness.execution.guarded import guarded

X, SCALE = Argument("x", "float[n]"), Argument("scale", "float[n]", "parameter")
DOUBLE = Contract(
    "double", "", {"call": Signature((X, SCALE), "float[n]")}, lambda x, scale: x * scale, lambda: st.nothing()
)
COUNTER = Contract(
    "counter",
    "",
    {
        "build": Signature((Argument("start", "int", "setting"),), "a counter"),
        "step": Signature((Argument("by", "int"),), "int"),
    },
    lambda start: None,
    lambda: st.nothing(),
)
CONTRACTS = {"double": DOUBLE, "counter": COUNTER}
CASE = Case.of({"x": torch.tensor([1.0, 2.0]), "scale": torch.tensor([3.0, 4.0])})


def script(built: type, *calls: tuple[str, dict[str, Any]]) -> Answer:
    executor = Executor("mine", {"counter": ClassAdapter(built)}, CONTRACTS)
    case = Case((Call("build", {"start": 1}), *(Call(method, arguments) for method, arguments in calls)))
    return executor.run(Request("counter", case))


# who calls their code ------------------------------------------------------------------------------------------------


class Noted(torch.autograd.Function):
    """Notes whether its passes run inside the one place that may call their code."""

    seen: list[bool] = []

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        Noted.seen.append(call.is_running())
        return x * 2

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        Noted.seen.append(call.is_running())
        return gradient * 2


def test_a_function_and_its_backward_pass_run_in_the_one_place_for_their_code() -> None:
    """A case, and the same case for timing."""
    Noted.seen.clear()
    executor = Executor("mine", {"double": FunctionAdapter(lambda x, scale: Noted.apply(x) * scale)}, CONTRACTS)
    assert executor.run(Request("double", CASE, gradients=3)).crash is None and Noted.seen == [True, True]
    prepared = executor.prepared(Request("double", CASE, gradients=3))
    prepared.answer(call.invoke(prepared()))
    assert len(Noted.seen) > 4 and all(Noted.seen) and not call.is_running()


def test_an_object_is_built_and_called_in_the_one_place_for_their_code() -> None:
    """Construction and methods, also where they raise."""
    seen: list[bool] = []

    class Noting:
        def __init__(self, start: int) -> None:
            seen.append(call.is_running())

        def step(self, by: int) -> int:
            seen.append(call.is_running())
            raise ValueError("no")

    assert script(Noting, ("step", {"by": 2})).crash.error == "ValueError"
    assert seen == [True, True] and not call.is_running()


# code that never returns ---------------------------------------------------------------------------------------------


class EndlessWhenProbed(FunctionAdapter):
    """An adapter that has to call the code once to know how it is called."""

    looks = 0

    @property
    def kind(self) -> str:
        self.looks += 1
        with guarded("calling", self.source):
            call.invoke(self.source)
        return "module"


def forever(x: object = None, scale: float = 0.0) -> None:
    while True:
        pass


def test_a_component_that_never_returns_is_looked_at_once() -> None:
    """Its limit is spent once, not once for each case; the crash names what was called."""
    adapter = EndlessWhenProbed(forever)
    executor = Executor("mine", {"double": adapter}, CONTRACTS, time_limit=0.05)
    offer = executor.offers("double")
    assert offer is not None and offer.where == __file__
    crash = executor.run(Request("double", CASE)).crash
    assert crash is not None and crash.kind is CrashKind.TIMED_OUT and adapter.looks == 1
    assert "calling forever (test_call.py:" in crash.message and "0.05 s of processor time" in crash.message
    assert executor.offers("double") == offer and adapter.looks == 1
