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


@claim("inside the range a number is at most half a step off", broken_by="rounded_down")
def inside_it_is_half_a_step_off(trial: Trial) -> None:
    grid, worst = Grid(trial.case), 0.0
    for dtype in dtypes(trial):
        out, x = rounded(trial, dtype), x_of(trial.case).to(dtype).double()
        inside = (x >= grid.low) & (x <= grid.high)
        steps = torch.where(grid.well_inside(x), 0.5 * grid.step, grid.step)[inside]
        allowed = torch.full_like(steps, ROUNDING * grid.width)
        what = f"inside the range a number is further than half a step from itself ({grid.bits} bits)"
        worst = max(worst, within(out[inside], x[inside], allowed, what, steps))
    trial.note_error(worst)


@claim("beyond the range a number is clipped to its end", broken_by="not_clamped")
def outside_it_is_clipped(trial: Trial) -> None:
    grid, worst = Grid(trial.case), 0.0
    for dtype in dtypes(trial):
        out, x = rounded(trial, dtype), x_of(trial.case).to(dtype).double()
        outside = (x < grid.low) | (x > grid.high)
        ends = x.clamp(grid.low, grid.high)
        allowed = torch.full_like(x, ROUNDING * grid.width)
        what = "beyond the range a number is not clipped to its end"
        worst = max(worst, within(out[outside], ends[outside], allowed[outside], what, grid.step))
    trial.note_error(worst)


@claim(
    "2 to the power of bits values come out, evenly spaced",
    broken_by="always_eight_bits",
    cases=even_cases,
    max_cases=8,
)
def there_are_as_many_values_as_codes(trial: Trial) -> None:
    """At most 2^bits different values, not many fewer, and one distance between neighbours."""
    grid = Grid(trial.case)
    values = rounded(trial).double().reshape(-1).sort().values
    gaps = values.diff()
    gaps = gaps[gaps > 10 * ROUNDING * grid.width]
    count, most = len(gaps) + 1, 2**grid.bits
    if not most - 3 <= count <= most:
        raise Violation(f"{count} different values come out over the whole range; {grid.bits} bits have {most} codes")
    uneven = float((gaps.max() - gaps.min()) / (4 * ROUNDING * grid.width))
    if not uneven <= 1:
        worst = f"neighbours are {float(gaps.min()):.6g} to {float(gaps.max()):.6g} apart"
        raise Violation("the values that come out are not evenly spaced", worst=worst, error=uneven)
    trial.note_error(uneven)


@claim("zero stays zero", broken_by="zero_point_not_whole", max_cases=16)
def zero_is_exact(trial: Trial) -> None:
    """Padding and ReLUs are full of zeros."""
    for dtype in dtypes(trial):
        out = rounded(trial, dtype, trial.case.changed(x=torch.zeros(3, dtype=torch.float64)))
        if bool((out.abs() > ROUNDING * 1e-2 * Grid(trial.case).width).any()):
            raise Violation("zero does not stay zero", worst=f"0 becomes {float(out[0]):.6g}")


@claim("what came out is on codes already", broken_by="noise_for_rounding", max_cases=16)
def rounding_again_changes_nothing(trial: Trial) -> None:
    once = rounded(trial)
    again = rounded(trial, case=trial.case.changed(x=once.to(torch.float64)))
    allowed = torch.full_like(once.double(), 4 * ROUNDING * Grid(trial.case).width)
    trial.note_error(within(again, once, allowed, "what came out, quantized again, comes out as something else"))


@claim("in symmetric mode -x gives minus what x gives", broken_by="rounded_down", cases=even_cases, max_cases=8)
def negative_numbers_mirror_positive_ones(trial: Trial) -> None:
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
        raise Violation(
            "in symmetric mode -x does not give minus what x gives", worst=f"{ties:.0%} of the numbers differ"
        )
    trial.note_error(
        within(-mirrored[inside], out[inside], allowed[inside], "in symmetric mode -x does not give minus what x gives")
    )


def gradient_of(trial: Trial, case: Case, name: str = "x") -> tuple[torch.Tensor, torch.Tensor]:
    """The gradient of an x, and the cotangent that came in."""
    answer = trial.run(case, gradients=True)
    found = answer.gradients.get(name)
    if found is None:
        raise Violation("no gradient reaches x: rounding cuts it off; pass it straight through")
    return found.double(), trial.cotangent(answer.value)


@claim("inside the range the gradient is passed straight through", broken_by="rounding_cuts_the_gradient")
def gradient_is_the_identity_inside(trial: Trial) -> None:
    found, cotangent = gradient_of(trial, trial.case)
    inside = Grid(trial.case).well_inside(x_of(trial.case))
    if not bool(inside.any()):
        trial.not_applicable()
    allowed = 1e-5 * cotangent.abs() + 1e-12
    trial.note_error(
        within(
            found[inside],
            cotangent[inside],
            allowed[inside],
            "inside the range the gradient is not passed straight through",
        )
    )


@claim("beyond the range the gradient is zero", broken_by="gradient_through_one_end", cases=even_cases, max_cases=6)
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
        "beyond the range the gradient is not passed through"
        if passes
        else "beyond the range there is a gradient; it must be 0"
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
        raise Violation("range() must return two numbers, the low end and the high one") from None
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


