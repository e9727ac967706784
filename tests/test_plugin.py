"""The plug-in from outside: somebody's folder, somebody's commands, what they see and the exit code they get."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from support_runs import shared_runs

from harness.core.record import Status

ROOT = Path(__file__).resolve().parents[1]
BACKSTOP = 3600
"""Seconds after which a process hangs for certain, however busy the machine is."""
QUICK = "--impl-cases=5"

TWO_PARTS = """
import torch

def layer_norm(x, weight, bias, eps):
    return torch.nn.functional.layer_norm(x, x.shape[-1:], weight, bias, eps)

def gelu(x):
    raise NotImplementedError
"""

TWO_WRONG = """
import torch

def layer_norm(x, weight, bias, eps):
    wide = x.float() if x.dtype.itemsize == 2 else x
    y = (wide - wide.mean(-1, keepdim=True)) / torch.sqrt(wide.var(-1, keepdim=True) + eps) * weight
    return (y if bias is None else y + bias).to(x.dtype)

def gelu(x):
    return x * torch.sigmoid(1.702 * x)
"""


class Ended(NamedTuple):
    """A run that has ended: its exit code, and all that it printed."""

    returncode: int
    output: str


def seeded(arguments: Sequence[str]) -> tuple[str, ...]:
    """The same cases whenever our tests run, where they do not say otherwise."""
    is_chosen = any(a.startswith(("--impl-seed", "--impl-baseline")) for a in arguments)
    is_ours = any(a.startswith("--impl=") for a in arguments)
    return (*arguments, "--impl-seed=0") if is_ours and not is_chosen else tuple(arguments)


def run(folder: Path, *arguments: str, program: str = "pytest") -> Ended:
    """pytest or plumbline in this folder, as a person would start it."""
    ended = shared_runs().start(folder, seeded(arguments), program)
    assert "INTERNALERROR" not in ended.output, ended.output
    return Ended(*ended)


def run_from(path: Path, folder: Path, *arguments: str, command: tuple[str, ...] = ("-m", "pytest")) -> Ended:
    """The same in a new process that imports us from this path.

    What the outer run was started by stays outside: with ``TOX_ENV_DIR`` set, for one, pytest keeps the cache of every
    folder in one place, and ``--lf`` would rerun what failed in another test's folder.
    """
    outer = ("PYTHONPATH", "CI", "GITHUB_ACTIONS")
    environment = {k: v for k, v in os.environ.items() if k not in outer and not k.startswith(("PYTEST_", "TOX_"))}
    environment |= {"COLUMNS": "120", "PYTHONPATH": str(path)}
    done = subprocess.run(
        [sys.executable, *command, *seeded(arguments)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=BACKSTOP,
    )
    assert "INTERNALERROR" not in done.stdout, done.stdout
    return Ended(done.returncode, done.stdout)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder of a user with two implementations in it."""
    (tmp_path / "mymodel.py").write_text(TWO_PARTS)
    (tmp_path / "wrong.py").write_text(TWO_WRONG)
    return tmp_path


def outcome(done: Ended) -> str:
    """The last line of the run."""
    return done.output.strip().splitlines()[-1]


def test_a_half_done_file_is_green_and_says_what_is_next(folder: Path) -> None:
    """One component is judged; what raises NotImplementedError is to do; the exit code is 0; the next step is named."""
    done = run(folder, "--impl=mymodel", QUICK)
    assert done.returncode == 0, done.output
    assert re.search(r"layer_norm +\d+ of \d+ .*passed", done.output)
    assert re.search(r"gelu .*to do", done.output)
    assert re.search(r"^next: implement \w+: ", done.output, re.M)
    assert re.search(r"\d+ of \d+ components implemented: \d+ checks run \(\d+ passed", done.output)
    assert "seed 0" in done.output


