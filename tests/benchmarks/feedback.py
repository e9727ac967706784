"""How soon a run says something: processor time and memory of whole runs, beside ``import torch`` of the same minutes.

    python tests/benchmarks/feedback.py [--repeat N] [--only NAME ...] [--json FILE]

Each run is a process of its own, as a person would start it, in an empty folder, with seed 0 and compiled bytecode.
Its time is processor seconds, user and system, of it and of the processes that it started, the least of N (3): wall
time on a shared machine says little. "cold": no tolerances are kept from an earlier run; "warm": they are. The first
finding counts as shown when its line has come out of the process, after seconds of that process alone. Memory is the
most that stood in main memory at once. Every number is also given in units of ``import torch``, which is independent
of the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STUDENT = str(ROOT / "examples" / "student.py")
RUNS = {
    "layer_norm": [f"--impl={STUDENT}", "-m", "layer_norm"],
    "layer_norm of the reference": ["--impl=reference_model", "-m", "layer_norm"],
    "student.py": [f"--impl={STUDENT}"],
    "reference, quick": ["--impl=reference_model", "--impl-effort=quick"],
    "reference, default": ["--impl=reference_model"],
}
FINDING = re.compile(rb"(?m)^(found: |[.oi~?-]*F)")
"""How a finding begins that is shown at once; or pytest's letter for a check that failed."""


@dataclass
class Cost:
    """What one process cost: processor seconds in all and until its first finding (None: it has none), and MB."""

    seconds: float
    first: float | None
    memory: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=RUNS, default=list(RUNS), metavar="NAME")
    parser.add_argument("--json", help="write the numbers to this file, too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        _run(folder, ["-m", "pytest", *RUNS["layer_norm"]])  # compile what is imported
        torch = _least([_run(folder, ["-c", "import torch"]) for _ in range(2 * options.repeat)])
        print(f"import torch: {torch.seconds:.2f} s of processor time, {torch.memory:.0f} MB")
        print("times are beyond that; x: in units of it\n")
        print(f"{'':28} {'cache':5} {'processor':>17} {'first finding':>17} {'memory':>16}")
        found = {"import torch": asdict(torch)}
        for name in options.only:
            for cache in ("cold", "warm"):
                cost = _least([_of_run(folder, name, cache) for _ in range(options.repeat)])
                found[f"{name}, {cache}"] = asdict(cost)
                print(_row(name, cache, cost, torch), flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def _of_run(folder: Path, name: str, cache: str) -> Cost:
    """One run of that name; with a warm cache, it is left by the runs of the same name before it."""
    if cache == "cold":
        shutil.rmtree(folder / "cache", ignore_errors=True)
    return _run(folder, ["-m", "pytest", "-q", "--impl-seed=0", "-p", "no:cacheprovider", *RUNS[name]])


def _run(folder: Path, arguments: list[str]) -> Cost:
    """Start Python with these arguments in an empty folder, and wait for its end."""
    here = folder / "here"
    shutil.rmtree(here, ignore_errors=True)
    here.mkdir()
    own = {"PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(folder / "bytecode"), "PYTHONUNBUFFERED": "1"}
    environment = {**os.environ, **own, "PLUMBLINE_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=here, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    first, shown = None, b""
    while chunk := os.read(process.stdout.fileno(), 1 << 16):
        shown += chunk
        if first is None and FINDING.search(shown):
            first = _processor_seconds(process.pid)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}:\n{shown.decode(errors='replace')}")
    return Cost(used.ru_utime + used.ru_stime, first, used.ru_maxrss / (1024 if sys.platform == "linux" else 1 << 20))


def _processor_seconds(pid: int) -> float | None:
    """Processor seconds of a process that runs, user and system; None where the system does not tell (no /proc)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / float(os.sysconf("SC_CLK_TCK"))


def _least(costs: list[Cost]) -> Cost:
    firsts = [cost.first for cost in costs if cost.first is not None]
    return Cost(min(c.seconds for c in costs), min(firsts, default=None), min(c.memory for c in costs))


def _row(name: str, cache: str, cost: Cost, torch: Cost) -> str:
    def beyond(seconds: float | None) -> str:
        if seconds is None:
            return f"{'-':>17}"
        more = seconds - torch.seconds
        return f"{more:8.2f} s {more / torch.seconds:5.2f} x"

    memory = f"{cost.memory:6.0f} MB {cost.memory / torch.memory:4.2f} x"
    return f"{name:28} {cache:5} {beyond(cost.seconds)} {beyond(cost.first)} {memory:>16}"


if __name__ == "__main__":
    sys.exit(main())
