"""How long a run goes on: so many steps, and further, lightly watched, where an evaluation or a resume is to come."""

from __future__ import annotations

import time

from harness.training.events import Event, ModelCalled, OptimizerMade
from harness.training.observations import StateLoaded, StateRead
from harness.training.source import source_of
from harness.training.stream import Stream

TIMES = 10
"""At most so many times as many steps are run, to see an evaluation or a resume."""
SECONDS = 10.0
"""And at most so long, in seconds of the clock."""
AFTER_A_RESUME = 3
"""So many steps are watched after a state was loaded."""
WITHOUT_A_STEP = 200
"""After so many backward passes without any step, none is expected."""


class Horizon:
    """``steps``: to watch. ``is_light``: whether the run only goes on to see what is to come."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.is_light = False
        self._until = steps
        self._light_since = 0.0
        self._evaluated = self._resumed = False

    def saw(self, event: Event, done: int) -> bool:
        """Takes an event into account. Returns whether the run is to be watched closely from now on, and was not."""
        if isinstance(event, ModelCalled) and not event.gradient:
            self._evaluated = True
        if isinstance(event, (StateLoaded, StateRead)):
            self._resumed = True
        if isinstance(event, (StateLoaded, StateRead, OptimizerMade)) and done:
            self._until = max(self._until, done + min(self.steps, AFTER_A_RESUME))
            was_light, self.is_light = self.is_light, False
            return was_light
        return False

    def is_over(self, done: int, stream: Stream) -> bool:
        """Whether enough was seen after so many steps."""
        if done < self._until:
            return False
        if not self._light_since:
            self._light_since = time.monotonic()
        in_time = done < TIMES * self.steps and time.monotonic() - self._light_since < SECONDS
        self.is_light = in_time and self._is_more_to_come(stream)
        return not self.is_light

    def _is_more_to_come(self, stream: Stream) -> bool:
        sources = [source_of(file) for file in stream.files]
        evaluates = not self._evaluated and any(one.calls("eval", "no_grad", "inference_mode") for one in sources)
        return evaluates or (not self._resumed and any(one.calls("load_state_dict") for one in sources))
