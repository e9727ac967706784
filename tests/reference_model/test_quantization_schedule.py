"""reference_model/quantization_schedule.py against a count of steps, torch's schedulers and by hand."""

from fractions import Fraction

import pytest
import torch

from reference_model import quantization_schedule


def widths(total, **levels):
    return [quantization_schedule(step, total, **levels) for step in range(total)]


def test_ten_steps_by_hand():
    """Four of ten are 40 %."""
    assert widths(10) == [16] * 4 + [8] * 6


@pytest.mark.parametrize("percent", range(0, 101, 7))
def test_a_share_of_a_hundred_steps_is_that_many_steps(percent):
    """Also where the product of the share and 100 is rounded up or down (0.07, 0.28, 0.56)."""
    assert widths(100, boundaries=(percent / 100,), bits=(16, 8)).count(16) == percent


@pytest.mark.parametrize("total", [1, 2, 3, 7, 11, 100, 1000])
def test_levels_equal_an_exact_count(total):
    """Each step has passed those boundaries that are at most its share of training, in exact fractions."""
    shares, bits = (Fraction(1, 8), Fraction(2, 5), Fraction(3, 4)), (32, 16, 8, 4)
    expected = [bits[sum(Fraction(step, total) >= share for share in shares)] for step in range(total)]
    assert widths(total, boundaries=tuple(map(float, shares)), bits=bits) == expected


def test_equals_torch_milestones():
    """Widths that halve at milestones are MultiStepLR with gamma 1/2."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=16.0)
    scheduler, expected = torch.optim.lr_scheduler.MultiStepLR(optimizer, [8, 16], gamma=0.5), []
    for _ in range(20):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert widths(20, boundaries=(0.4, 0.8), bits=(16, 8, 4)) == expected


def test_ends():
    """After the last step, and where there is none."""
    assert [quantization_schedule(step, 10) for step in (10, 11, 1000)] == [8, 8, 8]
    assert [quantization_schedule(step, 0) for step in (0, 3)] == [8, 8]
    assert quantization_schedule(5, 10, (), (8,)) == 8
    assert [quantization_schedule(step, 10, (0.0,), (16, 8)) for step in (0, 1)] == [8, 8]
    assert [quantization_schedule(step, 10, (1.0,), (16, 8)) for step in (9, 10)] == [16, 8]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 10), "step -1 of 10"),
        ((0, -5), "step 0 of -5"),
        ((0, 10, (0.4,), (16, 8, 4)), "separate 2 widths, not 3"),
        ((0, 10, (0.5, 0.4), (16, 8, 4)), r"not \[0.5, 0.4\]"),
        ((0, 10, (40,), (16, 8)), r"not \[40\]"),
    ],
)
def test_refuses_what_is_no_schedule(arguments, message):
    """By its numbers."""
    with pytest.raises(ValueError, match=message):
        quantization_schedule(*arguments)
