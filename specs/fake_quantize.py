"""Fake quantization: rounded forwards, straight through backwards, over a range that follows what is seen.

Where exactly the codes lie is left to the implementation: whether the ends of the range or 0 are kept exactly (0 must be), how
ties round, whether a number half a step beyond the last code still counts as inside. Nothing here looks within a step of the
ends for that.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from hypothesis import strategies as st

from harness.core.case import Call, Case
from harness.core.claim import Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature, Variant
from harness.core.mistake import Edit
from harness.strategies.shapes import distinct_sizes
from harness.strategies.tensors import make, seeds, tensors
from reference_model.fake_quantize import fake_quantize
from specs.shared.quantization import dtypes, floating, within

ROUNDING = 1e-5
"""Relative to the range: scales in float32, and a division and a product on the way. A mistake moves whole steps, and a step
is 1/255 of the range at the least."""
SIZES_AND_OFFSETS = (
    ((1.0, 0.2), (5.0, -1.0), (0.3, 0.1)),
    ((2.0, 0.0), (0.5, 3.0), (4.0, 0.0)),
    ((1.0, -4.0), (2.0, 4.0), (1.5, 0.0)),
)
"""Of three batches: some all on one side of 0."""
TRAIN, EVAL, RANGE = Call("train", {}), Call("eval", {}), Call("range", {})


# cases ---------------------------------------------------------------------------------------------------------------


def building(bits: int, symmetric: bool, momentum: float = 0.1) -> Call:
    return Call("build", {"bits": bits, "momentum": momentum, "symmetric": symmetric})


def forward(x: torch.Tensor) -> Call:
    return Call("forward", {"x": x})


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A loaded range that holds 0, in evaluation: numbers inside it and, in most cases, outside."""
    sizes = draw(distinct_sizes(batch=(1, 3), time=(1, 5), width=(2, 9)))
    x, family = draw(tensors(tuple(sizes.values())[-draw(st.integers(1, 3)) :]))
    size = float(x.abs().max()) or 1.0
    low, high = draw(st.sampled_from(((-0.5, 1.0), (-1.0, 0.25), (-0.9, 0.2), (0.0, 0.75), (-0.6, 0.0), (-1.3, 2.0))))
    bits, symmetric = draw(st.sampled_from((8, 4, 3, 8))), draw(st.sampled_from((False, True)))
    load = Call("load", {"low": low * size, "high": high * size})
    return Case((building(bits, symmetric), load, EVAL, forward(x)), sizes, f"{family}, {bits} bits")


@st.composite
def even_cases(draw: st.DrawFn) -> Case:
    """Numbers all over a range and beyond both of its ends, closely spaced."""
    low, high = draw(st.sampled_from(((-3.0, 0.8), (-0.5, 1.0), (-1.2, 0.3))))
    bits, symmetric = draw(st.sampled_from((3, 4, 8, 5))), draw(st.sampled_from((True, False)))
    end = 2.0 * max(-low, high)
    x = torch.linspace(-end, end, 3001, dtype=torch.float64)
    load = Call("load", {"low": low, "high": high})
    return Case((building(bits, symmetric), load, EVAL, forward(x)), {}, f"evenly spread, {bits} bits")


@st.composite
def tracking_cases(draw: st.DrawFn) -> Case:
    """Batches of different sizes in training; the first is no smaller than the others, nor the last the largest."""
    momentum = draw(st.sampled_from((0.1, 0.3, 0.01, 0.9)))
    kinds = draw(st.sampled_from(SIZES_AND_OFFSETS))
    batches = [make("normal", (7, 3), draw(seeds)) * size + offset for size, offset in kinds]
    return Case(
        (building(8, False, momentum), TRAIN, *map(forward, batches)), {}, f"three batches, momentum {momentum:g}"
    )


@st.composite
def invalid_cases(draw: st.DrawFn) -> Case:
    """A single bit, which has no code besides 0 in symmetric mode, or none at all."""
    bits = draw(st.sampled_from((0, 1, -8)))
    return Case((building(bits, draw(st.booleans())),), {}, f"{bits} bits")


# what is right -------------------------------------------------------------------------------------------------------


def x_of(case: Case) -> torch.Tensor:
    x: torch.Tensor = case.arguments["x"]
    return x


