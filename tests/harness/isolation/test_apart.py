"""An implementation in a process of its own gets the verdicts that it gets in this one."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import ImportFailed, UsageError
from harness.core.implementation import CrashKind, Request
from harness.core.record import Status
from harness.isolation import connection
from harness.isolation.level import Level
from harness.isolation.oracle import Oracle
from harness.isolation.remote import RemoteImplementation
from harness.isolation.starting import Workers
from harness.judging import places_of_code
from harness.judging.catalogue import load_catalogue, load_inputs
from harness.judging.grounds import grounds_of
from harness.judging.inspection import Inspection
from harness.judging.loading import inspect_implementation

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are started from POSIX systems' sockets")

GELU = """
import math, torch
SEEN = []
def gelu(x):
    {first}
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
"""
SOFTMAX = """
import torch
def softmax(x):
    e = torch.exp(x - x.amax(-1, keepdim=True))
    return e / e.sum(-1, keepdim=True)
"""


def inspected(file: Path, level: Level = Level.PROCESS, **options: Any) -> Inspection:
    return inspect_implementation(str(file), seed=3, cases=3, isolation=level, **{"time_limit": 20.0, **options})


def verdicts(inspection: Inspection, component: str) -> list[Any]:
    found = []
    for claim in inspection.catalogue.claims_of(component):
        one = inspection.judge(component, claim)
        lines = [(line.line, line.mark) for line in one.lines]
        found.append((claim.name, one.status, one.message, one.worst, one.finding, one.case_id, lines))
    return found


@pytest.mark.parametrize(
    ("component", "code"),
    [
        ("gelu", GELU.format(first="pass")),
        ("gelu", GELU.format(first="pass").replace("0.044715", "0.0447")),
        ("gelu", GELU.format(first="SEEN.append(1); x = x * (1 + (len(SEEN) > 5))")),
        ("gelu", GELU.format(first="raise NotImplementedError")),
        ("gelu", GELU.format(first="return x.tolist() if x.dim() == 2 else object()")),
        ("gelu", GELU.format(first="x.mul_(2)")),
        ("softmax", SOFTMAX.replace("-1, keepdim=True)\n    return", "0, keepdim=True)\n    return")),
        (
            "mlp",
            "import torch\nfrom torch import nn\nclass MLP(nn.Module):\n    def __init__(self, width, hidden):\n"
            "        super().__init__()\n        self.down = nn.Linear(hidden, width)\n"
            "        self.up = nn.Linear(width, hidden)\n"
            "    def forward(self, x):\n        return self.down(nn.functional.gelu(self.up(x)))\n",
        ),
        (
            "lr_schedule",
            "import math\ndef lr_schedule(step, warmup, total, peak, floor):\n    if step < warmup:\n"
            "        return peak * step / warmup\n"
            "    return floor + 0.5 * (peak - floor) * (1 + math.cos(math.pi * (step - warmup) / total))\n",
        ),
    ],
    ids=["right", "a number", "a counter", "to do", "odd results", "in place", "an axis", "a class", "a schedule"],
)
def test_the_same_verdicts(tmp_path: Path, component: str, code: str) -> None:
    """Status, message, finding, case and marked lines; what they rest on; and the change that is proven."""
    file = tmp_path / "mine.py"
    file.write_text(code)
    here, there = inspected(file, Level.NONE), inspected(file)
    assert isinstance(there.implementation, RemoteImplementation)
    assert here.begun == there.begun
    assert verdicts(here, component) == verdicts(there, component)
    assert grounds_of(here, component) == grounds_of(there, component)
    mine, theirs = here.changes.of(component), there.changes.of(component)
    assert (mine and mine.changes) == (theirs and theirs.changes)


def test_its_code_is_not_loaded_here(tmp_path: Path) -> None:
    file = tmp_path / "loaded_nowhere_else.py"
    file.write_text("import os, sys\nsys.stdout.write(str(os.getpid()))\n" + GELU.format(first="pass"))
    inspection = inspected(file)
    assert verdicts(inspection, "gelu")
    assert not [name for name in sys.modules if "loaded_nowhere_else" in name]


@pytest.mark.parametrize("how", ["import reference_model", "from reference_model.gelu import gelu as right"])
def test_the_reference_is_not_there(tmp_path: Path, how: str) -> None:
    """Its names are, without their code: whoever calls them is not supported, and passes nothing."""
    file = tmp_path / "borrowed.py"
    call = "reference_model.gelu(x)" if how.startswith("import") else "right(x)"
    file.write_text(f"{how}\ndef gelu(x):\n    return {call}\n")
    statuses = {status for _, status, *_ in verdicts(inspected(file), "gelu")}
    assert statuses.isdisjoint({Status.PASSED, Status.BARELY_CHECKED})


def test_nothing_of_the_reference_is_in_its_memory(tmp_path: Path) -> None:
    """Neither a function with code of the reference, nor its source, nor a seed."""
    file = tmp_path / "searches.py"
    file.write_text(
        "import gc, types\n"
        "def gelu(x):\n"
        "    ours = [f for f in gc.get_objects() if isinstance(f, types.FunctionType)]\n"
        "    files = [f.__code__.co_filename for f in ours]\n"
        "    found = [f for f in files if 'reference_model' in f and 'config' not in f]\n"
        "    raise ValueError(f'found {len(found)}')\n"
    )
    inspection = inspected(file)
    request = next(o.request for o in inspection.observations.of("gelu"))
    crash = inspection.implementation.run(request).crash
    assert crash is not None and crash.message == "found 0"


@pytest.mark.parametrize(
    ("first", "told"),
    [
        ("import os; os._exit(0)", "exit status 0"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("import gc; [o.close() for o in gc.get_objects() if type(o).__name__ == 'socket']", "ended"),
    ],
)
def test_an_end_is_a_crash_of_its_component(tmp_path: Path, first: str, told: str) -> None:
    """Another process goes on with the next component."""
    file = tmp_path / "ends.py"
    file.write_text(GELU.format(first=first) + SOFTMAX)
    inspection = inspected(file)
    found = verdicts(inspection, "gelu")
    assert all(status is not Status.PASSED for _, status, *_ in found)
    crashed = [message for _, status, message, *_ in found if status is Status.CRASHED]
    assert crashed and told in crashed[0]
    assert all(status is not Status.CRASHED for _, status, *_ in verdicts(inspection, "softmax"))


def test_a_hang_that_no_alarm_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SLACK", 1.0)
    file = tmp_path / "hangs.py"
    file.write_text(
        "import signal, torch\ndef gelu(x):\n    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])\n"
        "    while True:\n        pass\n"
    )
    inspection = inspected(file, time_limit=0.01)
    request = Request("gelu", next(iter(inspection.bench.generated.of(inspection.catalogue.contracts["gelu"]))))
    crash = inspection.implementation.run(request).crash
    assert crash is not None and crash.kind is CrashKind.TIMED_OUT


@pytest.mark.parametrize("first", ["import os; os._exit(0)", "import os; os.abort()"])
def test_an_end_at_import_is_a_usage_error(tmp_path: Path, first: str) -> None:
    file = tmp_path / "ends.py"
    file.write_text(f"{first}\n" + GELU.format(first="pass"))
    with pytest.raises(ImportFailed, match="No check was run"):
        inspected(file)


def test_a_worker_that_is_started_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on systems where forking is not safe."""
    known, inputs = load_catalogue().contracts, load_inputs()
    oracle = Oracle(known, inputs.open_to, inputs.sizes)
    workers = Workers(oracle, inputs.sheets, list(known), forks=False)
    monkeypatch.setattr(places_of_code, "the_workers", lambda: workers)
    file = tmp_path / "mine.py"
    file.write_text(GELU.format(first="import sys; assert x.dtype is not torch.float16 or sys.exit(0)"))
    inspection = inspected(file)
    claim = next(c for c in inspection.catalogue.claims_of("gelu") if c.name == "agrees_with_the_reference")
    assert inspection.judge("gelu", claim).status is Status.PASSED
    assert isinstance(inspection.implementation, RemoteImplementation)
    worker = inspection.implementation.connection.worker
    assert worker is not None and os.getsid(worker.process) == worker.process
    inspection.implementation.connection.close()
    with pytest.raises(ProcessLookupError):
        os.kill(worker.process, 0)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        inspected(tmp_path / "nowhere.py")
