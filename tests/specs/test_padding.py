"""Padding and attention masks in the forms in which they are written: right ones pass, wrong ones are named."""

from pathlib import Path

import padded_gpt
import pytest
import torch
from torch import nn

from harness.core.record import Status
from harness.execution.executor import Executor
from harness.execution.functions import FunctionAdapter
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.loading import inspect_implementation
from harness.strategies.sampling import draw

KNOWN = load_catalogue()
CONTRACT = KNOWN.contracts["attention"]
CLAIMS = {claim.name: claim for claim in CONTRACT.claims}
ABOUT = ("padding_changes_nothing", "finite_where_all_is_padding")


def attention_with(hide):
    """Attention whose scores [B, H, T, T] are changed by ``hide`` before the softmax."""

    def attention(x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads, **masks):
        batch, time, width = x.shape
        q, k, v = nn.functional.linear(x, qkv_weight, qkv_bias).split(width, -1)
        q, k, v = (t.view(batch, time, n_heads, -1).transpose(1, 2) for t in (q, k, v))
        scores = q @ k.mT / (width // n_heads) ** 0.5
        past = torch.ones(time, time, dtype=torch.bool).tril()
        weights = hide(scores.masked_fill(~past, torch.finfo(scores.dtype).min), *masks.values()).softmax(-1)
        return nn.functional.linear((weights @ v).transpose(1, 2).reshape(x.shape), out_weight, out_bias)

    return attention


def by_one_minus_the_mask(scores, mask=None):
    """Integers, 1 for what is real: what it takes of truth values is an error."""
    lowest = torch.finfo(scores.dtype).min
    return scores if mask is None else scores + (1.0 - mask[:, None, None, :]) * lowest / 2


def added(scores, mask=None):
    """[batch, 1, 1, time], ready to be added."""
    return scores if mask is None or mask.dim() < 4 else (scores + mask).clamp(min=torch.finfo(scores.dtype).min)


def true_is_real(scores, mask=None):
    return scores if mask is None else scores.masked_fill(~mask[:, None, None, :], torch.finfo(scores.dtype).min)


def true_is_padding(scores, mask=None):
    """torch's key_padding_mask."""
    return scores if mask is None else scores.masked_fill(mask[:, None, None, :], torch.finfo(scores.dtype).min)


def ignored(scores, mask=None):
    return scores


def minus_infinity(scores, mask=None):
    """A softmax of -inf alone where padding comes first."""
    hidden = scores == torch.finfo(scores.dtype).min
    hidden = hidden if mask is None else hidden | ~mask[:, None, None, :].bool()
    return scores.masked_fill(hidden, -torch.inf)


def inspection(hide, name="attention_mask", variants=None):
    """A run of attention with this mask under this name."""
    inner = attention_with(hide)

    def with_attention_mask(x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads, attention_mask=None):
        return inner(x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads, mask=attention_mask)

    def with_key_padding_mask(x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads, key_padding_mask=None):
        return inner(x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads, mask=key_padding_mask)

    function = with_attention_mask if name == "attention_mask" else with_key_padding_mask
    executor = Executor("theirs", {CONTRACT.name: FunctionAdapter(function)}, KNOWN.contracts)
    return Inspection(KNOWN, executor, seed=1, cases=4, variants=variants or {})


def statuses(run):
    return [run.bench.judge(CONTRACT, CLAIMS[name], shrink=False)[0].status for name in ABOUT]


@pytest.mark.parametrize(
    ("hide", "name"),
    [
        (by_one_minus_the_mask, "attention_mask"),
        (added, "attention_mask"),
        (true_is_real, "attention_mask"),
        (true_is_padding, "key_padding_mask"),
    ],
)
def test_every_published_form_is_right(hide, name):
    """The form is found by trial."""
    assert statuses(inspection(hide, name)) == [Status.PASSED, Status.PASSED]


def test_a_mask_that_is_ignored_is_named():
    run = inspection(ignored)
    verdict, evidence = run.bench.judge(CONTRACT, CLAIMS["padding_changes_nothing"], shrink=False)
    assert verdict.status is Status.FAILED
    assert run.explain(CONTRACT.name, evidence).names == ("attention.attention_mask_ignored",)


def test_nan_at_padding_is_told():
    """Real positions are right; the queries of the padding are NaN."""
    assert statuses(inspection(minus_infinity)) == [Status.PASSED, Status.FAILED]


def test_nan_at_padding_can_be_declared():
    """The run says how; then nothing is asked of those queries."""
    run = inspection(minus_infinity)
    _, evidence = run.bench.judge(CONTRACT, CLAIMS["finite_where_all_is_padding"], shrink=False)
    assert run.explain(CONTRACT.name, evidence).names == ("attention.variant=nan_where_all_is_hidden",)
    declared = inspection(minus_infinity, variants={"attention": "nan_where_all_is_hidden"})
    assert statuses(declared) == [Status.PASSED, Status.NOT_APPLICABLE]


def test_attention_without_a_mask_is_not_asked():
    executor = Executor("theirs", {CONTRACT.name: FunctionAdapter(attention_with(ignored))}, KNOWN.contracts)
    assert statuses(Inspection(KNOWN, executor, seed=1, cases=4)) == [Status.NOT_APPLICABLE] * 2


def test_attention_without_a_mask_is_not_asked_whatever_else_it_lacks():
    """Code that needs its biases raises where one is None: that is nothing that a mask tells."""

    def attention(x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads):
        return attention_with(ignored)(x, qkv_weight, qkv_bias + 0.0, out_weight, out_bias + 0.0, n_heads)

    executor = Executor("theirs", {CONTRACT.name: FunctionAdapter(attention)}, KNOWN.contracts)
    run = Inspection(KNOWN, executor, seed=1, cases=4)
    cases = [case for name in ABOUT for case in draw(CLAIMS[name].cases(), 1, 8)]
    assert any(case.arguments["qkv_bias"] is None for case in cases)
    for name in ABOUT:
        verdict, _ = run.bench.judge(CONTRACT, CLAIMS[name], shrink=False, only=tuple(cases))
        assert verdict.status is Status.NOT_APPLICABLE


def test_a_model_class_is_given_mask_and_positions(tmp_path):
    """Under the names of its forward; a model that drops the positions fails where padding comes first."""
    text = Path(padded_gpt.__file__).read_text(encoding="utf-8")
    for taken, expected in (("position_ids is None", Status.PASSED), ("True", Status.FAILED)):
        path = tmp_path / f"gpt_{expected.name.lower()}.py"
        path.write_text(text.replace("if position_ids is None", f"if {taken}"), encoding="utf-8")
        run = inspect_implementation(str(path), seed=1, cases=3)
        contract = run.catalogue.contracts["gpt2"]
        found = {c.name: run.bench.judge(contract, c, shrink=False)[0].status for c in contract.claims}
        assert found["left_padding_changes_nothing"] is expected
        assert found["ids_at_padding_are_ignored"] is Status.PASSED
