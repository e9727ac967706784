"""What keeping the code apart costs, and whether the verdicts stay the same: whole runs at each level, beside ``none``.

    python tests/benchmarks/isolation.py [--effort quick] [--levels process sandbox] [--only NAME ...] [--repeat N]

Each run is a process of its own in an empty folder, with seed 0 and no kept tolerances. Its time is processor seconds,
user and system, of it and of everything that it started, the least of N (1). "after the start": without what a run of
one check of the first file costs more at that level, where another process imports torch and the sheets. Two runs are
equal where each check has the same status, number of cases, finding and marked lines. Components whose reference asks
the model itself are not judged apart; they are counted.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
STYLES = ROOT / "tests" / "styles"
FILES = {name: STYLES / f"{name}.py" for name in ("nano", "cs336", "pico")}
ONE = ("gelu::deterministic",)
LIKE_THE_REFERENCE = "like the reference"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--effort", default="quick")
    parser.add_argument("--levels", nargs="+", default=["process", "limits", "sandbox"])
    parser.add_argument("--only", nargs="+", default=[LIKE_THE_REFERENCE, *FILES])
    parser.add_argument("--repeat", type=int, default=1)
    options = parser.parse_args()
    differing = 0
    with tempfile.TemporaryDirectory() as temporary:
        files = {LIKE_THE_REFERENCE: _like_the_reference(Path(temporary)), **FILES}
        one = {level: _run(next(iter(files.values())), level, "quick", ONE)[0] for level in ("none", *options.levels)}
        starts = [f"{level} {used - one['none']:+.1f} s" for level, used in one.items()]
        print("start:", ", ".join(starts))
        print(f"{'':20} {'level':8} {'processor':>10} {'beyond none':>12} {'after the start':>16}  verdicts")
        for name in options.only:
            plain: dict[str, Any] = {}
            seconds = 0.0
            for level in ("none", *options.levels):
                runs = [_run(files[name], level, options.effort) for _ in range(options.repeat)]
                used, found = min(run[0] for run in runs), runs[0][1]
                if level == "none":
                    seconds, plain = used, found
                both = [check for check in plain if check in found]
                left = [check for check in both if found[check][0] == "to do" and plain[check][0] != "to do"]
                other = [check for check in both if plain[check] != found[check] and check not in left]
                differing += len(other)
                said = f"{len(other)} of {len(both)} differ, {len(left)} are not judged apart"
                more, then = (100 * (u / seconds - 1) for u in (used, used - one[level] + one["none"]))
                print(
                    f"{name:20} {level:8} {used:8.1f} s {more:+10.0f} % {then:+14.0f} %  {said}", *other[:3], flush=True
                )
    return int(differing > 0)


def _like_the_reference(folder: Path) -> Path:
    """The reference's own functions in a file of somebody's."""
    sys.path += [str(ROOT), str(ROOT / "tests" / "support")]
    from classroom import text

    file = folder / "like_the_reference.py"
    file.write_text(text(), encoding="utf-8")
    return file


def _run(file: Path, level: str, effort: str, only: tuple[str, ...] = ()) -> tuple[float, dict[str, Any]]:
    """Processor seconds of a whole run, and what each check came to."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PLUMBLINE_CACHE": folder, "OMP_NUM_THREADS": "1"}
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        asked = [f"--impl={file}", f"--impl-isolation={level}", f"--impl-effort={effort}", "--impl-seed=0"]
        before = os.times()
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *asked, *only]
        subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=False)
        after = os.times()
        record = json.loads((Path(folder) / ".plumbline" / "run.json").read_text(encoding="utf-8"))
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return used, {f"{one['component']}::{one['claim']}": _kept(one) for one in record["verdicts"]}


def _kept(verdict: dict[str, Any]) -> list[Any]:
    return [verdict["status"], verdict["cases"], verdict["finding"], verdict["lines"]]


if __name__ == "__main__":
    sys.exit(main())
