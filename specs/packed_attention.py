"""Causal attention over several documents that are packed into one row.

The document of each position is an argument: one number per position, for all rows or for each. Its name is free where
it stands fourth; boundaries (cu_seqlens) are given to code that names them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import NotSupported, Trial, claim
from harness.core.contract import Argument, Causal, Contract, Dialect, Signature
from harness.strategies.shapes import distinct_sizes
from harness.strategies.tensors import make, seeds
from reference_model.packed_attention import packed_attention
from specs.shared.attention import elsewhere, output, tolerance, unmoved


@st.composite
def cases(draw: st.DrawFn, per_row: bool = False) -> Case:
    """Two or more documents in five of six cases, of unequal lengths; all sizes differ.

    ``per_row``: without heads, and with documents of its own for each row of the batch.
    """
    batch = (2 if per_row else 1, 4)
    sizes = draw(distinct_sizes(heads=(2, 3), batch=batch, size=(2, 6), value_size=(2, 7), time=(3, 9)))
    leading = (sizes["batch"],) if per_row else (sizes["batch"], sizes["heads"])
    family, seed = draw(st.sampled_from(("normal", "small integers", "normal"))), draw(seeds)
    q, k = (make(family, (*leading, sizes["time"], sizes["size"]), seed + i) + 0.1 for i in range(2))
    v = make(family, (*leading, sizes["time"], sizes["value_size"]), seed + 2)
    most = min(3, sizes["time"] - 1)
    cuts = st.sampled_from((most, 1, most, 0, 2))
    rows: list[torch.Tensor] = [draw(_documents(sizes["time"], draw(cuts))) for _ in range(sizes["batch"])]
    ids = torch.stack(rows) if per_row else rows[0]
    if per_row and draw(st.booleans()):
        ids = ids.flip(0)
    return Case.of(
        {"q": q, "k": k, "v": v, "document_ids": ids},
        family=f"{family}, documents {ids.tolist()}",
        **sizes,
        documents=int(ids.max()) + 2,
    )


@st.composite
def _documents(draw: st.DrawFn, time: int, cuts: int) -> torch.Tensor:
    """One number per position, the next one after each cut; not always from 0 on."""
    places = draw(st.lists(st.integers(1, time - 1), min_size=min(cuts, time - 1), max_size=cuts, unique=True))
    starts = torch.zeros(time, dtype=torch.int64)
    starts[places] = 1
    return starts.cumsum(0) + draw(st.sampled_from((0, 0, 3)))


def _parts(ids: torch.Tensor) -> Iterator[tuple[int, int]]:
    """(begin, end) of each document of one row."""
    begin = 0
    for _, group in itertools.groupby(ids.tolist()):
        end = begin + len(list(group))
        yield begin, end
        begin = end


def _boundaries(ids: torch.Tensor) -> torch.Tensor:
    """Where each document begins, and the number of positions: the cu_seqlens of published kernels."""
    if ids.dim() > 1:
        raise NotSupported("boundaries are those of one row")
    return torch.tensor([0, *(end for _, end in _parts(ids))], dtype=torch.int32)


def _only(case: Case, begin: int, end: int) -> Case:
    """One document of the row alone."""
    a = case.arguments
    rows = {name: a[name][..., begin:end, :] for name in "qkv"}
    return case.changed(**rows, document_ids=torch.zeros(end - begin, dtype=torch.int64))


@claim("a document gives in its pack what it gives alone", broken_by="documents_see_each_other", max_cases=20)
def document_alone_equals_document_in_the_pack(trial: Trial) -> None:
    whole, parts = output(trial), list(_parts(trial.case.arguments["document_ids"]))
    if len(parts) < 2:
        trial.not_applicable()
    for begin, end in parts:
        alone = _only(trial.case, begin, end)
        what = f"the document at positions {begin} to {end - 1} alone, out"
        trial.close(output(trial, alone), whole[..., begin:end, :], tolerance(trial, None, alone), what)


@claim(
    "other documents do not affect a document, be they before it or after it",
    broken_by="previous_document_seen",
    max_cases=16,
)
def other_documents_are_ignored(trial: Trial) -> None:
    """Keys and values of all other documents are replaced by numbers ten times as large."""
    a, whole = trial.case.arguments, output(trial)
    parts = list(_parts(a["document_ids"]))
    if len(parts) < 2:
        trial.not_applicable()
    for begin, end in parts:
        own = torch.zeros(a["k"].shape[-2], 1, dtype=torch.bool)
        own[begin:end] = True
        k, v = (torch.where(own, a[name], elsewhere(trial, a[name], 10.0)) for name in "kv")
        other = trial.case.changed(k=k, v=v)
        what = f"positions {begin} to {end - 1}, with other documents changed, out"
        bound = tolerance(trial, None, other)
        trial.close(output(trial, other)[..., begin:end, :], whole[..., begin:end, :], bound, what)


@claim("only where the numbers change counts, not which they are", broken_by="numbers_for_positions", max_cases=12)
def document_numbers_are_labels(trial: Trial) -> None:
    ids = trial.case.arguments["document_ids"]
    unmoved(trial, trial.case.changed(document_ids=2 * ids + 5), "with other numbers for the same documents, out")


@claim(
    "each row of a batch has its own documents where they are given per row",
    broken_by="documents_of_the_first_row",
    cases=lambda: cases(per_row=True),
    max_cases=10,
)
def rows_have_their_own_documents(trial: Trial) -> None:
    """Asked only of code that takes [1, time] for one row, with the second document at position 2: other code wants
    [time]."""
    a = trial.case.arguments
    two = (torch.arange(a["q"].shape[-2])[None] >= 2).long()
    first = trial.case.changed(**{name: a[name][:1] for name in "qkv"}, document_ids=two)
    answer, exact = trial.attempt(first), trial.expect(first).value
    same = answer.crash is None and torch.is_tensor(answer.value) and answer.value.shape == exact.shape
    if not same or bool((answer.value - exact).abs().max() > tolerance(trial, first)):
        raise NotSupported("it takes the documents of one row: document_ids [time]")
    exact, bound = trial.agreement()
    trial.close(output(trial), exact.value, bound.value, "with documents of its own for each row, out")


def _as_named(a: Any) -> dict[str, Any]:
    return {"q": a["q"], "k": a["k"], "v": a["v"], "document_ids": a["document_ids"]}


CONTRACT = Contract(
    name="packed_attention",
    meaning="Causal attention over documents packed into one row: a position sees only its own document, up to itself.",
    calls={
        "call": Signature(
            (
                Argument("q", "float[..., time, size]"),
                Argument("k", "float[..., time, size]"),
                Argument("v", "float[..., time, value_size]"),
                Argument(
                    "document_ids",
                    "int[time]",
                    aliases=("doc_ids", "document_id", "doc_id", "segment_ids", "seq_ids", "sequence_ids"),
                    other_forms={"cu_seqlens": _boundaries, "cu_seq_lens": _boundaries, "cu_doc_lens": _boundaries},
                ),
            ),
            "float[..., time, value_size]",
        )
    },
    reference=packed_attention,
    cases=cases,
    parts=("scaled_dot_product_attention",),
    causal=Causal({"q": 2, "k": 2, "v": 2, "document_ids": 0}, output=2, vocabulary="documents"),
    order=47,
    case_count=24,
    dialects=tuple(
        Dialect("a packed attention", name, ("q", "k", "v", "document_ids"), _as_named)
        for name in ("document_attention", "packed_causal_attention", "attention_over_documents")
    ),
    sources=("Krell et al. 2021, section 3.2", "Dubey et al. 2024 (Llama 3), section 3.2"),
    claims=(
        document_alone_equals_document_in_the_pack,
        other_documents_are_ignored,
        document_numbers_are_labels,
        rows_have_their_own_documents,
    ),
)
