"""Several objects of one component may be in use at once within a script."""

import json

import torch

from harness.core.case import Call, Case
from harness.core.contract import Argument, Contract, Signature
from harness.core.formatting import describe
from harness.core.implementation import Request
from harness.core.serialize import from_json, to_json
from harness.execution.executor import Executor
from harness.execution.functions import ClassAdapter

CONTRACT = Contract(
    name="total",
    meaning="A running total.",
    calls={
        "build": Signature((Argument("start", "float[]"),), "the total"),
        "add": Signature((Argument("x", "float[]"),), "float[]"),
    },
    reference=object,
    cases=lambda: None,
)


class Total:
    def __init__(self, start):
        self.held = start

    def add(self, x):
        self.held = self.held + x
        return self.held


def number(value: float) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64)


SCRIPT = Case(
    (
        Call("build", {"start": number(1)}),
        Call("build", {"start": number(100)}, of="second"),
        Call("add", {"x": number(2)}),
        Call("add", {"x": number(2)}, of="second"),
        Call("add", {"x": number(3)}),
    )
)


def test_lines_of_a_script_are_about_the_object_they_name() -> None:
    """Every object keeps what it was told, and changes of the case keep the names."""
    executor = Executor("theirs", {"total": ClassAdapter(Total)}, {"total": CONTRACT})
    for case in (
        SCRIPT,
        SCRIPT.cast(torch.float32),
        SCRIPT.mapped(lambda path, leaf: leaf),
        SCRIPT.changed(x=number(3)),
    ):
        answer = executor.run(Request("total", case))
        assert [None if value is None else float(value) for value in answer.outputs] == [None, None, 3.0, 102.0, 6.0]


def test_it_is_part_of_what_the_case_is() -> None:
    """Another object, another case; printed and saved."""
    plain = Case(tuple(Call(call.method, call.arguments) for call in SCRIPT.calls))
    assert plain.key != SCRIPT.key
    assert "second.add(" in describe(SCRIPT)
    assert from_json(json.loads(json.dumps(to_json(SCRIPT)))).key == SCRIPT.key
