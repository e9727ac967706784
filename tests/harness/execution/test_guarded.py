"""Single calls of their code outside a case: limited, and without a trace in global state."""

from __future__ import annotations

import random

import numpy
import pytest
import torch

from harness.execution import call
from harness.execution.guarded import guarded, limit_for_calls
from harness.execution.source_location import described
from harness.execution.time_limit import TimedOut


class Endless:
    def forward(self) -> None:
        while True:
            pass


def test_a_call_that_never_returns_is_named() -> None:
    """What was done, the class, its file and line."""
    with (
        pytest.raises(TimedOut, match=r"calling Endless \(test_guarded\.py:\d+\) took more than 0\.05 s"),
        guarded("calling", Endless, 0.05),
    ):
        call.invoke(Endless().forward)


def test_an_object_is_named_by_its_class() -> None:
    """A builtin by its name alone."""
    assert described(Endless()) == described(Endless) and described(len) == "len"


def test_the_limit_comes_from_who_is_in_charge() -> None:
    """Where the call itself says none."""
    with limit_for_calls(0.05), pytest.raises(TimedOut, match=r"more than 0\.05 s"), guarded("calling", Endless):
        call.invoke(Endless().forward)


def test_global_state_is_restored() -> None:
    """Also where the block raises."""
    before = torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_rng_state(), random.getstate()
    numbers = numpy.random.get_state()[1].copy()
    with pytest.raises(ValueError, match="no"), guarded("building"):
        torch.set_default_dtype(torch.float16)
        torch.set_grad_enabled(False)
        _ = torch.rand(1), random.random(), numpy.random.rand()
        raise ValueError("no")
    assert (torch.get_default_dtype(), torch.is_grad_enabled()) == before[:2]
    assert torch.equal(torch.get_rng_state(), before[2]) and random.getstate() == before[3]
    assert (numpy.random.get_state()[1] == numbers).all()


def test_code_knows_whether_it_was_invoked() -> None:
    """So that a call from elsewhere can be found."""
    assert call.invoke(call.is_running) and not call.is_running()
    with pytest.raises(ZeroDivisionError):
        call.invoke(lambda: 1 // 0)
    assert not call.is_running()
