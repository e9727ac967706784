"""Options of the loss that only some implementations have: label smoothing and z-loss.

They are given to code that names them, and judged there alone.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import Trial, claim
from harness.core.contract import Argument, Variant
from harness.core.mistake import Edit
from reference_model.lm_loss import lm_loss
from specs.shared.attention import output, tolerance
from specs.shared.lm_loss_cases import cases

SMOOTHED = "surprise = (1.0 - label_smoothing) * surprise + label_smoothing * evenly"

OPTIONS = (
    Argument(
        "label_smoothing",
        "float",
        role="setting",
        optional=True,
        default=0.0,
        by_name=True,
        aliases=("smoothing", "label_smoothing_factor", "label_smooth"),
    ),
    Argument(
        "z_loss",
        "float",
        role="setting",
        optional=True,
        default=0.0,
        by_name=True,
        aliases=(
            *("z_loss_weight", "z_loss_coef", "z_loss_coeff", "z_loss_factor", "z_loss_multiplier", "z_weight"),
            "lse_square_scale",
        ),
    ),
)
"""After the arguments that every implementation is asked for."""

OVER_THE_OTHERS = Variant(
    "smoothing_over_the_others",
    "Your label smoothing takes its share from the target alone and spreads it over the other V - 1 ids (as fairseq "
    "does); torch spreads it over all V ids, the target included.",
    (
        Edit(
            lm_loss,
            SMOOTHED,
            "others = (logits.shape[-1] * evenly - surprise) / (logits.shape[-1] - 1)\n"
            "surprise = (1.0 - label_smoothing) * surprise + label_smoothing * others",
        ),
    ),
)


@st.composite
def _often_with_one_ignored(draw: st.DrawFn) -> Case:
    """The usual cases; where no target is ignored, the first one is in three of four."""
    case, first = draw(cases()), draw(st.integers(0, 3))
    targets, ignored = case.arguments["targets"], case.arguments.get("ignore_index", -100)
    if first == 3 or ignored is None or targets.numel() < 2 or bool((targets == ignored).any()):
        return case
    changed = targets.clone()
    changed.reshape(-1)[0] = ignored
    return case.changed(targets=changed)


@st.composite
def smoothed(draw: st.DrawFn) -> Case:
    """The usual cases with an eighth or more of the weight spread over all ids."""
    case, share = draw(_often_with_one_ignored()), draw(st.sampled_from((0.125, 0.25, 0.0625)))
    return _renamed(case.changed(label_smoothing=share), f"label smoothing {share:g}")


@st.composite
def with_z_loss(draw: st.DrawFn) -> Case:
    """The usual cases with a z-loss that is no small part of the loss."""
    case, weight = draw(_often_with_one_ignored()), draw(st.sampled_from((0.25, 2.0**-10, 0.5)))
    return _renamed(case.changed(z_loss=weight), f"z-loss {weight:g}")


def _renamed(case: Case, what: str) -> Case:
    return Case(case.calls, case.dimensions, f"{case.family}, {what}")


def _agrees_with_gradient(trial: Trial, what: str) -> None:
    exact, bound = trial.agreement(gradients=True)
    answer = trial.run(gradients=True)
    trial.close(answer.value, exact.value, bound.value, f"{what}, the loss")
    gradient = answer.gradients.get("logits")
    if gradient is not None:
        most: Any = bound.gradients["logits"]
        trial.close(gradient, exact.gradients["logits"], most, f"{what}, the gradient of the logits")


@claim(
    "label smoothing spreads its share over all ids, at the targets that are not ignored",
    broken_by="smoothing_counts_what_is_ignored",
    cases=smoothed,
    max_cases=14,
)
def label_smoothing_at_counted_targets(trial: Trial) -> None:
    """(1 - s) of the target's -log p and s of the mean -log p of all ids, as torch's cross_entropy; with gradients."""
    _agrees_with_gradient(trial, "with label smoothing")


@claim(
    "with label_smoothing = 0 it is the plain loss",
    broken_by="smoothing_fixed",
    cases=smoothed,
    max_cases=6,
)
def no_label_smoothing_at_0(trial: Trial) -> None:
    without = trial.case.changed(label_smoothing=0.0)
    output(trial)  # who takes no label_smoothing at all does not get further than this
    trial.close(
        output(trial, without),
        trial.expect(without).value,
        tolerance(trial, without),
        "with label_smoothing = 0, the loss",
    )


@claim(
    "the z-loss adds its weight times the mean square of log-sum-exp, at the targets that are not ignored",
    broken_by="z_loss_counts_what_is_ignored",
    cases=with_z_loss,
    max_cases=14,
)
def z_loss_at_counted_targets(trial: Trial) -> None:
    """With its gradient: the log-sum-exp is not detached."""
    _agrees_with_gradient(trial, "with a z-loss")


CLAIMS = (label_smoothing_at_counted_targets, no_label_smoothing_at_0, z_loss_at_counted_targets)
"""After the claims about what every implementation has."""
