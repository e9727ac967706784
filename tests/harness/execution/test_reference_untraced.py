"""Only the implementation's lines are traced: the diagnosis runs the reference hundreds of times."""

from __future__ import annotations

import sys
from dataclasses import replace

from harness.core.case import CALL
from harness.core.implementation import Request
from harness.execution.executor import Executor
from harness.execution.functions import FunctionAdapter
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.reference import reference_executor

KNOWN = load_catalogue()


def tracers_seen(make) -> list[object]:
    """What traces while a component is called, in a run that ``make`` gives an executor for."""
    seen: list[object] = []

    def gelu(x):
        seen.append(sys.gettrace())
        return x

    contracts = {"gelu": replace(KNOWN.contracts["gelu"], reference=gelu)}
    case = Inspection(KNOWN, reference_executor(KNOWN.contracts)).bench.cases_of(KNOWN.contracts["gelu"])[0]
    assert make(contracts, gelu).run(Request("gelu", case)).crash is None and CALL in contracts["gelu"].calls
    return seen


def test_the_reference_is_not_traced() -> None:
    before = sys.gettrace()
    assert tracers_seen(lambda contracts, _: reference_executor(contracts)) == [before]


def test_the_implementation_is_traced() -> None:
    if sys.gettrace() is not None:
        return  # somebody else traces: it is left alone

    def theirs(contracts, gelu):
        return Executor("mine", {"gelu": FunctionAdapter(gelu)}, contracts)

    assert tracers_seen(theirs) != [None]
