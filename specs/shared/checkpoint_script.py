"""Scripts of checkpointing: training runs begin, train, are saved and loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from harness.core.case import HARNESS_STEP, Call, Case, harness_step
from harness.core.values import Earlier

RUNS = "specs.shared.training"
BUILD = Call("build", {})
STREAM = "stream"
"""The name of what is no file, but an open file object."""
PARTS = ("model", "optimizer", "scheduler", "generator")
BEFORE, AFTER = 3, 2
"""Steps before the file is written, and after it is read."""


class Script:
    """A script under construction. A run is identified by the index of the harness's call that began it."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options, self.calls, self.files = dict(options), [BUILD], dict[str, int]()

    def _add(self, function: str, **arguments: Any) -> int:
        """Append a call of one of the functions in specs/shared/training.py; returns its index among such calls."""
        self.calls.append(harness_step(f"{RUNS}:{function}", **arguments))
        return self._count() - 1

    def _count(self) -> int:
        return sum(call.method == HARNESS_STEP for call in self.calls)

    def _result(self, index: int, entry: int | None) -> Earlier:
        return Earlier(HARNESS_STEP, entry, self._count() - 1 - index)

    def begin(self, **changes: Any) -> int:
        """Build a model, its optimizer and the rest; returns the run."""
        return self._add("begin", **{**self.options, **changes})

    def train(self, run: int, first: int, steps: int) -> int:
        """Train a run by some steps, counted from ``first``; returns the run."""
        self._add("train", run=self._result(run, 4), first=first, steps=steps)
        return run

    def look(self, run: int) -> None:
        """Report the state of a run."""
        self._add("look", run=self._result(run, 4))

    def _parts(self, run: int, name: str) -> dict[str, Any]:
        if name not in self.files:
            self.files[name] = self._add(STREAM) if name == STREAM else self._add("file", name=f"{name}.pt")
        has = {"scheduler": bool(self.options["schedule"]), "generator": self.options["with_generator"]}
        given = {part: self._result(run, at) if has.get(part, True) else None for at, part in enumerate(PARTS)}
        return {"path": self._result(self.files[name], 0), **given}

    def save(self, name: str, run: int, step: int) -> None:
        """The implementation saves a run to the file of this name."""
        self.calls.append(Call("save", {**self._parts(run, name), "step": step}))

    def load(self, name: str, run: int) -> None:
        """The implementation loads the file of this name into a run."""
        if name == STREAM:
            self._add("rewind", stream=self._result(self.files[name], 0))
        self.calls.append(Call("load", self._parts(run, name)))

    def step(self) -> None:
        """Report the step that the last load() returned."""
        self._add("step_in", value=Earlier("load"))

    def case(self) -> Case:
        """The script as a case."""
        return Case(tuple(self.calls))


@st.composite
def cases(
    draw: st.DrawFn, schedule: bool | None = None, with_generator: bool | None = None, tied: bool | None = None
) -> Case:
    """A run with AdamW, or with momentum; half of them have a schedule, half a generator, half tied weights."""
    seed, has_tied = draw(st.integers(0, 99)), draw(st.booleans()) if tied is None else tied
    has_schedule = draw(st.booleans()) if schedule is None else schedule
    options = {
        "seed": seed,
        "tied": has_tied,
        "schedule": draw(st.sampled_from(("cosine", "steps"))) if has_schedule else "",
        "with_generator": draw(st.booleans()) if with_generator is None else with_generator,
        "width": 4,
        "momentum": draw(st.integers(0, 3)) == 3,
    }
    extras = {"schedule": "a schedule", "with_generator": "a generator", "tied": "tied weights"}
    family = ", ".join(text for option, text in extras.items() if options[option])
    script = Script(options)
    script.save("latest", script.train(script.begin(), 0, BEFORE), BEFORE)
    return replace(script.case(), family=family or "parameters and optimizer alone")


def plain_cases() -> st.SearchStrategy[Case]:
    """Neither a schedule nor a generator."""
    return cases(schedule=False, with_generator=False)


def scheduled_cases() -> st.SearchStrategy[Case]:
    """With a schedule."""
    return cases(schedule=True, with_generator=False)


def cases_with_generator() -> st.SearchStrategy[Case]:
    """With a random generator of the training data."""
    return cases(schedule=False, with_generator=True)


def tied_cases() -> st.SearchStrategy[Case]:
    """With tied weights."""
    return cases(schedule=False, with_generator=False, tied=True)
