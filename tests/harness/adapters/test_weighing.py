"""What an object holds in memory is counted once, wherever it lies."""

import numpy
import torch

from harness.adapters.weighing import bytes_held


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