class Grid:
    """The loaded range, and the largest step that its codes may have. Symmetric: it reaches as far to both sides."""

    def __init__(self, case: Case) -> None:
        build, load = case.calls[0].arguments, case.calls[1].arguments
        self.bits, self.symmetric = build["bits"], build["symmetric"]
        self.low, self.high = load["low"], load["high"]
        if self.symmetric:
            self.high = max(-self.low, self.high)
            self.low = -self.high
        codes = 2**self.bits - (2 if self.symmetric else 1)
        self.width = self.high - self.low
        self.step = self.width / codes

    def well_inside(self, x: torch.Tensor) -> torch.Tensor:
        return (x > self.low + 1.01 * self.step) & (x < self.high - 1.01 * self.step)

    def well_outside(self, x: torch.Tensor) -> torch.Tensor:
        """Beyond one code more than the range needs, as signed integers have, and beyond what rounds to that."""
        return (x < self.low - 1.51 * self.step) | (x > self.high + 1.51 * self.step)


def rounded(trial: Trial, dtype: torch.dtype | None = None, case: Case | None = None) -> torch.Tensor:
    case = case or trial.case
    return floating(trial.run(case, dtype=dtype or trial.dtype).value, x_of(case).shape, "forward()")


@claim(
    "inside the range the error is at most half a step",
    broken_by="rounded_down",
    aliases=("inside_it_is_half_a_step_off",),
)
def error_within_half_a_step(trial: Trial) -> None:
    grid, worst = Grid(trial.case), 0.0
    for dtype in dtypes(trial):
        out, x = rounded(trial, dtype), x_of(trial.case).to(dtype).double()
        inside = (x >= grid.low) & (x <= grid.high)
        steps = torch.where(grid.well_inside(x), 0.5 * grid.step, grid.step)[inside]
        allowed = torch.full_like(steps, ROUNDING * grid.width)
        what = f"inside the range the error exceeds half a step ({grid.bits} bits)"
        worst = max(worst, within(out[inside], x[inside], allowed, what, steps))
    trial.note_error(worst)


@claim(
    "a number outside the range is clipped to the nearer end",
    broken_by="not_clamped",
    aliases=("outside_it_is_clipped",),
)
def clips_outside_the_range(trial: Trial) -> None:
    grid, worst = Grid(trial.case), 0.0
    for dtype in dtypes(trial):
        out, x = rounded(trial, dtype), x_of(trial.case).to(dtype).double()
        outside = (x < grid.low) | (x > grid.high)
        ends = x.clamp(grid.low, grid.high)
        allowed = torch.full_like(x, ROUNDING * grid.width)
        what = "a number outside the range is not clipped to the nearer end"
        worst = max(worst, within(out[outside], ends[outside], allowed[outside], what, grid.step))
    trial.note_error(worst)


@claim(
    "there are 2^bits output levels, evenly spaced",
    broken_by="always_eight_bits",
    cases=even_cases,
    max_cases=8,
    aliases=("there_are_as_many_values_as_codes",),
)
def number_and_spacing_of_levels(trial: Trial) -> None:
    """At most 2^bits different values, not many fewer, and one distance between neighbours."""
    grid = Grid(trial.case)
    values = rounded(trial).double().reshape(-1).sort().values
    gaps = values.diff()
    gaps = gaps[gaps > 10 * ROUNDING * grid.width]
    count, most = len(gaps) + 1, 2**grid.bits
    if not most - 3 <= count <= most:
        raise Violation(f"the output takes {count} different values over the range; {grid.bits} bits have {most} codes")
    uneven = float((gaps.max() - gaps.min()) / (4 * ROUNDING * grid.width))
    if not uneven <= 1:
        worst = f"neighbours are {float(gaps.min()):.6g} to {float(gaps.max()):.6g} apart"
        raise Violation("the output levels are not evenly spaced", worst=worst, error=uneven)
    trial.note_error(uneven)


@claim("zero stays exactly zero", broken_by="zero_point_not_integer", max_cases=16)
def zero_is_exact(trial: Trial) -> None:
    """Padding and ReLUs are full of zeros."""
    for dtype in dtypes(trial):
        out = rounded(trial, dtype, trial.case.changed(x=torch.zeros(3, dtype=torch.float64)))
        if bool((out.abs() > ROUNDING * 1e-2 * Grid(trial.case).width).any()):
            raise Violation("zero is not mapped to zero", worst=f"0 becomes {float(out[0]):.6g}")


@claim(
    "quantizing the output again does not change it",
    broken_by="noise_for_rounding",
    max_cases=16,
    aliases=("rounding_again_changes_nothing",),
)
def idempotent(trial: Trial) -> None:
    once = rounded(trial)
    again = rounded(trial, case=trial.case.changed(x=once.to(torch.float64)))
    allowed = torch.full_like(once.double(), 4 * ROUNDING * Grid(trial.case).width)
    trial.note_error(within(again, once, allowed, "quantizing the output again changes it"))


