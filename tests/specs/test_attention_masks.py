"""Forms of the mask of scaled dot-product attention: right where they are declared, told where they are not."""

import pytest
import torch

from harness.core.record import Status
from harness.execution.executor import Executor
from harness.execution.functions import FunctionAdapter
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection

KNOWN = load_catalogue()
CONTRACT = KNOWN.contracts["scaled_dot_product_attention"]
NAN = "nan_where_all_is_hidden"


def plain(q, k, v, mask=None):
    """A softmax of -inf alone gives NaN."""
    scores = q @ k.mT / q.shape[-1] ** 0.5
    return (scores if mask is None else scores.masked_fill(~mask, -torch.inf)).softmax(-1) @ v


def true_hides(q, k, v, attn_mask=None):
    """As torch.nn.MultiheadAttention."""
    return plain(q, k, v, None if attn_mask is None else ~attn_mask)


def additive(q, k, v, mask=None):
    """0 and -inf."""
    scores = q @ k.mT / q.shape[-1] ** 0.5
    return (scores if mask is None else scores + mask).softmax(-1).nan_to_num() @ v


def inspection(function, form=""):
    """A run with this form declared."""
    executor = Executor("theirs", {CONTRACT.name: FunctionAdapter(function)}, KNOWN.contracts)
    return Inspection(KNOWN, executor, seed=1, cases=8, variants={CONTRACT.name: form} if form else {})


@pytest.mark.parametrize(
    ("function", "form"), [(plain, NAN), (true_hides, f"true_hides+{NAN}"), (additive, "additive")]
)
def test_right_where_it_is_declared(function, form):
    """Every claim, and some about the mask pass."""
    run, passed = inspection(function, form), []
    for claim in KNOWN.claims_of(CONTRACT.name):
        verdict, _ = run.bench.judge(CONTRACT, claim, shrink=False)
        assert not verdict.failing, f"{claim.name}: {verdict.message}"
        passed += [claim.name] if verdict.status is Status.PASSED else []
    assert {"masked_keys_are_ignored", "stable_at_large_logits"} <= set(passed)


def test_nan_is_told():
    """Red, and the finding is the form to declare."""
    run = inspection(plain)
    claim = next(c for c in CONTRACT.claims if c.name == "fully_masked_query_gets_zeros")
    verdict, evidence = run.bench.judge(CONTRACT, claim, shrink=False)
    assert verdict.status is Status.FAILED and "NaN" in verdict.message
    assert run.explain(CONTRACT.name, evidence).names == (f"{CONTRACT.name}.variant={NAN}",)


def test_nan_is_advice_where_torch_gives_it_too(monkeypatch):
    """As torch 2.4 does."""
    monkeypatch.setattr("specs.scaled_dot_product_attention.torch_gives_nan", lambda: True)
    claim = next(c for c in CONTRACT.claims if c.name == "fully_masked_query_gets_zeros")
    verdict, _ = inspection(plain).bench.judge(CONTRACT, claim, shrink=False)
    assert verdict.status is Status.ADVICE and "version" in verdict.advice


def test_a_form_of_the_mask_is_told_where_it_is_not_declared():
    """By the mistake that gives the same numbers, or as the form."""
    finding = inspection(additive).finding_of(CONTRACT.name)
    names = [*finding.names, *(mistake.full_name for mistake in finding.or_else)]
    assert f"{CONTRACT.name}.variant=additive" in names
