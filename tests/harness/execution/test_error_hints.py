"""Errors whose own text does not say what to do."""

import pytest
import torch

from harness.execution.error_hints import hint


def raised(function) -> str:
    with pytest.raises((RuntimeError, AssertionError, TypeError)) as caught:
        function()
    return str(caught.value)


def in_place() -> None:
    x = torch.ones(2, requires_grad=True) * 1
    y = x.exp()
    y += 1
    y.sum().backward()


def other_dtype() -> None:
    torch.ones(2, 2, dtype=torch.float64) @ torch.ones(2, 2)


def to_numpy() -> None:
    torch.ones(2, requires_grad=True).numpy()


def on_a_leaf() -> None:
    x = torch.ones(2, requires_grad=True)
    x += 1


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (in_place, "make a new tensor"),
        (on_a_leaf, "make a new tensor"),
        (other_dtype, "dtype=x.dtype"),
        (to_numpy, "stay with torch"),
    ],
)
def test_what_torch_says_is_recognised(function, told: str) -> None:
    """With the torch that is installed, not with texts from memory."""
    assert told in hint(raised(function))


def test_no_gpu_is_told_only_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one, the same text means something else."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "there is no GPU here" in hint("Torch not compiled with CUDA enabled")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert hint("Torch not compiled with CUDA enabled") == ""


def test_other_errors_are_left_alone() -> None:
    """Their own text is enough, or nobody knows."""
    assert hint("'Tensor' object has no attribute 'tahn'") == ""