def test_the_failure_names_the_line_first(folder: Path) -> None:
    """Two mistakes give two findings, each with its two-line diff, in order; nothing else is shown as a failure."""
    done = run(folder, "--impl=wrong", QUICK)
    assert done.returncode == 1
    assert done.output.count("(- your code, + expected code):") == 2
    assert "+    variance = (centred ** 2).mean(-1, keepdim=True)" in done.output
    assert "-    variance = (centred ** 2).sum(-1, keepdim=True) / (x.shape[-1] - 1)" in done.output
    assert "You divide the variance by N - 1" in done.output
    assert "-    gate = torch.sigmoid(1.702 * x)" in done.output
    assert "2 failed" in outcome(done)
    assert "Traceback" not in done.output


def test_each_finding_is_shown_before_the_next_component_is_judged(folder: Path) -> None:
    """A line below the letters of its component, in a terminal's log too: nobody waits for the end."""
    _, output = run(folder, "--impl=wrong", "-m", "layer_norm or gelu", QUICK)
    first, letters = output.index("found: "), output.index("FAILURES")
    second = output.index("found: ", first + 1)
    assert first < second < letters and output.count("found: ") == 2
    assert {"gelu", "layer_norm"} == {output[at + 7 :].split()[0] for at in (first, second)}


def test_the_record_is_written_and_says_the_same(folder: Path) -> None:
    """The JSON record holds every verdict, the findings' summaries, and that the run came to its end."""
    run(folder, "--impl=wrong", QUICK)
    record = json.loads((folder / ".plumbline" / "run.json").read_text())
    assert record["version"] == 2 and record["finished"] is True
    assert len(record["verdicts"]) == sum(record["planned"].values())
    assert "layer_norm.unbiased_variance" in record["summaries"]
    assert {v["status"] for v in record["verdicts"]} <= {
        Status.PASSED,
        Status.FAILED,
        Status.CRASHED,
        Status.TIMED_OUT,
        Status.TO_DO,
        Status.NOT_APPLICABLE,
        Status.ADVICE,
    }


def test_a_kept_failure_replays_until_it_is_fixed(folder: Path) -> None:
    """`plumbline replay ID` says FAILED while the mistake is there and FIXED once it is gone."""
    done = run(folder, "--impl=wrong", QUICK)
    case = re.findall(r"plumbline replay (\w+)", done.output)[-1]
    again = run(folder, "replay", case, program="plumbline")
    assert again.returncode == 1 and "FAILED" in again.output, again.output
    (folder / "wrong.py").write_text(
        TWO_PARTS.replace("    raise NotImplementedError", "    return torch.nn.functional.gelu(x, approximate='tanh')")
    )
    again = run(folder, "replay", case, program="plumbline")
    assert again.returncode == 0 and "FIXED" in again.output, again.output


def test_selecting_checks_works_as_in_any_pytest_run(folder: Path) -> None:
    """-k, -m, node ids, --co, -x and --lf select among the checks."""
    listed = run(folder, "--impl=mymodel", "--co", "-q", "-k", "layer_norm and shift")
    assert listed.output.splitlines()[0] == "layer_norm::shift_invariant"
    marked = run(folder, "--impl=mymodel", "--co", "-q", "-m", "gelu")
    names = [line for line in marked.output.splitlines() if "::" in line]
    assert names and all(name.startswith("gelu::") for name in names)
    one = run(folder, "--impl=mymodel", QUICK, "layer_norm::deterministic")
    assert "1 passed" in outcome(one), one.output
    first = run(folder, "--impl=wrong", QUICK, "-x", "-k", "gelu or layer_norm")
    assert "1 failed" in outcome(first)
    last = run(folder, "--impl=wrong", QUICK, "--lf")
    assert last.returncode == 1 and "run-last-failure: rerun previous 1 failure" in last.output, last.output


