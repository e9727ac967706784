"""A training run: what its history must show, for any model, optimiser and schedule inside."""

from __future__ import annotations

import math
from typing import Any

from harness.core.case import CALL, Case
from harness.core.claim import Claim, NotSupported, Trial, Violation, claim
from harness.core.contract import Argument, Contract, Dialect, Signature
from harness.core.values import Settings
from reference_model.trainer import trainer
from specs.shared.trainer_cases import (
    GUESS,
    GUESSING,
    VOCABULARY,
    cases,
    hasty_cases,
    noisy_cases,
    run,
    still_cases,
    watched_cases,
)
from specs.shared.trainer_clipping import clipped_before_the_step

NEAR = 0.5
"""Above or below ln V. GPT-2's initialisation stays within 0.1; torch's own, untied, within 0.3; a table drawn from
N(0, 1) that is the head too begins at 3 or more above."""
LEARNED = GUESSING / 3
"""A loss on eight tokens is below this after the steps of these cases: the reference is below 0.1 by then."""
NOISE = 0.8 * GUESSING
"""A loss on unpredictable tokens stays above this: fresh ones cannot be learned, and hardly any window repeats."""


# claims --------------------------------------------------------------------------------------------------------------


def changed(case: Case, seed: int | None = None, **settings: Any) -> Case:
    given = case.calls[0].arguments
    config = Settings(**{**given["config"].as_dict(), **settings})
    return run(config, given["data"], given["seed"] if seed is None else seed, case.family)


def history_of(trial: Trial, case: Case | None = None, what: str = "loss") -> Any:
    """A part of the history."""
    found = trial.run(case).value[what]
    if found is None and what == "loss":
        raise Violation("the history holds no losses: return a list of them, or a dictionary with one under 'loss'")
    if found is None:
        raise NotSupported(f"its history has no {what}")
    return found


@claim("the history has a finite loss for every step", broken_by="one_step_too_many", aliases=("history_is_whole",))
def history_has_a_loss_per_step(trial: Trial) -> None:
    losses, steps = history_of(trial), trial.case.calls[0].arguments["config"].steps
    if len(losses) != steps:
        raise Violation(f"the history has {len(losses)} losses for {steps} steps")
    first = next((step for step, loss in enumerate(losses) if not math.isfinite(loss)), None)
    if first is not None:
        raise Violation(f"the loss of step {first} is {losses[first]}")


def first_loss_is_that_of_guessing(trial: Trial) -> None:
    first = history_of(trial)[0]
    if not abs(first - GUESSING) <= NEAR:
        raise Violation(f"the initial loss is {first:.4g}; {GUESS}", error=abs(first - GUESSING) / NEAR)
    trial.note_error(abs(first - GUESSING) / NEAR)


@claim(
    "the evaluation loss of an untrained model is about ln V",
    broken_by="evaluation_loss_divided_twice",
    cases=still_cases,
    max_cases=1,
    aliases=("evaluation_begins_at_guessing",),
)
def initial_evaluation_is_ln_vocab_size(trial: Trial) -> None:
    """The learning rate is 0, so every evaluation is that of an untrained model."""
    worst = max(history_of(trial, what="evaluation"), key=lambda loss: abs(loss - GUESSING))
    if not abs(worst - GUESSING) <= NEAR:
        what = f"the evaluation loss of an untrained model is {worst:.4g}; {GUESS}"
        raise Violation(what, error=abs(worst - GUESSING) / NEAR)
    trial.note_error(abs(worst - GUESSING) / NEAR)


@claim(
    "the loss of a step matches an evaluation of the same batch next to it",
    broken_by="loss_history_smoothed",
    cases=watched_cases,
    max_cases=1,
    aliases=("losses_are_those_of_their_steps",),
)
def losses_match_evaluations(trial: Trial) -> None:
    """There is only one window, so an evaluation just before a step is the loss of that step, and one just after it
    that of the next."""
    losses, found = history_of(trial), history_of(trial, what="evaluation")
    bound = 1e-4 * GUESSING  # float32, summed in another order at the most
    before = max(abs(a - b) for a, b in zip(losses, found, strict=False))
    after = max(abs(a - b) for a, b in zip(losses[1:], found, strict=False))
    if min(before, after) > bound:
        shown = ", ".join(f"{a:.4g} ({b:.4g})" for a, b in zip(losses[:4], found, strict=False))
        raise Violation(
            f"losses in the history differ from evaluations of the same batch, loss (evaluation): {shown}",
            error=min(before, after) / bound,
        )
    trial.note_error(min(before, after) / bound)


@claim("it overfits a single repeated batch", broken_by="optimiser_never_steps")
def overfits_one_batch(trial: Trial) -> None:
    losses = history_of(trial)
    if not losses[-1] <= LEARNED:
        raise Violation(
            f"after {len(losses)} steps on one repeated batch the loss is {losses[-1]:.4g}, initially {losses[0]:.4g}",
            error=losses[-1] / LEARNED,
        )
    trial.note_error(float(losses[-1] / LEARNED))


@claim("it does not learn fresh random tokens", broken_by="targets_not_shifted", cases=noisy_cases, max_cases=1)
def noise_is_not_learned(trial: Trial) -> None:
    """If the loss falls on fresh random tokens, the targets leak: they are not shifted, the mask lets the future
    through, or one batch is used repeatedly."""
    last = history_of(trial)[-10:]
    mean = sum(last) / len(last)
    if not mean >= NOISE:
        raise Violation(
            f"on random tokens the loss falls to {mean:.4g}, below ln {VOCABULARY} = {GUESSING:.4g}: "
            "the targets leak into its input, or every step sees the same batch",
            error=NOISE / max(mean, 1e-9),
        )
    trial.note_error(NOISE / mean)


