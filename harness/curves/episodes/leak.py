"""The loss falls far below what the data allow, in validation too: the model sees what it is to predict."""

from __future__ import annotations

import math

import numpy as np

from harness.core.curve import Episode, EpisodeKind, Level
from harness.curves.envelope import Tail
from harness.curves.episodes._detector import Detector, Measured, episode
from harness.curves.prepared import Prepared

LEAST_FIRST, MOST_FIRST = 3.0, 13.0
"""Nats: ln 20, for tasks with fewer classes may be learned to nothing, and ln 440,000: more is no cross-entropy of
tokens."""
LEAST = 0.78
"""A share that is gone of no interest, if it is less: a well trained model of characters ends at a third of its first
loss."""
SHORT = 2000
"""Steps up to which the envelope of short runs holds."""
FLOOR = 0.6
"""Nats per token below which no published model of natural text ends, not even per character (0.94 bits of enwik8)."""


def measure(run: Prepared) -> Measured | str:
    """What part of the first loss is gone at the end, in training and in validation: the lesser of the two."""
    if run.count < 8:
        return f"it takes 8 values of a loss; there are {run.count}"
    if run.first < LEAST_FIRST:
        return f"the run begins at {run.first:.3g}: so few classes can be learned without a loss"
    if run.first > MOST_FIRST:
        return f"the run begins at {run.first:.3g}, which is no cross-entropy of tokens"
    ends = [run.end, *([float(np.median(run.valid.values[-3:]))] if len(run.valid) >= 3 else [])]
    return Measured(1 - max(ends) / run.first, facts={"end": max(ends), "both": float(len(ends) == 2)})


def tell(run: Prepared, measured: Measured, tail: Tail) -> Episode | None:
    """Where the loss goes below the least that healthy runs show."""
    end = measured.facts["end"]
    is_short = run.run.unit == "step" and run.run.last - run.run.first <= SHORT
    if not is_short and end > FLOOR:
        return None
    allowed = run.first * (1 - max(tail.limit(), LEAST))
    index = int(np.flatnonzero(run.smooth < max(allowed, end + run.sigma))[0])
    onset = float(run.steps[index])
    where = "training and validation loss end" if measured.facts["both"] else "the training loss ends"
    evidence = (
        f"{where} at {end:.3g}, {100 * end / run.first:.2g} % of the first ({run.first:.3g}: about "
        f"{math.exp(min(run.first, 20)):.0f} classes); "
        + (
            f"healthy runs of this length end above {allowed:.2g}"
            if is_short
            else f"no model of text ends below {FLOOR}"
        )
    )
    check = (
        "is the model causal, in training too (`plumbline inspect` changes later tokens and looks at earlier "
        "outputs)? Are the "
        "targets shifted by one? Does the validation set share text with the training set? (Of a loss that "
        "is no cross-entropy of tokens this says nothing.)"
    )
    level = Level.ERROR if measured.facts["both"] else Level.WARNING
    return episode(EpisodeKind.LEAK, level, onset, (evidence, check), measured, tail)


SENTENCE = "the loss stays above what the data allow"
DETECTOR = Detector(EpisodeKind.LEAK, "share_of_the_first_loss_gone", SENTENCE, measure, tell, 35, least=LEAST)
