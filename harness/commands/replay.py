"""``plumbline replay``: reruns saved failures."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path

from harness.commands._command import Command, component_of
from harness.commands.explain import explain_mistake
from harness.core.errors import UsageError
from harness.core.record import Status
from harness.judging.loading import inspect_implementation
from harness.judging.saved_cases import load_case
from harness.project.variants import Project


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "case", nargs="?", metavar="CASE", help="id that a failure printed, or a file (default: all saved failures)"
    )
    parser.add_argument("--impl", metavar="IMPL", help="another implementation than the one that failed")


def run(options: argparse.Namespace) -> int:
    folder = Path(".plumbline") / "failures"
    if options.case is None:
        paths = sorted(folder.glob("*.json"))
        if not paths:
            print(f"no saved failures in {folder}")
            return 0
    else:
        given = Path(options.case)
        paths = [given] if given.suffix == ".json" else sorted(folder.glob(f"{options.case}*.json"))
        if not paths:
            kept = ", ".join(path.stem for path in sorted(folder.glob("*.json"))) or "none"
            raise UsageError(f"no saved failure {options.case!r} in {folder.resolve()}; there are: {kept}")
    still = 0
    for path in paths:
        still += _replay_one(path, options.impl, options.project)
    return 1 if still else 0


def _replay_one(path: Path, impl: str | None, project: Project) -> int:
    body, case = load_case(path)
    inspection = inspect_implementation(
        impl or body["impl"], seed=body["seed"], variants=body["variants"], project=project
    )
    component = component_of(inspection.catalogue, body["component"])
    claims, names = {c.name: c for c in inspection.catalogue.claims_of(component)}, inspection.catalogue.names()
    claim = claims.get(names.claim(component, body["claim"]))
    if claim is None:
        raise UsageError(f"{path} is about the claim {body['claim']!r}, which {component} no longer has")
    if note := names.note():
        print(note)
    verdict = inspection.judge_case(component, claim, case)
    title = f"{path.stem}  {component}::{verdict.claim}"
    if verdict.status == Status.PASSED:
        print(f"FIXED   {title}")
        return 0
    if not verdict.status.is_failing:
        print(f"{verdict.status.upper():<7} {title}  {verdict.message}")
        return int(verdict.status.is_open)
    print(f"{'ERROR' if verdict.status == Status.CRASHED else 'FAILED':<7} {title}")
    print(f"        {verdict.message}" + (f"  ({verdict.worst})" if verdict.worst else ""))
    print(f"        {verdict.smallest}")
    known = {b.full_name for b in inspection.catalogue.all_mistakes()}
    for name in verdict.finding:
        found = inspection.mistake(name)
        told = explain_mistake(inspection.catalogue, name) if name in known else name
        if found is not None and found.is_relation:
            told = f"{found.sentence}\n{found.diff()}"
        print(textwrap.indent(told, "        "))
    for frame in verdict.frames:
        print(textwrap.indent(frame, "        "))
    return 1


COMMAND = Command("rerun saved failures: is each fixed, or what is still wrong", arguments, run)
