"""One row per contender and point, for a spreadsheet: times, ratio beside the reference, memory."""

from __future__ import annotations

import csv
import io

from harness.core.record import RunRecord
from harness.reports.formats._format import Format
from harness.reports.formats.csv import plain

COLUMNS = (
    "component",
    "workload",
    "contender",
    "sizes",
    "median_seconds",
    "lower_quartile",
    "upper_quartile",
    "rounds",
    "peak_bytes",
    "share_of_roofline",
    "beside",
    "times_as_long",
    "low",
    "high",
    "noisy",
    "wrong",
)


def render(record: RunRecord) -> str:
    """One row per comparison: a contender compared with several others has a row for each."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in record.benchmarks:
        for t in one.timings:
            sizes = " ".join(f"{name}={value}" for name, value in t.sizes.items())
            row = [
                one.component,
                one.workload,
                plain(t.contender),
                sizes,
                *map(_number, (t.median, t.lower, t.upper)),
                t.rounds,
                _number(t.peak_bytes),
                _number(t.share_of_roofline),
            ]
            beside = [r for r in one.ratios if r.contender == t.contender and r.sizes == t.sizes]
            wrong = plain(one.wrong.get(t.contender, ""))
            for r in beside:
                writer.writerow(
                    [
                        *row,
                        plain(r.beside),
                        *map(_number, (r.times.value, r.times.low, r.times.high)),
                        int(r.times.noisy),
                        wrong,
                    ]
                )
            if not beside:
                writer.writerow([*row, "", "", "", "", "", wrong])
    return text.getvalue()


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.10g}"


FORMAT = Format("one row per contender that was timed, for a spreadsheet", "benchmarks.csv", render)
