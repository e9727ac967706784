"""Records of three real runs, made once for all processes of the tests: the reference, a library's model, a student's
file."""

from __future__ import annotations

import json
from pathlib import Path

from support_runs import ROOT, shared_runs

from harness.core.record import RunRecord
from harness.reports import json_file
from harness.reports.writing import USUAL_RECORD

FEW = ("gelu", "layer_norm", "attention", "mlp", "block")
SUBJECTS = {
    "reference": ("reference_model", "--impl-cases=3", *FEW, "scaled_dot_product_attention", "kv_cache", "lora"),
    "library": (str(ROOT / "examples" / "transformers_gpt2.py"), "--impl-effort=quick", *FEW),
    "student": (str(ROOT / "tests" / "support" / "student_gpt.py"), "--impl-cases=3", *FEW),
}
"""What is judged, how much of it is tried, and which components."""


def real_record(name: str, shared: Path) -> RunRecord:
    """The record of a run; ``shared`` is a folder that all processes of a test run see. POSIX only."""
    import fcntl

    folder = shared / f"run of {name}"
    folder.mkdir(exist_ok=True)
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / ".done").exists():
            impl, *options = SUBJECTS[name]
            done = shared_runs().start(folder, ["-q", f"--impl={impl}", *options])
            (folder / ".done").write_text(json.dumps(done), encoding="utf-8")
    code, output = json.loads((folder / ".done").read_text(encoding="utf-8"))
    assert code == (1 if name == "student" else 0), output
    return json_file.read(folder / USUAL_RECORD)
