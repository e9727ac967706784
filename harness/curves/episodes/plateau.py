"""The loss falls at first, then stays at a high level: most often the rate is too high to go on."""

from __future__ import annotations

import numpy as np

from harness.core.curve import Episode, EpisodeCause, EpisodeKind, Level
from harness.curves.envelope import Tail
from harness.curves.episodes._descent import calmest, has_diverged, late_progress, not_from_scratch, share_left
from harness.curves.episodes._detector import Detector, Measured, episode
from harness.curves.prepared import Prepared

WEIGHT = 4.0
"""A quarter of the fall that comes late is progress enough at any level."""


def measure(run: Prepared) -> Measured | str:
    """The share of the first loss that is left, less so much the more is learned after the first third."""
    share, form = share_left(run)
    calm, _ = calmest(run)
    late = max(late_progress(calm, calm.doubt / 2), late_progress(run, run.doubt / 2))
    height = share * max(0.0, 1 - WEIGHT * max(0.0, late))
    return not_from_scratch(run) or Measured(height, form=form)


def tell(run: Prepared, measured: Measured, tail: Tail) -> Episode | None:
    """From where the level is the last one."""
    if has_diverged(run):
        return None
    flat = np.flatnonzero(run.smooth <= run.end + 0.1 * run.span + run.sigma)
    onset = float(run.steps[flat[0]]) if len(flat) else run.run.first
    evidence = (
        f"the loss falls from {run.first:.4g} to about {run.end:.4g} by {run.run.at(onset)} and stays there; "
        f"after the first third it falls by {run.between(0.3, 0.4) - run.end:.3g}"
    )
    rate = run.run.rate.finite.since(onset).values
    known = f" (the learning rate is {np.median(rate):.3g})" if len(rate) else ""
    check = (
        f"lower the learning rate tenfold{known}; a level near the entropy of single tokens means that "
        "nothing but their "
        "frequencies is learned: does the context reach the output? (`plumbline inspect`)"
    )
    cause = EpisodeCause.RATE_TOO_HIGH
    return episode(EpisodeKind.PLATEAU, Level.WARNING, onset, (evidence, check), measured, tail, cause)


SENTENCE = "the loss does not stay at a high level"
DETECTOR = Detector(EpisodeKind.PLATEAU, "height_of_a_plateau", SENTENCE, measure, tell, 31, in_growing=False)