def test_two_processes_see_what_one_sees(folder: Path) -> None:
    """With -n 2 the findings, the table and the exit code are those of a run in one process."""
    pytest.importorskip("xdist")
    one = run(folder, "--impl=wrong", QUICK, "-k", "gelu or layer_norm")
    two = run(folder, "--impl=wrong", QUICK, "-n", "2", "-k", "gelu or layer_norm")
    assert two.returncode == one.returncode == 1

    def findings(done: Ended) -> list[str]:
        return sorted(set(re.findall(r"^    [-+]    .*$", done.output, re.M)))

    def rows(done: Ended) -> list[str]:
        return re.findall(r"^(?:gelu|layer_norm) .* FAILED: .*$", done.output, re.M)

    assert findings(one) == findings(two) and len(findings(one)) == 4
    assert rows(one) == rows(two) and len(rows(one)) == 2


def test_processes_share_a_fresh_seed(folder: Path) -> None:
    """Without --impl-seed one seed is chosen: the cases that workers save come from the seed that the run shows."""
    pytest.importorskip("xdist")
    done = run(folder, "--impl=wrong", QUICK, "-n", "2", "--impl-seed=", "gelu", "layer_norm")
    seed = json.loads((folder / ".plumbline" / "run.json").read_text())["seed"]
    kept = [json.loads(path.read_text())["seed"] for path in (folder / ".plumbline" / "failures").glob("*.json")]
    assert f"seed {seed}" in done.output and set(kept) == {seed} and len(kept) > 1


def test_junit_carries_the_numbers(folder: Path) -> None:
    """The JUnit file has one suite entry per check, with component, claim and error as properties."""
    run(folder, "--impl=wrong", QUICK, "--junitxml=out.xml", "-k", "layer_norm")
    tree = ElementTree.parse(folder / "out.xml")
    cases = tree.findall(".//testcase")
    properties = {p.get("name"): p.get("value") for p in cases[0].iter("property")}
    assert cases[0].get("classname") == "layer_norm"
    assert properties["component"] == "layer_norm" and properties["finding"] == "layer_norm.unbiased_variance"
    failure = tree.find(".//failure")
    assert failure is not None and "N - 1" in failure.get("message", "")


def test_nothing_there_yet_is_no_failure(tmp_path: Path) -> None:
    """A file in which everything raises NotImplementedError: nothing fails, everything is to do."""
    (tmp_path / "empty.py").write_text(
        "def gelu(x):\n    raise NotImplementedError\n"
        "def layer_norm(x, weight, bias, eps):\n    raise NotImplementedError\n"
    )
    done = run(tmp_path, "--impl=empty", QUICK)
    assert done.returncode == 0 and "passed" not in outcome(done) and "to do" in outcome(done)
    required = run(tmp_path, "--impl=empty", QUICK, "--impl-require=layer_norm", "-k", "layer_norm")
    assert required.returncode == 1 and "layer_norm is required" in required.output


def test_their_error_is_shown_with_their_frames(tmp_path: Path) -> None:
    """Where their code raises, they see their own lines and none of ours."""
    (tmp_path / "broken.py").write_text("def gelu(x):\n    return helper(x)\n\ndef helper(x):\n    return x.nosuch()\n")
    done = run(tmp_path, "--impl=broken", QUICK, "-k", "gelu")
    assert done.returncode == 1
    assert "has no attribute 'nosuch'" in done.output
    assert "broken.py:5, in helper" in done.output and "broken.py:2, in gelu" in done.output
    assert "harness/" not in done.output


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ("--impl=mymodle", "mymodel"),
        ("--impl=./mymodle.py", "mymodel.py"),
        ("--impl=mymodel:nothing", "nothing"),
        ("--impl=mistake:layer_norm.unbiased", "layer_norm.unbiased_variance"),
        ("--impl=bug:layer_norm.unbiased", "layer_norm.unbiased_variance"),
        ("--impl=json", "component"),
        ("--impl-seed=x --impl=mymodel", "--impl-seed takes a whole number"),
        ("--impl-require=attentoin --impl=mymodel", "attentoin"),
        ("--impl-variant=gelu=relu --impl=mymodel", "legal variants"),
        ("--impl-variant=gelu --impl=mymodel", "component=variant"),
        ("--impl-seed=1 --impl-seed=2 --impl=mymodel", "--impl-seed=1 and --impl-seed=2 contradict each other"),
    ],
)
def test_wrong_use_ends_in_a_sentence(folder: Path, argument: str, told: str) -> None:
    """Exit code 4, no traceback, and what to do instead."""
    done = run(folder, *argument.split())
    assert done.returncode == 4, done.output
    assert told in done.output
    assert "Traceback" not in done.output