@claim("the first batch sets the range", broken_by="range_starts_at_zero", cases=tracking_cases, max_cases=6)
def the_first_batch_sets_the_range(trial: Trial) -> None:
    first = batches_of(trial)[0]
    trial.note_error(
        is_range(
            range_after(trial, TRAIN, forward(first)),
            followed([first]),
            "after the first batch the range is not that batch's",
        )
    )


@claim(
    "each batch moves the range by the share of momentum",
    broken_by="last_batch_kept",
    cases=tracking_cases,
    max_cases=6,
)
def the_range_is_a_moving_average(trial: Trial) -> None:
    """In closed form over three batches."""
    batches = batches_of(trial)
    found = range_after(trial, TRAIN, *map(forward, batches))
    trial.note_error(
        is_range(
            found,
            followed(batches, *share_of(trial)),
            "over three batches the range does not follow by the share of momentum",
        )
    )


@claim("the tracked range neither collapses nor explodes", broken_by="extremes_kept", cases=tracking_cases, max_cases=4)
def the_range_neither_collapses_nor_explodes(trial: Trial) -> None:
    """The same batch over and over leaves it where it is; what an outlier did to it fades."""
    first = batches_of(trial)[0]
    same = [first] * 12
    worst = is_range(
        range_after(trial, TRAIN, *map(forward, same)), followed([first]), "the same batch twelve times moves the range"
    )
    outlier = [first, 1e3 * first, *same[:8]]
    found = range_after(trial, TRAIN, *map(forward, outlier))
    trial.note_error(worst)
    trial.note_error(
        is_range(
            found, followed(outlier, *share_of(trial)), "what one batch of outliers did to the range does not fade"
        )
    )


@claim("in evaluation the range stands still", broken_by="observes_in_evaluation", cases=tracking_cases, max_cases=6)
def in_evaluation_the_range_stands_still(trial: Trial) -> None:
    """However far off what is seen; and it is that range that is used."""
    first, second, _ = batches_of(trial)
    far = 100.0 * second
    worst = is_range(
        range_after(trial, TRAIN, forward(first), EVAL, forward(far)),
        followed([first]),
        "in evaluation the range moves",
    )
    out = trial.run(Case((trial.case.calls[0], TRAIN, forward(first), EVAL, forward(far)))).value.double()
    low, high = min(float(first.min()), 0.0), max(float(first.max()), 0.0)
    allowed, step = torch.full_like(out, ROUNDING * (high - low)), (high - low) / 255
    trial.note_error(worst)
    trial.note_error(
        within(out, far.clamp(low, high), allowed, "in evaluation another range is used than the tracked one", step)
    )


@claim("back in training it follows again", broken_by="train_switches_off", cases=tracking_cases, max_cases=6)
def training_again_it_follows_again(trial: Trial) -> None:
    """train() after eval(), and eval() after train(), each time."""
    first, second, third = batches_of(trial)
    found = range_after(
        trial, TRAIN, forward(first), EVAL, forward(third), TRAIN, forward(second), EVAL, forward(third)
    )
    trial.note_error(
        is_range(found, followed([first, second], *share_of(trial)), "back in training the range does not follow again")
    )


@claim("training goes on from a loaded range", broken_by="loaded_range_forgotten", cases=tracking_cases, max_cases=6)
def a_loaded_range_is_followed_on(trial: Trial) -> None:
    """A run that was resumed goes on from the range it had."""
    first, second, _ = batches_of(trial)
    low, high = float(first.min()), float(first.max())
    found = range_after(trial, Call("load", {"low": low, "high": high}), TRAIN, forward(second))
    trial.note_error(
        is_range(
            found,
            followed([first, second], *share_of(trial)),
            "after load() training does not go on from the loaded range",
        )
    )


@claim("the range passes no gradient", broken_by="range_not_detached", cases=tracking_cases, max_cases=6)
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
        found, cotangent, allowed, "in training the gradient of x goes through the range too; detach what is observed"
    )
    earlier = trial.run(case, gradients=True).gradients.get("x")
    if earlier is not None and bool((earlier != 0).any()):
        raise Violation("an earlier batch receives a gradient through the range; detach what is observed")
    trial.note_error(worst)


@claim("a range without width gives no NaN", broken_by="scale_without_guard", cases=tracking_cases, max_cases=3)
def nothing_but_zeros_gives_zeros(trial: Trial) -> None:
    zeros = torch.zeros(4, 3, dtype=torch.float64)
    for calls in ((TRAIN, forward(zeros)), (TRAIN, forward(zeros), EVAL, forward(zeros))):
        out = trial.run(Case((trial.case.calls[0], *calls))).value
        if not bool((out == 0).all()):
            raise Violation("nothing but zeros does not give zeros", worst=f"0 becomes {float(out.reshape(-1)[0])}")


CONTRACT = Contract(
    name="fake_quantize",
    meaning="Numbers are put on the codes of a tracked range, and their gradient is passed straight through inside it.",
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
        inside_it_is_half_a_step_off,
        outside_it_is_clipped,
        there_are_as_many_values_as_codes,
        zero_is_exact,
        rounding_again_changes_nothing,
        negative_numbers_mirror_positive_ones,
        gradient_is_the_identity_inside,
        gradient_is_zero_outside,
        the_first_batch_sets_the_range,
        the_range_is_a_moving_average,
        the_range_neither_collapses_nor_explodes,
        in_evaluation_the_range_stands_still,
        training_again_it_follows_again,
        a_loaded_range_is_followed_on,
        no_gradient_through_the_range,
        nothing_but_zeros_gives_zeros,
    ),
)
