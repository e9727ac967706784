"""Saving a training run and going on from there. Lines of ours begin the runs, train them and look at them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import HARNESS_STEP, Call, Case, harness_step
from harness.core.claim import Claim, NotSupported, Trial, Violation, claim
from harness.core.contract import Argument, Contract, Dialect, Signature
from harness.core.values import Earlier
from reference_model.checkpoint import checkpoint

HERE = "specs.shared.training"
BUILD = Call("build", {})
PARTS = ("model", "optimizer", "scheduler", "generator")
BEFORE, AFTER = 3, 2
"""Steps before the file is written, and after it is read."""


@st.composite
def cases(draw: st.DrawFn, schedule: bool | None = None, drawn: bool | None = None, tied: bool | None = None) -> Case:
    """A run with AdamW or with momentum; with a schedule in every other case, with a generator in every other one."""
    options = {
        "seed": draw(st.integers(0, 99)),
        "tied": draw(st.booleans()) if tied is None else tied,
        "schedule": draw(st.sampled_from(("cosine", "steps")))
        if (draw(st.booleans()) if schedule is None else schedule)
        else "",
        "drawn": draw(st.booleans()) if drawn is None else drawn,
        "width": 4,
        "momentum": draw(st.integers(0, 3)) == 3,
    }
    told = [
        name
        for name, has in (
            ("a schedule", options["schedule"]),
            ("a generator", options["drawn"]),
            ("tied weights", options["tied"]),
        )
        if has
    ]
    script = Script(options)
    script.save("latest", script.train(script.begin(), 0, BEFORE), BEFORE)
    return replace(script.case(), family=", ".join(told) or "parameters and optimiser alone")


def plain_cases() -> Any:
    return cases(schedule=False, drawn=False)


def scheduled_cases() -> Any:
    return cases(schedule=True, drawn=False)


def drawn_cases() -> Any:
    return cases(schedule=False, drawn=True)


def tied_cases() -> Any:
    return cases(schedule=False, drawn=False, tied=True)


class Script:
    """Lines as they are added. A run is the place of the line of ours that began it."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options, self.calls, self.files = dict(options), [BUILD], dict[str, int]()

    def _mine(self, do: str, **arguments: Any) -> int:
        self.calls.append(harness_step(f"{HERE}:{do}", **arguments))
        return sum(call.method == HARNESS_STEP for call in self.calls) - 1

    def _of(self, line: int, entry: int | None) -> Earlier:
        return Earlier(HARNESS_STEP, entry, sum(call.method == HARNESS_STEP for call in self.calls) - 1 - line)

    def begin(self, **changes: Any) -> int:
        return self._mine("begin", **{**self.options, **changes})

    def train(self, run: int, first: int, steps: int) -> int:
        self._mine("train", run=self._of(run, 4), first=first, steps=steps)
        return run

    def look(self, run: int) -> None:
        self._mine("look", run=self._of(run, 4))

    def _parts(self, run: int, name: str) -> dict[str, Any]:
        if name not in self.files:
            self.files[name] = self._mine("file", name=f"{name}.pt")
        has = {"scheduler": bool(self.options["schedule"]), "generator": self.options["drawn"]}
        given = {part: self._of(run, at) if has.get(part, True) else None for at, part in enumerate(PARTS)}
        return {"path": self._of(self.files[name], 0), **given}

    def save(self, name: str, run: int, step: int) -> None:
        self.calls.append(Call("save", {**self._parts(run, name), "step": step}))

    def load(self, name: str, run: int) -> None:
        self.calls.append(Call("load", self._parts(run, name)))

    def step(self) -> None:
        self._mine("step_in", value=Earlier("load"))

    def case(self) -> Case:
        return Case(tuple(self.calls))


# claims --------------------------------------------------------------------------------------------------------------


def options_of(trial: Trial) -> dict[str, Any]:
    return {name: value for name, value in trial.case.calls[1].arguments.items() if name != "do"}


def saved(trial: Trial) -> tuple[Script, int]:
    """A run of some steps, in a file."""
    script = Script(options_of(trial))
    run = script.train(script.begin(), 0, BEFORE)
    script.save("latest", run, BEFORE)
    return script, run


def stands(trial: Trial, script: Script) -> dict[str, Any]:
    found: dict[str, Any] = trial.run(script.case()).value
    return found


def uninterrupted(trial: Trial) -> dict[str, Any]:
    script = Script(options_of(trial))
    script.train(script.begin(), 0, BEFORE + AFTER)
    return stands(trial, script)


