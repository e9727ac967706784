"""One call of code of the person outside a case: building a module, a forward pass to see how it is called, a hook.

with guarded("building", factory):
    module = call.invoke(factory, config)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from harness.execution.environment import restored
from harness.execution.source_location import described
from harness.execution.time_limit import TimeLimit

DEFAULT_SECONDS = 60.0
"""Processor seconds for one such call where nobody set a limit; the default of --impl-timeout."""
_seconds: ContextVar[float] = ContextVar("seconds for a guarded call", default=DEFAULT_SECONDS)


@contextmanager
def limit_for_calls(seconds: float) -> Iterator[None]:
    """Let guarded calls inside the block take this many processor seconds each; 0 for no limit."""
    token = _seconds.set(seconds)
    try:
        yield
    finally:
        _seconds.reset(token)


@contextmanager
def guarded(what: str, source: object = None, seconds: float | None = None) -> Iterator[None]:
    """Run the block under a time limit; random generators and global flags are restored afterwards.

    ``what`` is done ("building", "calling"), with ``source``: their function, class or object that is called.
    ``seconds``: processor seconds, by default those of :func:`limit_for_calls`.

    Raises :class:`harness.execution.time_limit.TimedOut` whose message names both, with file and line, and says what to
    do. It is no Exception: a broad ``except Exception`` around the block lets it through, so that a component which
    never returns costs the limit once, not once for each case. The executor turns it into a crash of the component;
    discovery has to catch it itself where no executor is in charge.
    """
    whole = what if source is None else f"{what} {described(source)}"
    with restored(), TimeLimit(_seconds.get() if seconds is None else seconds, whole):
        yield
