"""What somebody declares of an implementation, and who goes before whom."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.errors import UsageError
from harness.core.forms import how_to_declare
from harness.core.record import Status
from harness.judging.catalogue import load_catalogue
from harness.judging.loading import inspect_implementation
from harness.project.variants import Declared, Project, declaration_of, in_one_line, in_project

CONTRACTS = load_catalogue().contracts
FIXED = """
import torch
def layer_norm(x, weight, bias):
    return torch.nn.functional.layer_norm(x, x.shape[-1:], weight, bias, 1e-6)
def gelu(x):
    return torch.nn.functional.gelu(x)
"""


def project(**table: object) -> Project:
    return Project(table, "pyproject.toml")


def test_a_table_is_read() -> None:
    """Variants, the epsilon under either name; options of a run are none of its business."""
    found = in_project(project(gelu="erf", block="post_norm", epsilon=1e-6, impl="mine", cases=5), CONTRACTS)
    assert found == Declared({"gelu": "erf", "block": "post_norm"}, 1e-6)
    assert str(found) == "gelu=erf,block=post_norm,eps=1e-06" and in_one_line(str(found), CONTRACTS) == found


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"gleu": "erf"}, "no key 'gleu'; did you mean gelu"),
        ({"imp": "mine"}, "did you mean impl"),
        ({"gelu": "erff"}, 'did you mean erf? legal variants: gelu_tanh, erf, quick_gelu (write gelu = "erf")'),
        ({"gelu": True}, "no variant True"),
        ({"layer_norm": "rms"}, "layer_norm has no legal variants"),
        ({"eps": "small"}, "eps is a small positive number like 1e-6, not 'small'"),
        ({"eps": True}, "eps is a small positive number"),
    ],
)
def test_a_wrong_key_or_value_names_the_nearest(table: dict, told: str) -> None:
    """With the file it stands in."""
    with pytest.raises(UsageError) as caught:
        in_project(project(**table), CONTRACTS)
    assert told in str(caught.value) and str(caught.value).startswith("pyproject.toml, [tool.plumbline]")


def test_the_command_line_goes_before_their_file_and_that_before_the_project(tmp_path: Path) -> None:
    """Each says what the others leave open."""
    file = tmp_path / "mine.py"
    file.write_text(FIXED + 'PLUMBLINE = {"variants": {"block": "parallel"}, "eps": 1e-4}\n')
    table = project(gelu="erf", block="post_norm", eps=1e-6)
    found = inspect_implementation(str(file), project=table)
    assert found.declared == Declared({"gelu": "erf", "block": "parallel"}, 1e-4)
    found = inspect_implementation(str(file), project=table, variants="block=post_norm, eps=1e-3")
    assert found.declared == Declared({"gelu": "erf", "block": "post_norm"}, 1e-3)
    assert inspect_implementation("mistake:gelu.relu", project=table).declared == Declared(
        {"gelu": "erf", "block": "post_norm"}, 1e-6
    )


def status(inspection, component: str, claim: str = "agrees_with_the_reference"):
    (found,) = (c for c in inspection.catalogue.claims_of(component) if c.name == claim)
    return inspection.judge(component, found)


def test_a_fixed_epsilon_is_right_where_it_is_declared(tmp_path: Path) -> None:
    """Undeclared it is a mistake whose text says how to declare it; declared, all usual cases have it."""
    file = tmp_path / "mine.py"
    file.write_text(FIXED)
    undeclared = inspect_implementation(str(file), cases=10)
    verdict = status(undeclared, "layer_norm")
    (name,) = verdict.finding
    found = undeclared.known()[name]
    told = how_to_declare([declaration_of(found, CONTRACTS)])
    assert "eps = 1e-6 under [tool.plumbline] in pyproject.toml, or --impl-variant=eps=1e-6" in told
    assert declaration_of(found, CONTRACTS, eps=1e-6) == ""
    declared = inspect_implementation(str(file), cases=10, variants="eps=1e-6")
    verdict = status(declared, "layer_norm")
    assert verdict.status == Status.PASSED and verdict.cases >= 3
    assert status(declared, "layer_norm", "stable_at_a_large_mean").status == Status.PASSED


def test_every_variant_says_how_to_declare_it() -> None:
    """And no other mistake does, but a norm's fixed epsilon (an optimizer's cannot be declared)."""
    inspection = inspect_implementation("mistake:gelu.relu")
    for name, mistake in inspection.known().items():
        fixed_eps = "eps_fixed" in name and "1e_5" not in name and mistake.component != "adamw"
        assert bool(declaration_of(mistake, CONTRACTS)) == ("variant=" in name or fixed_eps), name
    pair = declaration_of(inspection.known()["gelu.variant=erf"], CONTRACTS)
    assert 'activation = "gelu_erf" under [tool.plumbline]' in how_to_declare([pair])
