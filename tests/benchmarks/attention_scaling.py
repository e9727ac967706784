"""How attention grows with the context, measured by our own means: what must be quadratic, linear, and what is cubic
by mistake.

    python tests/benchmarks/attention_scaling.py [--json FILE] [--html FILE] [--quick]

Only torch takes part. Explicit scores are set beside torch.nn.functional.scaled_dot_product_attention (whose memory is
linear), and beside one that attends anew over its prefix for every position, as a decoder without a cache does. Then
one step of decoding with a cache and without. All sizes of all contenders are timed in turns.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.benchmark.machine import Rates, describe, rates, share_of_roofline
from harness.benchmark.memory import peak_bytes
from harness.benchmark.scaling import exponent, slope_at_the_end, told
from harness.benchmark.timing import Contender, Rounds, interleaved, ratio, summary
from harness.core.record import RunRecord
from harness.core.workload import Benchmark, Exponent, Ratio, Timing
from harness.reports import json_file
from harness.reports.benchmark_text import lines
from harness.reports.writing import write_report

HEADS, WIDTH = 4, 64
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


def explicit(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Scores of every pair of positions, masked, written out."""
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    seen = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    return scores.masked_fill(~seen, -math.inf).softmax(-1) @ v


def fused(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def prefix_by_prefix(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Right, and cubic: for every position everything before it is computed once more, and the last row kept."""
    rows = [explicit(q[..., :t, :], k[..., :t, :], v[..., :t, :])[..., -1:, :] for t in range(1, q.shape[-2] + 1)]
    return torch.cat(rows, -2)


def cached_step(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The newest position alone against all keys and values, which the cache holds."""
    return F.scaled_dot_product_attention(q[..., -1:, :], k, v)


def uncached_step(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """All positions again, for the sake of the newest."""
    return explicit(q, k, v)[..., -1:, :]


def measured(
    name: str,
    sentence: str,
    attend: Mapping[str, tuple[Attend, float, float | None]],
    sizes: Sequence[int],
    seconds: float,
    roofs: Rates | None = None,
    progress: Callable[[str], None] | None = None,
) -> Benchmark:
    """A workload along T: ``attend`` has each contender with the exponents that its time and memory should have."""

    def inputs(size: int) -> tuple[Tensor, Tensor, Tensor]:
        generator = torch.Generator().manual_seed(size)
        q, k, v = torch.randn(3, 1, HEADS, size, WIDTH, generator=generator).unbind(0)
        return q, k, v

    calls = {(who, size): partial(_ready, attend[who][0], inputs, size) for who in attend for size in sizes}
    rounds = interleaved(
        [Contender(f"{who} {size}", call) for (who, size), call in calls.items()], seconds, progress=progress
    )
    by_who = {who: [rounds[f"{who} {size}"] for size in sizes] for who in attend}
    peaks = {key: peak_bytes(call()) for key, call in calls.items()}
    timings, exponents, notes, wrong = list[Timing](), list[Exponent](), list[str](), dict[str, str]()
    usual, first = sizes[-1], next(iter(attend))
    for who, (_, in_time, in_memory) in attend.items():
        for size, one in zip(sizes, by_who[who], strict=True):
            median, lower, upper = summary(one)
            share = share_of_roofline(median, *_least(size), roofs) if roofs and size == usual else None
            timings.append(Timing(who, {"T": size}, median, lower, upper, len(one.seconds), peaks[who, size], share))
        grown = exponent(sizes, by_who[who])
        exponents.append(Exponent(who, "T", "time", grown, in_time, told(grown, in_time)))
        end = slope_at_the_end(sizes, by_who[who])
        notes.append(
            f"{who}: between the two largest sizes time grows like T^{end.value:.2f} ({end.low:.2f} to {end.high:.2f})"
        )
        if in_memory is not None:
            held = exponent(sizes, [peaks[who, size] or 0.0 for size in sizes])
            exponents.append(Exponent(who, "T", "memory", held, in_memory, told(held, in_memory)))
        off = _off(by_who[who][-1], by_who[first][-1])
        if off:
            wrong[who] = off
    ratios = [
        Ratio(first, who, {"T": usual}, ratio(by_who[first][-1], by_who[who][-1])) for who in attend if who != first
    ]
    return Benchmark(
        "attention", name, sentence, tuple(timings), tuple(ratios), tuple(exponents), wrong=wrong, notes=tuple(notes)
    )


def _ready(attend: Attend, inputs: Callable[[int], tuple[Tensor, Tensor, Tensor]], size: int) -> Callable[[], Tensor]:
    return partial(attend, *inputs(size))


def _least(size: int) -> tuple[float, float]:
    """Operations and bytes that causal attention needs at least: two products of half the scores; q, k, v and the
    result once."""
    return 2 * 2 * HEADS * WIDTH * size * (size + 1) / 2, 4 * 4 * HEADS * WIDTH * size


def _off(one: Rounds, other: Rounds) -> str:
    """How the results of the last timed calls differ, where by more than float32 may."""
    error = float((one.last - other.last).abs().max())
    return f"off by {error:.2g}" if error > 1e-5 else ""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", metavar="FILE", help="also write the record to this file")
    parser.add_argument("--html", metavar="FILE", help="also write the page to this file")
    parser.add_argument(
        "--quick", action="store_true", help="smaller sizes and little time: the figures are then rough"
    )
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    started = time.time()
    seconds, sizes = (2.0, (32, 64, 128, 256, 512)) if given.quick else (25.0, (64, 128, 256, 512, 1024, 2048))
    small = sizes[:-1] if given.quick else (128, 192, 256, 384, 512)
    roofs = None if given.quick else rates()
    tell = partial(print, file=sys.stderr) if sys.stderr.isatty() else None
    with torch.no_grad():
        benchmarks = [
            measured(
                "forward",
                "Explicit scores beside the fused kernel.",
                {"explicit": (explicit, 2, 2), "fused": (fused, 2, 1)},
                sizes,
                seconds,
                roofs,
                tell,
            ),
            measured(
                "by mistake",
                "The same beside one that attends anew for every position; the law is that of the right one.",
                {"explicit": (explicit, 2, 2), "prefix by prefix": (prefix_by_prefix, 2, 2)},
                small,
                seconds,
                progress=tell,
            ),
            measured(
                "one step",
                "The newest position, with a cache and without.",
                {"uncached": (uncached_step, 2, 2), "cached": (cached_step, 1, None)},
                sizes,
                seconds,
                progress=tell,
            ),
        ]
    record = RunRecord(
        "attention",
        0,
        {},
        (),
        {},
        {},
        [],
        {},
        benchmarks=benchmarks,
        machine=describe(),
        started=started,
        seconds=time.time() - started,
        finished=True,
    )
    print("\n".join(lines(record)))
    print(f"{time.time() - started:.0f} s")
    if given.json:
        json_file.write(record, Path(given.json))
    if given.html:
        write_report("html", record, Path(given.html))
    return 0


if __name__ == "__main__":
    sys.exit(main())
