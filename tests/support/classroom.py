"""A class of submissions on a few cheap components: right, wrong in known ways, half done, and of every kind that dies.

Each comes with what must become of it, so that a whole class can be graded and compared.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.core.mistake import _replaced, _source
from harness.judging.catalogue import load_catalogue
from reference_model import gelu, layer_norm, linear, mlp, rms_norm, softmax

COMPONENTS = ("gelu", "layer_norm", "softmax", "rms_norm", "mlp")
POINTS = {"gelu": 2.0, "layer_norm": 3.0, "softmax": 2.0, "rms_norm": 2.0, "mlp": 1.0}
FUNCTIONS = {f.__name__: f for f in (linear, gelu, layer_norm, softmax, rms_norm, mlp)}
HEAD = "import math\n\nimport torch\nfrom torch import Tensor\n"
QUICK = {
    "seconds": 300,
    "check_seconds": 20,
    "case_seconds": 3,
    "memory_mb": 2000,
    "file_mb": 8,
    "output_mb": 2,
    "processes": 16,
}
"""Limits under which a class is through soon, and which a busy machine keeps."""


@dataclass(frozen=True)
class Student:
    """One submission: its files, and what must become of it.

    ``lost``: components that do not get all their points. ``findings``: known mistakes that must be named. ``state``:
    of the whole; ``why``: words that must be among the reasons. ``none``: components that must get no point at all.
    """

    name: str
    files: Mapping[str, str]
    lost: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    state: str = "judged"
    why: str = ""
    none: tuple[str, ...] = ()
    points: Mapping[str, float] = field(default_factory=dict)


def text(*mistakes: str, first: Mapping[str, str] = {}, top: str = "", leave_out: tuple[str, ...] = ()) -> str:
    """The reference's functions as one file, with known mistakes in them, and with ``first`` lines in their bodies."""
    known = load_catalogue()
    edits = [edit for name in mistakes for edit in known.mistake(name).edits]
    parts = [HEAD + top]
    for name, function in FUNCTIONS.items():
        if name in leave_out:
            continue
        lines = list(_source(inspect.unwrap(function)))
        for edit in edits:
            if edit.of is function:
                lines = _replaced(lines, edit, name)
        if name in first:
            at = next(i for i, line in enumerate(lines) if line.strip() == '"""') + 1
            lines[at:at] = [f"    {line}" for line in first[name].splitlines()]
        parts.append("\n".join(lines))
    return "\n\n\n".join(parts) + "\n"


def alone(name: str, source: str, **expected: object) -> Student:
    return Student(name, {f"{name}.py": source}, **expected)  # type: ignore[arg-type]


def write(students: list[Student], folder: Path) -> Path:
    """The class as files."""
    for student in students:
        for path, source in student.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(source)
    return folder


def rubric(
    path: Path, limits: Mapping[str, float] = QUICK, seed: int | None = 271_828, more: str = "", parts: str = ""
) -> Path:
    """The class's rubric as a file; ``more`` are lines of its head, ``parts`` what follows the components."""
    lines = [
        'title = "Components"',
        'effort = "quick"',
        'entry = "mymodel.py"',
        *([f"seed = {seed}"] if seed is not None else []),
        more,
    ]
    lines += ["[limits]", *(f"{key} = {value}" for key, value in limits.items())]
    lines += [f"[components.{name}]\npoints = {POINTS[name]}" for name in COMPONENTS]
    path.write_text("\n".join(lines) + "\n" + parts)
    return path


# who is in it --------------------------------------------------------------------------------------------------------

TO_DO = "raise NotImplementedError"
NONE = COMPONENTS
WRONG = (
    "gelu.quick_gelu",
    "gelu.relu",
    "gelu.in_place",
    "gelu.gate_detached",
    "layer_norm.unbiased_variance",
    "layer_norm.eps_outside_the_root",
    "layer_norm.eps_forgotten",
    "layer_norm.bias_forgotten",
    "layer_norm.mean_detached",
    "softmax.maximum_not_subtracted",
    "softmax.over_the_last_axis",
    "softmax.sum_detached",
    "rms_norm.mean_subtracted",
    "rms_norm.eps_outside_the_root",
    "rms_norm.scale_forgotten",
    "mlp.down_bias_forgotten",
    "mlp.activation_forgotten",
    "mlp.up_bias_after_activation",
)


def wrong(name: str, mistake: str) -> Student:
    """Somebody with one known mistake. A wrong gelu is seen in the mlp, too."""
    component = mistake.partition(".")[0]
    lost = (component, "mlp") if component == "gelu" and mistake != "gelu.in_place" else (component,)
    return alone(name, text(mistake), lost=lost, findings=(mistake,))


def right() -> list[Student]:
    return [
        alone("ada", text()),
        Student("bela", {"bela/mymodel.py": text(), "bela/notes.txt": "?", "bela/other.py": "x = 1\n"}),
        alone("carl", "# mine\n" + text(top="\nprint('hello')\n")),
        Student("dora", {"dora/mymodel.py": "from parts import *\n", "dora/parts.py": text()}),
        alone("emil", text(top='\nPLUMBLINE = {"expected": {"gelu::deterministic": "no reason"}}\n')),
    ]


