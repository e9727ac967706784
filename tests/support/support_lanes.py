"""How much of the large sweeps a run of our own tests does.

The usual run takes a sample that proves the point: every claim, every style and every variant takes part, not every
pair of them. ``PLUMBLINE_FULL=1`` (``tox -e full``) runs them all.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterable
from typing import Any

FULL = os.environ.get("PLUMBLINE_FULL", "") not in ("", "0")
"""Whether every sweep runs whole."""


def sample(items: Iterable[Any], key: Callable[[Any], str], group: Callable[[Any], str], most: int) -> list[Any]:
    """Up to ``most`` items of each group, the same ones in every process and every run; all of them in the full run.

    Which ones: those whose checksum of ``key`` is smallest, so that a new item does not change the rest of the sample.
    """
    items = list(items)
    if FULL:
        return items
    ranked: dict[str, list[Any]] = {}
    for item in sorted(items, key=lambda item: zlib.crc32(key(item).encode())):
        ranked.setdefault(group(item), []).append(item)
    chosen = {id(item) for group_items in ranked.values() for item in group_items[:most]}
    return [item for item in items if id(item) in chosen]
