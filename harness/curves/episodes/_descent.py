"""Measures of how a loss falls, which several kinds of episodes share."""

from __future__ import annotations

from harness.curves.episodes._detector import form_of
from harness.curves.prepared import FEWEST, Prepared

FROM_SCRATCH = 3.5
"""Nats. A run that begins below may start from trained weights, or tell few classes apart: how far it falls says
nothing."""
LEARNED, LOST = 0.8, 1.15
"""Shares of the first loss: a best level below the first is learning, an end above the second is divergence."""
BESIDE = 0.05
"""How much more of the first loss may be left in validation than in training, for what counts as not learned."""
FEWEST_STEPS = 100
"""Optimiser steps within which a run from random weights shows whether it learns."""


def calmest(run: Prepared) -> tuple[Prepared, str]:
    """The series with the least noise, and its part of the table: the validation loss where there are enough values."""
    return (run.held_out, ".validation") if len(run.valid) >= FEWEST else (run, form_of(run.count))


def share_left(run: Prepared) -> tuple[float, str]:
    """(the last level as a share of the first, less its standard error; its part of the table).

    Of the calmest series, but no more than the training loss shows: a model that learns its data by heart does learn.
    """
    calm, form = calmest(run)
    return min((calm.end - calm.doubt / 2) / calm.first, run.end / run.first + BESIDE), form


def late_progress(run: Prepared, doubt: float = 0.0) -> float:
    """What is still learned after the first third, as a share of the whole fall of the level."""
    return (run.between(0.3, 0.4) - run.end + doubt) / run.span


def not_from_scratch(run: Prepared) -> str:
    """Why the fall of this run says nothing, or an empty text."""
    if run.count < 12:
        return f"it takes 12 values of a loss; there are {run.count}"
    if run.first < FROM_SCRATCH:
        return f"the run begins at {run.first:.3g}, so it may start from trained weights"
    steps = run.run.last - run.run.first
    if run.run.unit == "step" and steps < FEWEST_STEPS:
        return f"it takes {FEWEST_STEPS} steps; there are {steps:g}"
    return ""


def never_learned(run: Prepared) -> bool:
    """Whether a run hardly fell and ends about where it began: it does not learn, rather than lose what it learned."""
    return run.best > LEARNED * run.first and run.end < LOST * run.first


def has_diverged(run: Prepared) -> bool:
    """Whether a run learned and lost it, or ends above where it began."""
    return not never_learned(run) and run.end - run.best > 0.25 * run.span + run.sigma
