"""The loss leaves its best level and does not come back."""

from __future__ import annotations

import numpy as np

from harness.core.curve import Episode, EpisodeKind, Level
from harness.curves.envelope import Tail
from harness.curves.episodes._descent import never_learned
from harness.curves.episodes._detector import Detector, Measured, episode, form_of
from harness.curves.episodes.resume_jump import state_lost
from harness.curves.prepared import FEWEST, Prepared

NOISE = 4.0
"""Standard deviations of single values that the rise is held against, beside the fall of the loss."""


def measure(run: Prepared) -> Measured | str:
    """How far the end lies above the best level, in units of what the loss fell (and of its noise)."""
    if run.count < FEWEST:
        return f"it takes {FEWEST} values of a loss; there are {run.count}"
    rise = (run.end - run.best - run.doubt) / (run.span + NOISE * run.sigma)
    return Measured(rise, form=form_of(run.count))


def tell(run: Prepared, measured: Measured, tail: Tail) -> Episode | None:
    """Where the loss leaves for good, and what the rate and the gradient norm did there."""
    if state_lost(run) is not None or never_learned(run):
        return None
    low = run.best + 0.1 * run.span + run.sigma
    index = min(int(np.flatnonzero(run.smooth <= low)[-1]) + 1, run.count - 1)
    onset = float(run.steps[index])
    evidence = (
        f"the loss leaves its best level of {run.best:.4g} at {run.run.at(onset)} and ends at {run.end:.4g}"
        f"{_rate(run, onset)}{_norm(run, onset)}"
    )
    check = (
        "lower the learning rate or warm it up longer, clip the gradients (`plumbline inspect` shows whether "
        "the clip acts on the "
        "gradients that are used), and go on from a checkpoint before this step"
    )
    return episode(EpisodeKind.DIVERGENCE, Level.ERROR, onset, (evidence, check), measured, tail)


def _rate(run: Prepared, onset: float) -> str:
    rate = run.run.rate.finite
    if len(rate) < 5:
        return ""
    before, after = rate.until(onset).values, rate.since(onset).values
    if len(before) and len(after) and after.max() > 1.5 * np.median(before):
        return f"; the learning rate goes from {np.median(before):.3g} to {after.max():.3g}"
    return ""


def _norm(run: Prepared, onset: float) -> str:
    norm = run.run.norm.finite
    before, after = norm.until(onset).values, norm.since(onset).values
    if len(before) < 5 or not len(after) or after.max() < 3 * np.median(before):
        return ""
    return f"; the gradient norm goes from {np.median(before):.3g} to {after.max():.3g}"


SENTENCE = "the loss ends near its best level"
DETECTOR = Detector(EpisodeKind.DIVERGENCE, "rise_of_the_end", SENTENCE, measure, tell, 20)
