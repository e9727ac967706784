"""Scripts at the executor: what one line returned goes into another, and whose tensors are trained."""

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from harness.core.case import Call, Case, harness_step
from harness.core.contract import Argument, Contract, Signature
from harness.core.implementation import CrashKind, Request
from harness.core.serialize import from_json, to_json
from harness.core.values import Earlier, Given, Resource
from harness.execution.executor import Executor
from harness.execution.functions import ClassAdapter, FunctionAdapter

PAIR = Contract(
    name="pair",
    meaning="Takes a tensor apart and puts it together.",
    calls={
        "build": Signature((Argument("weight", "float[n]", "parameter"),), "the object"),
        "load": Signature((Argument("a", "float[n, m]", "parameter", aliases=("down.weight",)),), "nothing"),
        "apart": Signature(
            (Argument("x", "float[n]"), Argument("way", "bool", "setting", optional=True, default=True)), "(half, rest)"
        ),
        "together": Signature((Argument("half", "float[n]"), Argument("rest", "float[n]")), "float[n]"),
        "parameters": Signature((), "{a}"),
    },
    reference=lambda weight: None,
    cases=lambda: None,
)
BUILD = Call("build", {"weight": torch.ones(2)})


def run(build, *calls, **options):
    executor = Executor("theirs", {"pair": ClassAdapter(build)}, {"pair": PAIR})
    return executor.run(Request("pair", Case((BUILD, *calls)), **options))


def apart(value, **more):
    return Call("apart", {"x": torch.full((2,), value), **more})


def together(back=0):
    return Call("together", {"half": Earlier("apart", 0, back), "rest": Earlier("apart", 1, back)})


class Halves:
    def __init__(self, weight):
        self.weight = weight

    def apart(self, x):
        return x / 2, {"rest": x / 2}

    def together(self, half, rest):
        return half + rest["rest"]


def test_what_was_returned_is_handed_on_as_it_is() -> None:
    """Even a dictionary of their own; of the latest call, or of one before it."""
    assert torch.equal(run(Halves, apart(3.0), together()).value, torch.full((2,), 3.0))
    assert torch.equal(run(Halves, apart(3.0), apart(5.0), together(back=1)).value, torch.full((2,), 3.0))
    assert torch.equal(run(Halves, apart(3.0), apart(5.0), together()).value, torch.full((2,), 5.0))


def test_what_was_not_returned_cannot_be_handed_on() -> None:
    """An error that says how many values there must be."""

    class One(Halves):
        def apart(self, x):
            return x

    crash = run(One, apart(3.0), together()).crash
    assert crash is not None and "apart() must return at least 1 values" in crash.message


def test_all_of_it_is_handed_on_where_no_entry_is_named() -> None:
    """An optimiser's state is the user's own business: it comes back as it was given out."""

    class WholeModel(Halves):
        def together(self, half, rest):
            return half[0] + rest

    both = Call("together", {"half": Earlier("apart"), "rest": torch.ones(2)})

    class Tuple(WholeModel):
        def apart(self, x):
            return x, "theirs"

    assert torch.equal(run(Tuple, apart(3.0), both).value, torch.full((2,), 4.0))
    assert repr(Earlier("apart")) == "apart()"


class Counter:
    """An object that is neither tensor nor number."""

    def __init__(self, start: int) -> None:
        self.count = start


def count_of(counter, add):
    return torch.tensor(float(counter.count)), add


def test_a_line_of_ours_looks_at_what_was_handed_over() -> None:
    """The very object that their code got; objects themselves stay behind the executor."""

    class Counts(Halves):
        def together(self, half, rest):
            half.count += 1
            return rest

    here = __name__
    made = harness_step(f"{here}:Counter", start=3)
    call = Call("together", {"half": Earlier("ours"), "rest": torch.ones(2)})
    again = Call("together", {"half": Given("together", "half"), "rest": torch.ones(2)})
    look = harness_step(f"{here}:count_of", counter=Given("together", "half"), add=torch.ones(1))
    answer = run(Counts, made, call, again, look)
    assert answer.crash is None and answer.outputs[1] == "<Counter>"
    assert answer.value[0] == 5 and torch.equal(answer.value[1], torch.ones(1))
    case = Case((made, again, look))
    assert from_json(json.loads(json.dumps(to_json(case)))).key == case.key
    fresh = Call("together", {"half": Resource(f"{here}:Counter", (3,)), "rest": torch.ones(2)})
    assert run(Counts, fresh, fresh, look).value[0] == 4


