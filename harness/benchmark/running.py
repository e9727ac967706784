"""Measures one workload: yours, the reference and the peers in turns, then memory and growth; checks the results."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from harness.benchmark.growth import REFERENCE, YOURS, exponents_along, ratios, throughput
from harness.benchmark.machine import Rates, share_of_roofline
from harness.benchmark.memory import peak_bytes
from harness.benchmark.timing import Contender, Rounds, interleaved, summary
from harness.core.case import Case
from harness.core.claim import NotSupported
from harness.core.contract import Contract
from harness.core.implementation import Answer, Request
from harness.core.workload import BELIEVABLE, Benchmark, Exponent, Law, Timing, Workload
from harness.execution import call
from harness.execution.environment import restored
from harness.execution.executor import Executor
from harness.execution.timed_script import Prepared, by_function
from harness.numerics.compare import compare
from harness.numerics.tolerance import tolerances

COTANGENT_SEED = 20_191_114
DTYPE = torch.float32
NO_LAW = Law("")


@dataclass(frozen=True)
class Measured:
    """What came of a workload, and the rounds of its contenders at the usual point, as they were timed."""

    benchmark: Benchmark
    rounds: Mapping[str, Rounds] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Why a contender was not timed, by its name."""
    not_timed: str = ""
    """Why nobody was timed."""


@dataclass
class _Point:
    """The contenders at certain sizes."""

    sizes: Mapping[str, int]
    case: Case
    sides: dict[str, Prepared]
    left_out: Mapping[str, str]


def run(
    contract: Contract, workload: Workload, implementation: Executor, reference: Executor, **options: Any
) -> Benchmark:
    """As :func:`measure`, without the rounds."""
    return measure(contract, workload, implementation, reference, **options).benchmark


def measure(
    contract: Contract,
    workload: Workload,
    implementation: Executor,
    reference: Executor,
    *,
    seed: int = 0,
    seconds: float = 2.0,
    axes: bool = True,
    rates: Rates | None = None,
    device: str = "cpu",
    progress: Callable[[str], None] | None = None,
) -> Measured:
    """``seconds``: time for the default sizes, and again for each axis. ``rates``: for the share of the roofline.

    What cannot be timed becomes a note with the reason. A contender whose timed result misses the tolerance of
    float32, or that changed an argument, is among ``wrong`` and makes no ratio.
    """
    base = Benchmark(contract.name, workload.name, workload.sentence, unit=workload.unit)
    tell = _told_of(progress, f"{contract.name}::{workload.name}")
    with restored(), torch.set_grad_enabled(workload.backward):
        bench = _Bench(contract, workload, implementation, reference, seed, device)
        tell("preparing")
        try:
            point = bench.point(workload.sizes)
        except NotSupported as reason:
            return Measured(replace(base, notes=(why := f"not timed: {reason}",)), not_timed=why)
        rounds = bench.timed(point.sides, seconds, tell)
        tell("looking at the results")
        wrong = bench.wrong(point, rounds)
        timings = [bench.timing(point, name, rounds[name], rates) for name in point.sides if rounds[name].seconds]
        trusted, doubts = _credible(timings, rounds, wrong)
        notes = [*point.left_out.values(), *bench.notes(point, rounds), *filter(None, [workload.remark]), *doubts]
        exponents: list[Exponent] = []
        for axis in workload.axes if axes and YOURS in trusted else ():
            more, grown, said = bench.along(axis, trusted, seconds, tell)
            timings, exponents, notes = [*timings, *more], [*exponents, *grown], [*notes, *said]
    base = replace(base, timings=tuple(timings), exponents=tuple(exponents), wrong=wrong)
    base = replace(base, ratios=tuple(ratios(trusted, workload.sizes)), notes=tuple(dict.fromkeys(notes)))
    return Measured(replace(base, throughput=throughput(workload, timings, trusted)), rounds, point.left_out)


