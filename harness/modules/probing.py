"""Trial calls outside a case, to see how a module is built and called: limited to a few processor seconds.

They run at tiny sizes, so that a call which takes longer almost surely never ends. Then the component is reported as
timed out at once, where each of its checks would otherwise wait for the whole time limit of a case.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from harness.core.library_files import is_own_file
from harness.core.notebook import shown_line
from harness.execution import call
from harness.execution.guarded import DEFAULT_SECONDS, guarded
from harness.execution.time_limit import TimedOut

P = ParamSpec("P")
R = TypeVar("R")

SHARE = 20.0
"""The limit of a case is this many times the limit of a trial call."""
LEAST_SECONDS = 2.0
"""A first call may import a library: importing torch._dynamo took 1.4 processor seconds (measured, torch 2.13)."""


def probe_seconds(time_limit: float) -> float:
    """Processor seconds for one trial call, where one case may take ``time_limit``; 0 means no limit for both."""
    return max(time_limit / SHARE, min(time_limit, LEAST_SECONDS)) if time_limit > 0 else 0.0


PROBE_SECONDS = probe_seconds(DEFAULT_SECONDS)


def trial_call(
    what: str, source: object, seconds: float, function: Callable[P, R], /, *arguments: P.args, **options: P.kwargs
) -> R:
    """Call code of the implementation once, within ``seconds`` of processor time; nothing global is changed by it.

    ``what`` is done with ``source``, see :func:`harness.execution.guarded.guarded`. Where torch.compile was at work
    when the limit was hit, the call is made once more with the limit of a case: compiling takes longer than any trial
    call. Raises TimedOut, which no ``except Exception`` catches; and whatever the function raises.
    """
    compiled = _compiled_frames()
    try:
        with guarded(what, source, seconds):
            return call.invoke(function, *arguments, **options)
    except TimedOut:
        if _compiled_frames() == compiled:
            raise
    with guarded(what, source, seconds * SHARE):
        return call.invoke(function, *arguments, **options)


def interrupted_at(error: TimedOut) -> str:
    """``model.py:12``: the innermost line of the implementation that was running; empty where there was none."""
    lines = [
        shown_line(frame.filename, frame.lineno or 0, short=True)
        for frame in traceback.extract_tb(error.__traceback__)
        if is_own_file(frame.filename)
    ]
    return lines[-1] if lines else ""


def _compiled_frames() -> int:
    """How many functions torch.compile has begun to compile in this process."""
    compiler = sys.modules.get("torch._dynamo.utils")
    counters = getattr(compiler, "counters", {})
    return int(counters["frames"]["total"]) if "frames" in counters else 0
