"""What nobody is held to is advice: strictness about forbidden calls, and 16-bit numbers of code that names none."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.record import Cause, RunRecord, Status, Verdict
from harness.execution.half_precision import mentions_half_precision
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.loading import inspect_implementation
from harness.judging.reference import reference_executor
from harness.project.variants import Project
from harness.reports.run_summary import notes

NORM = """
import torch
from torch import nn
class LayerNorm(nn.Module):
    def __init__(self, emb_dim):
        super().__init__()
        self.eps = 1e-5
        self.scale, self.shift = nn.Parameter(torch.ones(emb_dim)), nn.Parameter(torch.zeros(emb_dim))
    def forward(self, x):
        mean = x.mean(dim=-1, keepdim=True)
        var = x.var(dim=-1, keepdim=True, unbiased=False)
        return self.scale * (x - mean) / torch.sqrt(var + self.eps) + self.shift
"""
QUERIES = """
import torch
def grouped_query_attention(x, query_weight, key_weight, value_weight, out_weight, n_heads, n_kv_heads):
    B, T, C = x.shape
    d, g = C // n_heads, n_heads // n_kv_heads
    q = (x @ query_weight.T).view(B, T, n_heads, d).transpose(1, 2)
    k = (x @ key_weight.T).view(B, T, n_kv_heads, d).transpose(1, 2).repeat_interleave(g, 1)
    v = (x @ value_weight.T).view(B, T, n_kv_heads, d).transpose(1, 2).repeat_interleave(g, 1)
    y = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    return y.transpose(1, 2).reshape(B, T, C) @ out_weight.T
"""
CLIP = """
import torch
def clip_grad_norm(grads, max_norm):
    present = [g for g in grads if g is not None]
    if not present:
        return list(grads), torch.zeros(())
    norm = torch.stack([g.norm() for g in present]).norm()
    share = torch.clamp(max_norm / (norm + 1e-6), max=1.0)
    return [None if g is None else g * share for g in grads], norm
"""
CUBED = """
import torch
def gelu(x):
    return 0.5 * x * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3)))
