"""Which lines of their own functions are reached: told for a sample of the runs, and wrong about none of them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

from harness.core.case import Case
from harness.core.implementation import Request
from harness.execution.line_coverage import MOST_RUNS, PATIENCE, LineCoverage, codes_of

TEXT = '''
def helper(x):
    return x


class Double:
    def __init__(self):
        self.never = False

    def forward(self, x, mask=None, scale=1.0):
        """Words."""
        if mask is not None:
            x = x * mask
            x = x + 1
        for _ in range(0):
            x = (x
                 - 1)
        if scale < 0:
            raise ValueError("an error need not be reached")
        try:
            x = helper(x)
        except KeyError:
            x = None
        return x * 2
'''
X = torch.ones(2)


@pytest.fixture
def module(tmp_path: Path):
    path = tmp_path / "lines.py"
    path.write_text(TEXT, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("lines_of_a_test", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def request(**arguments) -> Request:
    return Request("double", Case.of(arguments))


def test_lines_that_no_run_reached_are_told(module) -> None:
    """Ranges; not errors, constructors, docstrings or what ran."""
    lines = LineCoverage(lambda: [module.__file__])
    with lines.watching(request(x=X)):
        module.Double().forward(X)
    own = set(codes_of(module.Double))
    assert lines.unreached("double", own.__contains__) == ("lines.py:13-14", "lines.py:16")
    assert lines.at_default(module.Double.forward) == ("mask", "scale")
    with lines.watching(request(x=X, mask=X)):
        module.Double().forward(X, mask=X)
    assert lines.unreached("double", own.__contains__) == ("lines.py:16",)
    assert lines.at_default(module.Double.forward) == ("scale",)
    assert lines.unreached("another", own.__contains__) == () and lines.runs == {"double": 2}


def test_runs_that_bring_nothing_new_are_left_alone(module) -> None:
    """A new argument is something new; numbers of the same kind are not."""
    lines = LineCoverage(lambda: [module.__file__])
    for number in range(2 * PATIENCE):
        with lines.watching(request(x=X + number)):
            module.Double().forward(X)
    assert lines.runs["double"] == PATIENCE + 1
    with lines.watching(request(x=X, scale=0)):
        module.Double().forward(X, scale=0)
    assert lines.runs["double"] == PATIENCE + 2 <= MOST_RUNS


def test_who_traces_already_is_not_disturbed(module) -> None:
    """A debugger, or a measurement of coverage."""
    before = sys.gettrace()

    def tracer(*arguments):
        return None

    sys.settrace(tracer)
    try:
        lines = LineCoverage(lambda: [module.__file__])
        with lines.watching(request(x=X)):
            assert sys.gettrace() is tracer
        assert lines.runs == {}
    finally:
        sys.settrace(before)
    with pytest.raises(ValueError, match="theirs"), LineCoverage(lambda: []).watching(request(x=X)):
        raise ValueError("theirs")
    assert sys.gettrace() is before
