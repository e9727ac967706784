"""What an object holds in memory is counted once, wherever it lies."""

import numpy
import torch

from harness.core.case import Call, Case
from harness.core.contract import Argument, Contract, Signature
from harness.core.implementation import Request
from harness.execution.executor import Executor
from harness.execution.functions import ClassAdapter
from harness.execution.memory_footprint import bytes_held


class Cache:
    __slots__ = ("keys", "later")

    def __init__(self) -> None:
        self.keys = torch.zeros(4, 8)
        self.later = {"values": [self.keys[:2], torch.zeros(3, dtype=torch.int8)]}


def test_tensors_count_once_and_views_with_what_they_keep_alive() -> None:
    assert bytes_held(Cache()) == 4 * 8 * 4 + 3
    assert bytes_held(torch.zeros(100)[:1]) == 400


def test_arrays_modules_closures_and_gradients_count() -> None:
    layer = torch.nn.Linear(3, 2, bias=False)
    assert bytes_held(layer) == 24
    layer(torch.ones(1, 3)).sum().backward()
    assert bytes_held(layer) == 48
    kept = numpy.zeros(5, dtype=numpy.float64)
    assert bytes_held(lambda: kept[1:]) == 40
    assert bytes_held({"packed": b"abc"}) == 3


def test_circles_end() -> None:
    one: dict[str, object] = {"x": torch.zeros(1)}
    one["self"] = one
    assert bytes_held(one) == 4


class Halver:
    def __init__(self) -> None:
        self.table = torch.zeros(5)

    def call(self, x):
        return x.half(), {"scale": torch.ones(3)}


def test_what_a_call_returned_is_weighed_beside_what_was_built() -> None:
    calls = {"build": Signature((), "it"), "call": Signature((Argument("x", "float[...]"),), "(half, scale)")}
    contract = Contract("halver", "", calls, Halver, lambda: None)
    executor = Executor("it", {"halver": ClassAdapter(Halver)}, {"halver": contract})
    case = Case((Call("build", {}), Call("call", {"x": torch.zeros(4)})))
    assert executor.run(Request("halver", case, weigh=True)).facts == {"bytes": 20, "bytes of call()": 8 + 12}
    assert not executor.run(Request("halver", case)).facts
