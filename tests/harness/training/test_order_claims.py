"""Claims on the order of zero_grad, backward, clip, step and schedule."""

from __future__ import annotations

from pathlib import Path

from support_training import edited, inspected, kinds, line_of

ZERO = "    optimizer.zero_grad()\n"


def test_zero_grad_that_is_named_and_not_called(tmp_path: Path) -> None:
    """The line is that of the name."""
    text = edited(("optimizer.zero_grad()", "optimizer.zero_grad"))
    result = inspected(tmp_path, text)
    assert kinds(result) == ["zero_grad_missing"]
    assert result.failed[0].line == line_of(text, "optimizer.zero_grad")


def test_zero_grad_that_is_missing(tmp_path: Path) -> None:
    """The line is that of the backward pass before which it belongs."""
    text = edited((ZERO, ""))
    result = inspected(tmp_path, text)
    assert kinds(result) == ["zero_grad_missing"]
    assert result.failed[0].line == line_of(text, "loss.backward()")


def test_gradients_may_be_cleared_in_any_way(tmp_path: Path) -> None:
    """By the model, after the step, by hand."""
    for other in ("    model.zero_grad()\n", "    for p in model.parameters(): p.grad = None\n"):
        assert kinds(inspected(tmp_path, edited((ZERO, other)))) == []
    after = edited((ZERO, ""), ("    optimizer.step()\n", "    optimizer.step()\n" + ZERO))
    assert kinds(inspected(tmp_path, after)) == []
