"""The one place where code of the person runs in this process.

Import, construction, probing, the calls of a case, the backward pass and timed calls all go through :func:`invoke`.
What the implementation calls in turn (a forward pass that a hook watches, say) runs inside it.

To prove that nothing calls an implementation from elsewhere, let it look at :func:`is_running` when it is called, and
fail where it is False; or patch ``harness.execution.call.invoke`` and count. Callers must therefore look the function
up in the module (``from harness.execution import call`` and ``call.invoke(...)``), never import it by its name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_depth = 0


def invoke(function: Callable[P, R], /, *arguments: P.args, **options: P.kwargs) -> R:
    """Call code of the person. Returns and raises what that code returns and raises.

    Sets no limit and restores nothing: see :mod:`harness.execution.guarded` for single calls, and
    :class:`harness.execution.executor.Executor` for cases.
    """
    global _depth
    _depth += 1
    try:
        return function(*arguments, **options)
    finally:
        _depth -= 1


def is_running() -> bool:
    """Whether code of the person is being called right now."""
    return _depth > 0
