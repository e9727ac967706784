"""Right schedules of widths that differ in how they get there; none of them may fail a claim."""

import bisect
from fractions import Fraction

import numpy
import torch


def fixed_by_product(step, total_steps):
    """Two widths and nothing to configure: what most code has."""
    return 16 if step < 0.4 * total_steps else 8


def fixed_by_whole_steps(step, total_steps):
    """Rounded down to a whole step first."""
    boundary = int(0.4 * total_steps)
    if step >= boundary:
        return 8
    return 16


def fixed_by_share(step, total_steps):
    """A fraction, where there is one."""
    progress = step / total_steps if total_steps else 1.0
    return 8 if progress >= 0.4 else 16


def fixed_rounded_to_the_nearest(step, total_steps):
    return (16, 8)[step >= round(total_steps * 0.4)]


def fixed_and_at_least_one_step(step, total_steps):
    """A run of no steps counts as one of one step: what is not trained is in 16 bits."""
    return 16 if step / max(1, total_steps) < 0.4 else 8


def fixed_by_the_last_step(step, total_steps):
    """Progress is 1 at the last step."""
    return 8.0 if step / max(1, total_steps - 1) >= 0.4 else 16.0


def fixed_in_percent_and_refusing(step, total_steps):
    """WholeModel numbers only; a run of no steps is refused."""
    assert total_steps > 0, "no steps to train"
    return 16 if 100 * step < 40 * total_steps else 8


def by_searching(step, total_steps, boundaries=(0.4,), bits=(16, 8)):
    edges = [Fraction(str(share)) * total_steps for share in boundaries]
    return bits[bisect.bisect_right(edges, step)]


def by_counting_backwards(step, total_steps, boundaries=(0.4,), bits=(16, 8)):
    """The last level first."""
    for share, width in zip(reversed(boundaries), reversed(bits), strict=False):
        if step >= share * total_steps:
            return width
    return bits[0]


def in_numpy(step, total_steps, boundaries=(0.4,), bits=(16, 8)):
    return numpy.asarray(bits)[numpy.searchsorted(numpy.asarray(boundaries) * total_steps, step, side="right")]


def in_torch(step, total_steps, boundaries=(0.4,), bits=(16, 8)):
    """In float32, with a tensor as the result."""
    passed = torch.tensor(step / max(total_steps, 1)) >= torch.tensor(boundaries)
    return torch.tensor(bits)[passed.sum()]


_ALL = (
    fixed_by_product,
    fixed_by_whole_steps,
    fixed_by_share,
    fixed_rounded_to_the_nearest,
    fixed_and_at_least_one_step,
    fixed_by_the_last_step,
    fixed_in_percent_and_refusing,
    by_searching,
    by_counting_backwards,
    in_numpy,
    in_torch,
)

VARIANTS = {f"schedule {function.__name__.replace('_', ' ')}": {"quantization_schedule": function} for function in _ALL}
