"""Mistakes that were planted in small files, in styles unlike the reference: the wrong line is marked, and no other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support_lanes import sample
from support_lines import FOLDER, Planted, in_small_files, marked
from support_styles import inspect_style

from harness.core.case import Case
from harness.core.implementation import Request
from harness.core.marked_line import Mark
from harness.core.steps import Replacement
from harness.judging.inspection import Inspection
from harness.judging.loading import inspect_implementation
from harness.localisation.locate import Locator

NOT_FOUND = ("norm_by_deviation-8", "one_head_at_a_time-2", "one_head_at_a_time-9")
"""An assignment without an operation, one that changes nothing, and one that three lines go wrong by."""
ALL = {one.name: one for one in in_small_files() if one.name not in NOT_FOUND}
CHOSEN = sample(ALL, str, lambda name: "", 10)
"""Ten of them; all with PLUMBLINE_FULL=1."""


@pytest.mark.parametrize("name", CHOSEN)
def test_the_wrong_line_is_among_those_marked(name: str, tmp_path: Path) -> None:
    """Two lines at most."""
    planted: Planted = ALL[name]
    found = marked(planted, tmp_path, cases=6)
    lines = found[planted.components[0]]
    assert 1 <= len(lines) <= 2
    assert any(set(range(line.line, line.end_line + 1)) & set(planted.lines) for line in lines), lines


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.py")), ids=lambda file: file.stem)
def test_right_code_has_no_wrong_line(file: Path) -> None:
    """Also where it is asked for: the experiment is about answers that are wrong."""
    inspection = inspect_style(str(file), cases=3)
    for component in ("layer_norm", "attention", "mlp"):
        if component in inspection.implementation.components:
            assert inspection.lines.of_component(component) == ()


def test_nothing_is_marked_where_the_files_are_not_what_runs() -> None:
    """The reference with a known mistake in force: its files are right."""
    inspection = inspect_implementation("mistake:layer_norm.eps_outside_the_root", cases=3)
    claim = inspection.catalogue.claims_of("layer_norm")[0]
    verdict = inspection.judge("layer_norm", claim)
    assert verdict.failing and not verdict.lines and not inspection.lines.of_component("layer_norm")


def student(cases: int = 6) -> Inspection:
    return inspect_style(str(Path(__file__).parents[3] / "examples" / "student.py"), cases=cases)


def test_the_example_is_marked_where_its_mistakes_stand() -> None:
    """Lines 28, 36 and 45, with the part that is wrong."""
    inspection = student()
    shown = {}
    for component in ("layer_norm", "attention", "mlp"):
        line, *more = inspection.lines.of_component(component)
        assert not more
        shown[component] = (line.line, line.mark, line.text[line.column : line.end_column], line.expected)
    assert shown == {
        "layer_norm": (28, Mark.WRONG, "std + eps", "torch.sqrt(variance + eps)"),
        "attention": (36, Mark.WRONG, "/ math.sqrt(width)", "products * scale"),
        "mlp": (45, Mark.MISSING, "gelu(hidden) @ down_weight.T", "product + bias"),
    }


def test_a_failed_check_carries_the_line_and_a_passed_one_none() -> None:
    """In the verdict, which every report reads."""
    inspection = student(cases=3)
    by_name = {claim.name: claim for claim in inspection.catalogue.claims_of("layer_norm")}
    wrong = inspection.judge("layer_norm", by_name["agrees_with_the_reference"])
    assert [line.line for line in wrong.lines] == [28]
    assert inspection.judge("layer_norm", by_name["deterministic"]).lines == ()


def test_a_trace_tells_each_operation_of_the_implementation() -> None:
    """File, line and columns, what it read and what came of it; nothing where none is asked for."""
    inspection = student(cases=3)
    case: Case = inspection.bench.cases_of(inspection.catalogue.contracts["layer_norm"])[0]
    executor = inspection.implementation
    assert executor.run(Request("layer_norm", case)).steps == ()
    answer = executor.run(Request("layer_norm", case, trace=True))
    first = answer.steps[0]
    assert (Path(first.place.file).name, first.place.line, first.name, first.inputs) == (
        "student.py",
        26,
        "mean",
        (-1,),
    )
    assert all(n < at for at, step in enumerate(answer.steps) for n in step.inputs)
    mean = case.arguments["x"].mean(-1, keepdim=True)
    assert first.values[0] is not None and first.values[0].equal(mean)


ALREADY_SO = """
TABLE = __import__("torch").ones(2, 3).double()

