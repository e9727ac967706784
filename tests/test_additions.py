"""What each addition touches: the table of ARCHITECTURE.md, carried out in a copy of the project.

Every row adds its files, edits what the table says and nothing else, and the machine finds the addition.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("harness", "specs", "reference_model", "plumbline.py")

COMPONENT = {
    "reference_model/doubled.py": '''"""Twice the input."""

from torch import Tensor


def doubled(x: Tensor) -> Tensor:
    """2 x.  [...] -> [...]"""
    twice = 2.0 * x
    return twice
''',
    "specs/doubled.py": '''"""Twice the input."""

from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import Trial, claim
from harness.core.contract import Argument, Contract, Signature
from harness.core.measurement import Measure, Measurement
from harness.strategies.tensors import tensors
from reference_model.doubled import doubled


@st.composite
def cases(draw: st.DrawFn) -> Case:
    x, family = draw(tensors((draw(st.integers(1, 3)), draw(st.integers(2, 5)))))
    return Case.of({"x": x}, family=family)


@claim("the sign of x is kept", broken_by="negated")
def sign_is_kept(trial: Trial) -> None:
    bound = trial.spread_of_value()
    trial.close(trial.run().value.abs(), trial.run().value * trial.case.arguments["x"].sign(), bound, "out")


def size(trial: Trial) -> Measurement:
    return Measurement("its output has as many numbers as its input", "counted", float(trial.run().value.numel()))


CONTRACT = Contract(
    name="doubled",
    meaning="Twice the input.",
    calls={"call": Signature((Argument("x", "float[...]"),), "float[...]")},
    reference=doubled,
    cases=cases,
    claims=(sign_is_kept,),
    measures=(Measure("size", "how many numbers come out", size),),
)
''',
    "specs/bugs/doubled.py": '''"""Known mistakes in doubling."""

from harness.core.mistake import KnownMistake
from reference_model.doubled import doubled

MISTAKES = (
    KnownMistake("negated", "The sign is flipped.", doubled, "twice = 2.0 * x", "twice = -2.0 * x"),
    KnownMistake("tripled", "The factor is 3. It must be 2.", doubled, "twice = 2.0 * x", "twice = 3.0 * x"),
)
''',
}
EXPORT = ("reference_model/__init__.py", "from reference_model.doubled import doubled\n")
CLAIM = {
    "harness/claims/has_no_minus_zero.py": '''"""No output is minus zero."""

import torch

from harness.claims import _sabotage
from harness.core.claim import Claim, Trial, Violation


def has_no_minus_zero(trial: Trial) -> None:
    value = trial.run().value
    if bool((torch.signbit(value) & (value == 0)).any()) and trial.case.arguments["x"].all():
        raise Violation("an output is minus zero")


CLAIM = Claim(
    "has_no_minus_zero",
    "no output is minus zero",
    has_no_minus_zero,
    needs=lambda contract: contract.name == "doubled",
    sabotage=lambda call, method, arguments, request: _sabotage.floats(call(arguments), lambda out: -0.0 * out.abs()),
)
'''
}
FORMAT = {
    "harness/reports/formats/names.py": '''"""The components, one a line."""

from harness.core.record import RunRecord
from harness.reports.formats._format import Format


def render(record: RunRecord) -> str:
    return "".join(f"{name}\\n" for name in record.order)


FORMAT = Format("the components, one a line", "names.txt", render)
'''
}
LESSON = {
    "specs/lessons/two_and_two.py": '''"""Arithmetic."""

from harness.core.lesson import Arm, Axes, Kind, Lesson, Measured, Question, Setting


def run(setting: Setting) -> Measured:
    return Measured({"sum": 2.0 + 2.0})


LESSON = Lesson(
    "two-and-two",
    "Two and two make four.",
    "arithmetic",
    "no model",
    (Arm("sum", "two and two", run),),
    (Question("four", "It is more than three.", "the sum", lambda arms: arms["sum"]["sum"], 3.0, kind=Kind.EXACT),),
    Axes("", ""),
)
'''
}
COMMAND = {
    "harness/commands/greet.py": '''"""``plumbline greet``."""

import argparse

from harness.commands._command import Command


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name")


def run(options: argparse.Namespace) -> int:
    print(f"hello {options.name}")
    return 0


COMMAND = Command("say hello", arguments, run)
'''
}
LOOK = """
import json

from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.reference import reference_executor
from harness.reports.writing import formats
from harness.study.studying import study

known = load_catalogue()
bench = Inspection(known, reference_executor(known.contracts), seed=1, cases=6).bench
contract = known.contracts["doubled"]
print(json.dumps({
    "statuses": {c.name: str(bench.judge(contract, c)[0].status) for c in known.claims_of("doubled")},
    "claims elsewhere": [c.name for c in known.claims_of("gelu")],
    "mistakes": [m.full_name for m in known.mistakes["doubled"]],
    "measurement": bench.measure(contract, contract.measures[0]).value,
    "formats": sorted(formats()),
    "lesson": str(study("two-and-two", effort="quick")[0].outcome),
}))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with every addition in it; nothing that stood there is edited but one line of exports."""
    copy = tmp_path_factory.mktemp("project")
    for name in PARTS:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy / name)
    for file, text in (COMPONENT | CLAIM | FORMAT | LESSON | COMMAND).items():
        assert not (copy / file).exists()
        (copy / file).write_text(text, encoding="utf-8")
    file, line = EXPORT
    with (copy / file).open("a", encoding="utf-8") as exports:
        exports.write(line)
    return copy


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(project), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)


def test_every_addition_is_found(project: Path) -> None:
    """Component, mistakes, claims, measurement, report format and lesson, each by its file alone."""
    done = run(project, "-c", LOOK)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {"sign_is_kept", "has_no_minus_zero", "agrees_with_the_reference"} <= set(found["statuses"])
    assert set(found["statuses"].values()) <= {"passed", "not applicable"}
    assert found["statuses"]["sign_is_kept"] == found["statuses"]["has_no_minus_zero"] == "passed"
    assert "has_no_minus_zero" not in found["claims elsewhere"]
    assert found["mistakes"] == ["doubled.negated", "doubled.tripled"]
    assert found["measurement"] > 0 and "names" in found["formats"]
    assert found["lesson"] == "holds"


def test_its_mistakes_are_caught_and_named(project: Path) -> None:
    """`plumbline matrix doubled`, and the new subcommand beside it."""
    done = run(project, "plumbline.py", "matrix", "doubled")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 known mistakes of 1 components: 2 caught, 2 named (100.0 %)" in done.stdout
    greeted = run(project, "plumbline.py", "greet", "you")
    assert greeted.returncode == 0 and greeted.stdout == "hello you\n"


@pytest.mark.parametrize("file", ["specs/empty.py", "specs/bugs/empty.py", "harness/claims/empty.py"])
def test_a_file_without_its_object_is_a_usage_error(project: Path, file: str) -> None:
    """It names the file, with exit code 4, and shows no traceback."""
    (project / file).write_text('"""Nothing yet."""\n', encoding="utf-8")
    try:
        done = run(project, "plumbline.py", "list")
    finally:
        (project / file).unlink()
    assert done.returncode == 4 and Path(file).name in done.stderr and "Traceback" not in done.stderr
