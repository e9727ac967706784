"""The components that lessons are made of: the reference's, or the user's own where they are offered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from harness.core.contract import Contract
from harness.core.lesson import Object
from harness.execution.executor import Executor
from harness.execution.live import called, is_ready, opened


class ReferenceObject:
    """An object of the reference, called by the names of its contract."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def call(self, method: str, **arguments: Any) -> Any:
        """Call a method."""
        return getattr(self.inner, method)(**arguments)


class ReferenceComponents:
    """The reference. ``instead``: other functions or classes in the place of some of its own."""

    def __init__(self, contracts: Mapping[str, Contract], instead: Mapping[str, Callable[..., Any]] | None = None):
        self.functions = {name: contract.reference for name, contract in contracts.items()} | dict(instead or {})

    def call(self, component: str, **arguments: Any) -> Any:
        """Call a component that is a function."""
        return self.functions[component](**arguments)

    def build(self, component: str, **arguments: Any) -> Object:
        """Build a component that is a class."""
        return ReferenceObject(self.functions[component](**arguments))

    def is_own(self, component: str) -> bool:
        """Never: nothing is the user's."""
        return False


class UserComponents:
    """The user's components where they are offered and written, the reference's otherwise."""

    def __init__(self, executor: Executor, reference: ReferenceComponents) -> None:
        self.executor, self.reference = executor, reference
        self._own: dict[str, bool] = {}

    def is_own(self, component: str) -> bool:
        """Whether the user's own takes part."""
        if component not in self._own:
            self._own[component] = is_ready(self.executor, component)
        return self._own[component]

    def call(self, component: str, **arguments: Any) -> Any:
        """Call a component that is a function."""
        if not self.is_own(component):
            return self.reference.call(component, **arguments)
        return called(self.executor, component, arguments)

    def build(self, component: str, **arguments: Any) -> Object:
        """Build a component that is a class."""
        if not self.is_own(component):
            return self.reference.build(component, **arguments)
        made = opened(self.executor, component)
        made.call("build", **arguments)
        return made
