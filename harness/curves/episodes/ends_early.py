"""The run ends while the loss still falls steeply."""

from __future__ import annotations

import math

import numpy as np

from harness.core.curve import Episode, EpisodeKind, Level
from harness.curves.envelope import Tail
from harness.curves.episodes._detector import Detector, Measured, episode, form_of
from harness.curves.prepared import FEWEST, Prepared
from harness.curves.robust import level, spread

CUT = 2.0
"""How much more a fall at the end counts where the log says that the run was cut short."""
PARTS = ((0.6, 0.75), (0.9, 1.0))
"""The parts of the run that are compared, as shares of its values."""


def measure(run: Prepared) -> Measured | str:
    """What the loss falls from about two thirds of the run to its end, in units of its whole fall. Of the validation
    loss where it has enough values, for it has less noise."""
    values = run.valid.values if len(run.valid) >= FEWEST else run.values
    if len(values) < FEWEST:
        return f"it takes {FEWEST} values of a loss; there are {len(values)}"
    early, late = (level(values[int(a * len(values)) : max(int(b * len(values)), 1)]) for a, b in PARTS)
    first = float(np.median(values[: max(1, len(values) // 40)]))
    if first - late < 0.02 * abs(first):
        return "the loss hardly falls"
    doubt = 2 * 1.25 * spread(values) * math.sqrt(2 / max(1, len(values) // 8))
    share = (early - late - doubt) / (first - late)
    form = ".validation" if len(run.valid) >= FEWEST else form_of(run.count)
    return Measured(
        share * (CUT if _is_cut(run) else 1), form=form, facts={"early": early, "late": late, "share": share}
    )


def _is_cut(run: Prepared) -> bool:
    """Whether the log itself says that the run was to go on: steps that were planned, or a rate that was falling and is
    still more than half of its peak."""
    planned, rate = run.run.planned, run.run.rate.finite.values
    if planned and run.run.last < 0.9 * planned:
        return True
    if len(rate) < 10:
        return False
    falling = rate[-1] < rate[-max(2, len(rate) // 10)] < rate.max()
    return bool(falling and rate[-1] > 0.5 * rate.max())


def tell(run: Prepared, measured: Measured, tail: Tail) -> Episode | None:
    """How much it falls at the end, and how many steps were planned where that is known."""
    rate = run.run.rate.finite.values
    if len(rate) >= 5 and rate[-1] < 0.2 * rate.max():
        return None
    planned = run.run.planned
    of = f" of {planned:g} planned" if planned and planned > run.run.last * 1.05 else ""
    decayed = f"; the learning rate is at {100 * rate[-1] / rate.max():.0f} % of its peak" if len(rate) >= 5 else ""
    evidence = (
        f"the run ends at {run.run.at(run.run.last)}{of}, and the loss falls by "
        f"{100 * measured.facts['share']:.0f} % of its whole fall in "
        f"the last third (from {measured.facts['early']:.4g} to {measured.facts['late']:.4g}){decayed}"
    )
    check = "train longer, or end the schedule where the run ends; was the run stopped from outside?"
    return episode(EpisodeKind.ENDS_EARLY, Level.WARNING, run.run.last, (evidence, check), measured, tail)


SENTENCE = "the loss does not fall steeply where the run ends"
DETECTOR = Detector(EpisodeKind.ENDS_EARLY, "fall_at_the_end", SENTENCE, measure, tell, 60, in_growing=False)
