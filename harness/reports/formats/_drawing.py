"""What is made of what, as boxes in layers and lines between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

BOX, GAP, LAYER, HIGH, MARGIN = 190, 24, 84, 34, 12
MOST_IN_A_LAYER = 5


@dataclass(frozen=True)
class Box:
    name: str
    state: str
    x: int
    y: int


@dataclass(frozen=True)
class Drawing:
    """Boxes, and lines from the foot of a composite to the head of its part; sizes in pixels."""

    boxes: tuple[Box, ...]
    lines: tuple[tuple[int, int, int, int], ...]
    width: int
    height: int
    box: int = BOX
    high: int = HIGH


def dependencies(names: Sequence[str], parts: Mapping[str, Sequence[str]], states: Mapping[str, str]) -> Drawing | None:
    """Only what has parts, or is one; None where there is no such thing. Composites stand above their parts."""
    known = {name: [part for part in parts.get(name, ()) if part in states] for name in names}
    tied = [n for n in names if known[n] or any(n in below for below in known.values())]
    if not tied:
        return None

    def depth(name: str) -> int:
        return 1 + max((depth(part) for part in known[name]), default=-1)

    layers: dict[int, list[str]] = {}
    for name in tied:
        layers.setdefault(depth(name), []).append(name)
    rows = [row for level in sorted(layers, reverse=True) for row in _rows(layers[level])]
    width = max(len(row) for row in rows) * (BOX + GAP) - GAP + 2 * MARGIN
    boxes = {}
    for level, row in enumerate(rows):
        start = (width - len(row) * (BOX + GAP) + GAP) // 2
        for place, name in enumerate(row):
            boxes[name] = Box(name, states[name], start + place * (BOX + GAP), MARGIN + level * LAYER)
    lines = [
        (boxes[n].x + BOX // 2, boxes[n].y + HIGH, boxes[p].x + BOX // 2, boxes[p].y) for n in tied for p in known[n]
    ]
    return Drawing(tuple(boxes.values()), tuple(lines), width, (len(rows) - 1) * LAYER + HIGH + 2 * MARGIN)


def _rows(names: list[str]) -> list[list[str]]:
    return [names[start : start + MOST_IN_A_LAYER] for start in range(0, len(names), MOST_IN_A_LAYER)]