def half_done() -> list[Student]:
    return [
        alone(
            "fred",
            text(first={"softmax": TO_DO, "rms_norm": TO_DO}),
            lost=("softmax", "rms_norm"),
            none=("softmax", "rms_norm"),
        ),
        alone("gina", text(leave_out=("mlp", "softmax")), lost=("mlp", "softmax"), none=("mlp", "softmax")),
    ]


def dying() -> list[Student]:
    """Each in a way of its own: at the import, in a check, loudly, silently, and with intent."""
    imported = {"lost": NONE, "none": NONE, "state": "not judged"}
    blocked = "import signal, time\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])\ntime.sleep(1000)"
    hog = "globals().setdefault('KEPT', []).extend(torch.ones(25_000_000) for _ in range(60))"
    kill = (
        "import os, signal\nfor group in {os.getppid(), os.getpgid(os.getppid()) if os.getppid() else 0} - {0, 1}:\n"
        "    os.killpg(group, signal.SIGKILL)\nos._exit(9)"
    )
    bomb = (
        "import os, time\nfor _ in range(40):\n    if os.fork() == 0:\n        os.setsid()\n        time.sleep(1000)\n"
        "time.sleep(1000)"
    )
    partly = {"state": "judged in part"}
    return [
        alone("hank", text(top="\nraise ValueError('not today')\n"), why="ValueError: not today", **imported),
        alone("iris", text() + "def broken(:\n", why="SyntaxError", **imported),
        alone("jane", "", why="offers no component", **imported),
        alone("kurt", text(top="\nimport sys\nsys.exit(0)\n"), why="ends the program", **imported),
        alone("lena", text(top="\nimport os\nos._exit(0)\n"), why="exit code 0", **imported),
        alone("mark", text(top="\nwhile True: pass\n"), why="was not imported after", **imported),
        alone("nora", text(top="\nwhile True: print('x' * 10_000)\n"), why="printed more than 2 MB", **imported),
        Student("otto", {"otto/a.py": "", "otto/b.py": ""}, why="there is no mymodel.py", **imported),
        alone("paul", text(first={"gelu": "raise TypeError('no')"}), lost=("gelu", "mlp")),
        alone(
            "quin",
            text(first={"softmax": "import os\nos._exit(3)"}),
            lost=("softmax",),
            none=("softmax",),
            why="exit code 3",
            **partly,
        ),
        alone(
            "rosa",
            text(first={"layer_norm": "while True: pass"}),
            lost=("layer_norm",),
            none=("layer_norm",),
            why="layer_norm: 2 checks of it ran out of time",
            **partly,
        ),
        alone(
            "sven",
            text(first={"rms_norm": blocked}),
            lost=("rms_norm",),
            none=("rms_norm",),
            why="longer than 20 s for one check",
            **partly,
        ),
        alone(
            "tara",
            text(first={"softmax": "while True: print('y' * 10_000)"}),
            lost=("softmax",),
            none=("softmax",),
            why="printed",
            **partly,
        ),
        alone("ugur", text(first={"mlp": hog}), lost=("mlp",), none=("mlp",), why="more than 2000 MB", **partly),
        alone("vera", text(first={"rms_norm": kill}), lost=("rms_norm",), none=("rms_norm",), **partly),
        alone(
            "wim",
            text(first={"softmax": bomb}),
            lost=("softmax",),
            none=("softmax",),
            why="more than 16 processes",
            **partly,
        ),
        alone("xena", "from reference_model import *\n", lost=NONE, none=NONE, state="refused", why="reference_model"),
        alone(
            "yuri",
            text("layer_norm.eps_forgotten", top='\nPLUMBLINE = {"expected": {"layer_norm": "let me pass"}}\n'),
            lost=("layer_norm",),
            findings=("layer_norm.eps_forgotten",),
        ),
    ]


def whole_class() -> list[Student]:
    """Forty and a few."""
    return [*right(), *half_done(), *(wrong(f"w{i:02}", mistake) for i, mistake in enumerate(WRONG)), *dying()]


def small_class() -> list[Student]:
    """Ten, of every kind."""
    by_name = {student.name: student for student in whole_class()}
    return [by_name[name] for name in ("ada", "bela", "fred", "w05", "hank", "quin", "rosa", "tara", "vera", "yuri")]


def check(student: Student, grade: Mapping[str, object]) -> list[str]:
    """What of a grade (as grade.json has it) is not as it must be, in words."""
    wrongs = []
    components: Mapping[str, Mapping[str, object]] = grade["components"]  # type: ignore[assignment]
    lost = {name for name, one in components.items() if one["score"] != one["points"]}
    none = {name for name, one in components.items() if one["score"] == 0}
    if lost != set(student.lost):
        wrongs.append(f"{student.name} lost points in {sorted(lost)}, not in {sorted(student.lost)}")
    if not set(student.none) <= none:
        wrongs.append(f"{student.name} has points for {sorted(set(student.none) - none)}")
    if not set(student.findings) <= set(grade["findings"]):  # type: ignore[call-overload]
        wrongs.append(f"{student.name}: {student.findings} not among {grade['findings']}")
    if grade["state"] != student.state:
        wrongs.append(f"{student.name} is {grade['state']}, not {student.state}: {grade['why']}")
    if student.why not in str(grade["why"]):
        wrongs.append(f"{student.name}: {student.why!r} is not in {grade['why']!r}")
    return wrongs
