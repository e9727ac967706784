"""Whatever a case or an answer holds comes back as it was; what nobody packed is refused."""

from __future__ import annotations

import json
import math
from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import numpy
import pytest
import torch

from harness.core.values import Earlier, Given, Resource, Settings
from harness.isolation.packing import Packer, know_records_of
from harness.isolation.unpacking import DTYPES, ProtocolError, Unpacker
from reference_model import config

Pair = namedtuple("Pair", "first second")


def there_and_back(value: Any, from_the_judge: bool = True) -> Any:
    packer = Packer()
    packed = packer.pack(value)
    packer.finish()
    memory = [bytearray(blob) for blob in packer.blobs]
    return Unpacker(memory, from_the_judge).unpack(json.loads(json.dumps(packed)))


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -(10**40),
        0.1,
        -0.0,
        math.inf,
        "text",
        "\ud800 alone",
        b"\x00\xff",
        (1, [2, (3,)]),
        {"a": 1, 2: {(1, 2): "x"}},
        {1, 2},
        frozenset({"a"}),
        1 + 2j,
        Settings(width=4, inner=Settings(eps=1e-5)),
        Earlier("call", 1, 2),
        Given("train", "model"),
        Resource("os:getcwd", (1, "a")),
        torch.float16,
        torch.Size([2, 3]),
        Pair(1, "b"),
    ],
    ids=repr,
)
def test_plain_values(value: Any) -> None:
    found = there_and_back(value)
    assert found == value and repr(found) == repr(value)
    assert type(found) is type(value) or type(found).__name__ == "Pair"


@pytest.mark.parametrize("name", [name for name in DTYPES if "uint" not in name or name == "uint8"])
def test_every_dtype(name: str) -> None:
    value = torch.tensor([0.0, 1.0, -2.0, 3.5]).to(DTYPES[name])
    found = there_and_back(value)
    assert found.dtype is value.dtype
    assert torch.equal(found.view(torch.uint8), value.view(torch.uint8))


def test_strides_and_views() -> None:
    base = torch.arange(24.0).reshape(4, 6)
    for view in (base.T, base[1:, ::2], base[0].expand(3, 6), base[:, 2:3], base.new_empty(0, 3), base.sum()):
        found = there_and_back(view)
        assert torch.equal(found, view) and found.stride() == view.stride()


def test_shared_memory_is_shared_there() -> None:
    """A weight that is given twice is one tensor; two views of one memory see each other's changes."""
    base = torch.arange(6.0)
    first, again, row, bits = there_and_back([base, base, base[2:4], base.view(torch.int32)])
    assert first is again
    row.fill_(9.0)
    assert first[2] == 9.0 and first[4] == 4.0
    bits.zero_()
    assert not first.any()


def test_sizes_are_known_by_name() -> None:
    """A record of a module that both sides have; one of any other module is an object, with its name alone."""

    @dataclass(frozen=True)
    class Config:
        width: int

    know_records_of(config)
    made = config.Config(width=16, heads=2)
    assert there_and_back(made, False) == made
    assert type(there_and_back(Config(3), False)).__name__ == "Config"
    packed = {"is": "record", "where": "reference_model.config:Config", "entries": [["heads", 0]]}
    with pytest.raises(ProtocolError):
        Unpacker([]).unpack(packed)
    with pytest.raises(ProtocolError):
        Unpacker([]).unpack({**packed, "where": "os:getcwd"})


def test_learned_tensors_and_arrays() -> None:
    learned = there_and_back(torch.nn.Parameter(torch.ones(2)))
    assert isinstance(learned, torch.nn.Parameter) and learned.requires_grad
    array = there_and_back(numpy.arange(6, dtype=numpy.int16).reshape(2, 3).T)
    assert array.dtype == numpy.int16 and array.tolist() == [[0, 3], [1, 4], [2, 5]]
    number = there_and_back(numpy.float32(1.5))
    assert type(number) is numpy.float32 and number == 1.5


def test_an_object_is_told_by_the_name_of_its_class() -> None:
    class Result:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    found = there_and_back([Result()])[0]
    assert type(found).__name__ == "Result" and "RuntimeError" in repr(found)


def tensor(**other: Any) -> dict[str, Any]:
    usual = {"is": "tensor", "number": 0, "dtype": "float32", "shape": [2], "stride": [1], "memory": 0, "at": 0}
    return {**usual, **other}


@pytest.mark.parametrize(
    "value",
    [
        tensor(shape=[3]),
        tensor(at=4),
        tensor(at=-4),
        tensor(at=1, shape=[1]),
        tensor(memory=1),
        tensor(stride=[-1]),
        tensor(stride=[1 << 61]),
        tensor(shape=[1 << 40], stride=[0]),
        tensor(shape=[1] * 65, stride=[1] * 65),
        tensor(shape=[2, 1]),
        tensor(dtype="quint8"),
        tensor(shape=[True]),
        tensor(number="a"),
        {"is": "again", "number": 3},
        {"is": "named", "name": "import os", "fields": [], "values": []},
        {"is": "array", "dtype": "O", "shape": [1], "data": ""},
        {"is": "array", "dtype": "f8", "shape": [1], "data": "????"},
        {"is": "resource", "where": "os:getcwd", "arguments": {"is": "tuple", "values": []}},
        {"is": "nothing"},
        {"is": ["tensor"]},
        {},
        {"is": "dict", "entries": [[[], 1]]},
        {"is": "set", "frozen": 0, "values": [[]]},
        {"is": "tuple"},
    ],
    ids=str,
)
def test_what_is_no_value_is_refused(value: Any) -> None:
    with pytest.raises(ProtocolError):
        Unpacker([bytearray(8)]).unpack(value)
