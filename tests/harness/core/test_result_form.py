"""What came back, in words, where it is of another kind than declared."""

import torch

from harness.core.case import Call
from harness.core.contract import Contract, Signature
from harness.core.result_form import wrong_kind

X = torch.zeros(2, 3)


def told(output: object, result: str = "float[batch]", method: str = "call") -> str:
    calls = {method: Signature((), result)}
    contract = Contract("thing", "A thing.", calls, lambda: None, lambda: None)
    found = wrong_kind(contract, [Call(method, {})], [output])
    assert found is None or found.message.startswith(f"it returned {found.returned} where ")
    return found.message if found else ""


def test_what_is_declared_is_no_news() -> None:
    """A tensor where one is due, anything that is something where none is, and None where nothing is due."""
    assert told(X) == told([1, 2], "list[int]") == told(None, "nothing", "load") == told(None, "it", "build") == ""


def test_none_asks_for_a_return() -> None:
    """The most usual slip of all."""
    assert told(None) == "it returned None where thing must return float[batch]: is a `return` missing?"
    assert "encode() must return list[int]" in told(None, "list[int]", "encode")


def test_other_things_say_what_they_are_and_what_to_do() -> None:
    """A tuple, a list of tensors, plain numbers, somebody's object."""
    assert "a tuple of 2 (float32[2, 3], None)" in told((X, None)) and "the first of them alone" in told((X, None))
    assert (
        "torch.stack" in told([X, X]) and "without gradients" in told([[1.0], [2.0]]) and "a dict" in told({"out": X})
    )
    assert all(told(value) for value in (None, (X,), [X], 3.0, {}))
