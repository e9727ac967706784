"""Saving a training run and resuming it. The harness begins the runs, trains them and compares them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from harness.core.claim import About, Claim, NotSupported, Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature
from reference_model.checkpoint import checkpoint
from specs.shared.checkpoint_functions import DIALECTS
from specs.shared.checkpoint_script import (
    AFTER,
    BEFORE,
    STREAM,
    Script,
    cases,
    cases_with_generator,
    plain_cases,
    scheduled_cases,
    tied_cases,
)


def options_of(trial: Trial) -> dict[str, Any]:
    """How the run of this case is begun."""
    return {name: value for name, value in trial.case.calls[1].arguments.items() if name != "do"}


def saved(trial: Trial) -> tuple[Script, int]:
    """A script in which a run has trained some steps and is saved; and that run."""
    script = Script(options_of(trial))
    run = script.train(script.begin(), 0, BEFORE)
    script.save("latest", run, BEFORE)
    return script, run


def state_after(trial: Trial, script: Script) -> dict[str, Any]:
    """The state of the run that the script trained, or looked at, last."""
    found: dict[str, Any] = trial.run(script.case()).value
    return found


def uninterrupted(trial: Trial) -> dict[str, Any]:
    """The state of a run that is never saved nor loaded."""
    script = Script(options_of(trial))
    script.train(script.begin(), 0, BEFORE + AFTER)
    return state_after(trial, script)


def same(found: Mapping[str, Any], expected: Mapping[str, Any], what: str) -> None:
    """Bit-identical parameters and equal learning rates: saving and loading compute nothing."""
    for name, tensor in expected["parameters"].items():
        other = found["parameters"].get(name)
        message = f"{what}, {name} differs from the uninterrupted run"
        if other is None:
            raise Violation(message)
        if other.dtype != tensor.dtype or not torch.equal(other, tensor):
            difference = float((other.double() - tensor.double()).abs().max())
            raise Violation(message, worst=f"largest difference {difference:.3g}")
    if found["rate"] != expected["rate"]:
        raise Violation(f"{what}, the learning rate is {found['rate'][0]:g}; it must be {expected['rate'][0]:g}")


def resumed(trial: Trial, used: bool = False) -> dict[str, Any]:
    """Another run, begun from another seed (``used``: and trained by two steps), loads the file and goes on."""
    script, _ = saved(trial)
    other = script.begin(seed=options_of(trial)["seed"] + 1)
    if used:
        script.train(other, 50, 2)
    script.load("latest", other)
    script.train(other, BEFORE, AFTER)
    return state_after(trial, script)


def resuming_changes_nothing(trial: Trial) -> None:
    """The same test for the optimizer, the schedule and the generator: cases and mistakes differ."""
    same(resumed(trial), uninterrupted(trial), "resumed")


@claim(
    "loading overwrites a model and an optimizer that have already trained",
    broken_by="existing_moments_not_overwritten",
    max_cases=4,
    aliases=("used_ones_are_overwritten",),
)
def used_objects_are_overwritten(trial: Trial) -> None:
    resumed(trial)  # as in parameters_are_restored
    what = "resumed by a model and an optimizer that had already trained"
    same(resumed(trial, used=True), uninterrupted(trial), what)


@claim(
    "loading restores the saved parameters, and the optimizer holds those same parameters",
    broken_by="parameters_not_loaded",
    max_cases=4,
    aliases=("parameters_come_back",),
)
def parameters_are_restored(trial: Trial) -> None:
    """Before any further step."""
    resumed(trial)  # another claim judges it: its answer distinguishes two mistakes
    script, run = saved(trial)
    other = script.begin(seed=options_of(trial)["seed"] + 1)
    script.load("latest", other)
    script.look(other)
    found = state_after(trial, script)
    script.look(run)
    same(found, state_after(trial, script), "loaded")
    if not found["trained"]:
        what = "the optimizer does not hold the model's parameters, or some are frozen"
        raise Violation(f"after load() {what}: training has no effect")


@claim("saving does not change the run", broken_by="left_in_evaluation_mode", max_cases=4)
def saving_changes_nothing(trial: Trial) -> None:
    script, run = saved(trial)
    script.train(run, BEFORE, AFTER)
    found = state_after(trial, script)
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
    same(state_after(trial, script), uninterrupted(trial), "after more steps and a load,")


@claim("two files hold two separate states", broken_by="path_ignored", max_cases=3, aliases=("files_do_not_mix",))
def files_are_independent(trial: Trial) -> None:
    script, run = saved(trial)
    script.train(run, BEFORE, 3)
    script.save("later", run, BEFORE + 3)
    script.train(run, BEFORE + 3, 1)
    script.load("latest", run)
    script.train(run, BEFORE, AFTER)
    same(state_after(trial, script), uninterrupted(trial), "after loading the first of two files,")


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
    resumed(trial)  # as in parameters_are_restored
    script, _ = saved(trial)
    script.load("latest", script.begin(width=6))
    crash = trial.attempt(script.case()).crash
    if crash is None:
        raise Violation("a file of a model of another width loads without an error: mismatched tensors are ignored")


FILE_OBJECTS = (
    "Nobody is held to this: hand what you are given to torch.save() and torch.load() as it is (CS336 asks for paths "
    "and file objects), or raise an error for what is no path."
)


@claim(
    "a file object can be saved to and loaded from, or is refused",
    sabotage=lambda call, method, arguments, request: call(
        {n: str(a) if n == "path" else a for n, a in arguments.items()}
    ),
    cases=plain_cases,
    max_cases=1,
    about=frozenset({About.FORM}),
)
def file_objects_work_or_are_refused(trial: Trial) -> None:
    """An open file in memory: a text made of it names another file, and nothing is written to it."""
    script = Script(options_of(trial))
    script.save(STREAM, script.train(script.begin(), 0, BEFORE), BEFORE)
    refused = trial.attempt(script.case()).crash
    if refused is not None:
        raise NotSupported(f"save() takes no file object ({refused.error})")
    other = script.begin(seed=options_of(trial)["seed"] + 1)
    script.load(STREAM, other)
    script.train(other, BEFORE, AFTER)
    answer = trial.attempt(script.case())
    if answer.crash is not None:
        what = f"save() takes a file object without an error, but reading it back ends in: {answer.crash.message}"
        raise Violation(what, advice=FILE_OBJECTS)
    same(answer.value, uninterrupted(trial), "resumed from a file object")


PATH = Argument("path", "a path in a temporary folder", "setting")
STEP = Argument("step", "int", "setting", optional=True, default=0)
STATES = (
    Argument("model", "a torch module"),
    Argument("optimizer", "a torch optimizer"),
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
    dialects=DIALECTS,
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
            cases=cases_with_generator,
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
        file_objects_work_or_are_refused,
    ),
)
