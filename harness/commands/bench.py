"""``plumbline bench``: how long an implementation takes, beside the reference and other libraries."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from harness.benchmark import comparing
from harness.benchmark.machine import describe, rates
from harness.benchmark.running import DTYPE, YOURS
from harness.commands import _layout as layout
from harness.commands._command import Command, component_of, nearest
from harness.core.errors import UsageError
from harness.core.formatting import signature_line
from harness.core.record import RunRecord
from harness.core.workload import Workload
from harness.judging.catalogue import Catalogue, load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.loading import inspect_implementation
from harness.reports import benchmark_text, json_file
from harness.reports.writing import BENCHMARKS_RECORD, Destinations, UnknownFormat, destinations, write_report

SECONDS, QUICK_SECONDS = 2.0, 0.3
DETAILS = """\
examples:
  plumbline bench mymodel.py                          every workload
  plumbline bench mymodel.py mlp --quick              a first look at one component
  plumbline bench mymodel.py --compare old.json       against an earlier run
Each contender is timed in turns with the others, so that a busy machine slows
all of them alike. The exit code is 1 if a result of yours was wrong."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``plumbline bench``."""
    add = parser.add_argument
    default_impl = "a module or file, as --impl takes it (default: impl in pyproject.toml)"
    add("impl", nargs="?", metavar="IMPL", help=default_impl)
    add("what", nargs="*", metavar="COMPONENT", help="COMPONENT or COMPONENT::WORKLOAD (default: all)")
    per_workload = f"seconds per workload, and again per axis (default: {SECONDS:g})"
    add("--seconds", type=float, metavar="S", help=per_workload)
    add("--quick", action="store_true", help=f"a first look: {QUICK_SECONDS:g} s per workload, no axes")
    growth = "measure how time and memory grow with each size (default: on, off with --quick)"
    add("--axes", action=argparse.BooleanOptionalAction, help=growth)
    formats = f"also write these report formats, as --impl-report takes them; the record is {BENCHMARKS_RECORD}"
    add("--report", default="", metavar="FORMAT[,FORMAT]", help=formats)
    add("--compare", metavar="OLD.json", help="the record of an earlier run: say what became slower or faster")
    add("--variant", action="append", default=[], metavar="KEY=VALUE", help="legal forms, as --impl-variant takes them")
    add("--device", default="cpu", help="cpu (default) or cuda")
    add("--seed", type=int, default=0, help="seed of the input data (default: 0)")
    add("--list", action="store_true", help="list workloads, their sizes and contenders; time nothing")


def run(options: argparse.Namespace) -> int:
    """Time what was asked for, print it and write the record and the reports."""
    if options.list:
        return _listed(load_catalogue(), [name for name in (options.impl, *options.what) if name])
    impl = options.impl or str(options.project.table.get("impl", ""))
    if not impl:
        raise UsageError(
            "no implementation to time: plumbline bench mymodel.py [COMPONENT ...]; "
            "plumbline bench --list lists the workloads"
        )
    if options.seconds is not None and not options.seconds > 0:
        raise UsageError(f"--seconds must be more than 0, not {options.seconds:g}")
    old, places = _earlier(options.compare), _places(options.report)
    inspection = _inspected(impl, options)
    everything = list(_chosen(inspection.catalogue, options.what))
    chosen = [(component, workload) for component, workload in everything if component in inspection.begun]
    record = _record(inspection, impl)
    try:
        _measure(inspection, chosen, record, options, Path(places.record))
        record.finished = True
    except KeyboardInterrupt:
        print("\ninterrupted; the results so far:", file=sys.stderr)
    _save(record, Path(places.record))
    for line in benchmark_text.lines(record):
        print(line)
    if to_do := list(dict.fromkeys(component for component, _ in everything if component not in inspection.begun)):
        print("\n".join(layout.paragraph(f"to do, so not timed: {', '.join(to_do)}", "", "    ")))
    if old is not None:
        print(f"\ncompared with {options.compare}:")
        for line in comparing.lines(comparing.compare(old.benchmarks, record.benchmarks)):
            print(f"  {line}")
    for name, file in places.faces:
        try:
            write_report(name, record, Path(file))
        except OSError as error:
            raise UsageError(f"{file} cannot be written: {error}") from None
        print(f"{name}: {file}")
    print(f"record: {places.record}")
    return int(any(YOURS in benchmark.wrong for benchmark in record.benchmarks))


def _inspected(impl: str, options: argparse.Namespace) -> Inspection:
    variants, project = ",".join(options.variant), options.project
    return inspect_implementation(impl, seed=options.seed, variants=variants, project=project)


