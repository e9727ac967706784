"""The peak memory of a call: exact, from the allocations themselves, not from the size of the process."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch._C._profiler import _EventType
from torch.profiler import ProfilerActivity, profile

CHATTER = re.compile(rb"SyncActivityProfilerHandler|CPUAllocator\.cpp")
"""What the profiler itself prints: that it starts and stops, and that memory from before it started was given back."""


def peak_bytes(call: Callable[[], Any], device: torch.device | str = "cpu") -> float | None:
    """Peak bytes of the tensors allocated during the call; its result counts, its arguments do not.

    On a CPU every allocation and release of torch's allocator is read from the profiler in order (kernels' own buffers
    included; those of other libraries are not known: NumPy's, MKL's). With CUDA the allocator's own high-water mark, so
    nothing else may use the device meanwhile. None on other devices, and while a profiler runs. Raises what the call
    is raised.
    """
    kind = torch.device(device).type
    if kind == "cuda":
        return _of_cuda(call, torch.device(device))
    if kind != "cpu" or torch._C._autograd._profiler_enabled():
        return None
    result = None
    with _without_chatter(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        result = call()
    del result
    return float(_most_at_once(profiler))


def _of_cuda(call: Callable[[], Any], device: torch.device) -> float:
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    result = call()
    torch.cuda.synchronize(device)
    del result
    return float(torch.cuda.max_memory_allocated(device) - before)


def _most_at_once(profiler: Any) -> int:
    """The largest running sum. Releases of what was allocated before the call do not count."""
    held: dict[int, int] = {}
    now = most = 0
    for _, size, address in sorted(_allocations(profiler), key=lambda event: event[0]):
        if size > 0:
            held[address] = size
            now += size
            most = max(most, now)
        else:
            now -= held.pop(address, 0)
    return most


def _allocations(profiler: Any) -> Iterator[tuple[int, int, int]]:
    """(time in nanoseconds, bytes gained or given back, address) of every allocation on the CPU."""
    waiting = list(profiler.profiler.kineto_results.experimental_event_tree())
    while waiting:
        event = waiting.pop()
        waiting += event.children
        kind, fields = event.typed
        if kind == _EventType.Allocation and fields.device.type == "cpu":
            yield event.start_time_ns, fields.alloc_size, fields.ptr


@contextmanager
def _without_chatter() -> Iterator[None]:
    """Standard error as it is, without the profiler's own lines, which no option of a running process turns off."""
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # there is no standard error
        yield
        return
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            for line in file:
                if not CHATTER.search(line):
                    os.write(2, line)
