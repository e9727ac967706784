"""The peak rates of this machine, and how near a call comes to them: the roofline (Williams and others 2009)."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

WORKING_SETS = (1 << 18, 1 << 21, 1 << 24)
"""Bytes that fit a core's own cache, one level further out, and the last level of most machines."""
BEYOND_CACHE = {"cpu": 1 << 28, "cuda": 1 << 30}
"""Bytes of both arrays together, several times the largest caches there are."""
LARGEST_PRODUCT = {"cpu": 2048, "cuda": 8192}
LONG_ENOUGH = 0.02
"""Seconds of one matrix product from which on its rate is taken."""
TRIES = 7
"""The best of so many: a roof is what can be reached, not what usually is."""


@dataclass(frozen=True)
class Rates:
    """The roofs: bytes per second, read and written, beyond the caches; floating-point operations per second.


    ``by_working_set``: (bytes, bytes per second) from the smallest to the one beyond the caches, never faster than
    one before.
    """

    copy_bytes_per_second: float
    operations_per_second: float
    by_working_set: tuple[tuple[int, float], ...] = ()

    def copying(self, size: float) -> float:
        """The roof for ``size`` bytes: that of the largest working set which is not larger."""
        reached = [rate for working_set, rate in self.by_working_set if working_set <= size]
        first = [rate for _, rate in self.by_working_set[:1]]
        return (reached or first or [self.copy_bytes_per_second])[-1]


def rates(dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> Rates:
    """Both roofs, measured: a second or two. They hold for this dtype, device and number of threads."""
    place = torch.device(device)
    kind = "cpu" if place.type == "cpu" else "cuda"
    copies: list[tuple[int, float]] = []
    for size in sorted((*WORKING_SETS, BEYOND_CACHE[kind]), reverse=True):
        copies.append((size, max([_copy_rate(size, place), *(rate for _, rate in copies)])))
    return Rates(copies[0][1], _product_rate(dtype, place, LARGEST_PRODUCT[kind]), tuple(reversed(copies)))


def share_of_roofline(seconds: float, operations: float, bytes: float, rates: Rates) -> float:
    """The least time that the roofs allow for so many operations and bytes, over the time taken.

    Beyond 1, by more than the roofs themselves vary (``BELIEVABLE``), it is not credible: the work was not done, or
    the counts are wrong.
    """
    return max(operations / rates.operations_per_second, bytes / rates.copying(bytes)) / seconds


def describe(dtype: torch.dtype | None = None, device: torch.device | str = "cpu") -> dict[str, Any]:
    """What was measured on, in names: for ``RunRecord.machine``."""
    place = torch.device(device)
    gpu = {"gpu": torch.cuda.get_device_name(place)} if place.type == "cuda" else {}
    return {
        "cpu": _cpu(),
        "cores": _cores(),
        "threads": torch.get_num_threads(),
        **gpu,
        "device": str(place),
        "dtype": str(dtype or torch.get_default_dtype()).removeprefix("torch."),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _copy_rate(size: int, device: torch.device) -> float:
    """Bytes per second where two arrays have ``size`` bytes together: of a copy or of a dot product, which only reads.

    The better of the two: where a store first fetches what it overwrites, reading alone is faster.
    """
    source = torch.ones(size // 8, dtype=torch.float32, device=device)
    target = torch.ones_like(source)
    seconds = min(_best(lambda: target.copy_(source), device), _best(lambda: torch.dot(source, target), device))
    return size / seconds


def _product_rate(dtype: torch.dtype, device: torch.device, largest: int) -> float:
    """Operations per second of a square matrix product, doubled in size until it runs long enough."""
    best, n = 0.0, 256
    while n <= largest:
        a, b = torch.ones(2, n, n, device=device).to(dtype).unbind(0)
        out = torch.empty_like(a)
        seconds = _best(lambda a=a, b=b, out=out: torch.mm(a, b, out=out), device)  # type: ignore[misc]
        best = max(best, 2 * n**3 / seconds)
        if seconds > LONG_ENOUGH:
            break
        n *= 2
    return best


def _best(call: Callable[[], Any], device: torch.device) -> float:
    """Seconds of one call at best, as many in a row as last a millisecond."""
    wait: Callable[[], None] = torch.cuda.synchronize if device.type == "cuda" else (lambda: None)

    def taken(repeats: int) -> float:
        wait()
        start = time.perf_counter()
        for _ in range(repeats):
            call()
        wait()
        return (time.perf_counter() - start) / repeats

    taken(1)
    repeats = max(1, int(1e-3 / max(taken(1), 1e-9)))
    return min(taken(repeats) for _ in range(TRIES))


def _cpu() -> str:
    """The processor's name; Linux tells it in a file of its own, elsewhere it is what Python knows."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
    return names[0] if names else platform.processor() or platform.machine()


def _cores() -> int:
    """Those that this process may use, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