def _credible(
    timings: Sequence[Timing], rounds: Mapping[str, Rounds], wrong: Collection[str]
) -> tuple[dict[str, Rounds], list[str]]:
    """The rounds of contenders that may have a ratio, and a note for each that was faster than the machine can be."""
    beyond = [t.contender for t in timings if (t.share_of_roofline or 0.0) > BELIEVABLE]
    names = [t.contender for t in timings if t.contender not in wrong and t.contender not in beyond]
    notes = [f"{name} is faster than this machine was measured to be: no ratio is made of it" for name in beyond]
    return {name: rounds[name] for name in names}, notes


class _Bench:
    """One workload and who takes part."""

    def __init__(
        self,
        contract: Contract,
        workload: Workload,
        implementation: Executor,
        reference: Executor,
        seed: int,
        device: str,
    ) -> None:
        self.contract, self.workload, self.implementation, self.reference = (
            contract,
            workload,
            implementation,
            reference,
        )
        self.seed, self.device = seed, torch.device(device)
        self.wait = torch.cuda.synchronize if self.device.type == "cuda" else None

    def point(self, sizes: Mapping[str, int], only: Sequence[str] = ()) -> _Point:
        """Every contender's call at these sizes. Raises NotSupported if yours cannot be timed; others become a note."""
        workload, name = self.workload, self.contract.name
        offer = self.implementation.offers(name)
        if offer is None:
            raise NotSupported(f"{self.implementation.name} has no {name}")
        case = workload.case(sizes, self.seed).cast(DTYPE).without(offer.absent)
        case = case.mapped(lambda _, leaf: leaf.to(self.device) if torch.is_tensor(leaf) else leaf)
        request = Request(name, case, gradients=COTANGENT_SEED if workload.backward else None)
        options: Any = {"whole": workload.whole, "fresh": workload.fresh}
        sides = {
            YOURS: self.implementation.prepared(request, **options),
            REFERENCE: self.reference.prepared(request, **options),
        }
        left_out = dict[str, str]()
        for peer, make in workload.peers.items():
            if only and peer not in only:
                continue
            try:
                sides[peer] = Prepared(self.contract, request, by_function(make), **options)
            except Exception as error:
                left_out[peer] = f"{peer} is left out: {error}"
        return _Point(sizes, case, {n: side for n, side in sides.items() if not only or n in only}, left_out)

    def timed(self, sides: Mapping[str, Prepared], seconds: float, tell: Callable[[str], None]) -> dict[str, Rounds]:
        contenders = [Contender(name, side, self.wait) for name, side in sides.items()]
        return interleaved(contenders, seconds, progress=tell)

    # what came of it -------------------------------------------------------------------------------------------------

    def wrong(self, point: _Point, rounds: Mapping[str, Rounds]) -> dict[str, str]:
        """Contenders whose last timed result is wrong, and how; compared as in the claims."""
        exact, bound = self._exact(point.case)
        found = {}
        for name, side in point.sides.items():
            if not rounds[name].seconds:
                continue
            answer = side.answer(rounds[name].last)
            said = self._differs(point.case, answer, exact, bound)
            if not said and (changed := side.changed()):
                said = f"it changed its argument {changed} in place"
            if said:
                found[name] = said
        return found

    def _exact(self, case: Case) -> tuple[Answer, Answer]:
        """The reference's answer in float64, and by how much float32 may miss it."""
        seed, name = COTANGENT_SEED if self.workload.backward else None, self.contract.name

        def run(changed: Case) -> Answer:
            return self.reference.run(Request(name, changed, gradients=seed))

        return tolerances(run, case.mapped(lambda _, leaf: leaf.cpu() if torch.is_tensor(leaf) else leaf), DTYPE)

    def _differs(self, case: Case, answer: Answer, exact: Answer, bound: Answer) -> str:
        values = answer.outputs
        if self.workload.check is not None:
            return self.workload.check(case, values[-1])
        first = len(exact.outputs) - len(values)
        if (
            values[0] is not None or not answer.gradients
        ):  # compiled as one, forwards and back may give the gradients alone
            found = compare(list(values), list(exact.outputs[first:]), list(bound.outputs[first:]), "out")
            if not found.fine:
                return _in_words(found.where, found.ratio)
        for name, expected in exact.gradients.items():
            if expected is None or not self.workload.backward:
                continue
            mine = answer.gradients.get(name)
            if mine is None:
                return f"it gives no gradient for {name}"
            found = compare(mine, expected, bound.gradients.get(name), f"the gradient of {name}")
            if not found.fine:
                return _in_words(found.where, found.ratio)
        return ""

    def timing(self, point: _Point, name: str, rounds: Rounds, rates: Rates | None) -> Timing:
        median, lower, upper = summary(rounds)
        share = None
        workload = self.workload
        if rates is not None and workload.operations is not None and workload.bytes is not None:
            share = share_of_roofline(median, workload.operations(point.sizes), workload.bytes(point.sizes), rates)
        return Timing(
            name, dict(point.sizes), median, lower, upper, len(rounds.seconds), self._peak(point.sides[name]), share
        )

    def _peak(self, side: Prepared) -> float | None:
        """None where nothing is known: another library allocates by itself."""
        try:
            return call.invoke(peak_bytes, side(), self.device) or None
        except Exception:  # it was timed before: what fails now is the measurement
            return None

    def notes(self, point: _Point, rounds: Mapping[str, Rounds]) -> Iterator[str]:
        for name, side in point.sides.items():
            yield from (f"{name}: {note}" for note in side.notes)
            if side.around is not nullcontext and name == YOURS:
                yield f"{name}: the mistake is switched on and off inside what is timed"
            if rounds[name].error:
                yield f"{name} stopped: {rounds[name].error}"

    # growth ----------------------------------------------------------------------------------------------------------

    def along(
        self, axis: str, trusted: Mapping[str, Rounds], seconds: float, tell: Callable[[str], None]
    ) -> tuple[list[Timing], list[Exponent], list[str]]:
        """Everybody trusted at every size of an axis, in rounds that are shared; how time and memory grow."""
        sizes, points = list(self.workload.axes[axis]), {}
        for size in sizes:
            tell(f"preparing {axis} = {size}")
            try:
                points[size] = self.point({**self.workload.sizes, axis: size}, tuple(trusted))
            except NotSupported as reason:
                return [], [], [f"not measured along {axis}: at {axis} = {size}, {reason}"]
        everyone = [name for name in trusted if all(name in point.sides for point in points.values())]
        calls = {f"{name} at {axis} = {size}": points[size].sides[name] for name in everyone for size in sizes}
        rounds = self.timed(calls, seconds, tell)
        timings, exponents, notes = [], list[Exponent](), list[str]()
        law = next((law for law in self.workload.laws if law.axis == axis), NO_LAW)
        for name in everyone:
            own = [rounds[f"{name} at {axis} = {size}"] for size in sizes]
            if broken := next((one.error for one in own if one.error), ""):
                notes.append(f"{name} stopped along {axis}: {broken}")
                continue
            tell(f"the memory of {name} along {axis}")
            found = [self.timing(points[size], name, one, None) for size, one in zip(sizes, own, strict=True)]
            timings += [t for t in found if t.sizes != self.workload.sizes]
            bound_by = law if name in (YOURS, REFERENCE) else NO_LAW
            exponents += exponents_along(name, axis, sizes, own, [t.peak_bytes for t in found], bound_by)
        return timings, exponents, notes


def _in_words(where: str, excess: float) -> str:
    return where + (f", {excess:.2g} times the tolerance" if math.isfinite(excess) else "")


def _told_of(progress: Callable[[str], None] | None, what: str) -> Callable[[str], None]:
    return (lambda text: progress(f"{what}: {text}")) if progress is not None else (lambda text: None)


__all__ = ["REFERENCE", "YOURS", "Measured", "measure", "run"]
