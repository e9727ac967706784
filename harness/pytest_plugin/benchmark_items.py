"""``pytest --impl=mymodel --benchmark-only``: one item for each workload and contender, shown and kept by pytest-benchmark.

The first item of a workload times all its contenders in turns; each item then hands its rounds to the ``benchmark`` fixture
by a timer that tells them, so that pytest-benchmark's tables, files and comparisons are those of turns.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import cached_property
from typing import Any

import pytest

from harness.core.workload import Benchmark, Workload
from harness.reports import benchmark_text
from harness.reports.writing import BENCHMARKS_RECORD, USUAL_RECORD

QUICK = 0.2
"""Of the time that pytest-benchmark would take, under ``--impl-effort=quick``; then nothing along axes, and no roofline."""


def timing_asked(config: pytest.Config, worker: bool) -> bool:
    """Whether this run is for timing. Raises UsageError under xdist, where processes slow each other."""
    if not config.getoption("benchmark_only", False):
        return False
    if worker or config.getoption("dist", "no") != "no":
        raise pytest.UsageError(
            "nothing is timed under -n: processes that run at the same time slow each other; leave -n out"
        )
    return True


class Timing:
    """The workloads of a run, each measured once. ``plugin``: whose inspection, record and saving."""

    def __init__(self, config: pytest.Config, plugin: Any) -> None:
        self.config, self.plugin = config, plugin
        self.measured: dict[tuple[str, str], Any] = {}
        if plugin.destinations.record == USUAL_RECORD:
            plugin.destinations = replace(plugin.destinations, record=BENCHMARKS_RECORD)

    def names(self, component: str) -> list[str]:
        """What can be chosen of a component."""
        return [workload.name for workload in self.plugin.catalogue.contracts[component].workloads]

    def items(self, parent: pytest.Collector) -> Iterator[pytest.Item]:
        """Of what is begun; yours first."""
        from harness.benchmark.machine import describe
        from harness.benchmark.running import DTYPE, REFERENCE, YOURS

        self.plugin.record.machine |= describe(DTYPE)
        component = parent.name
        workloads = (
            self.plugin.catalogue.contracts[component].workloads if component in self.plugin.inspection.begun else ()
        )
        for workload in workloads:
            for contender in (YOURS, REFERENCE, *workload.peers):
                if self.plugin.wants(component, workload.name):
                    timer = replayed()
                    name = f"{workload.name}[{contender}]"
                    call = self._call(component, workload, contender, timer)
                    item: Any = pytest.Function.from_parent(parent, name=name, callobj=call)
                    item.add_marker(pytest.mark.benchmark(group=f"{component}::{workload.name}", timer=timer))
                    yield item

    def _call(self, component: str, workload: Workload, contender: str, timer: Any) -> Callable[..., None]:
        def timed(benchmark: Any) -> None:
            measured = self._measure(component, workload)
            result: Benchmark = measured.benchmark
            rounds = measured.rounds.get(contender)
            if rounds is None or not rounds.seconds:
                about = [note for note in result.notes if note.startswith((contender, "not timed"))]
                raise pytest.skip.Exception("; ".join(about) or rounds.error, _use_item_location=True)
            benchmark.extra_info.update(told_of(result, contender, self.plugin.record.impl, workload))
            timer.seconds.extend(edge for seconds in rounds.seconds for edge in (0.0, seconds))
            benchmark.pedantic(lambda: None, rounds=len(rounds.seconds), iterations=1)
            if contender in result.wrong:
                pytest.fail(f"{contender} was not right after timing: {result.wrong[contender]}", pytrace=False)

        return timed

    def _measure(self, component: str, workload: Workload) -> Any:
        key = (component, workload.name)
        if key not in self.measured:
            quick = self.plugin.inspection.effort == "quick"
            each = float(self.config.getoption("benchmark_max_time")) * (QUICK if quick else 1.0)
            seconds = each * (2 + len(workload.peers))
            record, rates = self.plugin.record, None if quick else self.rates
            self.measured[key] = self.plugin.inspection.timed(
                component, workload, seconds=seconds, axes=not quick, rates=rates, progress=self._show
            )
            record.benchmarks.append(self.measured[key].benchmark)
            self.plugin.autosave.keep()
        return self.measured[key]

    def _show(self, doing: str) -> None:
        """On the line below the dots, where somebody looks on."""
        if self.plugin.line is not None:
            self.plugin.line.show(doing)

    @cached_property
    def rates(self) -> Any:
        """What the machine reaches, measured once and written into the record."""
        from harness.benchmark.machine import rates
        from harness.benchmark.running import DTYPE

        found = rates(DTYPE)
        self.plugin.record.machine |= asdict(found)
        return found

    def summary(self, terminalreporter: Any) -> None:
        """What the record holds, in words, above pytest-benchmark's tables."""
        if self.config.option.collectonly or not self.plugin.record.benchmarks:
            return
        terminalreporter.section("benchmarks", sep="=")
        for line in benchmark_text.lines(self.plugin.record):
            terminalreporter.write_line(line)
        for line in (
            f"record: {self.plugin.autosave.shown}",
            *(f"{n}: {f}" for n, f in self.plugin.destinations.faces),
        ):
            terminalreporter.write_line(line)


def replayed() -> Callable[[], float]:
    """A timer that tells what was measured before: its ``seconds``, one at every reading."""
    seconds: deque[float] = deque()

    def interleaved() -> float:
        return seconds.popleft()

    interleaved.seconds = seconds  # type: ignore[attr-defined]
    return interleaved


def told_of(result: Benchmark, contender: str, impl: str, workload: Workload) -> dict[str, Any]:
    """What pytest-benchmark keeps beside the statistics."""
    usual = next(t for t in result.timings if t.contender == contender and dict(t.sizes) == dict(workload.sizes))
    ratios = {r.beside: asdict(r.times) for r in result.ratios if r.contender == contender}
    exponents = [
        {"axis": e.axis, "of": e.of, **asdict(e.value), "told": e.told}
        for e in result.exponents
        if e.contender == contender
    ]
    return {
        "impl": impl,
        "contender": contender,
        "sizes": dict(workload.sizes),
        "ratios": ratios,
        "peak_bytes": usual.peak_bytes,
        "share_of_roofline": usual.share_of_roofline,
        "exponents": exponents,
        "right": contender not in result.wrong,
        **({"throughput": result.throughput[contender], "unit": result.unit} if contender in result.throughput else {}),
    }


__all__ = ["Timing", "replayed", "timing_asked", "told_of"]
