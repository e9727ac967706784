"""The width of quantized numbers over a training run."""

import math
from collections.abc import Sequence


def quantization_schedule(
    step: int, total_steps: int, boundaries: Sequence[float] = (0.4,), bits: Sequence[int] = (16, 8)
) -> int:
    """bits[0] until boundaries[0] of training, bits[1] until boundaries[1], ...  -> the bits of this step

    Steps count from 0: of 10 steps, 0..3 have 16 bits and 4..9 have 8.  A boundary that falls between two steps begins
    at the later one.  Every step after the last has the last width, and so has a run of no steps at all.  It follows
    from the step alone, so a resumed run goes on where it stopped.
    Raises ValueError for a negative step or length, boundaries that do not rise from 0 to 1, or another number of
    widths than one more than boundaries.
    Source: DeepSpeed, Mixture of Quantization (training begins with 16 bits and goes down to 8 by a schedule);
    DeepSpeed compression, `schedule_offset`; torchtune, `fake_quant_after_n_steps`.
    """
    refuse_unusable(step, total_steps, boundaries, bits)
    level = 0
    for share in boundaries:
        begin = math.ceil(share * total_steps - 1e-9)  # 0.07 * 100 is a little more than 7
        if step >= begin:
            level += 1
    return bits[level]


def refuse_unusable(step: int, total_steps: int, boundaries: Sequence[float], bits: Sequence[int]) -> None:
    """Raise for what is no place in a run, or no schedule."""
    if step < 0 or total_steps < 0:
        raise ValueError(f"step {step} of {total_steps}: neither may be negative")
    if len(bits) != len(boundaries) + 1:
        raise ValueError(f"{len(boundaries)} boundaries separate {len(boundaries) + 1} widths, not {len(bits)}")
    if list(boundaries) != sorted(set(boundaries)) or not all(0 <= share <= 1 for share in boundaries):
        raise ValueError(f"boundaries must rise from 0 to 1, not {list(boundaries)}")
