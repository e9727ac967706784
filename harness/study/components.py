"""The components that lessons are made of: the reference's, or the user's own where they are offered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from harness.core.claim import NotSupported, ToDo
from harness.core.contract import Contract
from harness.core.errors import CannotMatch
from harness.core.lesson import CannotTakePart, Object
from harness.execution.executor import Executor
from harness.execution.live import LiveObject, called, is_ready, opened


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


@contextmanager
def told_of(component: str) -> Iterator[None]:
    """Raises CannotTakePart for what is no fault of a component's."""
    try:
        yield
    except (NotSupported, CannotMatch, ToDo, NotImplementedError) as error:
        raise CannotTakePart(component, str(error) or type(error).__name__) from error


class UserObject:
    """An object of the user's component."""

    def __init__(self, component: str, inner: LiveObject) -> None:
        self.component, self.inner = component, inner

    def call(self, method: str, **arguments: Any) -> Any:
        """Call a method. Raises CannotTakePart, or whatever the component raises."""
        with told_of(self.component):
            return self.inner.call(method, **arguments)


class UserComponents:
    """The user's components where they are offered and written, the reference's otherwise."""

    def __init__(self, executor: Executor, reference: ReferenceComponents) -> None:
        self.executor, self.reference = executor, reference
        self._own: dict[str, bool] = {}

    def leave_out(self, component: str) -> None:
        """The reference's takes its place from now on."""
        self._own[component] = False

    def is_own(self, component: str) -> bool:
        """Whether the user's own takes part."""
        if component not in self._own:
            self._own[component] = is_ready(self.executor, component)
        return self._own[component]

    def call(self, component: str, **arguments: Any) -> Any:
        """Call a component that is a function."""
        if not self.is_own(component):
            return self.reference.call(component, **arguments)
        with told_of(component):
            return called(self.executor, component, arguments)

    def build(self, component: str, **arguments: Any) -> Object:
        """Build a component that is a class."""
        if not self.is_own(component):
            return self.reference.build(component, **arguments)
        with told_of(component):
            made = opened(self.executor, component)
            made.call("build", **arguments)
        return UserObject(component, made)
