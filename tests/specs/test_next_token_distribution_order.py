"""The other orders of the filters: named where nothing was declared, judged as right where they were."""

import pytest
import torch

from harness.execution.executor import Executor
from harness.execution.functions import FunctionAdapter
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection

KNOWN = load_catalogue()
CONTRACT = KNOWN.contracts["next_token_distribution"]


def top_p_first(logits, temperature=1.0, top_k=None, top_p=None):
    """Both sets from the whole distribution; what is in both stays."""
    probabilities = (logits / temperature).softmax(-1)
    ordered, order = probabilities.sort(-1, descending=True)
    place = torch.arange(logits.shape[-1]).expand_as(ordered)
    stays = place < (top_k or logits.shape[-1])
    if top_p is not None:
        stays = stays & (ordered.cumsum(-1) - ordered < top_p)
    kept = torch.where(torch.zeros_like(stays).scatter(-1, order, stays), probabilities, 0.0)
    return kept / kept.sum(-1, keepdim=True)


def temperature_last(logits, temperature=1.0, top_k=None, top_p=None):
    """Filters see the model's own distribution; the temperature acts on what is left."""
    ordered, order = logits.sort(-1, descending=True)
    if top_k is not None:
        ordered, order = ordered[..., :top_k], order[..., :top_k]
    if top_p is not None:
        probabilities = ordered.softmax(-1)
        ordered = ordered.masked_fill(probabilities.cumsum(-1) - probabilities >= top_p, float("-inf"))
    return torch.zeros_like(logits).scatter(-1, order, (ordered / temperature).softmax(-1))


def min_p_first(logits, temperature=1.0, top_k=None, top_p=None, min_p=0.0):
    """min-p on all ids; top-k and top-p of what is left."""
    logits = logits / temperature
    probabilities = logits.softmax(-1)
    logits = logits.masked_fill(probabilities < min_p * probabilities.amax(-1, keepdim=True), float("-inf"))
    return temperature_last(logits, 1.0, top_k, top_p)


FORMS = {"top_p_first": top_p_first, "temperature_last": temperature_last, "min_p_first": min_p_first}
CLAIMS = {"min_p_first": "min_p_is_relative_to_the_largest"}
"""Where the order shows: with both other filters unless said here."""


def inspection(name: str, declared: bool) -> Inspection:
    executor = Executor(name, {CONTRACT.name: FunctionAdapter(FORMS[name])}, KNOWN.contracts)
    return Inspection(KNOWN, executor, seed=2, variants={CONTRACT.name: name} if declared else {})


@pytest.mark.parametrize("name", FORMS)
def test_named_where_it_was_not_declared(name: str) -> None:
    """The finding is the variant, which says how to declare it."""
    judged = inspection(name, declared=False)
    claim = next(c for c in CONTRACT.claims if c.name == CLAIMS.get(name, "top_k_and_top_p_combined"))
    finding = judged.explain(CONTRACT.name, judged.bench.judge(CONTRACT, claim, shrink=False)[1])
    assert finding is not None and finding.names == (f"{CONTRACT.name}.variant={name}",)


@pytest.mark.parametrize("name", FORMS)
def test_right_where_it_was_declared(name: str) -> None:
    """Every claim holds, none is left out."""
    judged = inspection(name, declared=True)
    for claim in KNOWN.claims_of(CONTRACT.name):
        verdict, _ = judged.bench.judge(CONTRACT, claim, shrink=False)
        assert not verdict.failing, f"{claim.name}: {verdict.message} {verdict.smallest}"
