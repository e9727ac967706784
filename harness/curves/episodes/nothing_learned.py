"""The loss hardly falls at all: the learning rate is far too low, far too high, or nothing reaches the weights."""

from __future__ import annotations

import numpy as np

from harness.core.curve import Episode, EpisodeCause, EpisodeKind, Level
from harness.curves.envelope import Tail
from harness.curves.episodes._descent import has_diverged, late_progress, not_from_scratch, share_left
from harness.curves.episodes._detector import Detector, Measured, episode
from harness.curves.prepared import Prepared

STEADY = 0.2
"""A rate that is too low still learns late: this share of the fall comes after the first third."""
SLOW = 0.6
"""And less than this share of it comes in the first tenth."""
AT_ALL = 0.005
"""Share of the first loss."""


def measure(run: Prepared) -> Measured | str:
    """The last level as a share of the first."""
    share, form = share_left(run)
    return not_from_scratch(run) or Measured(share, form=form)


def tell(run: Prepared, measured: Measured, tail: Tail) -> Episode | None:
    """Too low where it falls slowly to the end, too high where it stops or rises."""
    if has_diverged(run):
        return None
    fall, late = run.first - run.end, late_progress(run)
    cause = EpisodeCause.RATE_TOO_HIGH
    steady = late > STEADY or (run.first - run.between(0.08, 0.14)) < SLOW * fall
    if fall > max(AT_ALL * run.first, 0.5 * run.sigma) and steady and not _is_wild(run):
        cause = EpisodeCause.RATE_TOO_LOW
    elif abs(fall) < max(AT_ALL * run.first, 0.3 * run.sigma) and not _is_wild(run):
        cause = EpisodeCause.UNKNOWN
    words = (
        f"the loss goes from {run.first:.4g} to {run.end:.4g}, {100 * share_left(run)[0]:.0f} % of the first "
        "level is left"
    )
    rate = run.run.rate.finite.values
    known = f"; the learning rate is {np.median(rate):.3g}" if len(rate) else ""
    if cause == EpisodeCause.RATE_TOO_LOW:
        evidence, check = (
            f"{words}, and it still falls slowly at the end{known}",
            "raise the learning rate tenfold; is it the rate that you meant (a schedule that never warms up)?",
        )
    elif cause == EpisodeCause.RATE_TOO_HIGH:
        evidence, check = (
            f"{words}, and nothing more is learned after the first third{known}",
            "lower the learning rate tenfold, warm it up",
        )
    else:
        evidence, check = (
            f"{words}: nothing is learned{known}",
            (
                "`plumbline inspect`: do gradients reach the parameters, and does the optimiser hold the tensors "
                "of the model? Is the rate 0?"
            ),
        )
    return episode(EpisodeKind.PLATEAU, Level.WARNING, run.run.first, (evidence, check), measured, tail, cause)


def _is_wild(run: Prepared) -> bool:
    """Whether the loss rose above its first value."""
    return bool(run.smooth.max() > 1.05 * run.first)


SENTENCE = "the loss falls well below its first value"
DETECTOR = Detector(EpisodeKind.PLATEAU, "share_of_the_first_loss_left", SENTENCE, measure, tell, 30, in_growing=False)
