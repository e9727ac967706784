"""The token embedding."""

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import About, Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature, Variant
from harness.core.mistake import Edit
from harness.strategies.shapes import distinct_sizes
from harness.strategies.tensors import ORDINARY, tensors, token_ids
from reference_model.token_embedding import token_embedding
from specs.naming.cs336 import CS336_EMBEDDING
from specs.naming.sizes import SIZES


@st.composite
def cases(draw: st.DrawFn, large: bool = True) -> Case:
    """Ids with a forced repeat, id 0 and the last id in half of them. Some vocabularies exceed 256: ids that are
    stored in eight bits show only there."""
    most = 300 if large and not draw(st.integers(0, 7)) else 13
    least = 257 if most == 300 else 2
    sizes = draw(distinct_sizes(vocab_size=(least, most), batch=(1, 3), time=(1, 7), width=(1, 9)))
    ids = draw(token_ids((sizes["batch"], sizes["time"]), sizes["vocab_size"]))
    if most == 300:
        ids[0, 0] = sizes["vocab_size"] - 1
    weight, family = draw(tensors((sizes["vocab_size"], sizes["width"]), ("counting", *ORDINARY)))
    return Case.of({"ids": ids, "weight": weight}, family=family, **sizes)


@st.composite
def invalid(draw: st.DrawFn) -> Case:
    """One id of a valid case is replaced by one outside the table."""
    case = draw(cases(large=False))
    size = case.dimensions["vocab_size"]
    family, wrong = draw(
        st.sampled_from(
            (
                ("an id equal to the vocabulary size", size),
                ("a negative id", -1),
                ("an id beyond the vocabulary", size + 3),
                ("a negative id", -size),
            )
        )
    )
    ids = case.arguments["ids"].clone()
    ids.reshape(-1)[draw(st.integers(0, ids.numel() - 1))] = wrong
    return Case.of({"ids": ids, "weight": case.arguments["weight"]}, family=family, **case.dimensions)


SCALED = Variant(
    "scaled_rows",
    "Your embedding itself multiplies its rows by the root of the width, as that of transformers' Gemma; GPT-2's does "
    "not.",
    (Edit(token_embedding, "return weight[rows]", "return weight[rows] * weight.shape[1] ** 0.5"),),
    tables_in_float32=True,
)


def scale(trial: Trial) -> float:
    """What the rows are multiplied by."""
    return float(trial.case.arguments["weight"].shape[1]) ** 0.5 if trial.has_form(SCALED.name) else 1.0


def one_hot(ids: torch.Tensor, size: int) -> torch.Tensor:
    """float64 [..., size]: 1 where the id is, 0 elsewhere."""
    return (ids.unsqueeze(-1) == torch.arange(size)).double()


@claim("it equals one_hot(ids) @ weight", broken_by="scaled_by_the_root_of_the_width")
def equals_a_one_hot_product(trial: Trial) -> None:
    ids, weight = trial.case.arguments["ids"], trial.case.arguments["weight"]
    product = scale(trial) * one_hot(ids, weight.shape[0]) @ weight.to(trial.dtype).double()
    _, tolerance = trial.agreement()
    what = "compared with one_hot(ids) @ weight, out"
    trial.close(trial.run().value, product.to(trial.dtype), tolerance.value, what)


@claim(
    "the gradient of a row sums over all occurrences of its id, and is 0 for ids that do not occur",
    broken_by="gradient_of_the_last_occurrence_only",
    aliases=("gradient_accumulates",),
    about=frozenset({About.GRADIENT}),
)
def gradient_sums_over_repeated_ids(trial: Trial) -> None:
    """Row v receives the sum of the incoming gradient over every place of id v, and 0 where there is none."""
    ids, weight = trial.case.arguments["ids"], trial.case.arguments["weight"]
    counts = torch.bincount(ids.reshape(-1), minlength=weight.shape[0])
    if int(counts.max()) < 2:
        trial.not_applicable()
    answer = trial.run(gradients=True)
    gradient = answer.gradients.get("weight")
    if gradient is None:
        raise Violation("no gradient reaches weight")
    incoming = trial.cotangent(answer.value).reshape(ids.numel(), -1)
    if gradient.shape != weight.shape or incoming.shape[-1] != weight.shape[-1]:
        raise Violation(f"the gradient of weight has shape {list(gradient.shape)}, weight has {list(weight.shape)}")
    unused = gradient[counts == 0]
    if bool((unused != 0).any()):
        row = int(((gradient != 0).any(-1) & (counts == 0)).nonzero()[0])
        raise Violation(f"row {row} of weight receives a gradient, but id {row} does not occur in ids")
    summed = scale(trial) * one_hot(ids.reshape(-1), weight.shape[0]).T @ incoming
    _, tolerance = trial.agreement(gradients=True)
    often = int(counts.argmax())
    what = f"the gradient of weight (id {often} occurs {int(counts[often])} times in ids)"
    trial.close(gradient, summed.to(gradient.dtype), tolerance.gradients["weight"], what)


@claim(
    "renumbering the ids and the rows together does not change the output",
    broken_by="padding_row_of_zeros",
    aliases=("no_id_is_special",),
)
def permutation_invariant_in_vocabulary(trial: Trial) -> None:
    """Renumbering the ids and permuting the rows accordingly changes nothing."""
    ids, weight = trial.case.arguments["ids"], trial.case.arguments["weight"]
    size = weight.shape[0]
    order = torch.roll(torch.arange(size), 1) if size < 3 else torch.randperm(size, generator=trial.random())
    renumbered = trial.case.changed(ids=order[ids], weight=weight[torch.argsort(order)])
    bound = trial.spread_of_value() + trial.spread_of_value(renumbered)
    trial.close(trial.run(renumbered).value, trial.run().value, bound, "with the vocabulary permuted, out")


CONTRACT = Contract(
    name="token_embedding",
    meaning="Token embedding: each id becomes its row of a learned table.",
    calls={
        "call": Signature(
            (
                Argument("ids", "int[batch, time]"),
                Argument(
                    "weight",
                    "float[vocab_size, width]",
                    role="parameter",
                    aliases=("wte.weight", "tok_emb.weight", "token_embedding.weight", "embedding.weight", "weight"),
                ),
            ),
            "float[batch, time, width]",
        )
    },
    reference=token_embedding,
    cases=cases,
    invalid=invalid,
    rows=("ids",),
    dialects=(CS336_EMBEDDING,),
    order=12,
    classes=("tokenembedding", "embedding", "embed", "tokenembeddings", "tokenembed", "inputembedding", "wte"),
    size_names=SIZES,
    variants=(SCALED,),
    sources=("Radford et al. 2018, section 3.1, equation 2", "openai/gpt-2 src/model.py wte"),
    claims=(
        equals_a_one_hot_product,
        gradient_sums_over_repeated_ids,
        permutation_invariant_in_vocabulary,
    ),
)
