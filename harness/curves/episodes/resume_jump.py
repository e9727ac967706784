"""The level jumps up from one step to the next and the run learns again: a resume without the weights, or without the
optimiser's state."""

from __future__ import annotations

import numpy as np

from harness.core.curve import Episode, EpisodeCause, EpisodeKind, Level
from harness.curves.envelope import Tail, envelope
from harness.curves.episodes._detector import Detector, Measured, episode
from harness.curves.prepared import WIDTHS, Jump, Prepared

NAME = "jump_of_the_level"
FIRST = (0.5, 1.12)
"""Fresh weights give the first loss again: the peak lies above this share of the way back, and below so much of it."""
RELEARNS = 0.35
"""The least share of the first descent that is made again in as many steps."""
LASTS = 7
"""A bump that is over sooner is a spike."""
LEARNED = 0.12
"""Share of the first loss that must be learned before something can be lost."""


def measure(run: Prepared) -> Measured | str:
    """The largest jump of the level, in standard deviations."""
    if run.count < 3 * WIDTHS[0]:
        return f"it takes {3 * WIDTHS[0]} values of a loss; there are {run.count}"
    return Measured(float(run.edges.max()), run.count)


def state_lost(run: Prepared) -> tuple[Jump, EpisodeCause] | None:
    """The jump at which weights or state were lost, if there is one."""
    if run.count < 3 * WIDTHS[0]:
        return None
    jumps = run.jumps(envelope()[NAME].limit(run.count))
    lost = [jump for jump in jumps if _weights_lost(run, jump)]
    if lost:
        return lost[0], EpisodeCause.WEIGHTS_LOST
    if len(jumps) == 1 and _state_lost(run, jumps[0]):
        return jumps[0], EpisodeCause.OPTIMISER_STATE_LOST
    return None


def tell(run: Prepared, measured: Measured, tail: Tail) -> Episode | None:
    """Which of the two, by how high it jumps and how it comes back."""
    found = state_lost(run)
    if found is None:
        return None
    jump, cause = found
    onset = float(run.steps[jump.index])
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


def _weights_lost(run: Prepared, jump: Jump) -> bool:
    """Whether the loss is at its first value again, no higher, and makes the first descent a second time."""
    top = float(np.median(run.values[jump.index : jump.index + 3]))
    way = run.first - jump.before
    highest = float(run.values[jump.index :].max())
    if way <= 0 or jump.peak < FIRST[0] * way or highest > FIRST[1] * run.first + 3 * run.sigma:
        return False
    later = run.count - jump.index
    first_time = run.first - float(run.smooth[min(later, jump.index) - 1])
    second = top - float(np.median(run.values[-max(3, later // 8) :]))
    return second > RELEARNS * min(first_time, way) and second > 3 * run.sigma


def _state_lost(run: Prepared, jump: Jump) -> bool:
    if jump.back is None or run.first - jump.before < LEARNED * run.first:
        return False
    return jump.back - jump.index >= LASTS or _is_told(run, jump)


SENTENCE = "the level does not jump up and begin anew"
DETECTOR = Detector(EpisodeKind.RESUME_JUMP, NAME, SENTENCE, measure, tell, 15)
