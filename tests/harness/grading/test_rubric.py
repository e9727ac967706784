"""A rubric says what it means, and what is wrong in it is named with what was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.commands.grade import checks_of
from harness.core.errors import UsageError
from harness.grading.example import example
from harness.grading.rubric import Limits, Rubric, parse, read, tomllib
from harness.judging.catalogue import load_catalogue

CHECKS = checks_of(load_catalogue())


def rubric(text: str) -> Rubric:
    return parse(tomllib.loads(text), CHECKS)


def test_the_example_is_valid_and_explains_every_limit() -> None:
    """What `--example-rubric` prints, with nothing changed; every limit stands in it with its default."""
    text = example(CHECKS)
    found = rubric(text)
    assert found.limits == Limits() and found.points == 15 and len(found.parts) == 2
    assert all(f"{name} = " in text for name in vars(Limits()))
    first, second = sorted(found.parts, key=lambda part: -part.points)
    assert first.required and first.weights and first.variants and second.all_or_nothing
    assert all(len(line) < 160 for line in text.splitlines())


def test_components_come_in_reading_order() -> None:
    """Whatever order they are written in: parts before composites."""
    found = rubric("[components.mlp]\npoints = 1\n[components.gelu]\npoints = 2.5\nvariant = 'erf'\n")
    assert found.names == ("gelu", "mlp") and found.points == 3.5 and found.variant_option == "gelu=erf"


def test_points_and_hints_do_not_decide_what_is_judged() -> None:
    """So that they may change without judging again."""
    one = rubric("[components.gelu]\npoints = 1\n")
    other = rubric("title = 'x'\nhints = 'line'\n[components.gelu]\npoints = 9\nall_or_nothing = true\n")
    assert one.judged_by() == other.judged_by()
    assert one.judged_by() != rubric("effort = 'quick'\n[components.gelu]\npoints = 1\n").judged_by()


GELU = "[components.gelu]\npoints = 1\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("titel = 'x'\n" + GELU, "there is no key 'titel'; did you mean title?"),
        ("effort = 'quik'\n" + GELU, "effort must be one of quick, default, thorough, not 'quik'; did you mean quick?"),
        ("hints = 'lines'\n" + GELU, "did you mean line?"),
        ("seed = 1.5\n" + GELU, "seed must be a whole number of at least 0, not 1.5"),
        ("entry = '../x.py'\n" + GELU, "entry must be a file inside each submission"),
        ("forbidden = 'os'\n" + GELU, "forbidden must be a list of strings"),
        (GELU + "[limits]\nmemory = 5\n", "there is no key 'memory'; did you mean memory_mb?"),
        (GELU + "[limits]\nseconds = 0\n", "seconds must be more than 0"),
        (GELU + "[limits]\nprocesses = true\n", "processes must be a whole number"),
        ("[components.gleu]\npoints = 1\n", "there is no component 'gleu'; did you mean "),
        ("[components.gelu]\n", "points is missing; write points = 10"),
        ("[components.gelu]\npoints = -1\n", "points must be a number of at least 0, not -1"),
        ("[components.gelu]\npoints = 0\n", "the points of all components sum to 0"),
        ("components.gelu = 3\n", "components.gelu must be a table"),
        ("title = 'x'\n", "no component has points"),
        (GELU + "requierd = []\n", "did you mean required?"),
        (GELU + "required = ['deterministc']\n", "there is no claim 'deterministc'; did you mean deterministic?"),
        (GELU + "weights = {grows = 2}\n", "there is no claim 'grows'"),
        (GELU + "weights = {deterministic = 'much'}\n", "deterministic must be a number of at least 0, not 'much'"),
        (GELU + "all_or_nothing = 1\n", "all_or_nothing must be true or false, not 1"),
        (GELU + "variants = ['erff']\n", "there is no legal variant 'erff'; did you mean erf?"),
        ("[components.rms_norm]\npoints = 1\nvariant = 'x'\n", "there is no legal variant 'x'"),
        (GELU + "visibility = 'after_due'\n", "did you mean after_due_date"),
    ],
)
def test_what_is_wrong_is_named(text: str, told: str) -> None:
    """With the key, the value, and the nearest right one."""
    with pytest.raises(UsageError) as caught:
        rubric(text)
    assert told in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """Absent, or no TOML; both name the file."""
    with pytest.raises(UsageError, match=r"nowhere.toml cannot be read: .*--example-rubric"):
        read(tmp_path / "nowhere.toml", CHECKS)
    (tmp_path / "broken.toml").write_text("[components\n")
    with pytest.raises(UsageError, match=r"broken.toml is not valid TOML: .*line 1"):
        read(tmp_path / "broken.toml", CHECKS)


def test_every_weight_zero_is_no_rubric() -> None:
    """Nothing would be left to count."""
    zero = "\n".join(f"{claim} = 0" for claim in CHECKS.claims["gelu"])
    with pytest.raises(UsageError, match="every claim has weight 0"):
        rubric(f"{GELU}[components.gelu.weights]\n{zero}\n")
