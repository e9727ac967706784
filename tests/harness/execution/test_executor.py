"""The executor: what goes in is a copy, what comes out is checked, and whatever their code does becomes an answer."""

from __future__ import annotations

import random
import time

import numpy
import pytest
import torch
from hypothesis import strategies as st

from harness.core.case import Call, Case
from harness.core.contract import Argument, Contract, Signature
from harness.core.implementation import CrashKind, MeasuredOutput, Request
from harness.execution.executor import Executor
from harness.execution.functions import ClassAdapter, FunctionAdapter

X = Argument("x", "float[n]")
SCALE = Argument("scale", "float[n]", "parameter")
DOUBLE = Contract(
    "double", "", {"call": Signature((X, SCALE), "float[n]")}, lambda x, scale: x * scale, lambda: st.nothing()
)
COUNTER = Contract(
    "counter",
    "",
    {
        "build": Signature((Argument("start", "int", "setting"),), "a counter"),
        "step": Signature((Argument("by", "int"),), "int"),
        "back": Signature((), "int"),
    },
    lambda start: None,
    lambda: st.nothing(),
    optional_methods=frozenset({"back"}),
)
CONTRACTS = {"double": DOUBLE, "counter": COUNTER}
CASE = Case.of(
    {"x": torch.tensor([1.0, 2.0], dtype=torch.float64), "scale": torch.tensor([3.0, 4.0], dtype=torch.float64)}
)


def run(function, case: Case = CASE, middleware=None, time_limit: float = 60.0, **options):
    executor = Executor(
        "theirs", {"double": FunctionAdapter(function)}, CONTRACTS, middleware=middleware, time_limit=time_limit
    )
    return executor.run(Request("double", case, **options))


def script(built, *calls: tuple[str, dict], **options):
    executor = Executor("theirs", {"counter": ClassAdapter(built)}, CONTRACTS)
    case = Case((Call("build", {"start": 1}), *(Call(method, arguments) for method, arguments in calls)))
    return executor.run(Request("counter", case, **options))


# answers -------------------------------------------------------------------------------------------------------------


def test_what_comes_back_is_the_output():
    """One per call."""
    assert torch.equal(run(lambda x, scale: x * scale).value, torch.tensor([3.0, 8.0], dtype=torch.float64))


def test_arguments_are_copies():
    """What their code does to them does not reach the case, and is told."""

    def careless(x, scale):
        x.add_(1)
        return x * scale

    answer = run(careless)
    assert CASE.arguments["x"].tolist() == [1.0, 2.0]
    assert [e.text for e in answer.effects] == ["x was changed in place"]


def test_gradients_arrive_by_name():
    """For a random cotangent, which is not the sum."""
    gradients = run(lambda x, scale: x * scale, gradients=3).gradients
    ratio = gradients["x"] / CASE.arguments["scale"]
    assert torch.allclose(gradients["scale"] / CASE.arguments["x"], ratio) and ratio[0] != ratio[1]


def test_a_gradient_that_does_not_arrive_is_none():
    """Not zero: that would be a claim about numbers."""
    assert run(lambda x, scale: x.detach() * scale, gradients=3).gradients["x"] is None


def test_a_change_in_place_is_seen_with_gradients_too():
    """And is not refused by autograd as a write to a leaf."""

    def careless(x, scale):
        x.mul_(2)
        return x * scale

    answer = run(careless, gradients=3)
    assert answer.crash is None and "x was changed in place" in [e.text for e in answer.effects]


def test_facts_are_kept_apart_from_the_output():
    """Whatever a session or a middleware tells of the object."""
    answer = run(
        lambda x, scale: x, middleware=lambda call, *_: MeasuredOutput(call({**CASE.arguments}), {"parameters": 2.0})
    )
    assert answer.facts == {"parameters": 2.0} and torch.is_tensor(answer.value)


# crashes -------------------------------------------------------------------------------------------------------------


def raises(error):
    def broken(x, scale):
        raise error

    return broken


def test_what_their_code_raises_is_a_crash_with_their_frames():
    """Not an exception of ours."""
    crash = run(raises(ValueError("no"))).crash
    assert (crash.kind, crash.error, crash.message) == ("raised", "ValueError", "no")
    assert len(crash.frames) == 1 and "in broken" in crash.frames[0]


def test_not_implemented_is_to_do():
    """Their own word for it."""
    assert run(raises(NotImplementedError())).crash.kind == CrashKind.TO_DO


def test_an_operation_that_torch_has_not_for_a_dtype_is_a_crash():
    """torch says so with the same error; the code is there, and is wrong."""
    crash = run(lambda x, scale: (x > 1) & x).crash
    assert (crash.kind, crash.error) == ("raised", "NotImplementedError") and "bitwise_and" in crash.message


def test_a_module_without_forward_is_to_do():
    """torch raises that one in Python."""
    assert run(lambda x, scale: torch.nn.Module()(x)).crash.kind == CrashKind.TO_DO


def test_an_exit_is_a_crash():
    """It does not end the run."""
    assert run(raises(SystemExit(1))).crash.error == "SystemExit"


def test_a_skip_or_a_panic_of_theirs_is_a_crash():
    """Neither is an Exception to Python. A skip is only ever the harness's decision."""

    class Panic(BaseException):
        pass

    assert run(raises(Panic("no entry found for key"))).crash.message == "no entry found for key"
    assert run(raises(pytest.skip.Exception("not today"))).crash.kind == CrashKind.RAISED


