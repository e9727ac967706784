"""Learned positions."""

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import Trial, claim
from harness.core.contract import Argument, Contract, Signature
from harness.strategies.shapes import distinct_sizes
from harness.strategies.tensors import ORDINARY, seeds, tensors
from reference_model.learned_positions import learned_positions
from specs.naming.sizes import SIZES


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Positions of one sequence [time], or of every row of a batch [batch, time]: from 0, from the end of a cache,
    the whole table, or each row by itself (padding on the left)."""
    sizes = draw(distinct_sizes(batch=(1, 3), time=(1, 6), width=(1, 8), context=(4, 12)))
    time, context = sizes["time"], sizes["context"]
    kind = draw(st.sampled_from(("from 0", "from an offset", "the whole table", "rows of their own", "any order")))
    if kind == "the whole table":
        time = sizes["time"] = context
    time = sizes["time"] = min(time, context)
    room = context - time
    start = draw(st.integers(0, room)) if kind != "from 0" else 0
    positions = torch.arange(start, start + time)
    if kind == "any order":
        positions = torch.randint(0, context, (time,), generator=torch.Generator().manual_seed(draw(seeds)))
    if kind == "rows of their own":
        starts = [draw(st.integers(0, room)) for _ in range(sizes["batch"])]
        positions = torch.stack([torch.arange(first, first + time) for first in starts])
    elif draw(st.booleans()):
        positions = positions.expand(sizes["batch"], time).contiguous()
    weight, family = draw(tensors((context, sizes["width"]), ("counting", *ORDINARY)))
    return Case.of({"positions": positions, "weight": weight}, family=f"{kind}, {family}", **sizes)


@st.composite
def invalid(draw: st.DrawFn) -> Case:
    """Positions outside the table, at either end."""
    sizes = draw(distinct_sizes(time=(1, 4), width=(1, 5), context=(6, 9)))
    time, context = sizes["time"], sizes["context"]
    family, start = draw(
        st.sampled_from(
            (
                ("a position equal to the context", context + 1 - time),
                ("a negative position", -1),
                ("positions beyond the context", context + 2),
            )
        )
    )
    positions = torch.arange(start, start + time)
    if draw(st.booleans()):
        positions = positions.unsqueeze(0)
    weight, _ = draw(tensors((context, sizes["width"]), ("normal",), overrides=False))
    return Case.of({"positions": positions, "weight": weight}, family=family, **sizes)


@claim("position p gives row p of the table", broken_by="positions_from_one", aliases=("equals_rows",))
def equals_table_rows(trial: Trial) -> None:
    """Every position alone, compared with the product of a one-hot row and the table."""
    positions, weight = trial.case.arguments["positions"], trial.case.arguments["weight"]
    one_hot = (positions.unsqueeze(-1) == torch.arange(weight.shape[0])).double()
    rows = (one_hot @ weight.to(trial.dtype).double()).to(trial.dtype)
    _, tolerance = trial.agreement()
    trial.close(trial.run().value, rows, tolerance.value, "compared with weight[position], out")


@claim(
    "a later part of a sequence gives the same rows on its own",
    broken_by="restarts_at_zero",
    aliases=("offset_continues",),
)
def consistent_across_splits(trial: Trial) -> None:
    """In two parts, as with a cache: the second part starts where the first stopped, at every cut."""
    positions, whole = (trial.case.arguments["positions"], trial.run().value)
    time = positions.shape[-1]
    if time < 2:
        trial.not_applicable()
    for cut in range(1, time):
        rest = trial.case.changed(positions=positions[..., cut:].contiguous())
        bound = trial.spread_of_value() + trial.spread_of_value(rest)
        what = f"positions {cut} to {time - 1} of {time} on their own, out"
        trial.close(trial.run(rest).value, whole[..., cut:, :], bound, what)


@claim(
    "every row of the batch uses its own positions",
    broken_by="positions_of_the_first_row",
    aliases=("every_row_has_its_own",),
)
def positions_per_batch_row(trial: Trial) -> None:
    """[batch, time] gives the same as each of its rows [time]."""
    positions, whole = (trial.case.arguments["positions"], trial.run().value)
    if positions.dim() < 2:
        trial.not_applicable()
    for row in range(positions.shape[0]):
        alone = trial.case.changed(positions=positions[row].clone())
        bound = trial.spread_of_value() + trial.spread_of_value(alone)
        what = f"row {row} as a sequence [time], out"
        trial.close(trial.run(alone).value, whole[row], bound, what)


CONTRACT = Contract(
    name="learned_positions",
    meaning="Learned position embedding: each position becomes its row of a table, up to the context length.",
    calls={
        "call": Signature(
            (
                Argument("positions", "int[..., time]"),
                Argument(
                    "weight",
                    "float[context, width]",
                    role="parameter",
                    aliases=("wpe.weight", "pos_emb.weight", "position_embedding.weight", "embedding.weight", "weight"),
                ),
            ),
            "float[..., time, width]",
        )
    },
    reference=learned_positions,
    cases=cases,
    invalid=invalid,
    rows=("positions",),
    order=14,
    classes=("positionalembedding", "positionembedding", "learnedpositions", "learnedpositionalembedding", "wpe"),
    size_names=SIZES,
    sources=("Radford et al. 2018, section 3.1, equation 2", "openai/gpt-2 src/model.py wpe, positions_for"),
    claims=(
        equals_table_rows,
        consistent_across_splits,
        positions_per_batch_row,
    ),
)
