"""The loss shoots up for a few steps and comes back."""

from __future__ import annotations

import numpy as np

from harness.core.curve import Episode, EpisodeKind, Level
from harness.curves.envelope import Tail
from harness.curves.episodes._detector import Detector, Measured, episode, form_of
from harness.curves.episodes.resume_jump import state_lost
from harness.curves.prepared import Prepared
from harness.curves.robust import odd, running_median
from harness.curves.run_curve import Array

FEWEST = 20
APART = 5
"""Values between two spikes that are not one."""


def heights(run: Prepared) -> Array:
    """How far each value, or the mean of three, lies above the level around it, in standard deviations. [n]"""
    base = running_median(run.values, odd(run.count / 10, 7, 61))
    above = (np.minimum(run.values, 1e12) - base) / np.maximum(run.local, run.sigma)
    three = np.convolve(above, np.ones(3) / np.sqrt(3), "same")
    found = np.maximum(above, three)
    found[: run.quiet] = 0
    found[-1] = above[-1]
    return found


def measure(run: Prepared) -> Measured | str:
    """The highest of them."""
    if run.count < FEWEST:
        return f"it takes {FEWEST} values of a loss; there are {run.count}"
    return Measured(float(heights(run).max()), run.count, form_of(run.count))


def tell(run: Prepared, measured: Measured, tail: Tail) -> Episode | None:
    """How many, how high, and whether the loss learned on after each."""
    found = heights(run)
    high = np.flatnonzero(found > tail.limit(run.count))
    lost = state_lost(run)
    if lost is not None:
        back = lost.run.steps[lost.jump.back] if lost.jump.back is not None else run.steps[-1]
        at = run.steps[high]
        high = high[(at < lost.onset - APART) | (at > back + APART)]
    if not len(high):
        return None
    groups = np.split(high, np.flatnonzero(np.diff(high) > APART) + 1)
    onset, last = float(run.steps[groups[0][0]]), float(run.steps[groups[-1][-1]])
    tops = [
        int(group[0] + run.values[group].argmax()) if len(group) == 1 else int(group[run.values[group].argmax()])
        for group in groups
    ]
    shown = ", ".join(f"{run.values[top]:.4g} at {run.run.at(float(run.steps[top]))}" for top in tops[:4])
    more = f" and {len(tops) - 4} more" if len(tops) > 4 else ""
    base = running_median(run.values, odd(run.count / 10, 7, 61))
    evidence = (
        f"{len(tops)} {'spike' if len(tops) == 1 else 'spikes'}: {shown}{more}; the level around the first is "
        f"{base[tops[0]]:.4g}, single values differ from it by {run.sigma:.2g} (standard deviation); the loss "
        "comes back"
    )
    check = (
        "look at the batches of these steps and at the gradient norm; clip the gradients, lower the rate, or "
        "raise beta2's share"
    )
    return episode(EpisodeKind.SPIKES, Level.WARNING, onset, (evidence, check), measured, tail, end=last)


SENTENCE = "no loss stands far above the level around it"
DETECTOR = Detector(EpisodeKind.SPIKES, "height_of_a_spike", SENTENCE, measure, tell, 40)
