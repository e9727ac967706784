"""``plumbline fix``: a change of your file that is proven to fix a component, as a patch."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.commands._command import Command, component_of
from harness.core.change import Change, merged
from harness.core.errors import UsageError
from harness.core.record import Status
from harness.execution.executor import Executor
from harness.judging.changes import Proven
from harness.judging.inspection import Inspection
from harness.judging.loading import inspect_implementation
from harness.project.variants import declaration_of

DETAILS = """\
The wrong line is found by experiment. Small changes of it are tried on the
cases that fail, and the first that gives right answers is judged by every
check of the component. Only a change with which they pass is printed.
Nothing is written without --write.

examples:
  plumbline fix layer_norm --impl=student.py               print a patch
  plumbline fix layer_norm --impl=student.py | git apply   apply it
  plumbline fix --impl=student.py --write                  fix all that fails, after asking"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``plumbline fix``."""
    parser.add_argument("components", nargs="*", metavar="COMPONENT", help="what to fix (default: all that fails)")
    parser.add_argument("--impl", metavar="IMPL", help="a module or file (default: impl in pyproject.toml)")
    forms = "legal forms, as --impl-variant takes them"
    parser.add_argument("--variant", action="append", default=[], metavar="KEY=VALUE", help=forms)
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the generated cases (default: 0)")
    parser.add_argument("--cases", type=int, metavar="N", help="generated cases per component")
    parser.add_argument("--write", action="store_true", help="write the changes into your files, after asking")
    parser.add_argument("--yes", action="store_true", help="with --write: do not ask")


def run(options: argparse.Namespace) -> int:
    """Print the patch. Returns 1 where something fails that no change fixes."""
    impl = options.impl or str(options.project.table.get("impl", ""))
    if not impl:
        raise UsageError("no implementation to fix: plumbline fix COMPONENT --impl=mymodel.py")
    if options.yes and not options.write:
        raise UsageError("--yes goes with --write: without it nothing is written")
    forms, project = ",".join(options.variant), options.project
    inspection = inspect_implementation(impl, seed=options.seed, cases=options.cases, variants=forms, project=project)
    if not isinstance(inspection.implementation, Executor) or inspection.implementation.is_altered:
        raise UsageError(f"{impl} has no file of yours that could be changed")
    names = [component_of(inspection.catalogue, name) for name in options.components]
    absent = [name for name in names if name not in inspection.begun]
    if absent:
        raise UsageError(f"{impl} has no {absent[0]} that could be judged; plumbline doctor {impl} says why")
    chosen = [name for name in inspection.catalogue.contracts if name in (names or inspection.begun)]
    proven, left = _find_fixes(inspection, chosen)
    if not proven and not left:
        _say(f"nothing to fix: no check of {', '.join(chosen)} fails")
    _print(proven)
    if proven and options.write and (options.yes or _is_wanted(proven)):
        _write(proven)
        _say(f"judge it again: pytest --impl={impl}")
    return 1 if left else 0


def _find_fixes(inspection: Inspection, components: Sequence[str]) -> tuple[tuple[Change, ...], list[str]]:
    """The changes, one a file, that fix these components, and the components that stay as they are."""
    proven: tuple[Change, ...] = ()
    left = []
    for name in components:
        if not inspection.changes.failing(name):
            continue
        found = inspection.changes.with_these(name, proven)
        if found is not None:
            _say(f"{name}: fixed by the same change, {_checks(found)}")
            continue
        found = inspection.changes.of(name)
        together = merged([*proven, *found.changes]) if found is not None else None
        if found is None or together is None:
            left.append(name)
            _say(f"{name}: {_why_not(inspection, name, found)}")
            continue
        proven = together
        _say(f"{name}: {_checks(found)}")
    return proven, left


def _checks(found: Proven) -> str:
    return f"all {found.held} checks pass with it"


def _why_not(inspection: Inspection, name: str, found: Proven | None) -> str:
    if found is not None:
        return "its change and an earlier one touch the same lines; apply the first, then run this again"
    if forms := _legal_forms(inspection, name):
        return f"it computes a legal form; if that is meant, declare it: --variant={forms}"
    lines = [line for group in inspection.lines.groups(name) for line in group.lines]
    crash = next((v for v in inspection.changes.failing(name) if v.status is Status.CRASHED), None)
    if not lines and crash is not None:
        where = crash.frames[-1].partition(",")[0] if crash.frames else ""
        return f"it raises {crash.message}" + (f" in {where}" if where else "")
    if not lines:
        return "no experiment shows which line is wrong, so no change was tried"
    places = ", ".join(f"{Path(line.file).name}:{line.line}" for line in lines)
    return f"wrong in {places}; no small change of it makes every check pass"


def _legal_forms(inspection: Inspection, name: str) -> str:
    """What declares the legal forms that a component has, where these alone explain what fails."""
    finding = inspection.finding_of(name)
    mistakes = finding.mistakes if finding is not None else ()
    if not mistakes or not all(one.variant for one in mistakes):
        return ""
    return ",".join(declaration_of(one, inspection.catalogue.contracts) for one in mistakes)


def _print(changes: Sequence[Change]) -> None:
    for change in changes:
        sys.stdout.write(_as_written(change.diff(Path.cwd()), change))
    sys.stdout.flush()


def _as_written(text: str, change: Change) -> str:
    """With the line breaks that the file has."""
    return text.replace("\n", "\r\n") if b"\r\n" in Path(change.file).read_bytes() else text


def _is_wanted(changes: Sequence[Change]) -> bool:
    files = " and ".join(_name(change) for change in changes)
    print(f"Write this into {files}? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _write(changes: Sequence[Change]) -> None:
    """Write all changes, or none where a file is no longer what was judged."""
    for change in changes:
        if Path(change.file).read_text(encoding="utf-8") != change.before:
            raise UsageError(f"{_name(change)} has changed since it was judged; nothing was written. Run this again")
    for change in changes:
        text = _as_written(change.after, change)
        with open(change.file, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        _say(f"wrote {_name(change)}")


def _name(change: Change) -> str:
    path = Path(change.file)
    return path.relative_to(Path.cwd()).as_posix() if path.is_relative_to(Path.cwd()) else str(path)


def _say(text: str) -> None:
    """To the person; the patch alone goes to standard output."""
    print(text, file=sys.stderr, flush=True)


COMMAND = Command("print a change of your file that is proven to fix it", arguments, run, DETAILS)
