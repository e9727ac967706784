"""What follows from the rounds of a workload: ratios, throughput, and how cost grows along an axis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.benchmark.scaling import LEAST_SIZES, exponent, told
from harness.benchmark.timing import Rounds, ratio
from harness.core.workload import Exponent, Law, Ratio, Timing, Workload

YOURS, REFERENCE = "yours", "reference"


def exponents_along(
    name: str, axis: str, sizes: list[int], rounds: list[Rounds], peaks: list[float | None], law: Law
) -> Iterator[Exponent]:
    """How the time and the memory of a contender grow along an axis; nothing for fewer sizes than an exponent needs."""
    if len(sizes) < LEAST_SIZES:
        return
    why = f" ({law.why})" if law.why else ""
    measured: list[tuple[str, Any, float | None]] = [("time", rounds, law.time)]
    if all(peaks):
        measured.append(("memory", [float(p or 0.0) for p in peaks], law.memory))
    for of, costs, expected in measured:
        value = exponent(sizes, costs)
        said = told(value, expected, axis)
        yield Exponent(
            name, axis, of, value, expected, said + (why if expected is not None and not value.noisy else "")
        )


def ratios(trusted: Mapping[str, Rounds], sizes: Mapping[str, int]) -> Iterator[Ratio]:
    """How many times as long yours takes as each other contender that can be trusted."""
    if YOURS in trusted:
        for name, rounds in trusted.items():
            if name != YOURS:
                yield Ratio(YOURS, name, dict(sizes), ratio(trusted[YOURS], rounds))


def throughput(workload: Workload, timings: Sequence[Timing], trusted: Mapping[str, Rounds]) -> dict[str, float]:
    """Units of work per second by contender; empty where the workload does not count any."""
    if workload.amount is None:
        return {}
    amount = workload.amount(workload.sizes)
    usual = [t for t in timings if t.sizes == workload.sizes and t.contender in trusted]
    return {t.contender: amount / t.median for t in usual}
