"""The level jumps up from one step to the next and the run learns again: a resume without the weights, or without the
optimiser's state."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.core.curve import Episode, EpisodeCause, EpisodeKind, Level
from harness.curves.envelope import Tail, envelope
from harness.curves.episodes._detector import Detector, Measured, episode, form_of
from harness.curves.prepared import NEAR, WIDTHS, Jump, Prepared

NAME = "jump_of_the_level"
FIRST = (0.5, 1.05)
"""Fresh weights give the first loss again: the peak lies above this share of the way back, and below so much of the
first."""
STAYS = 0.25
"""The level of the next five values is still above this share of the way: one wild value is no resume."""
RELEARNS = 0.35
"""The least share of the first descent that is made again in as many steps."""
BUMP = 0.5
"""Moments that are lost cost at most this share of what was learned: what shoots higher is a spike."""
ALONE = 0.4
"""Of several jumps that are at least so high beside the highest, none is a resume: they are spikes."""
SAME, AS_LONG_IF_SAME = 0.015, 0.25
"""Where the loss is at its first value to within this share, it may be back sooner: the rate needs no warm-up now."""
AS_LONG = 0.6
"""Half of the way back takes at least this share of the time that it took at first: weights that were only shaken are
back sooner."""
LASTS = 7
"""A bump that is over sooner is a spike."""
LEARNED = 0.12
"""Share of the first loss that must be learned before something can be lost."""


def measure(run: Prepared) -> Measured | str:
    """The largest jump of the level, in standard deviations."""
    if run.count < 3 * WIDTHS[0]:
        return f"it takes {3 * WIDTHS[0]} values of a loss; there are {run.count}"
    return Measured(max(float(one.edges.max()) for one in _series(run)), run.count, _form(run))


def _series(run: Prepared) -> list[Prepared]:
    """The training loss and, where there are enough values, the validation loss."""
    return [run, run.held_out] if len(run.valid) >= 3 * WIDTHS[0] else [run]


def _form(run: Prepared) -> str:
    """Without a learning rate, restarts of the schedule look like jumps."""
    return form_of(run.count) + ("" if len(run.run.rate) else ".no_rate")


@dataclass(frozen=True)
class Lost:
    """A jump at which something was lost, in the series that shows it."""

    run: Prepared
    jump: Jump
    cause: EpisodeCause

    @property
    def onset(self) -> float:
        """The step."""
        return float(self.run.steps[self.jump.index])


def state_lost(run: Prepared) -> Lost | None:
    """The jump at which weights or state were lost, if there is one."""
    if run.count < 3 * WIDTHS[0]:
        return None
    limit = envelope()[NAME + _form(run)].limit(run.count)
    for one in _series(run):
        for jump in (jumps := one.jumps(limit)):
            alone = all(other.peak < ALONE * jump.peak for other in jumps if other is not jump)
            is_one = (alone or _is_told(one, jump)) and not _is_above(run, float(one.steps[jump.index]))
            if is_one and _weights_lost(one, jump):
                return Lost(one, jump, EpisodeCause.WEIGHTS_LOST)
    jumps = run.jumps(limit)
    if len(jumps) == 1 and _state_lost(run, jumps[0]):
        return Lost(run, jumps[0], EpisodeCause.OPTIMISER_STATE_LOST)
    return None


def tell(run: Prepared, measured: Measured, tail: Tail) -> Episode | None:
    """Which of the two, by how high it jumps and how it comes back."""
    found = state_lost(run)
    if found is None:
        return None
    run, jump, cause, onset = found.run, found.jump, found.cause, found.onset
    top = jump.before + jump.peak
    said = " (the log says that the run was resumed there)" if _is_told(run, jump) else ""
    if cause == EpisodeCause.WEIGHTS_LOST:
        evidence = (
            f"at {run.run.at(onset)}{said} the loss jumps from {jump.before:.4g} to {top:.4g}, near its first value "
            f"{run.first:.4g}, and falls again as at the beginning"
        )
        check = (
            "is the checkpoint's model loaded, with every key, before the training goes on? `plumbline "
            "inspect` shows what is loaded"
        )
        return episode(EpisodeKind.RESUME_JUMP, Level.ERROR, onset, (evidence, check), measured, tail, cause)
    back = float(run.steps[jump.back]) if jump.back is not None else None
    evidence = (
        f"at {run.run.at(onset)}{said} the loss jumps from {jump.before:.4g} to {top:.4g} and takes until "
        f"{run.run.at(back or run.run.last)} to come back: weights kept, moments of the optimiser begun anew"
    )
    check = (
        "is the optimiser's state loaded (optimizer.load_state_dict), and the schedule's? If no run was "
        "resumed here, look at the batch"
    )
    return episode(EpisodeKind.RESUME_JUMP, Level.WARNING, onset, (evidence, check), measured, tail, cause, back)


def _is_told(run: Prepared, jump: Jump) -> bool:
    near = run.steps[max(0, jump.index - 2) : jump.index + 3]
    return any(near[0] <= step <= near[-1] for step in run.run.restarts)


def _is_above(run: Prepared, step: float) -> bool:
    """Whether the loss goes above its first value there, which fresh weights never do: they know nothing, surely."""
    at = int(np.searchsorted(run.steps, step))
    near = run.values[max(0, at - 1) : at + NEAR]
    return bool(len(near)) and float(near.max()) > FIRST[1] * run.first


def _weights_lost(run: Prepared, jump: Jump) -> bool:
    """Whether the loss is at its first value again and makes the first descent a second time."""
    after = run.values[jump.index :]
    top, way = float(after[:3].max()), run.first - jump.before
    stays = float(np.median(after[:5])) - jump.before > STAYS * way
    if way < LEARNED * run.first or top - jump.before < FIRST[0] * way or not stays:
        return False
    later = run.count - jump.index
    first_time = run.first - float(run.smooth[min(later, jump.index) - 1])
    second = top - float(np.median(run.values[-max(3, later // 8) :]))
    if not (second > RELEARNS * min(first_time, way) and second > 3 * run.sigma):
        return False
    half = jump.before + way / 2
    once = int(np.flatnonzero(run.smooth <= half)[0])
    below = np.flatnonzero(run.smooth[jump.index :] <= half)
    is_first = abs(top - run.first) <= SAME * run.first
    return not len(below) or int(below[0]) >= (AS_LONG_IF_SAME if is_first else AS_LONG) * once


def _state_lost(run: Prepared, jump: Jump) -> bool:
    way = run.first - jump.before
    if jump.back is None or way < LEARNED * run.first or jump.peak > BUMP * way:
        return False
    return jump.back - jump.index >= LASTS or _is_told(run, jump)


SENTENCE = "the level does not jump up and begin anew"
DETECTOR = Detector(EpisodeKind.RESUME_JUMP, NAME, SENTENCE, measure, tell, 15)