@claim(
    "in symmetric mode -x gives -out",
    broken_by="rounded_down",
    cases=even_cases,
    max_cases=8,
    aliases=("negative_numbers_mirror_positive_ones",),
)
def odd_in_symmetric_mode(trial: Trial) -> None:
    """Symmetric mode; half-way between two codes, and within a step of the ends, it may differ."""
    grid = Grid(trial.case)
    if not grid.symmetric:
        trial.not_applicable()
    x, out = x_of(trial.case), rounded(trial).double()
    mirrored = rounded(trial, case=trial.case.changed(x=-x)).double()
    apart = (out + mirrored).abs()
    inside = grid.well_inside(x)
    allowed = torch.full_like(out, grid.step + ROUNDING * grid.width)
    ties = float(((apart > 4 * ROUNDING * grid.width) & inside).double().mean())
    if ties > 0.05:
        raise Violation("in symmetric mode -x does not give -out", worst=f"{ties:.0%} of the numbers differ")
    trial.note_error(within(-mirrored[inside], out[inside], allowed[inside], "in symmetric mode -x does not give -out"))


def gradient_of(trial: Trial, case: Case, name: str = "x") -> tuple[torch.Tensor, torch.Tensor]:
    """The gradient of an x, and the cotangent that came in."""
    answer = trial.run(case, gradients=True)
    found = answer.gradients.get(name)
    if found is None:
        raise Violation("no gradient reaches x: rounding has none; use a straight-through estimator")
    return found.double(), trial.cotangent(answer.value)


@claim(
    "inside the range the gradient is passed straight through",
    broken_by="straight_through_gradient_missing",
    aliases=("gradient_is_the_identity_inside",),
)
def straight_through_gradient_inside(trial: Trial) -> None:
    found, cotangent = gradient_of(trial, trial.case)
    inside = Grid(trial.case).well_inside(x_of(trial.case))
    if not bool(inside.any()):
        trial.not_applicable()
    allowed = 1e-5 * cotangent.abs() + 1e-12
    trial.note_error(
        within(
            found[inside], cotangent[inside], allowed[inside], "inside the range the gradient is not straight-through"
        )
    )


@claim(
    "outside the range the gradient is zero, or passed through where declared",
    broken_by="gradient_stopped_below_range_only",
    cases=even_cases,
    max_cases=6,
)
def gradient_is_zero_outside(trial: Trial) -> None:
    """Unless it is declared that everything is passed through."""
    found, cotangent = gradient_of(trial, trial.case)
    outside = Grid(trial.case).well_outside(x_of(trial.case))
    if not bool(outside.any()):
        trial.not_applicable()
    passes = trial.variant == "passes_everything"
    expected = cotangent if passes else torch.zeros_like(cotangent)
    allowed = 1e-5 * cotangent.abs() + 1e-12
    what = (
        "outside the range the gradient is not passed through" if passes else "outside the range the gradient is not 0"
    )
    trial.note_error(within(found[outside], expected[outside], allowed[outside], what))


# the range -----------------------------------------------------------------------------------------------------------


Range = tuple[float, float]


def followed(batches: Sequence[torch.Tensor], momentum: float = 1.0, kept: bool = False) -> list[Range]:
    """The first batch sets the range, each later one moves it by its share. As it is seen, and with each batch's range widened
    to hold 0 before: both are in use."""
    share, found = 1 - momentum if kept else momentum, []
    for most, least in ((float("inf"), float("-inf")), (0.0, 0.0)):
        seen = [(min(float(batch.min()), most), max(float(batch.max()), least)) for batch in batches]
        low, high = seen[0]
        for other_low, other_high in seen[1:]:
            low, high = low + share * (other_low - low), high + share * (other_high - high)
        found.append((low, high))
    return found


def range_after(trial: Trial, *calls: Call) -> Range:
    """What range() says after these calls."""
    found = trial.run(Case((trial.case.calls[0], *calls, RANGE))).value
    try:
        low, high = (float(value) for value in found)
    except (TypeError, ValueError):
        raise Violation("range() must return two numbers: the low end and the high end") from None
    return low, high


def is_range(found: Range, expected: list[Range], what: str) -> float:
    """Ends that do not hold 0 may be widened to hold it, before or afterwards."""
    low, high = expected[0]
    size = max(abs(low), abs(high), high - low)
    ranges = [*expected, (min(low, 0.0), max(high, 0.0))]
    worst = 0.0
    for end in (0, 1):
        error = min(abs(found[end] - due[end]) for due in ranges) / (1e-5 * size)
        if not error <= 1:
            raise Violation(
                what, worst=f"{found[0]:.6g} .. {found[1]:.6g}, expected {low:.6g} .. {high:.6g}", error=error
            )
        worst = max(worst, error)
    return worst


