"""An implementation's component called in place, with the caller's own tensors: gradients flow through it.

The executor answers requests with copies. A training loop that is made of somebody's components needs the results
themselves. Every call still goes through :mod:`harness.execution.call`, under a limit in processor seconds.
"""

from __future__ import annotations

from typing import Any

from harness.core.case import CALL, Call, Case
from harness.core.claim import NotSupported
from harness.core.implementation import MeasuredOutput, Request
from harness.execution import call as chokepoint
from harness.execution.executor import Executor
from harness.execution.session import Session
from harness.execution.time_limit import TimeLimit


class LiveObject:
    """One object of a component that is a class, or the component itself where it is a function."""

    def __init__(self, session: Session, executor: Executor) -> None:
        self.session, self.executor = session, executor

    def call(self, method: str, **arguments: Any) -> Any:
        """Make one call and return what came back. Raises whatever the component raises."""
        with TimeLimit(self.executor.time_limit), self.executor.around():
            result = chokepoint.invoke(self.session.call, Call(method, arguments))
        return result.value if isinstance(result, MeasuredOutput) else result


def is_ready(executor: Executor, component: str) -> bool:
    """Whether a component is there, written, and takes what its contract gives."""
    offer = executor.offers(component)
    return offer is not None and not offer.to_do and not offer.misfit


def opened(executor: Executor, component: str) -> LiveObject:
    """A component, to be called. Raises NotSupported where it is not there."""
    if component not in executor.adapters:
        raise NotSupported(f"{executor.name} has no {component}")
    request = Request(component, Case(()))
    with TimeLimit(executor.time_limit), executor.around():
        session = chokepoint.invoke(executor.adapters[component].session, executor.contracts[component], request)
    return LiveObject(session, executor)


def called(executor: Executor, component: str, arguments: dict[str, Any]) -> Any:
    """One call of a component that is a function."""
    return opened(executor, component).call(CALL, **arguments)
