"""Cases that failed, saved as files for ``plumbline replay``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.core.errors import UsageError
from harness.core.record import Verdict
from harness.core.serialize import from_json, to_json


def save_case(folder: Path, verdict: Verdict, case: Any, seed: int, options: Mapping[str, str]) -> str:
    """Save a failing case for ``plumbline replay``; what went wrong, in words, where that cannot be done ("" if it
    can).

    A folder that cannot be written to loses the file, not the run.
    """
    body = {
        "version": 1,
        "component": verdict.component,
        "claim": verdict.claim,
        "impl": options.get("impl", ""),
        "variants": options.get("impl_variant", ""),
        "seed": seed,
        "message": verdict.message,
        "case": to_json(case),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{verdict.case_id}.json").write_text(json.dumps(body), encoding="utf-8")
    except (OSError, TypeError) as error:
        return f"failing cases could not be saved in {folder} for plumbline replay: {error}"
    return ""


def load_case(path: Path) -> tuple[dict[str, Any], Any]:
    """A saved case with what is known of it. Raises UsageError naming the file where it is not one."""
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        return body, from_json(body["case"])
    except (OSError, KeyError, ValueError) as error:
        raise UsageError(f"{path} is not a saved case: {error}") from None