def batches_of(trial: Trial) -> list[torch.Tensor]:
    return [call.arguments["x"] for call in trial.case.calls if call.method == "forward"]


def share_of(trial: Trial) -> tuple[float, bool]:
    return trial.case.calls[0].arguments["momentum"], trial.variant == "momentum_is_kept"


@claim(
    "the first batch sets the range",
    broken_by="range_starts_at_zero",
    cases=tracking_cases,
    max_cases=6,
    aliases=("the_first_batch_sets_the_range",),
)
def first_batch_sets_the_range(trial: Trial) -> None:
    first = batches_of(trial)[0]
    trial.note_error(
        is_range(
            range_after(trial, TRAIN, forward(first)),
            followed([first]),
            "after the first batch the range is not that batch's minimum and maximum",
        )
    )


@claim(
    "the range is an exponential moving average with the given momentum",
    broken_by="range_of_the_last_batch",
    cases=tracking_cases,
    max_cases=6,
    aliases=("the_range_is_a_moving_average",),
)
def range_is_a_moving_average(trial: Trial) -> None:
    """In closed form over three batches."""
    batches = batches_of(trial)
    found = range_after(trial, TRAIN, *map(forward, batches))
    trial.note_error(
        is_range(
            found,
            followed(batches, *share_of(trial)),
            "over three batches the range is not a moving average with this momentum",
        )
    )


@claim(
    "a repeated batch does not move the range, and the effect of an outlier decays",
    broken_by="range_never_shrinks",
    cases=tracking_cases,
    max_cases=4,
    aliases=("the_range_neither_collapses_nor_explodes",),
)
def range_stays_stable(trial: Trial) -> None:
    """The same batch over and over leaves it where it is; what an outlier did to it fades."""
    first = batches_of(trial)[0]
    same = [first] * 12
    worst = is_range(
        range_after(trial, TRAIN, *map(forward, same)),
        followed([first]),
        "repeating one batch twelve times moves the range",
    )
    outlier = [first, 1e3 * first, *same[:8]]
    found = range_after(trial, TRAIN, *map(forward, outlier))
    trial.note_error(worst)
    trial.note_error(
        is_range(
            found,
            followed(outlier, *share_of(trial)),
            "the effect of one batch of outliers on the range does not decay",
        )
    )


@claim(
    "in evaluation mode the range is frozen, and it is the range used",
    broken_by="observes_in_evaluation",
    cases=tracking_cases,
    max_cases=6,
    aliases=("in_evaluation_the_range_stands_still",),
)
def range_is_frozen_in_evaluation(trial: Trial) -> None:
    """However far off what is seen; and it is that range that is used."""
    first, second, _ = batches_of(trial)
    far = 100.0 * second
    worst = is_range(
        range_after(trial, TRAIN, forward(first), EVAL, forward(far)),
        followed([first]),
        "in evaluation mode the range moves",
    )
    out = trial.run(Case((trial.case.calls[0], TRAIN, forward(first), EVAL, forward(far)))).value.double()
    low, high = min(float(first.min()), 0.0), max(float(first.max()), 0.0)
    allowed, step = torch.full_like(out, ROUNDING * (high - low)), (high - low) / 255
    trial.note_error(worst)
    trial.note_error(
        within(out, far.clamp(low, high), allowed, "in evaluation mode the output does not use the tracked range", step)
    )


@claim(
    "back in training mode the range is tracked again",
    broken_by="train_freezes_the_range",
    cases=tracking_cases,
    max_cases=6,
    aliases=("training_again_it_follows_again",),
)
def range_tracks_again_in_training(trial: Trial) -> None:
    """train() after eval(), and eval() after train(), each time."""
    first, second, third = batches_of(trial)
    found = range_after(
        trial, TRAIN, forward(first), EVAL, forward(third), TRAIN, forward(second), EVAL, forward(third)
    )
    trial.note_error(
        is_range(found, followed([first, second], *share_of(trial)), "back in training mode the range is not tracked")
    )


@claim(
    "training continues from a loaded range",
    broken_by="loaded_range_overwritten",
    cases=tracking_cases,
    max_cases=6,
    aliases=("a_loaded_range_is_followed_on",),
)
def tracking_continues_from_loaded_range(trial: Trial) -> None:
    """A run that was resumed goes on from the range it had."""
    first, second, _ = batches_of(trial)
    low, high = float(first.min()), float(first.max())
    found = range_after(trial, Call("load", {"low": low, "high": high}), TRAIN, forward(second))
    trial.note_error(
        is_range(
            found,
            followed([first, second], *share_of(trial)),
            "after load() tracking does not continue from the loaded range",
        )
    )