def test_an_interrupt_goes_through():
    """The person at the keyboard wants to stop."""
    with pytest.raises(KeyboardInterrupt):
        run(raises(KeyboardInterrupt()))


def test_an_error_in_backward_is_told_as_such():
    """Their own autograd functions fail there."""

    class Broken(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, gradient):
            raise RuntimeError("backwards")

    crash = run(lambda x, scale: Broken.apply(x), gradients=3).crash
    assert crash.phase == "backward" and "backwards" in crash.message


def test_an_endless_loop_is_stopped():
    """Though their code catches every exception."""

    def endless(x, scale):
        while True:
            try:
                time.sleep(0.01)
            except Exception:
                continue

    assert run(endless, time_limit=0.2).crash.kind == CrashKind.TIMED_OUT


def test_a_component_that_timed_out_twice_is_not_called_again():
    """Its other checks are answered at once: 27 of them need not wait 60 seconds each."""
    calls = []

    def endless(x, scale):
        calls.append(1)
        while True:
            time.sleep(0.01)

    executor = Executor("theirs", {"double": FunctionAdapter(endless)}, CONTRACTS, time_limit=0.05)
    kinds = {executor.run(Request("double", CASE)).crash.kind for _ in range(5)}
    assert kinds == {CrashKind.TIMED_OUT} and len(calls) == 2


def test_a_component_that_is_not_there_is_to_do():
    """Nothing was promised."""
    assert Executor("theirs", {}, CONTRACTS).run(Request("double", CASE)).crash.kind == CrashKind.TO_DO


# the world -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda: torch.rand(1), "torch's random generator"),
        (lambda: numpy.random.rand(), "numpy's random generator"),
        (lambda: random.random(), "Python's random generator"),
        (lambda: torch.set_default_dtype(torch.float16), "torch's default dtype"),
        (lambda: torch.set_grad_enabled(False), "torch's gradient mode"),
    ],
)
def test_a_change_of_global_state_is_told_and_undone(change, said):
    """Generators, default dtype, gradient mode."""
    before = torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_rng_state(), random.getstate()

    def meddles(x, scale):
        change()
        return x * scale

    assert said in run(meddles).effects[0].text
    assert (torch.get_default_dtype(), torch.is_grad_enabled()) == before[:2]
    assert torch.equal(torch.get_rng_state(), before[2]) and random.getstate() == before[3]


def test_drawing_is_no_effect_in_training():
    """Dropout is allowed to draw there."""
    assert run(lambda x, scale: x * torch.rand(2), mode="train").effects == ()


def test_every_play_starts_from_the_same_random_state():
    """So that what draws is repeatable, and a claim about it can be checked."""
    drawn = [run(lambda x, scale: torch.rand(2)).value for _ in range(2)]
    assert torch.equal(*drawn)


# scripts -------------------------------------------------------------------------------------------------------------


class Counter:
    def __init__(self, start):
        self.value = start

    def step(self, by):
        self.value += by
        return self.value


def test_a_script_is_played_on_one_object():
    """Built once, then asked again and again."""
    assert script(Counter, ("step", {"by": 2}), ("step", {"by": 3})).outputs == (None, 3, 6)


def test_every_script_builds_its_own():
    """Nothing is left over from the last one."""
    assert [script(Counter, ("step", {"by": 2})).value for _ in range(2)] == [3, 3]


def test_a_list_or_dictionary_that_is_changed_is_told():
    """Plain values in containers are arguments too; the next run gets them as they were."""

    class Emptied(Counter):
        def step(self, by):
            total = sum(by)
            by.clear()
            return total

    case = Case((Call("build", {"start": 1}), Call("step", {"by": [1, 2]})))
    executor = Executor("theirs", {"counter": ClassAdapter(Emptied)}, CONTRACTS)
    answers = [executor.run(Request("counter", case)) for _ in range(2)]
    assert [answer.value for answer in answers] == [3, 3]
    assert [e.text for e in answers[1].effects] == ["by was changed in place by step()"]


def test_a_missing_method_is_to_do():
    """Unless the contract calls it optional."""
    assert script(Counter, ("step", {"by": 1}), ("back", {})).crash.kind == CrashKind.NOT_SUPPORTED

    class Half:
        def __init__(self, start):
            self.value = start

    crash = script(Half, ("step", {"by": 1})).crash
    assert crash.kind == CrashKind.TO_DO and "step()" in crash.message


def test_a_deep_copy_takes_the_place_of_the_object():
    """For the claim that copies survive."""

    class Uncopied(Counter):
        def __deepcopy__(self, memo):
            return Uncopied(100)

    assert script(Uncopied, ("step", {"by": 1}), context="deepcopied").value == 101


@pytest.mark.parametrize(
    "two", [2, 2.0, numpy.float32(2.0), numpy.array([2.0])[0], torch.tensor(2.0), torch.tensor([2])], ids=repr
)
def test_a_number_is_a_number_whatever_library_made_it(two):
    """Declared as one, it is handed on as a tensor [] of float64; what is none is handed on as it came."""
    number = Contract("two", "", {"call": Signature((), "float")}, lambda: 2.0, lambda: st.nothing())

    def answer(value):
        executor = Executor("theirs", {"two": FunctionAdapter(lambda: value)}, {"two": number})
        return executor.run(Request("two", Case.of({}))).value

    assert torch.equal(answer(two), torch.tensor(2.0, dtype=torch.float64)) and answer(two).dtype == torch.float64
    assert answer(True) is True and answer("2") == "2"