def same(found: Mapping[str, Any], expected: Mapping[str, Any], what: str) -> None:
    """To the last bit: nothing is computed between writing and reading."""
    for name, tensor in expected["parameters"].items():
        other = found["parameters"].get(name)
        if other is None or other.dtype != tensor.dtype or not torch.equal(other, tensor):
            gap = (
                ""
                if other is None
                else f"largest difference {float((other.double() - tensor.double()).abs().max()):.3g}"
            )
            raise Violation(f"{what}, {name} differs from the uninterrupted run", worst=gap)
    if found["rate"] != expected["rate"]:
        raise Violation(f"{what}, the learning rate is {found['rate'][0]:g}; it must be {expected['rate'][0]:g}")


def resumed(trial: Trial, used: bool = False) -> dict[str, Any]:
    """Another model and optimiser, begun from another seed (and trained a little), read the file and go on."""
    script, _ = saved(trial)
    other = script.begin(seed=options_of(trial)["seed"] + 1)
    if used:
        script.train(other, 50, 2)
    script.load("latest", other)
    script.train(other, BEFORE, AFTER)
    return stands(trial, script)


def resuming_changes_nothing(trial: Trial) -> None:
    same(resumed(trial), uninterrupted(trial), "resumed")


@claim(
    "loading overwrites a model and an optimizer that have already trained",
    broken_by="existing_moments_not_overwritten",
    max_cases=4,
    aliases=("used_ones_are_overwritten",),
)
def used_objects_are_overwritten(trial: Trial) -> None:
    resumed(trial)  # as above
    same(
        resumed(trial, used=True), uninterrupted(trial), "resumed by a model and an optimizer that had already trained"
    )


@claim(
    "loading restores the saved parameters, and the optimizer holds those same parameters",
    broken_by="parameters_not_loaded",
    max_cases=4,
    aliases=("parameters_come_back",),
)
def parameters_are_restored(trial: Trial) -> None:
    """Before any further step."""
    resumed(trial)  # judged by another claim: what it answers tells two mistakes apart
    script, run = saved(trial)
    other = script.begin(seed=options_of(trial)["seed"] + 1)
    script.load("latest", other)
    script.look(other)
    found = stands(trial, script)
    script.look(run)
    same(found, stands(trial, script), "loaded")
    if not found["trained"]:
        raise Violation(
            "after load() the optimizer does not hold the model's parameters, or some are frozen: training has no effect"
        )


@claim("saving does not change the run", broken_by="left_in_evaluation_mode", max_cases=4)
def saving_changes_nothing(trial: Trial) -> None:
    script, run = saved(trial)
    script.train(run, BEFORE, AFTER)
    found = stands(trial, script)
    same(found, uninterrupted(trial), "after a save")
    if not found["training"]:
        raise Violation("save() leaves the model in evaluation mode")


@claim(
    "later steps do not change what was saved",
    broken_by="references_saved_not_copies",
    max_cases=4,
    aliases=("later_steps_do_not_reach_the_file",),
)
def saved_file_is_a_snapshot(trial: Trial) -> None:
    script, run = saved(trial)
    script.train(run, BEFORE, 4)
    script.load("latest", run)
    script.train(run, BEFORE, AFTER)
    same(stands(trial, script), uninterrupted(trial), "after more steps and a load,")


@claim("two files hold two separate states", broken_by="path_ignored", max_cases=3, aliases=("files_do_not_mix",))
def files_are_independent(trial: Trial) -> None:
    script, run = saved(trial)
    script.train(run, BEFORE, 3)
    script.save("later", run, BEFORE + 3)
    script.train(run, BEFORE + 3, 1)
    script.load("latest", run)
    script.train(run, BEFORE, AFTER)
    same(stands(trial, script), uninterrupted(trial), "after loading the first of two files,")


@claim(
    "tied weights stay tied after loading",
    broken_by="weights_untied_by_loading",
    cases=tied_cases,
    max_cases=3,
    aliases=("tied_stay_tied",),
)
def tied_after_loading(trial: Trial) -> None:
    found = resumed(trial)
    if not found["tied"]:
        raise Violation("after load() embedding and head are separate tensors; they were tied")


@claim("load() returns the saved step", broken_by="step_not_saved", max_cases=3, aliases=("step_comes_back",))
def step_is_restored(trial: Trial) -> None:
    script, run = saved(trial)
    script.load("latest", run)
    script.step()
    step = trial.run(script.case()).value
    if step is None:
        raise NotSupported("load() returns no step")
    if step != BEFORE:
        raise Violation(f"load() returns the step {step}; {BEFORE} was saved")