def _measure(
    inspection: Inspection,
    chosen: Sequence[tuple[str, Workload]],
    record: RunRecord,
    options: argparse.Namespace,
    path: Path,
) -> None:
    """Measure one workload after the other and write the record after each."""
    seconds = options.seconds or (QUICK_SECONDS if options.quick else SECONDS)
    axes = options.axes if options.axes is not None else not options.quick
    show = _progress()
    show("measuring the machine's peak rates")
    roofs = rates(DTYPE, options.device)
    record.machine = {**describe(DTYPE, options.device), **asdict(roofs)}
    for at, (component, workload) in enumerate(chosen, 1):
        position = f"{at} of {len(chosen)}  "
        measured = inspection.timed(
            component,
            workload,
            seconds=seconds,
            axes=axes,
            rates=roofs,
            device=options.device,
            progress=partial(_show_at, show, position),
        )
        record.benchmarks.append(measured.benchmark)
        _save(record, path)
    show("")


def _show_at(show: Callable[[str], None], position: str, text: str) -> None:
    show(position + text)


def _progress() -> Callable[[str], None]:
    """Shows progress in one line of the terminal, each text over the one before; does nothing elsewhere."""
    if not sys.stderr.isatty():
        return lambda text: None
    return lambda text: print(f"\r\x1b[2K{text[:110]}", end="", file=sys.stderr, flush=True)


def _save(record: RunRecord, path: Path) -> None:
    record.seconds = time.time() - record.started
    try:
        json_file.write(record, path)
    except OSError as error:
        raise UsageError(f"the record {path} cannot be written: {error}") from None


def _chosen(catalogue: Catalogue, names: Sequence[str]) -> Iterator[tuple[str, Workload]]:
    """Workloads in the catalogue's order. Raises UsageError for an unknown component, or one without workloads."""
    wanted: dict[str, set[str]] = {}
    timed = {name: contract for name, contract in catalogue.contracts.items() if contract.workloads}
    for given in names:
        component, _, workload = given.partition("::")
        if component_of(catalogue, component) not in timed:
            raise UsageError(f"{component} has no workload; these have: {', '.join(timed)}")
        workloads = [w.name for w in timed[component].workloads]
        if workload and workload not in workloads:
            raise UsageError(f"{component} has no workload {workload!r}; {nearest(workload, workloads)}")
        wanted.setdefault(component, set()).update([workload] if workload else workloads)
    for name, contract in timed.items():
        for each in contract.workloads:
            if not wanted or each.name in wanted.get(name, ()):
                yield name, each


def _listed(catalogue: Catalogue, names: Sequence[str]) -> int:
    """Print the workloads. A first name that is an implementation's is ignored."""
    known = [name for name in names if name.partition("::")[0] in catalogue.contracts]
    for component, workload in _chosen(catalogue, known if known or not names[1:] else names[1:]):
        sizes = ", ".join(f"{name} = {size}" for name, size in workload.sizes.items())
        print(f"{component}::{workload.name:<18} {workload.sentence} ({sizes})")
        for axis, values in workload.axes.items():
            print(f"    for {axis} = {', '.join(map(str, values))}")
        if workload.peers:
            print(f"    compared with: {', '.join(workload.peers)}")
    return 0


def _earlier(path: str | None) -> RunRecord | None:
    if path is None:
        return None
    try:
        return json_file.read(Path(path))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UsageError(f"--compare: {path} is not the record of a run: {error}") from None


def _places(text: str) -> Destinations:
    pieces = [piece.strip() for piece in text.split(",") if piece.strip() not in ("", "json")]
    try:
        found = destinations(",".join(pieces))
    except UnknownFormat as wrong:
        raise UsageError(f"--report: {wrong}") from None
    own = any(piece.endswith(".json") and ":" not in piece for piece in pieces)
    return found if own else Destinations(BENCHMARKS_RECORD, found.faces)


def _record(inspection: Inspection, impl: str) -> RunRecord:
    contracts = inspection.catalogue.contracts
    return RunRecord(
        impl=impl,
        seed=inspection.seed,
        planned={},
        order=tuple(contracts),
        parts={n: c.parts for n, c in contracts.items()},
        meanings={n: c.meaning for n, c in contracts.items()},
        verdicts=[],
        summaries={},
        missing=tuple(n for n in contracts if n not in inspection.begun),
        variants=dict(inspection.variants),
        notes=tuple(inspection.notes),
        signatures={n: signature_line(c) for n, c in contracts.items()},
        started=time.time(),
    )


COMMAND = Command("time an implementation beside the reference and other libraries", arguments, run, DETAILS)
