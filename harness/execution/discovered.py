"""An implementation that was discovered, and what is asked of it beside its answers.

It runs in this process (:class:`harness.execution.executor.Executor`), or in one of its own: whoever asks cannot tell.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from harness.core.change import Change
from harness.core.implementation import Answer, Offer, Request
from harness.execution.misfits import PlugIn
from harness.execution.run_lines import Lines


class FoundComponent(Protocol):
    """What is known of a component without calling it."""

    @property
    def within(self) -> str:
        """The component whose module it was found inside; empty where it stands alone."""

    @property
    def called_in_forms(self) -> tuple[str, ...] | None:
        """The legal forms that the project accepts whose functions are called; None where they are not its only way
        in."""

    @property
    def place(self) -> tuple[str, int]:
        """(file, line) where it is defined; ("", 0) where that is not known."""


class Discovered(ABC):
    """An implementation with what is known of its code."""

    name: str
    components: tuple[str, ...]

    @property
    @abstractmethod
    def found(self) -> Mapping[str, FoundComponent]:
        """Its components."""

    @abstractmethod
    def offers(self, component: str) -> Offer | None:
        """How it offers a component, or None when it does not."""

    @abstractmethod
    def run(self, request: Request) -> Answer:
        """Play a request. Never raises for what the implementation does."""

    @property
    def is_altered(self) -> bool:
        """Whether what runs is not what their files say."""
        return False

    @abstractmethod
    def to_do(self, component: str) -> str:
        """Why a component that is there is not written yet, known without calling it; an empty text where it is."""

    @abstractmethod
    def plug_in(self, component: str) -> PlugIn:
        """What a component needs that the contract does not give, known without calling it."""

    @abstractmethod
    def never_given(self, component: str) -> tuple[str, ...]:
        """Arguments of the implementation with a default that no case gives."""

    @abstractmethod
    def unreached(self, component: str) -> tuple[tuple[str, ...], int]:
        """Lines of a component's own functions that no traced run reached, and how many runs were traced."""

    @abstractmethod
    def changed_by_a_call(self, request: Request) -> list[str]:
        """Attributes of the object that a case calls which change with a call."""

    @abstractmethod
    def lines_of(self, run: Callable[[], object]) -> Lines:
        """The lines of own files that run while ``run`` lets it answer; none where nobody sees them."""

    @abstractmethod
    def kept(self) -> Any:
        """What its modules keep at this moment, for :meth:`changed_since`."""

    @abstractmethod
    def changed_since(self, kept: Any, component: str) -> list[str]:
        """The names of what the module of a component keeps now, and did not then."""

    @abstractmethod
    def as_built(self, component: str) -> Discovered | None:
        """A component that cannot be plugged in, run with its own weights; None where there is no such way."""

    @abstractmethod
    def with_files_changed(self, changes: Sequence[Change], time_limit: float) -> Discovered | None:
        """The same implementation with changes of its files in force in every run.

        ``time_limit``: processor seconds of a run. None where they cannot be in force without importing its files
        again.
        """


__all__ = ["Discovered", "FoundComponent"]