def test_what_is_live_counts_as_it_was_when_it_was_returned() -> None:
    """An optimiser may return the tensors that it goes on changing."""

    class InPlace(Halves):
        def apart(self, x):
            with torch.no_grad():
                self.weight.add_(x)
            return self.weight, self.weight

    live = replace(PAIR, calls={**PAIR.calls, "apart": replace(PAIR.calls["apart"], live=True)})
    case = Case((Call("build", {"weight": torch.ones(2)}), apart(1.0), apart(1.0)))
    for contract, first in ((live, 2.0), (PAIR, 3.0)):
        answer = Executor("theirs", {"pair": ClassAdapter(InPlace)}, {"pair": contract}).run(Request("pair", case))
        assert torch.equal(answer.outputs[1][0], torch.full((2,), first))
    apart_ = replace(PAIR, calls={**PAIR.calls, "apart": replace(PAIR.calls["apart"], objects=True)})
    answer = Executor("theirs", {"pair": ClassAdapter(InPlace)}, {"pair": apart_}).run(Request("pair", case))
    assert answer.outputs[1:] == ("(objects)", "(objects)")


def test_it_is_printed_and_saved() -> None:
    """A counterexample reads as a script, and comes back from a file as it was."""
    case = Case((BUILD, apart(3.0), together(back=1)))
    assert repr(case.calls[-1].arguments["half"]) == "apart()[0] of 1 before"
    assert from_json(json.loads(json.dumps(to_json(case)))).key == case.key


def test_a_later_change_of_an_earlier_argument_is_seen() -> None:
    """Of a weight that was kept and written to, say; and not taken for a change by the call it was given to."""

    class Keeps(Halves):
        def apart(self, x):
            self.weight += 1
            return super().apart(x)

    assert [e.text for e in run(Keeps, apart(3.0)).effects] == ["weight, given to build(), was changed by a later call"]
    assert run(Halves, apart(3.0)).effects == ()


def test_options_that_a_function_does_not_take() -> None:
    """At their default they are left out; otherwise the case is not offered."""
    assert run(Halves, apart(3.0, way=True)).crash is None
    crash = run(Halves, apart(3.0, way=False)).crash
    assert crash is not None and crash.kind == CrashKind.NOT_SUPPORTED and "it takes no way" in crash.message


class Learns(nn.Module):
    def __init__(self, weight):
        super().__init__()
        self.down = nn.Linear(2, 2, bias=False)
        self.down.weight.data.fill_(3.0)

    def load(self, a):
        self.down.load_state_dict({"weight": a})

    def apart(self, x):
        return self.down(x)


class Transposed:
    def __init__(self, weight):
        self.kernel = torch.zeros(2, 3, requires_grad=True)

    def load(self, a):
        self.kernel.data = a.detach().T.contiguous()

    def apart(self, x):
        return x @ self.kernel

    def parameters(self):
        return {"a": self.kernel.T}


def test_the_gradient_of_a_module_and_of_a_transposed_parameter() -> None:
    """By the names and in the layout of the contract."""
    load, x = Call("load", {"a": torch.eye(2)}), apart(2.0)
    gradient = run(Learns, load, x, gradients=1).gradients["a"]
    assert gradient.shape == (2, 2) and bool((gradient != 0).all())
    load = Call("load", {"a": torch.ones(3, 2)})
    answer = run(Transposed, load, x, gradients=1)
    assert answer.gradients["a"].shape == (3, 2)
    assert torch.equal(answer.gradients["a"][:, 0], answer.gradients["a"][:, 1])


def test_parameters_without_a_known_name_are_not_guessed() -> None:
    """It is to do, with the names that nobody knows."""

    class Unknown(Learns):
        def __init__(self, weight):
            super().__init__(weight)
            self.strange = nn.Parameter(torch.zeros(1))

    crash = run(Unknown, apart(2.0), gradients=1).crash
    assert crash is not None and crash.kind == CrashKind.TO_DO and "strange" in crash.message


@pytest.mark.parametrize("parameters", [lambda self: [self.kernel], None])
def test_parameters_that_are_no_dictionary(parameters) -> None:
    """A list cannot be told apart; no method at all is to do."""
    Lists = type("Lists", (Transposed,), {"parameters": parameters})
    crash = run(Lists, apart(2.0), gradients=1).crash
    assert crash is not None and crash.kind == (CrashKind.RAISED if parameters else CrashKind.TO_DO)


def test_a_function_may_leave_out_what_is_empty() -> None:
    """linear(x, weight) is right where there is no bias."""
    bias = Argument("bias", "float[n]", "parameter", optional=True)
    contract = Contract("f", "", {"call": Signature((Argument("x", "float[n]"), bias), "")}, abs, lambda: None)
    executor = Executor("theirs", {"f": FunctionAdapter(lambda value: value * 2)}, {"f": contract})
    answer = executor.run(Request("f", Case.of({"x": torch.ones(1), "bias": None})))
    assert torch.equal(answer.value, torch.full((1,), 2.0))
