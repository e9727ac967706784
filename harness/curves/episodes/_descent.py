"""Measures of how a loss falls, which several kinds of episodes share."""

from __future__ import annotations

from harness.curves.prepared import Prepared

FROM_SCRATCH = 3.5
"""Nats. A run that begins below may start from trained weights, or tell few classes apart: how far it falls says
nothing."""
LEARNED, LOST = 0.8, 1.15
"""Shares of the first loss: a best level below the first is learning, an end above the second is divergence."""
FEWEST_STEPS = 100
"""Optimiser steps within which a run from random weights shows whether it learns."""


def share_kept(run: Prepared) -> float:
    """The last level as a share of the first."""
    return run.end / run.first


def late_progress(run: Prepared) -> float:
    """What is still learned after the first third, as a share of the whole fall of the level."""
    return (run.between(0.3, 0.4) - run.end) / run.span


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
