"""An executor that remembers answers from memory, and asks again where repeatability is judged."""

from __future__ import annotations

import torch

from harness.core.case import Case
from harness.core.implementation import Answer, Offer, Request
from harness.execution.caching import CachingImplementation


class Counting:
    """An implementation that counts how often it was asked."""

    name = "counting"
    components = ("a", "b")
    asked = 0

    def offers(self, component):
        return Offer(component)

    def run(self, request):
        self.asked += 1
        return Answer((self.asked,))


def case(*numbers: float) -> Case:
    return Case.of({"x": torch.tensor(numbers)})


def test_the_same_request_is_asked_once():
    """Equal content is the same request, whatever object it is."""
    implementation = CachingImplementation(Counting())
    assert implementation.run(Request("a", case(1.0))).value == implementation.run(Request("a", case(1.0))).value == 1


def test_another_request_is_asked_anew():
    """Another component, case, cotangent, mode or context."""
    implementation = CachingImplementation(Counting())
    requests = [
        Request("a", case(1.0)),
        Request("b", case(1.0)),
        Request("a", case(2.0)),
        Request("a", case(1.0), gradients=1),
        Request("a", case(1.0), mode="train"),
        Request("a", case(1.0), context="deepcopied"),
    ]
    assert [implementation.run(request).value for request in requests] == [1, 2, 3, 4, 5, 6]


def test_a_fresh_request_is_always_asked():
    """Where repeatability and state are judged, memory would hide them."""
    implementation = CachingImplementation(Counting())
    assert [implementation.run(Request("a", case(1.0), fresh=True)).value for _ in range(2)] == [1, 2]
