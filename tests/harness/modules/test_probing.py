"""Trial calls are limited, and a function that compiles itself gets more time."""

from __future__ import annotations

import sys
import time
from collections import Counter
from types import SimpleNamespace

import pytest

from harness.execution import call
from harness.execution.time_limit import TimedOut
from harness.modules.probing import interrupted_at, trial_call


def busy(seconds: float) -> str:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
    return "done"


def test_a_trial_call_is_interrupted_and_says_where() -> None:
    """The line that ran."""
    with pytest.raises(TimedOut, match=r"calling busy \(test_probing\.py:\d+\)") as caught:
        trial_call("calling", busy, 0.05, busy, 30.0)
    assert interrupted_at(caught.value).startswith("test_probing.py:")


def test_a_trial_call_runs_through_the_executor() -> None:
    """As every call of an implementation."""
    assert trial_call("calling", None, 1.0, call.is_running)


def test_a_call_during_which_torch_compiles_gets_the_time_of_a_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first call of a compiled function is slow, and not endless."""
    counters = {"frames": Counter(total=3)}
    monkeypatch.setitem(sys.modules, "torch._dynamo.utils", SimpleNamespace(counters=counters))

    def compiled() -> str:
        counters["frames"]["total"] += 1
        return busy(0.3)

    assert trial_call("calling", compiled, 0.1, compiled) == "done"
