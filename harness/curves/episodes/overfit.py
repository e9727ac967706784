"""The validation loss turns while the training loss falls on."""

from __future__ import annotations

import numpy as np

from harness.core.curve import Episode, EpisodeKind, Level
from harness.curves.envelope import Tail
from harness.curves.episodes._detector import Detector, Measured, episode
from harness.curves.prepared import Prepared
from harness.curves.robust import spread
from harness.curves.run_curve import Array, Series

FEWEST = 6
NEAR = 0.5
"""Losses that lie above the least by more than this share of the fall are no part of the turn."""
LAST = 3
"""Validation losses at the end that are compared with the least; those alone that come after it."""
NOISE = 2.0
"""Standard deviations of single validation losses that a rise is reduced by."""


def smooth(values: Array) -> Array:
    """Means of three. [n] -> [n]"""
    found: Array = np.convolve(np.pad(values, 1, mode="edge"), np.ones(3) / 3, "valid")
    return found


def _turn(valid: Series, calm: Array, least: int) -> float:
    """The step at which the validation loss turns: the vertex of a parabola through the losses around the least."""
    reach = max(3, len(calm) // 6)
    near = np.arange(max(0, least - reach), min(len(calm), least + reach + 1))
    near = near[calm[near] <= calm[least] + NEAR * (calm[0] - calm[least])]
    if len(near) >= 4:
        bend, tilt, _ = np.polyfit(valid.steps[near], valid.values[near], 2)
        if bend > 0:
            vertex = float(np.clip(-tilt / (2 * bend), valid.steps[near[0]], valid.steps[near[-1]]))
            return float(valid.steps[int(np.abs(valid.steps - vertex).argmin())])
    return float(valid.steps[least])


def measure(run: Prepared) -> Measured | str:
    """How far the last three validation losses lie above the least, less their noise, in units of their fall."""
    if run.main is run.valid or not len(run.run.train):
        return "there is no training loss beside the validation loss"
    values = run.valid.values
    if len(values) < FEWEST:
        return f"it takes {FEWEST} validation losses; there are {len(values)}"
    calm = smooth(values)
    least = int(calm.argmin())
    later = values[least + 1 :][-LAST:]
    end = float(later.mean()) if len(later) >= 2 else float(calm[least])
    rise = end - float(calm[least]) - NOISE * spread(values)
    span = max(float(values[0] - calm[least]), 0.05 * abs(float(values[0])), 1e-12)
    facts = {"least": float(calm[least]), "at": _turn(run.valid, calm, least), "end": end}
    return Measured(rise / span, facts=facts)


def tell(run: Prepared, measured: Measured, tail: Tail) -> Episode | None:
    """Where the least validation loss is, if the training loss falls on from there."""
    at, least, end = (measured.facts[name] for name in ("at", "least", "end"))
    before, after = run.main.until(at).values, run.main.since(at).values
    if len(after) < 3 or not len(before):
        return None
    width = max(1, min(len(after) // 3, 20))
    there, last = float(np.median(after[:width])), float(np.median(after[-width:]))
    if last > there:
        return None
    evidence = (
        f"the validation loss turns at {run.run.at(at)} (least: {least:.4g}) and rises to {end:.4g}, while the "
        "training loss "
        f"falls on from {there:.4g} to {last:.4g}"
    )
    check = f"keep the checkpoint near {run.run.at(at)}; more data, dropout or weight decay, fewer epochs"
    return episode(EpisodeKind.OVERFIT, Level.WARNING, at, (evidence, check), measured, tail)


SENTENCE = "the validation loss does not turn while the training loss falls"
DETECTOR = Detector(EpisodeKind.OVERFIT, "rise_of_validation", SENTENCE, measure, tell, 45, least=0.03)
