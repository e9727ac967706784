"""get_batch as nanoGPT and CS336 spell it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy

from harness.core.claim import NotSupported
from harness.core.contract import Dialect
from specs.naming.cs336 import CS336


def _batches(function: str, tokens: str, time: str, *more: str) -> Dialect:
    """``get_batch(data, batch_size, block_size)``; CS336's data is a NumPy array. ``more``: device, generator."""
    as_numpy = tokens == "dataset"

    def arguments(a: Mapping[str, Any]) -> dict[str, Any]:
        data = a["tokens"]
        if as_numpy and str(data.dtype).rpartition(".")[2] != "int64":
            raise NotSupported("its data are int64 ids")
        given = {tokens: numpy.asarray(data) if as_numpy else data, "batch_size": a["batch"], time: a["time"]}
        if "device" in more:
            given["device"] = "cpu"
        return {**given, "generator": a["generator"]} if "generator" in more else given

    project = CS336 if as_numpy else "nanoGPT"
    entry = as_numpy and function.startswith("run_")
    return Dialect(project, function, (tokens, "batch_size", time, *more), arguments, entry=entry)


BATCHES = tuple(
    _batches(function, tokens, time, *more)
    for function in ("run_get_batch", "get_batch")
    for more in (("device",), ())
    for tokens in ("dataset", "data")
    for time in ("context_length", "block_size", "seq_len")
)
