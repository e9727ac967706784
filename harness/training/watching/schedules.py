"""Steps of learning rate schedulers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from torch.optim import lr_scheduler

from harness.training.events import SchedulerMade, ScheduleStepped
from harness.training.session import Session, Watcher


class Schedules(Watcher):
    """Wraps ``step`` of every scheduler class of torch; only the outermost of nested ones counts."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._depth = 0

    def install(self, stack: ExitStack) -> None:
        """See :class:`Watcher`."""
        for kind in vars(lr_scheduler).values():
            if not isinstance(kind, type) or kind.__module__ != lr_scheduler.__name__:
                continue
            if hasattr(kind, "load_state_dict"):
                for name, wrap in (("step", self._step), ("__init__", self._made)):
                    if name in vars(kind):
                        self.exchange(stack, kind, name, wrap)

    def _made(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def build(scheduler: Any, *arguments: Any, **options: Any) -> None:
            outermost = not self._depth
            self._depth += 1
            try:
                original(scheduler, *arguments, **options)
            finally:
                self._depth -= 1
            if outermost and self.session.is_on:
                numbers = self._numbers(scheduler)
                self.session.emit(SchedulerMade, kind=type(scheduler).__name__, **numbers)

        return build

    def _step(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def step(scheduler: Any, *arguments: Any, **options: Any) -> Any:
            if self._depth or not self.session.is_on:
                return original(scheduler, *arguments, **options)
            place, before = self.session.places.here(), _rates(scheduler)
            self._depth += 1
            try:
                result = original(scheduler, *arguments, **options)
            finally:
                self._depth -= 1
            kind, numbers = type(scheduler).__name__, self._numbers(scheduler)
            after, past = _rates(scheduler), _is_past(scheduler)
            facts: dict[str, Any] = {
                "wants_every_step": isinstance(scheduler, lr_scheduler.OneCycleLR),
                "past_its_end": past,
            }
            self.session.emit(ScheduleStepped, at=place, kind=kind, before=before, after=after, **facts, **numbers)
            return result

        return step

    def _numbers(self, scheduler: Any) -> dict[str, Any]:
        optimizer = getattr(scheduler, "optimizer", None)
        of = self.session.optimizer_number(optimizer) if optimizer is not None else -1
        return {"number": self.session.scheduler_number(scheduler), "optimizer": of}


def _is_past(scheduler: Any) -> bool:
    is_cosine = isinstance(scheduler, lr_scheduler.CosineAnnealingLR)
    return is_cosine and int(scheduler.last_epoch) > int(scheduler.T_max)


def _rates(scheduler: Any) -> tuple[float, ...]:
    optimizer = getattr(scheduler, "optimizer", None)
    return tuple(float(group["lr"]) for group in optimizer.param_groups) if optimizer is not None else ()


WATCHER = Schedules
