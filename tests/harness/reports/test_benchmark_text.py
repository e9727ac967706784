"""The table of benchmarks in the terminal: numbers as people write them, aligned, and nothing doubtful left out."""

from __future__ import annotations

import json

import pytest
from support_benchmarks import BARE, DOUBTFUL, MACHINE, miniature
from support_records import record

from harness.core.workload import Benchmark, Interval, Timing
from harness.reports import benchmark_text as text
from harness.reports.plain import from_plain, to_plain


def test_a_measured_workload_is_a_table() -> None:
    """Title with sizes, a row for each contender with numbers under their titles, growth beneath."""
    found = text.lines(record(benchmarks=[miniature()], machine=MACHINE))
    assert found[0].startswith("benchmarks (") and "1 thread" in found[0] and "float32" in found[0]
    assert found[2] == "part, all_pairs: The sum over all pairs (T 128, B 2)"
    titles, yours, reference = found[3:6]
    assert (
        titles.split("  ")[1] == "contender"
        and "yours takes" in titles
        and "pairs/s" in titles
        and "peak memory" in titles
    )
    assert yours.split()[0] == "yours" and "1.50 M" in yours and "4.00 MiB" in yours
    assert reference.split()[0] == "reference" and " x (" in reference and "2.00 G" in reference
    for end in ("pairs/s", "peak memory"):
        at = titles.index(end) + len(end)
        assert {row[at - 1] != " " and row[at : at + 1] in (" ", "") for row in (yours, reference)} == {True}
    assert "  time as T grows (16 to 128):" in found and "  memory as T grows (16 to 128):" in found


def test_what_is_doubtful_is_said_once_more_at_the_end() -> None:
    """Wrong, noisy, too fast to be true, steeper than its law: with component, workload and contender."""
    found = text.lines(record(benchmarks=[DOUBTFUL, BARE]))
    end = " ".join(" ".join(found[-12:]).split())
    assert "not right after timing, so that their times say nothing: whole forward_backward" in end
    assert "too noisy to compare: whole forward_backward (beside a|b" in end
    assert "not to be believed: whole forward_backward" in end
    assert "grows faster than its law: whole forward_backward (yours, time with T)" in end
    assert any("700 %" in line and "(!)" in line and "(wrong)" in line for line in found)
    assert "  not timed: mine has no other" in found
    fine = text.doubtful([miniature(), BARE])
    assert len(fine) == 1 or "noisy" in " ".join(fine)


def test_no_line_is_wider_than_the_terminal() -> None:
    """Nor does a contender's long name, or one with line breaks in it, make a row of two."""
    long = Benchmark(
        "gpt2",
        "w" * 30,
        "s " * 200,
        (Timing("c" * 60, {"T": 1}, 1e-3, 1e-3, 1e-3, 9, 123456789.0, 0.5),),
        notes=("n " * 200,),
        throughput={"c" * 60: 1e6},
        unit="bytes of text",
    )
    for line in text.lines(record(benchmarks=[long, DOUBTFUL, miniature()], machine=MACHINE)):
        assert len(line) <= text.WIDTH and "\n" not in line


def test_nothing_timed_is_nothing_said() -> None:
    """A run without benchmarks has no empty heading."""
    assert text.lines(record()) == []


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (text.seconds(1.3149e-3), "1.31 ms"),
        (text.seconds(131.49e-6), "131 µs"),
        (text.seconds(13.149), "13.1 s"),
        (text.seconds(5e-9), "5.00 ns"),
        (text.size(4096.0), "4.00 KiB"),
        (text.size(12.0), "12 bytes"),
        (text.size(None), ""),
        (text.size(3.5 * 2**30), "3.50 GiB"),
        (text.large(195_312.5), "195 k"),
        (text.large(12.0), "12.0"),
        (text.large(2.5e9), "2.50 G"),
        (text.large(None), ""),
        (text.share(0.314), "31 %"),
        (text.share(3.0), "300 % (!)"),
        (text.share(None), ""),
        (text.interval(Interval(1.19, 1.17, 1.214)), "1.19 x (1.17 to 1.21)"),
        (text.interval(Interval(0.0052, 0.5, 1300.0, noisy=True)), "0.00520 x (0.500 to 1300, noisy)"),
        (text.times(Timing("a", {}, 9.99e-4, 9.5e-4, 1.2e-3, 7)), "999 µs (950 to 1200)"),
    ],
)
def test_numbers_are_written_as_people_write_them(said: str, expected: str) -> None:
    """Three digits and a unit; nothing where nothing is known."""
    assert said == expected


def test_a_benchmark_survives_the_record() -> None:
    """Through JSON and back it is the same, and so is what is said of it."""
    for one in (miniature(), DOUBTFUL, BARE):
        again = from_plain(Benchmark, json.loads(json.dumps(to_plain(one))))
        assert again == one and text.table(again) == text.table(one)
