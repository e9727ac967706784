"""The noise of the training loss repeats with a period: the same batches come again in the same order."""

from __future__ import annotations

import numpy as np

from harness.core.curve import Episode, EpisodeCause, EpisodeKind, Level
from harness.curves.envelope import Tail
from harness.curves.episodes._detector import Detector, Measured, episode
from harness.curves.prepared import Prepared
from harness.curves.robust import running_median
from harness.curves.run_curve import Array

FEWEST = 60
SHORTEST = 3
"""The shortest period, in logged values."""
LEVEL = 7
"""Width of the running median that is taken away: what is slower than this is the course of the loss."""
MOST = 4000
"""Values from which the periods are sought; of longer runs the last ones."""


def measure(run: Prepared) -> Measured | str:
    """The largest correlation of the noise with itself a period earlier and two periods earlier (the lesser of both),
    times the square root of how many pairs there are."""
    if run.main is run.valid:
        return "there is no training loss"
    if run.count < FEWEST:
        return f"it takes {FEWEST} values of the training loss; there are {run.count}"
    period, score, correlation = _period(run)
    return Measured(score, run.count, facts={"period": period, "correlation": correlation})


def _period(run: Prepared) -> tuple[float, float, float]:
    """(period in logged values, score, correlation)."""
    tail = slice(max(run.quiet, run.count - MOST), None)
    values = run.values[tail]
    rest = (values - running_median(values, LEVEL)) / run.local[tail]
    rest = np.clip(rest, -3, 3)
    rest -= rest.mean()
    found = _correlations(rest)
    pairs = len(rest) - np.arange(len(found))
    best = (0.0, 0.0, 0.0)
    for lag in range(SHORTEST, len(found)):
        twice = found[2 * lag] if 2 * lag < len(found) else found[lag]
        least = min(found[lag], twice)
        score = float(least * np.sqrt(pairs[lag]))
        if score > best[1]:
            best = (float(lag), score, float(least))
    return best


def _correlations(rest: Array) -> Array:
    """Autocorrelation at lags 0 to half the length, each over the pairs that there are."""
    count = len(rest)
    spectrum = np.fft.rfft(rest, 2 * count)
    sums = np.fft.irfft(spectrum * np.conj(spectrum), 2 * count)[: count // 2 + 1]
    pairs = count - np.arange(count // 2 + 1)
    found: Array = (sums / pairs) / max(float(sums[0]) / count, 1e-12)
    return found


def tell(run: Prepared, measured: Measured, tail: Tail) -> Episode | None:
    """The period in steps, and whether the data are memorised already."""
    period = measured.facts["period"] * float(np.median(np.diff(run.steps)))
    evidence = (
        f"the noise of the training loss repeats every {period:g} {run.run.unit}s (correlation "
        f"{measured.facts['correlation']:.2f}): the same batches come in the same order"
    )
    check = (
        "does the loader shuffle in every epoch, and does its iterator begin anew too early? `plumbline "
        "inspect` compares the "
        "batches; with so few of them the model learns them by heart"
    )
    cause = EpisodeCause.SAME_ORDER
    onset = float(run.steps[0]) + period
    return episode(EpisodeKind.REPEATED_BATCHES, Level.WARNING, onset, (evidence, check), measured, tail, cause)


SENTENCE = "the noise of the training loss does not repeat"
DETECTOR = Detector(EpisodeKind.REPEATED_BATCHES, "repetition_of_the_noise", SENTENCE, measure, tell, 38)