def test_a_file_that_does_not_import_shows_their_traceback(tmp_path: Path) -> None:
    """Their traceback from their first frame, and that no check was run."""
    (tmp_path / "bad.py").write_text("import torch\nvalue = 1 / 0\n")
    done = run(tmp_path, "--impl=bad")
    assert done.returncode == 4
    text = done.output
    assert "ZeroDivisionError" in text and 'bad.py", line 2' in text and "no check was run" in text.lower()
    assert "importlib" not in text


def test_a_clone_works_without_being_installed(tmp_path: Path) -> None:
    """In a copy of the project, `python -m pytest --impl=...` uses the copy."""
    for name in ("harness", "specs", "reference_model", "examples"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("plumbline.py", "conftest.py", "tox.ini"):
        shutil.copy(ROOT / name, tmp_path / name)
    done = run_from(tmp_path, tmp_path, "--impl=reference_model", QUICK, "-k", "gelu")
    assert done.returncode == 0 and str(tmp_path / "reference_model") in done.output.replace("\n", "")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project built as a wheel and unpacked into a folder of its own."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(
        ROOT,
        source,
        ignore=shutil.ignore_patterns(
            ".git", ".tox", "__pycache__", "*.egg-info", "build", ".plumbline", ".hypothesis"
        ),
    )
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", str(folder), str(source)], check=True, timeout=BACKSTOP)
    (built,) = folder.glob("plumbline_llm-*.whl")
    subprocess.run(
        [*pip, "install", "--no-deps", "--target", str(folder / "site"), str(built)], check=True, timeout=BACKSTOP
    )
    return folder / "site"


def test_the_wheel_runs_from_a_foreign_directory(wheel: Path, folder: Path) -> None:
    """Installed from the wheel, in a folder with nothing but a user's file: the vocabulary and the sheets are there."""
    done = run_from(wheel, folder, "--impl=mymodel", QUICK, "-k", "layer_norm")
    assert done.returncode == 0 and re.search(r"layer_norm +\d+ of \d+ .*passed", done.output), done.output
    assert list((wheel / "reference_model" / "data").glob("gpt2.tiktoken*"))


def test_their_own_harness_package_is_left_alone(wheel: Path, tmp_path: Path) -> None:
    """Installed beside packages called harness and specs: their suite runs, and --impl says what hides ours."""
    for name in ("harness", "specs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("MINE = True\n")
    (tmp_path / "test_theirs.py").write_text(
        "import harness, specs\ndef test_mine():\n    assert harness.MINE and specs.MINE\n"
    )
    (tmp_path / "mymodel.py").write_text(TWO_PARTS)
    theirs = run_from(wheel, tmp_path)
    assert theirs.returncode == 0 and "1 passed" in outcome(theirs), theirs.output
    hidden = run_from(wheel, tmp_path, "--impl=mymodel")
    assert hidden.returncode == 4 and str(tmp_path / "harness") in hidden.output


def with_a_stranger(wheel: Path, folder: Path, file: str) -> Path:
    """Ours installed, and another project's distribution with a module of our name into the same folder after it."""
    site = folder / "site"
    shutil.copytree(wheel, site, ignore=shutil.ignore_patterns("__pycache__"))
    (site / file).parent.mkdir(exist_ok=True)
    (site / file).write_text("STRANGER = True\n")
    metadata = site / "plumbline-1.2.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: plumbline\nVersion: 1.2\n")
    (metadata / "RECORD").write_text(f"{file},,\n")
    return site


