"""States that are loaded into the trained model for an evaluation, and are still there when training goes on."""

from __future__ import annotations

from contextlib import ExitStack

import torch

from harness.training.events import Event, ModelCalled, OptimizerStepped
from harness.training.observations import Holder, ParametersReplaced, StateLoaded, StateRead
from harness.training.parameters import is_same, sample
from harness.training.session import Session, Watcher
from harness.training.source import source_of


class Replaced(Watcher):
    """Compares the parameters before a forward pass with those that the last step left."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._loaded: dict[int, StateLoaded] = {}
        self._evaluated: set[int] = set()
        self._is_resumed = False
        self._left: dict[int, list[torch.Tensor]] = {}

    def install(self, stack: ExitStack) -> None:
        """See :class:`Watcher`."""
        self.session.listeners.append(self._heard)

    def _heard(self, event: Event) -> None:
        if isinstance(event, OptimizerStepped):
            self._loaded, self._evaluated, self._is_resumed = {}, set(), False
            self._left = self._values()
        elif isinstance(event, StateRead) or (isinstance(event, StateLoaded) and event.holder is not Holder.MODULE):
            self._is_resumed = True
        elif isinstance(event, StateLoaded) and self.session.done:
            self._loaded[event.number] = event
        elif isinstance(event, ModelCalled) and event.root in self._loaded:
            if not event.gradient:
                self._evaluated.add(event.root)
            elif event.root in self._evaluated and not self._is_resumed:
                with self.session.quiet(), self.session.measuring():
                    self._compare(self._loaded.pop(event.root))

    def _values(self) -> dict[int, list[torch.Tensor]]:
        """The parameters of the model in use, where a line of the script could replace them."""
        session = self.session
        can_load = any(source_of(file).calls("load_state_dict") for file in session.stream.files)
        if not can_load or session.model_in_use is None or session.horizon.is_light:
            return {}
        root = session.tree.root(session.model_in_use)
        with session.quiet():
            return {session.tree.number(root): [sample(tensor) for tensor in root.parameters()]}

    def _compare(self, loaded: StateLoaded) -> None:
        left, now = self._left.get(loaded.number), self._values().get(loaded.number)
        if left and now and not any(is_same(one, other) for one, other in zip(left, now, strict=True)):
            self.session.emit(ParametersReplaced, at=loaded.at, parameters=len(now))


PROBE = Replaced
