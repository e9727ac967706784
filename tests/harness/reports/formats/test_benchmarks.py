"""Benchmarks on the page, as Markdown and as a table for spreadsheets: what is drawn is where it belongs."""

from __future__ import annotations

import csv
import io
import math
from itertools import pairwise

import pytest
from support_benchmarks import BARE, DOUBTFUL, MACHINE, miniature, timing
from support_records import FINE, NASTY, record

from harness.core.workload import Benchmark, Exponent, Interval
from harness.reports.formats._benchmarks import BAR, HIGH, WIDE, drawn
from harness.reports.writing import formats

ALL = record(benchmarks=[miniature(), DOUBTFUL, BARE], machine=MACHINE)


def test_the_page_has_a_section_where_something_was_timed() -> None:
    """With machine, doubts, overview, and every workload's table; nothing at all where nothing was timed."""
    page = formats()["html"].render(ALL)
    assert 'id="benchmarks"' in page and "all pairs" in page and MACHINE["cpu"] in page and "grows too fast" not in page
    assert page.count("<figure>") == page.count("</figure>") == 3 and "cubic where the law is 2" in page
    assert "benchmarks" not in formats()["html"].render(FINE)


def test_nobodys_words_become_markup() -> None:
    """Names of contenders, sentences and notes are text on the page and in Markdown."""
    assert "<script" in NASTY and "<script" not in formats()["html"].render(ALL)
    told = formats()["markdown"].render(ALL)
    assert "<script" not in told.replace("\\<script", "") and "a|b" not in told.replace("a\\|b", "")
    rows = [line for line in told.splitlines() if line.startswith("|")]
    assert len(rows) == 5 + 4 and all(row.replace("\\|", "").count("|") >= 3 and row.endswith("|") for row in rows)


def test_every_picture_has_words_and_every_table_has_headers() -> None:
    """For those who hear the page: labels on pictures, captions and header cells in tables."""
    page = formats()["html"].render(ALL)
    section = page[page.index('<section class="bench"') : page.index('aria-labelledby="reproduce"')]
    pictures = [tag for tag in section.split("<svg")[1:] if "aria-hidden" not in tag.partition(">")[0]]
    assert pictures and all('role="img" aria-label="' in tag.partition(">")[0] for tag in pictures)
    tables = section.split("<table")[1:]
    assert tables and all("<caption>" in t and 'scope="col"' in t and 'scope="row"' in t for t in tables)
    assert all(
        f'href="#{w["id"]}"' in section and f'id="{w["id"]}"' in section for w in drawn(ALL)["workloads"] if w["bars"]
    )


def straight(power: float, of: str = "time") -> Benchmark:
    """Costs that are a power of T exactly."""
    timings = tuple(timing("yours", 1e-6 * n**power, n, peak_bytes=float(n**power)) for n in (64, 128, 256, 512))
    grown = Exponent("yours", "T", of, Interval(power, power, power), 2.0, f"grows like T^{power:g}")
    return Benchmark("part", "forward", "It is timed.", timings, exponents=(grown,))


@pytest.mark.parametrize("of", ["time", "memory"])
def test_a_power_is_a_straight_line_and_the_law_lies_on_it(of: str) -> None:
    """Both axes are logarithmic: points at equal steps; the law of 2 has the slope of a cost that is quadratic."""
    (plot,) = drawn(record(benchmarks=[straight(2.0, of)]))["workloads"][0]["plots"]
    (line,) = plot.lines
    steps = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(line.points)]
    assert len(line.points) == 4
    assert all(
        dx == pytest.approx(steps[0][0], abs=0.3) and dy == pytest.approx(steps[0][1], abs=0.3) for dx, dy in steps
    )
    assert steps[0][0] > 0 > steps[0][1]
    x1, y1, x2, y2 = plot.law
    assert (x2, y2) == line.points[-1][:2] and (y2 - y1) / (x2 - x1) == pytest.approx(
        steps[0][1] / steps[0][0], rel=0.02
    )
    assert plot.law_said == "the law: T^2" and [row[0] for row in plot.rows] == ["64", "128", "256", "512"]
    assert all(0 < x < WIDE and 0 < y < HIGH for x, y, *_ in line.points)


def test_a_law_that_would_leave_the_plot_is_cut_off_at_its_edge() -> None:
    """A linear cost beside a quadratic law: the line begins where it enters."""
    (plot,) = drawn(record(benchmarks=[straight(1.0)]))["workloads"][0]["plots"]
    x1, y1, x2, _ = plot.law
    assert y1 == plot.bottom and plot.left < x1 < x2


def test_marks_on_the_axes_are_round_and_apart() -> None:
    """Times at powers of ten, memory at powers of two, sizes as they were measured."""
    time, memory = (
        drawn(record(benchmarks=[straight(2.0, of)]))["workloads"][0]["plots"][0] for of in ("time", "memory")
    )
    assert [mark for _, mark in time.across] == ["64", "128", "256", "512"]
    assert [mark for _, mark in time.up] == ["10.0 ms", "100 ms"] or len(time.up) >= 3
    assert all(
        mark.split()[1] in ("KiB", "MiB", "bytes") and float(mark.split()[0]) in {2.0**p for p in range(11)}
        for _, mark in memory.up
    )
    for marks in (time.up, memory.up):
        heights = [at for at, _ in marks]
        assert all(abs(a - b) >= 22 for a, b in pairwise(heights))


def test_ratios_share_one_scale_with_1_on_it() -> None:
    """Twice as long is as far right of 1 as half as long is left of it, in every row of the page."""
    found = drawn(ALL)
    bars = [bar for w in found["workloads"] for bar in w["bars"]]
    assert all(0 < b.low <= b.middle <= b.high < BAR for b in bars) and 0 < found["one"] < BAR
    reference = next(b for b in bars if b.label == "yours beside reference" and b.said.startswith("0.000750"))
    nasty = next(b for b in bars if b.said.startswith("750 x"))
    scale = (nasty.middle - found["one"]) / math.log(750.0)
    assert (reference.middle - found["one"]) / math.log(0.00075) == pytest.approx(scale, abs=0.05)


def test_the_spreadsheet_has_a_row_for_every_contender_and_whom_it_is_beside() -> None:
    """Numbers in full, the doubts in columns of their own."""
    rows = list(csv.DictReader(io.StringIO(formats()["benchmarks"].render(ALL))))
    assert len(rows) == len(miniature().timings) + len(DOUBTFUL.timings) + 1  # yours is set beside two
    yours = [r for r in rows if r["component"] == "whole" and r["contender"] == "yours" and r["sizes"] == "T=256"]
    assert yours[0]["beside"] == "reference" and [r["noisy"] for r in yours] == ["0", "1"]
    assert float(yours[0]["median_seconds"]) == 1.5e-3 and float(yours[0]["peak_bytes"]) == 3.5 * 2**20
    assert any(r["wrong"].startswith("out[0, 3]") for r in rows)