def gelu(x):
    return TABLE.contiguous().sum() + TABLE.sum() + 0 * x
"""


def test_a_result_that_is_its_input_is_replaced_for_its_readers_alone(tmp_path: Path) -> None:
    """What contiguous() hands back is the table itself, which other lines, and later calls, read as it was."""
    (tmp_path / "mine.py").write_text(ALREADY_SO, encoding="utf-8")
    inspection = inspect_implementation(str(tmp_path / "mine.py"), cases=2)
    case = inspection.bench.cases_of(inspection.catalogue.contracts["gelu"])[0].cast(torch.float64)
    request, executor = Request("gelu", case, trace=True), inspection.implementation
    first = next(step for step in executor.run(request).steps if step.name == "contiguous")
    change = Replacement(first.site, 0, (torch.zeros(2, 3, dtype=torch.float64),))
    changed = executor.run(replace(request, replacements=(change,))).outputs[0]
    assert changed.unique().tolist() == [6.0]
    assert executor.run(request).outputs[0].unique().tolist() == [12.0]


def test_an_experiment_that_fails_costs_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the search for a line raises, the failed check is reported."""

    def broken(*given: object) -> None:
        raise RuntimeError("an experiment that cannot be made")

    monkeypatch.setattr(Locator, "lines", broken)
    inspection = student(cases=3)
    verdict = inspection.judge("layer_norm", inspection.catalogue.claims_of("layer_norm")[0])
    assert verdict.failing and verdict.finding and verdict.lines == ()


def test_an_operation_that_ends_gradients_is_marked(tmp_path: Path) -> None:
    """Where values are right and gradients alone are wrong."""
    planted = ALL["norm_by_deviation-9"]
    inspection = inspect_style(str(planted.plant(tmp_path)), cases=6)
    (line,) = inspection.lines.of_component("layer_norm")
    assert (line.line, line.mark, line.computes) == (7, Mark.GRADIENT, "x.detach()")


def test_a_number_is_no_tensor_that_another_branch_gives(tmp_path: Path) -> None:
    """A bias that is None is not added: the line that would add it gives no number."""
    for name in ("written_out-4", "written_out-7"):
        found = marked(ALL[name], tmp_path, cases=6)["mlp"]
        assert [line.mark for line in found] == [Mark.WRONG]


TWO_AT_ONCE = """
import torch
from torch.nn import functional as F

def mlp(x, up_weight, up_bias, down_weight, down_bias):
    return F.gelu(F.linear(x, up_weight, up_bias), approximate="tanh") @ down_weight.T

def block(x, weights, n_heads):
    w, (*many, t, d) = weights, x.shape
    h = F.layer_norm(x, (d,), w["norm_1_weight"], w["norm_1_bias"])
    heads = lambda z: z.reshape(*many, t, n_heads, d // n_heads).transpose(-2, -3)
    q, k, v = map(heads, F.linear(h, w["qkv_weight"], w["qkv_bias"]).chunk(3, -1))
    y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(-2, -3).reshape(*many, t, d)
    x = x + F.linear(y, w["out_weight"], w["out_bias"])
    h = F.layer_norm(x, (d,), w["norm_2_weight"], w["norm_2_bias"])
    return h + mlp(h, w["up_weight"], w["up_bias"], w["down_weight"], w["down_bias"])
"""


def test_each_of_two_mistakes_has_its_line(tmp_path: Path) -> None:
    """One of the whole, and one of a part of it: neither line is told for the other."""
    file = tmp_path / "two.py"
    file.write_text(TWO_AT_ONCE, encoding="utf-8")
    inspection = inspect_implementation(str(file), seed=1, cases=8)
    verdict = inspection.judge("block", inspection.catalogue.claims_of("block")[0])
    assert set(verdict.finding) == {"mlp.down_bias_forgotten", "block.second_residual_normalised"}
    lines = TWO_AT_ONCE.splitlines()
    marked = {line.mistake: lines[line.line - 1] for line in reversed(verdict.lines)}
    assert "down_weight.T" in marked["mlp.down_bias_forgotten"]
    assert "return h + mlp" in marked["block.second_residual_normalised"]
