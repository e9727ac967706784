"""How the harness talks to one component of somebody's code: an adapter knows it, a session makes the calls of one
case.

Every member is declared here with what it means where an implementation has nothing to say. The executor asks these
members and nothing else, so that a session may live in another process.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from harness.core.case import Call
from harness.core.contract import Contract
from harness.core.implementation import OfferKind, Request
from harness.core.tree import Path
from harness.execution.bound_call import Ready
from harness.execution.manual_backward import ManualBackward
from harness.execution.misfits import PlugIn
from harness.execution.source_location import source_location


class Session(ABC):
    """Makes the calls of one case in order. Each case gets a session of its own.

    ``built``: the object that the case built, None for a plain function. ``called``: an object that is kept between
    cases, which the calls were made on. ``notes``: what a person should know of the
    calls that were made, in words. ``gives_gradients``: whether ``gradients`` is asked, rather than autograd.
    """

    built: Any = None
    called: Any = None
    notes: tuple[str, ...] = ()
    gives_gradients: bool = False

    @abstractmethod
    def call(self, call: Call) -> Any:
        """Make one call of the case and return what came back (or a MeasuredOutput that holds it).

        Raises whatever the implementation raises, NotSupported where it does not support the call,
        NotImplementedError where it is not written yet, CannotMatch where the parameters of a module are not those of
        the contract.
        """

    @abstractmethod
    def ready(self, call: Call) -> Ready:
        """The same call with everything that is the harness's done beforehand, to be made again and again."""

    def parameters(self) -> Mapping[str, Any]:
        """Live learned tensors of the object that the case built, whose gradients belong to the answer."""
        return {}

    def gradients(self, incoming: Iterable[torch.Tensor], labels: Mapping[Path, str]) -> dict[str, Any]:
        """Gradients by label, where autograd cannot give them: another library's, or a hand-written function's.

        ``incoming``: the gradient of each floating-point result of the last call. ``labels``: where the arguments stand
        that have a gradient (index of the call, name, ...), and their labels.
        """
        raise NotImplementedError(f"{type(self).__name__} gives no gradients")

    def after_backward(self, gradients: Mapping[str, Any]) -> None:
        """Look at the gradients that autograd gave. Raises NotSupported where such code gives none by design."""
        return None


class Adapter(ABC):
    """Makes sessions for one component.

    ``source``: their function or class, where a report points. ``backward``: the hand-written function that gives its
    gradients, where there is one. ``has_factory``: whether ``source`` is not the component itself, but builds it.
    """

    source: Any
    backward: ManualBackward | None = None
    has_factory: bool = False
    within: str = ""
    """The component whose module it was found inside; empty where it stands alone."""
    has_own_code: bool = True
    """Whether what is judged is ``source``, not something inside it."""

    def anew(self) -> Adapter:
        """The same adapter, and those that it calls through, with nothing built yet."""
        made = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, Adapter):
                setattr(made, name, value.anew())
        made.forget()
        return made

    def forget(self) -> None:
        """Forget what was built. A copy is asked that; the copied one keeps it."""
        return

    @property
    def kind(self) -> OfferKind:
        """Whether it is a function, a class or a module."""
        return OfferKind.FUNCTION

    @property
    def absent(self) -> tuple[str, ...]:
        """Optional parameters of the contract that it does not have."""
        return ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of how it is called, in words."""
        return ()

    @property
    def called_in_forms(self) -> tuple[str, ...] | None:
        """The legal forms that the project accepts whose functions are called, where they are its only way in."""
        return None

    @property
    def place(self) -> tuple[str, int]:
        """(file, line) where it is defined; ("", 0) where that is not known."""
        return source_location(self.source)

    @property
    def to_do(self) -> str:
        """Why it is not written yet, where that is known without calling it; else an empty text."""
        return ""

    def plug_in(self, contract: Contract) -> PlugIn:
        """What it needs that the contract does not give, known without calling it, and the lines that would give it."""
        return PlugIn()

    @property
    def entry(self) -> Callable[..., Any] | None:
        """The method of a module that is called in every case, where its arguments are chosen as it is called."""
        return None

    def never_given(self, contract: Contract) -> tuple[str, ...]:
        """Arguments of the implementation with a default that no case gives."""
        return ()

    @property
    def unwrapped(self) -> Adapter:
        """The adapter that this one wraps; itself where it wraps none."""
        return self

    @abstractmethod
    def session(self, contract: Contract, request: Request) -> Session:
        """A new session for this request."""