@pytest.mark.parametrize("file", ("plumbline/__init__.py", "plumbline.py"))
def test_another_project_in_our_place_is_named(wheel: Path, folder: Path, tmp_path: Path, file: str) -> None:
    """By the command and by --impl, with what to do. A suite that needs nothing of ours runs, with its own module."""
    site = with_a_stranger(wheel, tmp_path, file)
    command = ("-c", "import sys; from plumbline_llm import main; sys.exit(main())")  # as pip's script does
    for done in (
        run_from(site, folder, "list", command=command),
        run_from(site, folder, "--impl=mymodel", QUICK),
    ):
        said = done.output
        assert done.returncode == 4 and "Another project's distribution" in said and str(site / "plumbline") in said, (
            said
        )
        assert "-m pip uninstall plumbline plumbline-llm" in said and "Traceback" not in said
    (folder / "test_theirs.py").write_text("import plumbline\ndef test_mine():\n    assert plumbline.STRANGER\n")
    theirs = run_from(site, folder)
    assert theirs.returncode == 0 and "1 passed" in outcome(theirs), theirs.output


def test_a_known_mistake_as_the_subject(tmp_path: Path) -> None:
    """--impl=mistake:NAME shows what the mistake looks like; two at once with a plus sign."""
    done = run(tmp_path, "--impl=mistake:layer_norm.eps_outside_the_root+gelu.relu", QUICK, "-k", "layer_norm or gelu")
    assert done.returncode == 1
    assert "deviation = torch.sqrt(variance) + eps" in done.output and "return torch.relu(x)" in done.output


def test_a_declared_variant_is_accepted_and_an_undeclared_one_named(tmp_path: Path) -> None:
    """The erf GELU fails with how to declare it, and is green once declared."""
    (tmp_path / "erf.py").write_text("import torch\ndef gelu(x):\n    return torch.nn.functional.gelu(x)\n")
    undeclared = run(tmp_path, "--impl=erf", QUICK, "-k", "gelu")
    assert undeclared.returncode == 1 and "--impl-variant=activation=gelu_erf" in undeclared.output.replace("\n", " ")
    twice = ("--impl-variant=gelu=erf", "--impl-variant=block=post_norm")  # all of them count
    declared = run(tmp_path, "--impl=erf", QUICK, "-k", "gelu", *twice)
    assert declared.returncode == 0, declared.output


def test_an_endless_loop_is_stopped(tmp_path: Path) -> None:
    """A case that takes longer than --impl-timeout is a failure with their frame, not a hang."""
    (tmp_path / "loop.py").write_text("def gelu(x):\n    while True:\n        pass\n")
    done = run(tmp_path, "--impl=loop", QUICK, "--impl-timeout=1", "-k", "gelu and agrees")
    # On a machine that is busy with other things the limit in wall seconds may be reached first.
    assert done.returncode == 1 and "gelu: one case took more than" in done.output, done.output
    assert "Is there a loop that never ends?" in " ".join(done.output.split()), done.output


def test_an_interrupted_run_keeps_what_it_found(folder: Path) -> None:
    """After -x the record on disk is valid, holds the failure, and says that the run stopped early."""
    run(folder, "--impl=wrong", QUICK, "-x", "-k", "gelu or layer_norm")
    record = json.loads((folder / ".plumbline" / "run.json").read_text())
    assert any(v["status"] == Status.FAILED for v in record["verdicts"])
    assert len(record["verdicts"]) < sum(record["planned"].values())


def test_their_own_names_in_our_order_will_do(tmp_path: Path) -> None:
    """gamma for weight, no eps, and a bias that must be there: it is judged, with a note on what was left out."""
    (tmp_path / "own.py").write_text(
        "import torch\n"
        "def layer_norm(x, gamma, beta):\n"
        "    y = (x - x.mean(-1, keepdim=True)) * torch.rsqrt(x.var(-1, keepdim=True, unbiased=False) + 1e-5)\n"
        "    return y * gamma + beta\n"
    )
    done = run(tmp_path, "--impl=own", QUICK, "-k", "layer_norm and (agrees or gradients)")
    assert done.returncode == 0, done.output
    assert "note: layer_norm: it does not take None for an optional parameter" in done.output, done.output


