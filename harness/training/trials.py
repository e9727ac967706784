"""Known mistakes of training scripts are planted and inspected: which are caught, named and shown; healthy ones too."""

from __future__ import annotations

import contextlib
import importlib
import io
import re
import tempfile
import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from harness.core.registry import scan
from harness.core.script_mistake import ScriptMistake
from harness.training.finding import Level, TrainingFinding
from harness.training.inspecting import InspectionResult, inspect_script

SEED = re.compile(r"manual_seed\(0\)")
"""How a healthy script sets its seed, so that it can be run with another."""


@dataclass(frozen=True)
class Trial:
    """What came of one script. ``found``: kind and line of each finding that fails, in order.

    ``caught``: something was found. ``named``: a finding has a kind of the mistake. ``placed``: such a finding also
    shows one of its lines. ``crash``: what broke the script.
    """

    name: str
    script: str
    found: tuple[str, ...]
    caught: bool
    named: bool
    placed: bool
    crash: str
    seconds: float


@cache
def script_mistakes() -> tuple[ScriptMistake, ...]:
    """Every known mistake of a training script, in the order of the folder."""
    folder = importlib.import_module("specs.script_mistakes")
    return tuple(mistake for group in scan(folder, "MISTAKES", tuple).values() for mistake in group)


def script_folder() -> Path:
    """The folder of the scripts that the mistakes are planted in."""
    return Path(next(iter(importlib.import_module("specs.scripts").__path__)))


def try_mistake(mistake: ScriptMistake) -> Trial:
    """Plant a mistake in its script and inspect it. Raises EditDoesNotFit where an edit does not fit."""
    source = (script_folder() / f"{mistake.script}.py").read_text(encoding="utf-8")
    planted = mistake.planted(source)
    lines = mistake.lines(planted)
    result, seconds = _inspected(planted, mistake.script, mistake.arguments, mistake.steps)
    told = [f for f in result.findings if f.level is Level.FAILED or f.kind in mistake.kinds]
    named = [f for f in told if f.kind in mistake.kinds]
    return Trial(
        mistake.name,
        mistake.script,
        _brief(told),
        bool(told),
        bool(named),
        any(_shows(finding, lines) for finding in named),
        _crash(result),
        seconds,
    )


def try_healthy(path: Path, seed: int = 0, arguments: Iterable[str] = ()) -> Trial:
    """Inspect a script that is right, with another seed. What is found is a false alarm."""
    source = SEED.sub(f"manual_seed({seed})", path.read_text(encoding="utf-8"))
    result, seconds = _inspected(source, path.stem, tuple(arguments), 8)
    name = f"{path.stem} (seed {seed})" if seed else path.stem
    crash = _crash(result) or ("" if result.steps else "no step was seen")
    return Trial(name, path.stem, _brief(result.failed), bool(result.failed), False, False, crash, seconds)


def _inspected(source: str, name: str, arguments: tuple[str, ...], steps: int) -> tuple[InspectionResult, float]:
    started = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.py"
        path.write_text(source, encoding="utf-8")
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = inspect_script(path, arguments, steps)
    return result, time.process_time() - started


def _shows(finding: TrainingFinding, lines: list[int]) -> bool:
    if finding.line is None:
        return False
    return any(finding.line <= line <= (finding.end_line or finding.line) for line in lines)


def _brief(findings: Iterable[TrainingFinding]) -> tuple[str, ...]:
    return tuple(f"{f.kind}:{f.line}" if f.line is not None else f.kind for f in findings)


def _crash(result: InspectionResult) -> str:
    return "" if result.crash is None else f"{type(result.crash).__name__}: {result.crash}"
