"""Sinusoidal positions."""

import math

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import NotSupported, Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature, Variant
from harness.core.mistake import Edit
from harness.strategies.shapes import distinct_sizes
from harness.strategies.tensors import seeds
from reference_model.sinusoidal_positions import sinusoidal_positions
from specs.shared.attention import output, tolerance

BASES = (10000.0, 10000.0, 10.0, 500.0)
NEAR = 100
FAR = 4000
"""Tables are often built for 4096 or 5000 positions; no case goes beyond."""
HALVES = Edit(
    sinusoidal_positions,
    "pairs = torch.stack((sines, cosines), -1)",
    "pairs = torch.cat((sines, cosines), -1).unsqueeze(-1)",
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Positions [time] from 0, from the end of a cache, or in any order; even widths of one pair to seven."""
    sizes = draw(distinct_sizes(time=(1, 6)))
    sizes["width"] = 2 * draw(st.sampled_from((2, 3, 4, 1, 5, 7)))
    kind = draw(st.sampled_from(("from 0", "from an offset", "any order")))
    start = draw(st.integers(1, NEAR)) if kind == "from an offset" else 0
    positions = torch.arange(start, start + sizes["time"])
    if kind == "any order":
        positions = torch.randint(0, NEAR, (sizes["time"],), generator=torch.Generator().manual_seed(draw(seeds)))
    base = draw(st.sampled_from(BASES))
    return Case.of({"positions": positions, "width": sizes["width"], "base": base}, family=kind, **sizes)


@st.composite
def far_positions(draw: st.DrawFn) -> Case:
    """Odd positions among the thousands: 16 bit hold neither them nor their angles."""
    time, width = draw(st.integers(1, 4)), 2 * draw(st.sampled_from((2, 4, 3)))
    start = 2 * draw(st.integers(150, (FAR - 8) // 2)) + 1
    arguments = {"positions": torch.arange(start, start + 2 * time, 2), "width": width, "base": 10000.0}
    return Case.of(arguments, family=f"from {start}", time=time, width=width)


@st.composite
def odd_widths(draw: st.DrawFn) -> Case:
    """Widths of 3 to 9: there is a sine without a cosine."""
    time, width = draw(st.integers(1, 4)), draw(st.sampled_from((3, 5, 7, 9)))
    start = draw(st.integers(1, 20))
    arguments = {"positions": torch.arange(start, start + time), "width": width, "base": 10000.0}
    return Case.of(arguments, family="odd width", time=time, width=width)


def waves(trial: Trial, out: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The sines and the cosines of an output of even width, [..., pairs] each, by the layout that was declared."""
    if not trial.is_varied:
        return out[..., 0::2].double(), out[..., 1::2].double()
    sines, cosines = out.double().chunk(2, -1)
    return sines, cosines


@claim("it equals sin and cos of position / base^(2i / D)", broken_by="base_fixed", max_cases=18)
def closed_form(trial: Trial) -> None:
    """Number by number, with Python's math module."""
    a = trial.case.arguments
    sines, cosines = waves(trial, output(trial))
    bound, last = tolerance(trial, None), a["width"] // 2 - 1
    for row, position in enumerate(a["positions"].tolist()):
        for pair in range(last + 1):
            share = pair / max(last, 1) if trial.has_form("tensor2tensor") else 2 * pair / a["width"]
            angle = position / math.pow(a["base"], share)
            where = f"position {position}, pair {pair}"
            trial.close(float(sines[row, pair]), math.sin(angle), bound, f"the sine of {where}")
            trial.close(float(cosines[row, pair]), math.cos(angle), bound, f"the cosine of {where}")


@claim("sin^2 + cos^2 is 1 for every pair", broken_by="frequencies_not_paired", aliases=("on_the_circle",))
def sin2_plus_cos2_is_1(trial: Trial) -> None:
    sines, cosines = waves(trial, output(trial))
    squares = sines**2 + cosines**2
    trial.close(squares, torch.ones_like(squares), 4 * tolerance(trial, None), "sine squared plus cosine squared")


@claim(
    "the dot product of two positions depends only on their distance",
    broken_by="frequencies_not_paired",
    max_cases=18,
    aliases=("only_the_distance_counts",),
)
def depends_on_relative_position_only(trial: Trial) -> None:
    """Dot products of the rows of two positions, and of the same two shifted."""
    positions = trial.case.arguments["positions"]
    if positions.numel() < 2:
        trial.not_applicable()
    for shift in (1, 17):
        moved = trial.case.changed(positions=positions + shift)
        here, there = output(trial).double(), output(trial, moved).double()
        bound = 2 * trial.case.arguments["width"] * tolerance(trial, None, moved)
        trial.close(
            there @ there.T, here @ here.T, bound, f"with all positions shifted by {shift}, the products of rows"
        )


@claim(
    "at position 0 every sine is 0 and every cosine is 1",
    broken_by="positions_from_one",
    max_cases=14,
    aliases=("position_0_is_no_turn",),
)
def position_0_is_sin_0_cos_1(trial: Trial) -> None:
    first = trial.case.changed(positions=torch.zeros_like(trial.case.arguments["positions"]))
    sines, cosines = waves(trial, output(trial, first))
    bound = tolerance(trial, first)
    trial.close(sines, torch.zeros_like(sines), bound, "at position 0, the sines")
    trial.close(cosines, torch.ones_like(cosines), bound, "at position 0, the cosines")


@claim(
    "a later part of a sequence gives the same rows on its own",
    broken_by="positions_restart_at_zero",
    aliases=("offset_continues",),
)
def consistent_across_splits(trial: Trial) -> None:
    """In two parts, as with a cache: the second part starts where the first stopped, at every cut."""
    positions, whole = (trial.case.arguments["positions"], output(trial))
    time = positions.shape[-1]
    if time < 2:
        trial.not_applicable()
    for cut in range(1, time):
        rest = trial.case.changed(positions=positions[cut:])
        what = f"positions {cut} to {time - 1} of {time} on their own, out"
        trial.close(output(trial, rest), whole[cut:], tolerance(trial, None, rest), what)


@claim(
    "every row of the batch uses its own positions",
    broken_by="positions_of_the_first_row",
    max_cases=14,
    aliases=("rows_have_positions_of_their_own",),
)
def positions_per_batch_row(trial: Trial) -> None:
    """[batch, time] gives the same as each of its rows [time], or raises an error."""
    positions = trial.case.arguments["positions"]
    batch = trial.case.changed(positions=torch.stack([positions, positions.flip(0) + 3, positions + 5]))
    answer = trial.attempt(batch)
    if answer.crash is not None:
        raise NotSupported(f"it accepts positions [time] only ({answer.crash.error})")
    out = output(trial, batch)
    for row, own in enumerate(batch.arguments["positions"]):
        alone = trial.case.changed(positions=own)
        what = f"row {row} as a sequence [time], out"
        trial.close(out[row], output(trial, alone), tolerance(trial, batch, alone), what)


@claim(
    "an odd width fills every column or raises an error",
    broken_by="odd_width_drops_the_last_column",
    cases=odd_widths,
    max_cases=12,
)
def odd_width_is_defined_or_refused(trial: Trial) -> None:
    """It ends with a sine that has no cosine, or with a zero, or it raises: never a column short or one too many."""
    answer = trial.attempt()
    if answer.crash is not None:
        return
    width, out = trial.case.arguments["width"], answer.value
    shape = (*trial.case.arguments["positions"].shape, width)
    if not torch.is_tensor(out) or out.shape != shape:
        form = list(out.shape) if torch.is_tensor(out) else type(out).__name__
        raise Violation(f"with odd width {width} out has shape {form}; expected {list(shape)}, or an error")
    expected, bound = trial.agreement()
    if float(out[..., -1].abs().max()) > 0:
        trial.close(out, expected.value, bound.value, f"with odd width {width}, out")
        return
    below = trial.case.changed(width=width - 1)  # the last feature is filled up with zeros
    if bool((out[..., :-1].double() - expected.value[..., :-1]).abs().max() <= float(bound.value)):
        return
    trial.close(
        out[..., :-1], trial.expect(below).value, float(bound.value), f"with odd width {width}, all but the last column"
    )


@claim(
    "positions in the thousands are as accurate as the first",
    broken_by="positions_in_bfloat16",
    cases=far_positions,
    max_cases=12,
    aliases=("exact_far_away",),
)
def accurate_at_distant_positions(trial: Trial) -> None:
    """A table may be shorter; what is returned must be right."""
    answer = trial.attempt()
    if answer.crash is not None:
        raise NotSupported(
            f"it does not reach position {int(trial.case.arguments['positions'].max())} ({answer.crash.error})"
        )
    exact, bound = trial.agreement()
    trial.close(answer.value, exact.value, bound.value, "at distant positions, out")


CONTRACT = Contract(
    name="sinusoidal_positions",
    meaning="Sinusoidal position encoding: sines and cosines at wavelengths from 2 pi to 2 pi times the base.",
    calls={
        "call": Signature(
            (
                Argument("positions", "int[..., time]"),
                Argument("width", "int", role="setting"),
                Argument("base", "float", role="setting", optional=True, default=10000.0),
            ),
            "float[..., time, width]",
        )
    },
    reference=sinusoidal_positions,
    cases=cases,
    rows=("positions",),
    differentiable=False,
    order=15,
    case_count=26,
    variants=(
        Variant(
            "halves",
            "All sines come first and all cosines after them; in the paper they alternate, sine and cosine of one "
            "angle side by side.",
            (HALVES,),
        ),
        Variant(
            "tensor2tensor",
            "All sines come first, and the slowest wave is divided by the base itself (i / (D/2 - 1) in the "
            "exponent), as in tensor2tensor and fairseq, where an odd width ends with a zero; in the paper the "
            "exponent is 2i / D.",
            (
                HALVES,
                Edit(
                    sinusoidal_positions,
                    "exponents = torch.arange(0, width, 2, dtype=torch.float64, device=positions.device) / width",
                    "even = width // 2 * 2\n"
                    "exponents = torch.arange(0, even, 2, dtype=torch.float64, device=positions.device) / width",
                ),
                Edit(
                    sinusoidal_positions,
                    "features = pairs.flatten(-2)[..., :width]",
                    "features = torch.nn.functional.pad(pairs.flatten(-2), (0, width % 2))",
                ),
                Edit(
                    sinusoidal_positions,
                    "frequencies = base**-exponents",
                    "frequencies = base ** -(exponents * width / 2 / max(len(exponents) - 1, 1))",
                ),
            ),
        ),
    ),
    sources=("Vaswani et al. 2017, section 3.5",),
    claims=(
        closed_form,
        sin2_plus_cos2_is_1,
        depends_on_relative_position_only,
        position_0_is_sin_0_cos_1,
        consistent_across_splits,
        positions_per_batch_row,
        odd_width_is_defined_or_refused,
        accurate_at_distant_positions,
    ),
)