"""
STATISTICS = "statistics_in_float32"


def verdicts(
    text: str, component: str, folder: Path, project: Project | None = None, cases: int = 4
) -> dict[str, Verdict]:
    (folder / "mine.py").write_text(text, encoding="utf-8")
    given = {} if project is None else {"project": project}
    judged = inspect_implementation(str(folder / "mine.py"), seed=1, cases=cases, **given)
    claims = judged.catalogue.claims_of(component)
    return {claim.name: judged.judge(component, claim) for claim in claims}


def said(found: dict[str, Verdict]) -> str:
    listed = list(found.values())
    name = listed[0].component
    return "\n".join(notes(RunRecord("mine", 1, {name: len(listed)}, (name,), {}, {}, listed, {})))


def test_code_for_float32_is_not_held_to_half_precision(tmp_path: Path) -> None:
    """Statistics in the dtype of the input: advice, with what to do."""
    found = verdicts(NORM, "layer_norm", tmp_path)
    assert not any(v.failing for v in found.values())
    assert found[STATISTICS].status is Status.ADVICE and found[STATISTICS].half_precision
    assert STATISTICS in said(found) and "half_precision = true" in said(found)


@pytest.mark.parametrize(
    "text",
    [
        NORM + "def half(model):\n    return model.bfloat16()\n",
        NORM + 'PLUMBLINE = {"half_precision": True}\n',
        NORM.replace("mean = x", "with torch.autocast('cpu'):\n            pass\n        mean = x"),
    ],
    ids=["casts to it", "declared in the file", "autocast"],
)
def test_code_that_is_meant_for_half_precision_is_held_to_it(text: str, tmp_path: Path) -> None:
    """The same lines are a known mistake there."""
    found = verdicts(text, "layer_norm", tmp_path)[STATISTICS]
    assert found.failing and found.cause is Cause.BROKEN_CLAIM
    assert found.finding == ("layer_norm.half_precision_statistics",)


def test_a_project_can_declare_half_precision(tmp_path: Path) -> None:
    """In its table."""
    project = Project({"half_precision": True}, "pyproject.toml")
    assert verdicts(NORM, "layer_norm", tmp_path, project)[STATISTICS].failing


def test_a_mistake_in_float32_too_is_no_advice(tmp_path: Path) -> None:
    """Only what 16-bit numbers alone show is."""
    found = verdicts(NORM.replace("unbiased=False", "unbiased=True"), "layer_norm", tmp_path)
    assert found["agrees_with_the_reference"].failing and not found["agrees_with_the_reference"].half_precision


def test_who_merely_accepts_forbidden_calls_is_advised(tmp_path: Path) -> None:
    """Its numbers are right: 2 heads in 4 groups are computed without an error."""
    found = verdicts(QUERIES, "grouped_query_attention", tmp_path)
    assert not any(v.failing for v in found.values())
    assert found["invalid_calls_are_refused"].status is Status.ADVICE
    assert "Raise an error there" in said(found)


def test_known_mistakes_are_held_to_everything() -> None:
    """So that every claim is seen to fail: the reference is meant for 16-bit numbers."""
    known = load_catalogue()
    mistake = known.mistake("layer_norm.half_precision_statistics")
    judged = Inspection(known, reference_executor(known.contracts, mistake.edits), cases=4)
    claim = next(c for c in known.claims_of("layer_norm") if c.name == STATISTICS)
    assert judged.judge("layer_norm", claim).failing


def test_the_gradients_column_says_what_was_judged(tmp_path: Path) -> None:
    """clip_grad_norm has gradients in its name, and none that is judged."""
    from harness.reports.table import gradients

    assert gradients(list(verdicts(CLIP, "clip_grad_norm", tmp_path).values())) == "-"


def test_what_mentions_a_16_bit_dtype(tmp_path: Path) -> None:
    """In the code, not in a comment. A file that cannot be read may mention anything."""
    file = tmp_path / "one.py"
    file.write_text("# bfloat16\nx = 1\n", encoding="utf-8")
    assert not mentions_half_precision(str(file)) and mentions_half_precision(str(tmp_path / "none.py"))
    file = tmp_path / "two.py"
    file.write_text('dtype = "bfloat16"\n', encoding="utf-8")
    assert mentions_half_precision(str(file))


@pytest.mark.parametrize(
    ("line", "mentions"),
    [
        ("half = x.shape[-1] // 2", False),
        ("y = torch.cat((-x[..., self.half:], x[..., : self.half]), -1)", False),
        ("def rotate(x, half):\n    return x[..., half:]", False),
        ("y = x.half()", True),
        ("y = x.to(torch.half)", True),
        ("from torch import half", True),
        ("y = x.to(torch.bfloat16)", True),
    ],
)
def test_the_half_of_a_size_is_no_dtype(tmp_path: Path, line: str, mentions: bool) -> None:
    """Every rotation of positions has a variable of that name."""
    (tmp_path / "mine.py").write_text(line + "\n", encoding="utf-8")
    assert mentions_half_precision(str(tmp_path / "mine.py")) is mentions


@pytest.mark.parametrize(
    ("text", "claim", "says"),
    [
        (CUBED, "gelu::finite_in_float16", "in float16 the gradient of x at x ="),
    ],
)
def test_a_result_that_is_no_number_is_told(text: str, claim: str, says: str, tmp_path: Path) -> None:
    """Where nobody is held to it: not counted as not applicable, and no failure."""
    component, name = claim.split("::")
    found = verdicts(text, component, tmp_path, cases=12)
    assert found[name].status is Status.ADVICE and found[name].message.startswith(says)
    assert not any(verdict.failing for verdict in found.values())
    assert f"advice on {component} ({name}: {says}" in said(found)