@claim("no gradient flows through the range", broken_by="range_not_detached", cases=tracking_cases, max_cases=6)
def no_gradient_through_the_range(trial: Trial) -> None:
    """In training, for a batch well inside a range that earlier ones have made wide: the gradient is the identity even for its
    smallest and largest number, which the range has been moved by; and the earlier batch gets none."""
    momentum, kept = share_of(trial)
    if (1 - momentum if kept else momentum) > 0.5:
        trial.not_applicable()
    wide, narrow = torch.linspace(-4.0, 5.0, 9, dtype=torch.float64), make("normal", (11,), trial.seed).clamp(-1.0, 1.0)
    case = Case((trial.case.calls[0], TRAIN, forward(wide), forward(narrow)))
    found, cotangent = gradient_of(trial, case, "x@3")
    allowed = 1e-5 * cotangent.abs() + 1e-12
    worst = within(
        found,
        cotangent,
        allowed,
        "in training mode the gradient of x also flows through the range; detach the observed range",
    )
    earlier = trial.run(case, gradients=True).gradients.get("x")
    if earlier is not None and bool((earlier != 0).any()):
        raise Violation("an earlier batch receives a gradient through the range; detach the observed range")
    trial.note_error(worst)


@claim(
    "a batch of zeros gives zeros, not NaN",
    broken_by="scale_without_guard",
    cases=tracking_cases,
    max_cases=3,
    aliases=("nothing_but_zeros_gives_zeros",),
)
def all_zeros_give_zeros(trial: Trial) -> None:
    zeros = torch.zeros(4, 3, dtype=torch.float64)
    for calls in ((TRAIN, forward(zeros)), (TRAIN, forward(zeros), EVAL, forward(zeros))):
        out = trial.run(Case((trial.case.calls[0], *calls))).value
        if not bool((out == 0).all()):
            raise Violation("a batch of zeros does not give zeros", worst=f"0 becomes {float(out.reshape(-1)[0])}")


CONTRACT = Contract(
    name="fake_quantize",
    meaning="Fake quantization: rounds to the levels of a tracked range, with a straight-through gradient inside it.",
    calls={
        "build": Signature(
            (
                Argument("bits", "integer", "setting", optional=True, default=8),
                Argument("momentum", "number", "setting", optional=True, default=0.1),
                Argument("symmetric", "flag", "setting", optional=True, default=False),
            ),
            "the layer",
        ),
        "load": Signature((Argument("low", "number", "setting"), Argument("high", "number", "setting")), "nothing"),
        "forward": Signature((Argument("x", "float[...]"),), "float[...]"),
        "range": Signature((), "(low, high)"),
        "train": Signature((), "nothing"),
        "eval": Signature((), "nothing"),
    },
    optional_methods=frozenset({"range"}),
    reference=fake_quantize,
    cases=cases,
    invalid=invalid_cases,
    agrees=False,
    half_precision=False,
    order=94,
    case_count=24,
    variants=(
        Variant(
            "passes_everything",
            "Your gradient is passed straight through outside the range too: the plain estimator. Clipped numbers then drift further out.",
            (Edit(fake_quantize.forward, "passed = torch.where(inside, x, x.detach())", "passed = x"),),
        ),
        Variant(
            "momentum_is_kept",
            "Your momentum is the share of the old range that is kept; here it is the share of the new one that is taken.",
            (
                Edit(
                    fake_quantize.observe,
                    "self.low = self.low + self.momentum * (low - self.low)",
                    "self.low = low + self.momentum * (self.low - low)",
                ),
                Edit(
                    fake_quantize.observe,
                    "self.high = self.high + self.momentum * (high - self.high)",
                    "self.high = high + self.momentum * (self.high - high)",
                ),
            ),
        ),
    ),
    sources=(
        "Bengio et al. 2013, section 4",
        "Jacob et al. 2018, sections 3 and 3.1",
        "torch.ao.quantization.FakeQuantize",
    ),
    claims=(
        error_within_half_a_step,
        clips_outside_the_range,
        number_and_spacing_of_levels,
        zero_is_exact,
        idempotent,
        odd_in_symmetric_mode,
        straight_through_gradient_inside,
        gradient_is_zero_outside,
        first_batch_sets_the_range,
        range_is_a_moving_average,
        range_stays_stable,
        range_is_frozen_in_evaluation,
        range_tracks_again_in_training,
        tracking_continues_from_loaded_range,
        no_gradient_through_the_range,
        all_zeros_give_zeros,
    ),
)