@claim("every parameter changes during training", broken_by="norms_not_trained")
def every_parameter_moves(trial: Trial) -> None:
    still = [name for name, moved in history_of(trial, what="moved").items() if not moved]
    if still:
        raise Violation(
            f"{still[0]} did not change during training" + (f", and {len(still) - 1} more" if still[1:] else "")
        )


@claim(
    "the same seed gives the same history, and another seed gives another",
    broken_by="seed_ignored",
    max_cases=1,
    aliases=("same_seed_same_history",),
)
def reproducible_with_a_seed(trial: Trial) -> None:
    """Twice in one process, so that state left by the first run shows; and another seed is another run."""
    short = changed(trial.case, steps=4)
    twice = trial.run(short.followed_by(*short.calls), fresh=True)
    first, second = twice.outputs[1]["loss"], twice.outputs[3]["loss"]
    if first != second:
        raise Violation(f"the same seed gives losses {first} and then {second}")
    other = history_of(trial, changed(trial.case, seed=trial.case.calls[0].arguments["seed"] + 1, steps=4))
    if first == other:
        raise Violation("another seed gives the same history")


@claim("evaluation does not change the training losses", broken_by="evaluation_trains", max_cases=1)
def evaluation_changes_nothing(trial: Trial) -> None:
    """All steps use the same batch, so that random numbers of the evaluation do not matter."""
    plain, between = history_of(trial), history_of(trial, changed(trial.case, eval_interval=3))
    history_of(trial, changed(trial.case, eval_interval=3), "evaluation")
    for step, (a, b) in enumerate(zip(plain, between, strict=False)):
        if abs(a - b) > 1e-4 * GUESSING:  # float32, summed in another order at the most
            raise Violation(
                f"with an evaluation every third step the loss of step {step} is {b:.6g}, without it {a:.6g}"
            )
    trial.note_error(max((abs(a - b) for a, b in zip(plain, between, strict=False))) / (0.0001 * GUESSING))


@claim("evaluation runs without dropout", broken_by="dropout_in_evaluation", cases=still_cases, max_cases=1)
def evaluation_is_without_dropout(trial: Trial) -> None:
    found = history_of(trial, what="evaluation")
    if max(found) - min(found) > 1e-6 * GUESSING:  # a forward pass of the same numbers
        values = ", ".join(f"{value:.6g}" for value in found)
        what = f"evaluations of a model that does not change give {values}"
        raise Violation(f"{what}: dropout is on, or the data differs")


@claim(
    "after an evaluation dropout is on again",
    broken_by="left_in_evaluation_mode",
    cases=still_cases,
    max_cases=1,
    aliases=("dropout_comes_back",),
)
def dropout_resumes_after_evaluation(trial: Trial) -> None:
    losses = history_of(trial)
    if len({round(loss, 7) for loss in losses}) < len(losses) - 2:
        raise Violation("after an evaluation dropout stays off: the losses of the repeated batch no longer vary")


NAMES = ("train", "train_model", "run_training", "training")
CONTRACT = Contract(
    name="trainer",
    meaning="Training loop: trains a model on tokens and returns the history of losses.",
    calls={
        CALL: Signature(
            (
                Argument(
                    "config",
                    "settings",
                    "setting",
                    fields=(
                        *(
                            Argument(name, "int", "setting")
                            for name in ("vocab_size", "context", "width", "heads", "layers", "batch_size", "steps")
                        ),
                        Argument("lr", "float", "setting"),
                        Argument("dropout", "float", "setting", optional=True, default=0.0),
                        Argument("eval_interval", "int", "setting", optional=True, default=0),
                    ),
                ),
                Argument("data", "int[tokens]"),
                Argument("seed", "int", "setting"),
            ),
            "the history: losses, or {loss, evaluation, start, end}",
            objects=True,
        )
    },
    reference=trainer,
    cases=cases,
    differentiable=False,
    agrees=False,
    order=89,
    case_count=2,
    dialects=tuple(
        Dialect(
            "training code", name, ("config", "data", "seed"), lambda a: {k: a[k] for k in ("config", "data", "seed")}
        )
        for name in NAMES
    ),
    sources=("Radford et al. 2018, section 4.1", "karpathy/nanoGPT train.py"),
    claims=(
        history_has_a_loss_per_step,
        Claim(
            "initial_loss_is_ln_vocab_size",
            "the initial loss is about ln V",
            first_loss_is_that_of_guessing,
            broken_by="logged_loss_divided",
            aliases=("first_loss_is_that_of_guessing",),
        ),
        Claim(
            "loss_is_taken_before_the_update",
            "the loss of a step is computed before its update",
            first_loss_is_that_of_guessing,
            broken_by="logged_after_the_step",
            cases=hasty_cases,
            max_cases=1,
            aliases=("loss_is_that_before_the_step",),
        ),
        losses_match_evaluations,
        initial_evaluation_is_ln_vocab_size,
        overfits_one_batch,
        noise_is_not_learned,
        every_parameter_moves,
        reproducible_with_a_seed,
        evaluation_changes_nothing,
        evaluation_is_without_dropout,
        dropout_resumes_after_evaluation,
        clipped_before_the_step,
    ),
)
