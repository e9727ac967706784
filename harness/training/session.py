"""One watched run: what the watchers share, how steps are counted, and when enough was seen."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple, TypeVar

import torch
from torch import nn
from torch.optim import Optimizer

from harness.training.events import Event, LossComputed, OptimizerStepped
from harness.training.horizon import WITHOUT_A_STEP, Horizon
from harness.training.observations import StateLoaded
from harness.training.origins import Origins
from harness.training.parameters import ModuleTree, Parameters
from harness.training.places import Place, Places
from harness.training.source import source_of
from harness.training.stopping import Stopper
from harness.training.stream import Stream

E = TypeVar("E", bound=Event)


class Embedded(NamedTuple):
    """A lookup of an embedding: the ids, and what came of it."""

    ids: torch.Tensor
    output: torch.Tensor


class PendingLoss(NamedTuple):
    """A cross-entropy that no backward pass has used: its event, its value in the graph, its tensors."""

    event: LossComputed
    result: torch.Tensor
    logits: torch.Tensor
    embedding: torch.Tensor | None
    targets: torch.Tensor
    ids: torch.Tensor | None


class Current:
    """What a watcher leaves for others during a step."""

    def __init__(self) -> None:
        self.embedded: list[Embedded] = []
        """The last lookups of embeddings."""
        self.losses: list[PendingLoss] = []
        """Cross-entropies since the last step."""
        self.is_scaled = False
        """Whether a scaler has scaled the loss up, and gradients have not been scaled back."""
        self.scale = 1.0
        """By how much it did so last."""
        self.unscales_itself = False
        """Whether a scaler is making a step, which scales gradients back."""
        self.dropout_seen = False
        """Whether functional dropout was at work since the last outermost call of a model began."""
        self.model_in_use: nn.Module | None = None
        """The model whose outermost call is going on, or ended last."""
        self.called_at = Place()
        """Where that was called."""
        self.is_in_call = False
        """Whether the outermost call of a model is going on."""
        self.is_rerun = False
        """Whether the harness calls the person's model again."""
        self.rerun_logits: list[torch.Tensor] = []
        """The logits of cross-entropies in such a call."""


class Session(Current):
    """``steps``: training steps to watch. ``is_on``: whether watchers shall say anything at this moment."""

    def __init__(self, steps: int, places: Places) -> None:
        super().__init__()
        self.horizon = Horizon(steps)
        self.places = places
        self.stream = Stream()
        self.tree = ModuleTree()
        self.parameters = Parameters(self.tree)
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
        self.held: set[int] = set()
        """The identities of the parameters that optimisers hold."""
        self.origins = Origins()
        """Where tensors of whole numbers were made."""
        self.made: dict[int, Place] = {}
        """Where each optimiser was built."""
        self._schedulers: dict[int, tuple[weakref.ref[Any], int]] = {}
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

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """A measurement of ours: whatever it raises is kept, and does not reach the script."""
        try:
            yield
        except Exception as error:
            self.stream.troubles.append(error)

    def root_number(self) -> int:
        """The number of the root of the model in use; -1 where there is none."""
        return self.tree.number(self.tree.root(self.model_in_use)) if self.model_in_use is not None else -1

    @property
    def dropout_at_work(self) -> bool:
        """Whether any dropout is at work in the model in use."""
        root = self.tree.root(self.model_in_use) if self.model_in_use is not None else None
        parts = root.modules() if root is not None else ()
        drops = (part for part in parts if isinstance(part, nn.modules.dropout._DropoutNd))
        return self.dropout_seen or any(part.training and part.p > 0 for part in drops)

    def close(self) -> None:
        """The run is over; a wrapper that somebody still holds does nothing from now on."""
        self._open = False

    def emit(self, kind: type[E], /, at: Place | None = None, step: int | None = None, **values: Any) -> E:
        """One more event at the person's line."""
        place = self.places.here() if at is None else at
        event = kind(at=place, step=self.done if step is None else step, index=len(self.stream.events), **values)
        self.stream.add(event)
        if self.horizon.saw(event, self.done) or isinstance(event, StateLoaded):
            self.parameters.forget()
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
        while isinstance(getattr(optimizer, "optimizer", None), Optimizer):  # a library's wrapper around it
            optimizer = optimizer.optimizer
        return _numbered(self._optimizers, optimizer)

    def scheduler_number(self, scheduler: Any) -> int:
        """A number of a scheduler, in order of first appearance."""
        return _numbered(self._schedulers, scheduler)

    def own_step_place(self) -> Place:
        """The line of an optimiser that the person wrote; empty where it is not known."""
        for file in sorted(self.stream.files):
            for line in source_of(file).updates_from_gradients():
                return Place(file, line)
        return Place()

    def count_backward(self) -> None:
        """A backward pass of a run that is lightly watched. An own optimiser makes a step after each."""
        last = next((e for e in reversed(self.stream.events) if isinstance(e, OptimizerStepped)), None)
        if last is not None and last.number < 0:
            self.done += 1
        self.since_backward += 1
        self.losses = []

    def safe_point(self) -> None:
        """A moment at which the script may be ended. Raises StopInspection where enough was seen."""
        if self.is_on and (self._is_hopeless() or self.horizon.is_over(self.done, self.stream)):
            self.stopper.requested = True
            self.stopper.stop()

    def _is_hopeless(self) -> bool:
        return not self.done and self.since_backward >= WITHOUT_A_STEP


def _numbered(known: dict[int, tuple[weakref.ref[Any], int]], thing: Any) -> int:
    found = known.get(id(thing))
    if found is None or found[0]() is not thing:
        found = known[id(thing)] = (weakref.ref(thing), len({number for _, number in known.values()}))
    return found[1]


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
