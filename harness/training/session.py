"""One watched run: what the watchers share, how steps are counted, and when enough was seen."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import torch
from torch import nn

from harness.training.events import Event
from harness.training.parameters import ModuleTree, Parameters
from harness.training.places import Place, Places
from harness.training.stopping import Stopper
from harness.training.stream import Stream

E = TypeVar("E", bound=Event)


class Session:
    """``steps``: training steps to watch. ``is_on``: whether watchers shall say anything at this moment."""

    def __init__(self, steps: int, places: Places) -> None:
        self.steps = steps
        self.places = places
        self.stream = Stream()
        self.parameters = Parameters()
        self.tree = ModuleTree()
        self.stopper = Stopper(places)
        self.started = 0.0
        """Seconds since 1970 when it began."""
        self.done = 0
        """Training steps that are complete."""
        self.since_backward = 0
        """Backward passes since the last step of an optimiser."""
        self.listeners: list[Callable[[Event], None]] = []
        """Called with every event, as it comes."""
        self.before_backward: list[Callable[[torch.Tensor | None], None]] = []
        """Experiments on the graph of a loss, before the backward pass consumes it."""
        self.last_call: tuple[nn.Module, Any, Any, Any] | None = None
        """The last call of a model: the module, its arguments, its keyword arguments, its output."""
        self._optimizers: dict[int, tuple[weakref.ref[Any], int]] = {}
        self._quiet = 0
        self._open = True

    @property
    def is_on(self) -> bool:
        """Whether the run is being watched, and not by one of our own experiments."""
        return self._open and not self._quiet

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Nothing that happens inside is an event: the harness computes something itself."""
        self._quiet += 1
        try:
            yield
        finally:
            self._quiet -= 1

    def close(self) -> None:
        """The run is over; a wrapper that somebody still holds does nothing from now on."""
        self._open = False

    def emit(self, kind: type[E], /, at: Place | None = None, step: int | None = None, **values: Any) -> E:
        """One more event at the person's line."""
        place = self.places.here() if at is None else at
        event = kind(at=place, step=self.done if step is None else step, index=len(self.stream.events), **values)
        self.stream.add(event)
        for listener in self.listeners:
            listener(event)
        return event

    def root_of(self, module: nn.Module) -> nn.Module:
        """The top of a module's tree; its parameters are known by their names from now on."""
        root = self.tree.root(module)
        self.parameters.adopt(root)
        return root

    def optimizer_number(self, optimizer: Any) -> int:
        """A number of an optimiser, in order of first appearance."""
        found = self._optimizers.get(id(optimizer))
        if found is None or found[0]() is not optimizer:
            found = self._optimizers[id(optimizer)] = (weakref.ref(optimizer), len(self._optimizers))
        return found[1]

    def own_step_place(self) -> Place:
        """The line of an optimiser that the person wrote; empty where it is not known."""
        return Place()

    def safe_point(self) -> None:
        """A moment at which the script may be ended. Raises StopInspection where enough was seen."""
        if self.is_on and self.done >= self.steps:
            self.stopper.requested = True
            self.stopper.stop()


class Watcher:
    """Watches one concern through torch's public hooks, and puts everything back."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def install(self, stack: ExitStack) -> None:
        """Begin to watch; what undoes it goes onto the stack."""
        raise NotImplementedError

    def exchange(self, stack: ExitStack, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Put ``make(original)`` in the place of an attribute of a module or class."""
        own = vars(owner).get(name)
        original = getattr(owner, name)
        setattr(owner, name, make(original))
        if own is None:
            stack.callback(delattr, owner, name)
        else:
            stack.callback(setattr, owner, name, own)
