"""When a training run clips its gradients."""

from __future__ import annotations

from typing import Any

from harness.core.case import HARNESS_STEP, Case, harness_step
from harness.core.claim import NotSupported, Trial, Violation, claim
from harness.core.values import Earlier
from specs.shared.trainer_cases import cases

WATCHED = {"watch": Earlier(HARNESS_STEP, 0)}


def steep_cases() -> Any:
    """A rate at which gradients soon have a norm above any usual limit."""
    return cases(steps=5, lr=0.5)


@claim(
    "gradients are clipped between backward() and step()",
    broken_by="clipped_after_the_step",
    cases=steep_cases,
    max_cases=1,
)
def clipped_before_the_step(trial: Trial) -> None:
    """Said of gradients that a step of a torch optimizer uses, and of calls of torch's clip_grad_norm_()."""
    call = trial.case.calls[0]
    begin, end = (
        harness_step(f"specs.shared.watched_steps:{name}", **a) for name, a in (("watch", {}), ("seen", WATCHED))
    )
    found = trial.run(Case((begin, call, end), trial.case.dimensions, trial.case.family)).value
    if not found["steps"]:
        raise NotSupported("no optimizer of torch makes its steps")
    if found["late"]:
        after = f"after step {found['late_after']:g} its gradients are multiplied by {found['late']:.3g}"
        raise Violation(f"{after}: they are clipped too late, clip them between backward() and step()")
    if found["clips"] and found["clips"] == found["clips_of_nothing"]:
        raise Violation(
            "clip_grad_norm_() finds no gradients: it is called before backward(), or after they are cleared"
        )
    if not found["clips"]:
        raise NotSupported("it does not call torch's clip_grad_norm_()")