def test_a_gate_lets_pass_what_is_expected_or_not_new(folder: Path) -> None:
    """Exit code 0 and the reason shown; without the entry 1; beside a baseline only what is new fails."""
    (folder / "pyproject.toml").write_text(
        '[tool.plumbline.expected]\n"gelu" = "the quick form, on purpose"\nlayer_norm = "soon"\n'
    )
    done = run(folder, "--impl=wrong", QUICK, "gelu")
    assert done.returncode == 0 and "xfailed" in outcome(done), done.output
    assert "expected: the quick form, on purpose" in done.output and "excused" in done.output
    (folder / "pyproject.toml").unlink()
    assert run(folder, "--impl=wrong", QUICK, "gelu", "--impl-report=before.json").returncode == 1
    beside = run(folder, "--impl=wrong", QUICK, "gelu", "--impl-baseline=before.json", "-n", "2")
    assert beside.returncode == 0 and "not new: it failed in before.json too" in beside.output, beside.output
    assert run(folder, "--impl=wrong", QUICK, "gelu", "layer_norm", "--impl-baseline=before.json").returncode == 1
    fixed = run(folder, "--impl=reference_model", QUICK, "gelu", "--impl-baseline=before.json")
    assert fixed.returncode == 0 and re.search(r"since before.json: .*gelu::agrees_with_the_reference", fixed.output)
    assert run(folder, "--impl=wrong", "--impl-baseline=none.json").returncode == 4
    same = ("--impl-report=before.json", "--impl-baseline=before.json", "-n", "2")  # the last run's own record
    over = run(folder, "--impl=wrong", QUICK, "gelu", *same)
    assert over.returncode == 0 and "not new: it failed in" in over.output, over.output
    assert (folder / "before.baseline.json").is_file() and run(
        folder, "--impl=wrong", QUICK, "gelu", *same
    ).returncode == 0


def test_a_usage_error_leaves_the_last_record_alone(folder: Path) -> None:
    """Whenever it is noticed: in the arguments, or in what the project expects to fail."""
    record = folder / ".plumbline" / "run.json"
    assert run(folder, "--impl=reference_model", QUICK, "gelu::deterministic").returncode == 0
    before = record.read_bytes()
    (folder / "pyproject.toml").write_text('[tool.plumbline.expected]\n"gelu::nosuch" = "x"\n')
    done = run(folder, "--impl=reference_model", QUICK, "gelu")
    assert done.returncode == 4 and "nosuch" in done.output and record.read_bytes() == before
    (folder / "pyproject.toml").unlink()
    done = run(folder, "--impl=reference_model", QUICK, "gelu::nosuch")
    assert done.returncode == 4 and "nosuch" in done.output and record.read_bytes() == before


def test_a_change_is_sought_only_where_it_is_to_be_shown(folder: Path) -> None:
    """After the last check, proven by every check of the component; the terminal and the record have it."""
    asked = run(folder, "--impl=wrong", QUICK, "layer_norm", "--impl-hints=change")
    assert "A change that fixes it; all " in asked.output and "(- your code, + the change):" in asked.output
    verdicts = json.loads((folder / ".plumbline" / "run.json").read_text())["verdicts"]
    failed = [v for v in verdicts if v["status"] == "failed"]
    assert failed and all(v["change"]["checks_run"] >= v["change"]["checks_held"] > 10 for v in failed)
    assert all(v["change"] is None for v in verdicts if v not in failed)
    plain = run(folder, "--impl=wrong", QUICK, "layer_norm", "--impl-hints=claim")
    assert "fails the check" in plain.output and "^^^" not in plain.output and "variance" not in plain.output
