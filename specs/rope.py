"""Rotary positions."""

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import NotSupported, Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature, Variant
from harness.core.mistake import Edit
from harness.strategies.shapes import distinct_sizes
from harness.strategies.tensors import ORDINARY, seeds, tensors
from reference_model.rope import rope
from specs.naming.cs336 import CS336_ROPE
from specs.shared.attention import elsewhere, output, tolerance
from specs.shared.published_rotations import rotations
from specs.shared.quorums import TWO_PAIRS

BASES = (10000.0, 10000.0, 50.0, 500000.0)
NEAR = 60
FAR = 4000
"""Tables are often built for 4096 positions; no case goes beyond."""


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Queries or keys [batch, heads, time, size] at positions [time] from 0, from the end of a cache or in any
    order, or [batch, time] with different rows. Some cases rotate a part of the features only."""
    sizes = draw(distinct_sizes(batch=(1, 3), heads=(1, 4), time=(1, 5)))
    batch, time = sizes["batch"], sizes["time"]
    sizes["size"] = draw(st.sampled_from((4, 6, 8, 2, 10)))
    kind = draw(st.sampled_from(("from 0", "from an offset", "rows of their own", "any order")))
    generator = torch.Generator().manual_seed(draw(seeds))
    positions = torch.arange(time)
    if kind == "from an offset":
        positions = positions + draw(st.integers(1, NEAR))
    elif kind == "rows of their own":
        positions = positions + torch.randint(0, NEAR, (batch, 1), generator=generator)
    elif kind == "any order":
        positions = torch.randint(0, NEAR, (time,), generator=generator)
    x, family = draw(tensors(tuple(sizes.values()), ORDINARY))
    part = draw(st.sampled_from((None, None, None, 2))) if sizes["size"] > 2 else None
    rotated = None if part is None else sizes["size"] - part
    arguments = {"x": x, "positions": positions, "base": draw(st.sampled_from(BASES)), "rotated": rotated}
    return Case.of(arguments, family=f"{kind}, {family}", **sizes)


@st.composite
def invalid(draw: st.DrawFn) -> Case:
    """An odd head size leaves a feature without a partner; and the number of positions must be T."""
    odd = draw(st.booleans())
    time, size = draw(st.sampled_from((4, 3, 5))), draw(st.sampled_from((5, 7) if odd else (8, 6)))
    x, _ = draw(tensors((2, 2, time, size), ("normal",), overrides=False))
    positions = torch.arange(time if odd else time - 1)
    family = f"a head of {size} features" if odd else f"{time - 1} positions for {time} places in time"
    return Case.of({"x": x, "positions": positions, "base": 10000.0, "rotated": None}, family=family)


@st.composite
def far_positions(draw: st.DrawFn) -> Case:
    """Odd positions among the thousands: 16 bit hold neither them nor their angles."""
    time, size = draw(st.integers(1, 4)), draw(st.sampled_from((4, 8)))
    start = 2 * draw(st.integers(150, (FAR - 8) // 2)) + 1
    x, _ = draw(tensors((1, 2, time, size), ("normal",), overrides=False))
    positions = torch.arange(start, start + 2 * time, 2)
    return Case.of({"x": x, "positions": positions, "base": 10000.0, "rotated": None}, family=f"from {start}")


@st.composite
def parts(draw: st.DrawFn) -> Case:
    """The first features are rotated, two to four are not."""
    time, rotated, left = draw(st.integers(1, 4)), draw(st.sampled_from((4, 2, 6))), draw(st.sampled_from((2, 4)))
    x, family = draw(tensors((2, 3, time, rotated + left), ORDINARY))
    positions = torch.arange(time) + draw(st.integers(1, NEAR))
    return Case.of({"x": x, "positions": positions, "base": 10000.0, "rotated": rotated}, family=family)


def bound_of_products(trial: Trial, *run: Case) -> float:
    """The bound of dot products of two vectors of a head, each within the tolerance of its run. Rotations preserve
    lengths, so that no feature exceeds sqrt(2) times the largest of its pair before."""
    largest = max(float(case.arguments["x"].abs().max()) for case in run)
    size: int = trial.case.arguments["x"].shape[-1]
    bound: float = 4 * size * largest * tolerance(trial, *run)
    return bound


@claim(
    "the norm of every vector is preserved",
    broken_by="sine_sign_wrong_in_the_first",
    max_cases=16,
    aliases=("keeps_the_norm",),
)
def norm_preserved(trial: Trial) -> None:
    x = trial.case.arguments["x"].to(trial.dtype).double()
    squares = (output(trial).double() ** 2).sum(-1)
    trial.close(squares, (x**2).sum(-1), bound_of_products(trial, trial.case), "the squared norm of a vector")


@claim("position 0 rotates nothing", broken_by="positions_from_one", max_cases=14)
def position_0_is_the_identity(trial: Trial) -> None:
    still = trial.case.changed(positions=torch.zeros_like(trial.case.arguments["positions"]))
    expected = trial.case.arguments["x"].to(trial.dtype)
    trial.close(output(trial, still), expected, tolerance(trial, still), "at position 0, out")


@claim(
    "the dot product of a query and a key depends only on the difference of their positions",
    broken_by="rotate_half_with_interleaved_frequencies",
    max_cases=14,
    aliases=("only_the_difference_counts",),
)
def depends_on_relative_position_only(trial: Trial) -> None:
    """Dot products of queries and keys, and of the same with all positions shifted."""
    a = trial.case.arguments
    keys = trial.case.changed(x=elsewhere(trial, a["x"]))
    for shift in (1, 13):
        there = [case.changed(positions=a["positions"] + shift) for case in (trial.case, keys)]
        before = output(trial).double() @ output(trial, keys).double().mT
        after = output(trial, there[0]).double() @ output(trial, there[1]).double().mT
        bound = bound_of_products(trial, trial.case, keys, *there)
        trial.close(after, before, bound, f"with all positions shifted by {shift}, the products of queries and keys")


@claim(
    "two rotations equal one rotation by the sum of their positions",
    broken_by="positions_from_one",
    max_cases=14,
    aliases=("turns_add_up",),
)
def rotations_compose(trial: Trial) -> None:
    """Rotated by p and again by p + 3 is rotated by 2 p + 3."""
    positions = trial.case.arguments["positions"]
    again = trial.case.changed(x=output(trial), positions=positions + 3)
    at_once = trial.case.changed(positions=2 * positions + 3)
    bound = 2 * tolerance(trial, None, again, at_once)
    trial.close(output(trial, again), output(trial, at_once), bound, "rotated twice, out")


@claim(
    "rotating back by the same positions restores x",
    broken_by="sine_sign_wrong_in_the_first",
    max_cases=14,
    aliases=("turned_back",),
)
def inverse_rotation_restores_x(trial: Trial) -> None:
    """A reflection reverses a rotation, which equals the rotation by the negative position. Tables have no negative
    positions, and indexing would take them for rows from the end, so no case has them."""
    a = trial.case.arguments
    size = a["x"].shape[-1] if a["rotated"] is None else a["rotated"]
    signs = torch.ones(a["x"].shape[-1], dtype=torch.float64)
    signs[slice(size // 2, size) if trial.has_form("halves") else slice(1, size, 2)] = -1
    mirrored = trial.case.changed(x=output(trial).double() * signs)
    back = output(trial, mirrored).double() * signs
    bound = 2 * tolerance(trial, None, mirrored)
    trial.close(back, a["x"].to(trial.dtype).double(), bound, "rotated by its positions and back, out")


@claim(
    "every row of the batch uses its own positions",
    broken_by="positions_of_the_first_row",
    max_cases=12,
    aliases=("rows_have_positions_of_their_own",),
)
def positions_per_batch_row(trial: Trial) -> None:
    """Positions [batch, time] give the same as each row with positions [time]."""
    a = trial.case.arguments
    x = torch.cat((a["x"], a["x"].flip(0)))
    first = a["positions"][:1] if a["positions"].dim() > 1 else a["positions"].unsqueeze(0)
    positions = first + 7 * torch.arange(x.shape[0]).unsqueeze(1)
    together = trial.case.changed(x=x, positions=positions)
    out = output(trial, together)
    for row in range(x.shape[0]):
        alone = trial.case.changed(x=x[row : row + 1], positions=positions[row])
        what = f"row {row} alone at its positions, out"
        trial.close(out[row : row + 1], output(trial, alone), tolerance(trial, together, alone), what)


@claim(
    "angles at distant positions are accurate, for half-precision inputs too",
    broken_by="angles_in_half_precision",
    cases=far_positions,
    max_cases=10,
)
def angles_in_float32(trial: Trial) -> None:
    """A table may be shorter; what is returned must be right, in 16 bit too."""
    refused = 0
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        answer = trial.attempt(dtype=dtype)
        if answer.crash is not None:
            refused += 1
            continue
        exact, bound = trial.agreement(dtype=dtype)
        trial.close(answer.value, exact.value, bound.value, f"at distant positions, in {dtype}, out")
    if refused == 3:
        raise NotSupported(f"it does not reach position {int(trial.case.arguments['positions'].max())}")


@claim(
    "earlier calls with another length or dtype do not change the output",
    broken_by="table_not_extended",
    max_cases=10,
    aliases=("caches_do_not_show",),
)
def no_stale_cache(trial: Trial) -> None:
    """Short, then long and far, then short again, while a cached table grows; and after calls in other dtypes."""
    a = trial.case.arguments
    positions = a["positions"]
    longer = trial.case.changed(x=torch.cat((a["x"], a["x"]), -2), positions=torch.cat((positions, positions + 90), -1))
    script = trial.case.followed_by(*longer.calls, *trial.case.calls)
    short, long, again = trial.run(script, fresh=True).outputs
    expected, bound = trial.agreement(longer)
    what = "after a shorter call, out"
    trial.close(long, expected.value, bound.value, what)
    trial.close(again, short, tolerance(trial, None), "after a longer call, out")
    for dtype in (torch.bfloat16, torch.float16):
        trial.attempt(longer, dtype=dtype, fresh=True)
        retyped = trial.run(fresh=True).value
        trial.close(retyped, short, tolerance(trial, None), f"after a call in {dtype}, out")


@claim(
    "features beyond the first `rotated` are unchanged",
    broken_by="all_features_rotated",
    cases=parts,
    max_cases=10,
    aliases=("rest_is_left_alone",),
)
def unrotated_features_unchanged(trial: Trial) -> None:
    rotated, x = trial.case.arguments["rotated"], trial.case.arguments["x"].to(trial.dtype)
    if not torch.equal(output(trial)[..., rotated:], x[..., rotated:]):
        raise Violation(f"features from {rotated} on are changed; only the first {rotated} must be rotated")


CONTRACT = Contract(
    name="rope",
    meaning="Rotary position embedding: each pair of features is rotated by an angle proportional to the position.",
    calls={
        "call": Signature(
            (
                Argument("x", "float[batch, heads, time, size]"),
                Argument("positions", "int[..., time]"),
                Argument("base", "float", role="setting", optional=True, default=10000.0),
                Argument("rotated", "int", role="setting", optional=True),
            ),
            "float[batch, heads, time, size]",
        )
    },
    reference=rope,
    cases=cases,
    invalid=invalid,
    composed=rotations,
    tables_in_float32=True,
    dialects=(CS336_ROPE,),
    order=42,
    case_count=18,
    variants=(
        Variant(
            "halves",
            "Feature i is turned with feature i + K/2, as in GPT-NeoX and Llama of transformers; in the paper with its "
            "neighbour. Weights trained with one do not work with the other.",
            (
                Edit(
                    rope,
                    "first, second = turning[..., 0::2], turning[..., 1::2]",
                    "first, second = turning.chunk(2, -1)",
                ),
                Edit(
                    rope,
                    "turned = torch.stack((turned_first, turned_second), -1).flatten(-2)",
                    "turned = torch.cat((turned_first, turned_second), -1)",
                ),
            ),
            axis="positions",
            aliases=("rotary_halves",),
        ),
    ),
    sources=("Su et al. 2021, sections 3.2.2 and 3.4.2, equation 34",),
    quorum=(TWO_PAIRS,),
    claims=(
        norm_preserved,
        position_0_is_the_identity,
        depends_on_relative_position_only,
        rotations_compose,
        inverse_rotation_restores_x,
        positions_per_batch_row,
        angles_in_float32,
        no_stale_cache,
        unrotated_features_unchanged,
    ),
)