@claim(
    "loading a file with other shapes raises an error",
    broken_by="shape_mismatch_ignored",
    max_cases=2,
    aliases=("other_shapes_are_refused",),
)
def shape_mismatch_is_refused(trial: Trial) -> None:
    resumed(trial)  # as above
    script, _ = saved(trial)
    script.load("latest", script.begin(width=6))
    crash = trial.attempt(script.case()).crash
    if crash is None:
        raise Violation("a file of a model of another width loads without an error: mismatched tensors are ignored")


# functions apart -----------------------------------------------------------------------------------------------------

WORDS: dict[str, Sequence[str]] = {
    "path": (
        "path",
        "out",
        "src",
        "file",
        "filename",
        "filepath",
        "file_path",
        "checkpoint_path",
        "ckpt_path",
        "fname",
        "save_path",
        "dst",
        "f",
    ),
    "model": ("model", "net", "module"),
    "optimizer": ("optimizer", "opt", "optim"),
    "scheduler": ("scheduler", "lr_scheduler", "sched"),
    "generator": ("generator", "rng"),
    "step": ("step", "iteration", "iter", "iter_num", "it", "epoch", "global_step"),
}
PAIRS = (("save_checkpoint", "load_checkpoint"), ("run_save_checkpoint", "run_load_checkpoint"))


def apart(loads: str, save: Callable[..., Any]) -> type:
    """For a function that saves and another one, beside it in its file, that loads."""

    class Checkpoints:
        def save(
            self, path: Any, model: Any, optimizer: Any, scheduler: Any = None, generator: Any = None, step: int = 0
        ) -> None:
            given = {
                "path": path,
                "model": model,
                "optimizer": optimizer,
                "scheduler": scheduler,
                "generator": generator,
                "step": step,
            }
            save(**by_their_names(save, given))

        def load(self, path: Any, model: Any, optimizer: Any, scheduler: Any = None, generator: Any = None) -> Any:
            load = inspect.unwrap(save).__globals__.get(loads)
            if load is None:
                raise NotImplementedError(f"there is no {loads}() beside it yet")
            given = {
                "path": path,
                "model": model,
                "optimizer": optimizer,
                "scheduler": scheduler,
                "generator": generator,
            }
            return load(**by_their_names(load, given))

    return Checkpoints


def by_their_names(function: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    names, found = list(inspect.signature(function).parameters), {}
    for ours_, value in given.items():
        theirs = next((name for name in WORDS[ours_] if name in names), None)
        if theirs is not None:
            found[theirs] = value
        elif value is not None and ours_ != "step":
            raise NotSupported(f"it takes no {ours_}")
    return found


PATH, STEP = (
    Argument("path", "a path in a temporary folder", "setting"),
    Argument("step", "integer", "setting", optional=True, default=0),
)
STATES = (
    Argument("model", "a torch module"),
    Argument("optimizer", "a torch optimiser"),
    Argument("scheduler", "a torch schedule", "setting", optional=True),
    Argument("generator", "a torch generator", "setting", optional=True),
)
CONTRACT = Contract(
    name="checkpoint",
    meaning="Checkpointing: a training run is saved to a file and resumed as if never interrupted.",
    calls={
        "build": Signature((), "what saves and loads"),
        "save": Signature((PATH, *STATES, STEP), "nothing"),
        "load": Signature((PATH, *STATES), "nothing, or the step", objects=True),
    },
    reference=checkpoint,
    cases=cases,
    differentiable=False,
    agrees=False,
    order=88,
    case_count=6,
    dialects=tuple(
        Dialect("training code", save, (), lambda a: a, made=functools.partial(apart, load)) for save, load in PAIRS
    ),
    sources=("torch's recipe for a general checkpoint", "Stanford's CS336 assignment 1, section 5.2"),
    claims=(
        parameters_are_restored,
        Claim(
            "resuming_changes_nothing",
            "a resumed run ends bit-identical to an uninterrupted one",
            resuming_changes_nothing,
            broken_by="optimiser_not_loaded",
            cases=plain_cases,
            max_cases=4,
        ),
        Claim(
            "schedule_is_restored",
            "the learning rate schedule continues where it stopped",
            resuming_changes_nothing,
            broken_by="schedule_not_loaded",
            cases=scheduled_cases,
            max_cases=4,
            aliases=("schedule_goes_on",),
        ),
        Claim(
            "generator_is_restored",
            "the random generator continues where it stopped",
            resuming_changes_nothing,
            broken_by="generator_not_loaded",
            cases=drawn_cases,
            max_cases=4,
            aliases=("random_numbers_go_on",),
        ),
        used_objects_are_overwritten,
        tied_after_loading,
        saving_changes_nothing,
        saved_file_is_a_snapshot,
        files_are_independent,
        step_is_restored,
        shape_mismatch_is_refused,
    ),
)
