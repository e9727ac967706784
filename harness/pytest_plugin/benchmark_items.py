"""``pytest --impl=mymodel --benchmark-only``: an item per workload and contender, for pytest-benchmark.

The first item of a workload times all its contenders in turns. Each item then hands its rounds to the ``benchmark``
fixture through a recorded timer, so that pytest-benchmark's tables, files and comparisons show these rounds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.terminal import TerminalReporter

from harness.core.workload import Benchmark, Workload
from harness.pytest_plugin.run_state import RunState
from harness.pytest_plugin.terminal import written_files
from harness.reports import benchmark_text

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from harness.benchmark.machine import Rates
    from harness.benchmark.running import Measured

QUICK = 0.2
"""Share of pytest-benchmark's time under ``--impl-effort=quick``, which also leaves out axes and the roofline."""


def timing_asked(config: pytest.Config) -> bool:
    """Whether this run is for timing. Raises pytest's UsageError under xdist, where processes slow each other."""
    if not config.getoption("benchmark_only", False):
        return False
    if hasattr(config, "workerinput") or config.getoption("dist", "no") != "no":
        raise pytest.UsageError(
            "nothing is timed under -n: processes that run at the same time slow each other; leave -n out"
        )
    return True


class RecordedTimer:
    """A timer for pytest-benchmark that reads out what was measured before: one of its ``seconds`` at every call."""

    __name__ = "interleaved"

    def __init__(self) -> None:
        self.seconds: deque[float] = deque()

    def __call__(self) -> float:
        return self.seconds.popleft()


class Timing:
    """The workloads of a run, each measured once."""

    def __init__(self, run: RunState) -> None:
        self.run = run
        self.measured: dict[tuple[str, str], Measured] = {}

    def items(self, parent: pytest.Collector) -> Iterator[pytest.Item]:
        """The items of a component that is begun: workload by workload, the implementation first."""
        from harness.benchmark.machine import describe
        from harness.benchmark.running import DTYPE, REFERENCE, YOURS

        component = parent.name
        if component not in self.run.inspection.begun:
            return
        self.run.record.machine |= describe(DTYPE)
        for workload in self.run.catalogue.contracts[component].workloads:
            if self.run.selection.has(component, workload.name):
                for contender in (YOURS, REFERENCE, *workload.peers):
                    yield self._item(parent, workload, contender)

    def _item(self, parent: pytest.Collector, workload: Workload, contender: str) -> pytest.Item:
        timer = RecordedTimer()
        call = self._call(parent.name, workload, contender, timer)
        item: pytest.Item = pytest.Function.from_parent(parent, name=f"{workload.name}[{contender}]", callobj=call)
        item.add_marker(pytest.mark.benchmark(group=f"{parent.name}::{workload.name}", timer=timer))
        return item

    def _call(
        self, component: str, workload: Workload, contender: str, timer: RecordedTimer
    ) -> Callable[[BenchmarkFixture], None]:
        def timed(benchmark: BenchmarkFixture) -> None:
            measured = self._measure(component, workload)
            result = measured.benchmark
            rounds = measured.rounds.get(contender)
            if rounds is None or not rounds.seconds:
                stopped = rounds.error if rounds is not None else ""
                why = measured.not_timed or measured.left_out.get(contender) or stopped
                raise pytest.skip.Exception(why, _use_item_location=True)
            benchmark.extra_info.update(extra_info(result, contender, self.run.record.impl, workload))
            timer.seconds.extend(edge for seconds in rounds.seconds for edge in (0.0, seconds))
            benchmark.pedantic(  # type: ignore[no-untyped-call]
                lambda: None, rounds=len(rounds.seconds), iterations=1
            )
            if contender in result.wrong:
                pytest.fail(f"{contender} was not right after timing: {result.wrong[contender]}", pytrace=False)

        return timed

    def _measure(self, component: str, workload: Workload) -> Measured:
        key = (component, workload.name)
        if key not in self.measured:
            quick = self.run.options.effort == "quick"
            each = float(self.run.config.getoption("benchmark_max_time")) * (QUICK if quick else 1.0)
            seconds = each * (2 + len(workload.peers))
            rates = None if quick else self.rates
            self.measured[key] = self.run.inspection.timed(
                component, workload, seconds=seconds, axes=not quick, rates=rates, progress=self._show
            )
            self.run.record.benchmarks.append(self.measured[key].benchmark)
            self.run.autosave.keep()
        return self.measured[key]

    def _show(self, doing: str) -> None:
        """On the line below the dots, where a person looks at a terminal."""
        if self.run.line is not None:
            self.run.line.show(doing)

    @cached_property
    def rates(self) -> Rates:
        """The memory and arithmetic rates of the machine, measured once and written into the record."""
        from harness.benchmark.machine import rates
        from harness.benchmark.running import DTYPE

        found = rates(DTYPE)
        self.run.record.machine |= asdict(found)
        return found

    def summary(self, reporter: TerminalReporter) -> None:
        """What the record holds, in words, above pytest-benchmark's tables."""
        if not self.run.record.benchmarks:
            return
        reporter.section("benchmarks", sep="=")
        for line in (*benchmark_text.lines(self.run.record), *written_files(self.run)):
            reporter.write_line(line)


def extra_info(result: Benchmark, contender: str, impl: str, workload: Workload) -> dict[str, Any]:
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
